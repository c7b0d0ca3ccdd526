"""Signatures of series: exact, differentiable, and those of the published program."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
import pandas as pd
import pytest

from chase_jax.calibration import targets
from chase_jax.checks import InputError
from chase_jax.signatures import baseflow


def series(days=200, cells=6):
    draw = np.random.default_rng(2)
    return draw.gamma(0.5, 2.0, (days, cells)) * 1e-5


@pytest.mark.parametrize("interval", [3, 5, 11])
def test_base_flow_is_the_smallest_flow_around_each_day(interval):
    flow, half = series(), interval // 2
    middle = np.clip(np.arange(len(flow)), half, len(flow) - 1 - half)
    base = [flow[k - half : k + half + 1].min(axis=0) for k in middle]
    expected = np.mean(base, axis=0) / flow.mean(axis=0)
    np.testing.assert_allclose(targets.baseflow_index(jnp.asarray(flow), interval), expected, rtol=1e-12)


def test_steady_flow_is_all_base_flow_and_dry_or_backward_flow_has_none():
    flow = jnp.stack([jnp.full(30, 2e-5), jnp.zeros(30), jnp.full(30, -1e-5)], axis=1)
    np.testing.assert_allclose(targets.baseflow_index(flow, 5), [1.0, 0.0, 0.0])
    depth = targets.signatures(flow, 5).runoff_depth
    np.testing.assert_allclose(depth[0], 2e-5 * 86400.0 * 365.2425)


def test_derivatives_are_those_of_differences():
    flow = jnp.asarray(series())
    direction = jnp.asarray(series()[::-1])

    def index(amount):
        return targets.baseflow_index(flow + amount * direction, 5)

    found = jax.jvp(index, (0.0,), (1.0,))[1]
    step = 1e-7
    np.testing.assert_allclose(found, (index(step) - index(-step)) / (2.0 * step), rtol=1e-6)


def test_only_odd_intervals_are_taken():
    with pytest.raises(InputError, match="odd number from 3 to 11, but is 4"):
        targets.baseflow_index(jnp.ones((20, 1)), 4)


@pytest.mark.real_data
@pytest.mark.parametrize("gauge", ["01022500", "02064000", "03439000", "12010000", "06221400"])
def test_index_is_that_of_the_published_program(real_data, gauge):
    folder = real_data / "hysep_reference"
    table = pd.read_csv(folder / f"hysep_{gauge}.csv.gz")
    facts = pd.read_csv(folder / "summary.csv", dtype={"gauge": str}).set_index("gauge").loc[gauge]
    flow = jnp.asarray(table.q.to_numpy(float))[:, None]
    assert baseflow.interval(float(facts.da_mi2) * 2.589988e6) == facts.N2star
    found = float(targets.baseflow_index(flow, int(facts.N2star))[0])
    assert found == pytest.approx(facts.bfi_sliding, abs=1e-12)
