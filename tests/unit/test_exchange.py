"""Flow between soil and aquifer: slopes, limits, signs."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
import soil_columns

from chase_jax.physics import exchange, soil_hydraulics

THICKNESS, YIELD = 40.0, 0.1


def flow(saturation, height, factor=1.0, soil=None):
    """Exchange of a node `height` above the water table, in the shape of `saturation`."""
    saturation = jnp.atleast_1d(jnp.asarray(saturation))
    cells = saturation.shape[0]
    soil = soil_columns.loam(cells) if soil is None else soil
    # node of the last layer lies 2 m below the surface
    depth = 2.0 + height
    excess = np.where(depth > 2.5, (2.5 - depth) * YIELD, (2.5 - depth) * soil_hydraulics.CONFINED_STORAGE)
    storage = jnp.broadcast_to(THICKNESS * YIELD + excess, (cells,))
    parameters = exchange.Parameters(jnp.full(cells, factor), jnp.zeros(cells))
    constant = jnp.full(cells, THICKNESS), jnp.full(cells, YIELD)
    return exchange.soil_aquifer(parameters, soil, *constant, saturation, jnp.ones(cells), storage), storage


def test_slopes_are_derivatives():
    soil = soil_columns.loam(5)
    for height in (0.1, 0.4, 1.0, 8.0, 30.0):
        saturation = jnp.array([0.05, 0.3, 0.6, 0.9, 0.999])
        out, storage = flow(saturation, height)

        def total(s, w):
            parameters = exchange.Parameters(jnp.ones(5), jnp.zeros(5))
            fixed = jnp.full(5, THICKNESS), jnp.full(5, YIELD)
            return jnp.sum(exchange.soil_aquifer(parameters, soil, *fixed, s, jnp.ones(5), w).flux)

        by_saturation, by_storage = jax.grad(total, argnums=(0, 1))(saturation, storage)
        np.testing.assert_allclose(out.saturation_slope, by_saturation, rtol=1e-9, atol=1e-18)
        np.testing.assert_allclose(out.storage_slope, by_storage, rtol=1e-9, atol=1e-18)
        assert np.all(out.saturation_slope >= 0.0)
        assert np.all(out.storage_slope <= 0.0)


def test_no_flow_in_hydrostatic_equilibrium():
    soil = soil_columns.loam()
    for height in (1.0, 3.0, 20.0):
        equilibrium = soil_hydraulics.saturation_at(soil, jnp.array([height]))
        at_rest, _ = flow(equilibrium, height)
        wetter, _ = flow(1.05 * equilibrium, height)
        assert abs(float(at_rest.flux[0])) < 0.01 * float(wetter.flux[0])


def test_far_above_the_water_table_water_drains_freely():
    out, _ = flow([0.5, 0.9], 39.0)
    drained = soil_hydraulics.flow_functions(soil_columns.loam(2), jnp.array([0.5, 0.9])).conductivity
    np.testing.assert_allclose(out.flux, 1000.0 * drained, rtol=0.02)


def test_the_factor_scales_the_flow():
    np.testing.assert_allclose(flow([0.4, 0.8], 3.0, 0.01)[0].flux, 0.01 * flow([0.4, 0.8], 3.0)[0].flux)


def test_a_head_in_the_soil_column_pushes_water_up():
    heights = (0.5, 0.3, -0.5, -2.0)  # of the node above the head
    fluxes = [float(flow(1.0, height)[0].flux[0]) for height in heights]
    assert np.all(np.diff(fluxes) < 0.0)
    assert fluxes[-1] < 0.0


def share(fraction, factor=1.0, wetness=1.0, storage=0.0):
    """Share of infiltrating water in macropores of columns of loam that are as wet, 1."""
    fraction, factor, wetness, storage = jnp.broadcast_arrays(*map(jnp.asarray, (fraction, factor, wetness, storage)))
    cells = fraction.size
    soil, parameters = soil_columns.loam(cells), exchange.Parameters(factor, fraction)
    saturation = soil.wilting_point + wetness * (soil.field_capacity - soil.wilting_point)
    thickness, specific_yield = jnp.full(cells, THICKNESS), jnp.full(cells, YIELD)
    return exchange.bypass_share(parameters, soil, thickness, specific_yield, saturation, storage)


def test_bypass_ends_where_the_aquifer_is_full():
    storage = THICKNESS * YIELD - jnp.array([2.0, 0.05, 0.02, 0.0, -0.01])
    np.testing.assert_allclose(share(0.6, storage=storage), [0.3, 0.3, 0.12, 0.0, 0.0], atol=1e-12)
    np.testing.assert_array_equal(share(0.0, storage=storage), 0.0)


def test_bypass_grows_with_wetness_up_to_field_capacity():
    wetness = jnp.array([-0.2, 0.0, 0.5, 1.0, 1.3])
    np.testing.assert_allclose(share(0.8, wetness=wetness), [0.0, 0.0, 0.1, 0.4, 0.4], atol=1e-12)


def test_bypass_has_the_factor_of_the_exchange():
    np.testing.assert_allclose(share(1.0, factor=jnp.array([0.0, 0.25, 1.0, 1e9])), [0.0, 0.2, 0.5, 1.0], atol=1e-8)


def test_the_bypass_has_its_whole_derivative_at_its_bounds():
    """Clipping would report half of the slope there, and no bypass at all is such an end."""
    storage = THICKNESS * YIELD - jnp.array([0.02, 0.04, 1.0])
    for fraction in (0.0, 1.0):
        slope = jax.jvp(lambda f: share(f, storage=storage), (jnp.full(3, fraction),), (jnp.ones(3),))[1]
        np.testing.assert_allclose(slope, [0.2, 0.4, 0.5], rtol=1e-12)


def test_slopes_are_derivatives_for_the_curves_of_van_genuchten():
    soil = soil_hydraulics.with_van_genuchten(soil_columns.loam(5), 3.6, 1.56, 0.04)
    saturation = jnp.array([0.15, 0.3, 0.6, 0.9, 0.999])
    out, storage = flow(saturation, 3.0, soil=soil)
    fixed = exchange.Parameters(jnp.ones(5), jnp.zeros(5)), soil, jnp.full(5, THICKNESS), jnp.full(5, YIELD)
    for wrt, slope in ((4, out.saturation_slope), (6, out.storage_slope)):
        total = lambda *a: jnp.sum(exchange.soil_aquifer(*a).flux)  # noqa: E731
        exact = jax.grad(total, argnums=wrt)(*fixed, saturation, jnp.ones(5), storage)
        np.testing.assert_allclose(slope, exact, rtol=1e-9)
    at_rest, _ = flow(soil_hydraulics.saturation_at(soil, jnp.full(5, 3.0)), 3.0, soil=soil)
    assert np.all(np.abs(at_rest.flux) < 0.02 * np.abs(out.flux))
