"""The five readings of dcor: range, monotony, limits."""

from __future__ import annotations

import jax.numpy as jnp
import numpy as np
import pytest

from chase_jax.checks import InputError
from chase_jax.physics import runoff
from chase_jax.physics.soil_hydraulics import LAYER_THICKNESS

FILLING = jnp.linspace(0.0, 1.0, 21)
PORES = 160.0  # kg m-2


def direct_share(form, dcor, rain=1e-3, filling=FILLING, puddle=2.0, threshold=0.0):
    cells = filling.shape[0]
    parameters = runoff.Parameters(
        jnp.full(cells, dcor), jnp.full(cells, 10.0), jnp.full(cells, 0.35), jnp.full(cells, threshold)
    )
    out = runoff.partition(
        parameters,
        form,
        jnp.full(cells, rain),
        jnp.full(cells, 40.0 * rain),
        filling * PORES,
        jnp.full(cells, PORES),
        jnp.full(cells, puddle),
        3600.0,
    )
    np.testing.assert_allclose(out.direct_runoff + out.supply, rain, rtol=1e-14)
    np.testing.assert_allclose(out.direct_runoff_heat, 40.0 * out.direct_runoff, rtol=1e-12, atol=1e-14)
    np.testing.assert_allclose(out.supply_heat, 40.0 * out.supply, rtol=1e-12, atol=1e-14)
    return out.direct_runoff / rain, out


@pytest.mark.parametrize("form", runoff.FORMS)
def test_share_of_direct_runoff_is_a_share(form):
    low, high = runoff.RANGE[form]
    for dcor in (low, runoff.START[form], high):
        for rain in (1e-9, 1e-4, 1e-1):
            share, _ = direct_share(form, dcor, rain)
            assert np.all((share >= 0.0) & (share <= 1.0))


@pytest.mark.parametrize("form", ["D3", "D4", "D5"])
def test_below_the_threshold_next_to_nothing_runs_off_and_above_it_the_rest_counts(form):
    filling = jnp.array([0.0, 0.2, 0.4, 0.7, 1.0])
    counted = jnp.array([0.0, 0.0, 0.0, 0.5, 1.0])
    share, _ = direct_share(form, runoff.START[form], 1e-6, filling, threshold=0.4)
    np.testing.assert_allclose(share, direct_share(form, runoff.START[form], 1e-6, counted)[0], rtol=1e-9)
    assert np.all(share[:3] < 2.0 * runoff.FILLING_MARGIN)


@pytest.mark.parametrize("dcor", [0.5, 0.9, 0.99, 1.0])
def test_nothing_runs_off_dry_soil_however_large_dcor_is(dcor):
    filling = jnp.array([0.0, 0.2, 0.4, 0.41])
    share, _ = direct_share("D5", dcor, 1e-6, filling, threshold=0.4)
    np.testing.assert_array_equal(share[:3], 0.0)
    assert share[3] > 0.0


def test_the_upper_store_reaches_down_to_its_depth():
    depth = jnp.array([0.02, 0.05, 0.35, 0.55, 2.5, 9.0])
    share = runoff.upper_share(depth, LAYER_THICKNESS)
    np.testing.assert_allclose(share.T @ jnp.array(LAYER_THICKNESS), jnp.minimum(depth, 2.5), rtol=1e-14)
    assert runoff.upper_share(depth.astype(jnp.float32), LAYER_THICKNESS).dtype == jnp.float32
    np.testing.assert_allclose(share[:, 2], [1.0, 1.0, 1.0, 0.0, 0.0, 0.0], atol=1e-14)
    np.testing.assert_allclose(share[:, 3], [1.0, 1.0, 1.0, 0.5, 0.0, 0.0], atol=1e-14)


@pytest.mark.parametrize("form", ["D3", "D4", "D5"])
def test_wetter_soil_and_larger_dcor_shed_more(form):
    low, high = runoff.RANGE[form]
    shares = np.array([direct_share(form, dcor)[0] for dcor in np.linspace(low, high, 9)])
    assert np.all(np.diff(shares, axis=1) >= -1e-12)
    assert np.all(np.diff(shares[:, 1:-1], axis=0) >= -1e-12)


def test_d5_spans_nothing_to_everything_and_agrees_with_the_vic_area():
    np.testing.assert_allclose(direct_share("D5", 0.0)[0], 0.0, atol=1e-15)
    assert np.all(direct_share("D5", 0.999)[0][2:] > 0.999)
    exponent = 0.25  # VIC's b; dcor = m / (1 + m) with m = b / (1 + b)
    m = exponent / (1.0 + exponent)
    vic_area = 1.0 - (1.0 - FILLING[1:-1]) ** m
    np.testing.assert_allclose(direct_share("D5", m / (1.0 + m))[0][1:-1], vic_area, rtol=1e-12)
    # for little rain the event integral of the same curve sheds from the same area
    np.testing.assert_allclose(direct_share("D3", exponent, rain=1e-7)[0][1:-1], vic_area, rtol=1e-3)


def test_d3_sheds_all_that_exceeds_the_store():
    share, _ = direct_share("D3", 0.3, rain=1.0)
    rain = 3600.0
    free = PORES * (1.0 - np.clip(FILLING, 1e-3, 1.0 - 1e-3))
    np.testing.assert_allclose(share, (rain - free) / rain, rtol=1e-9)


def test_d1_and_d2_act_on_infiltration_and_puddle():
    share, out = direct_share("D1", 0.3)
    np.testing.assert_allclose(out.capacity_factor, 0.3)
    np.testing.assert_allclose(share, 0.2)
    _, out = direct_share("D2", 2.0)
    np.testing.assert_allclose(out.puddle_capacity, 9.0)
    np.testing.assert_allclose(out.capacity_factor, 1.0)


def test_unknown_form_is_refused():
    with pytest.raises(InputError, match="D1, D2"):
        runoff.Parameters.default(jnp.zeros(3), "D6")
