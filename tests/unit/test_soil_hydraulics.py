"""Soil parameters and the curves they shape."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import soil_columns
from scipy.integrate import quad

from chase_jax.checks import InputError
from chase_jax.physics import groundwater, soil_hydraulics

SATURATION = jnp.linspace(0.05, 1.0, 39)


def test_textures_are_ordered_as_soils_are():
    sand, loam, clay = (jax.tree.map(lambda x, k=k: x[k], _three()) for k in range(3))
    assert sand.saturated_conductivity > loam.saturated_conductivity > clay.saturated_conductivity
    assert sand.field_capacity < loam.field_capacity < clay.field_capacity
    assert sand.wilting_point < loam.wilting_point < clay.wilting_point
    for soil in (sand, loam, clay):
        assert 0.0 < soil.wilting_point < soil.field_capacity < 1.0
    np.testing.assert_allclose(loam.exponent, 2.91 + 0.159 * 18.0)
    np.testing.assert_allclose(loam.saturated_conductivity, 7.0556e-6 * 10 ** (-0.884 + 0.0153 * 42.0))


def _three():
    return soil_hydraulics.from_texture(np.array([0.92, 0.42, 0.20]), np.array([0.03, 0.18, 0.60]))


def test_field_capacity_and_wilting_point_are_where_they_are_defined():
    soil = _three()
    drained = soil_hydraulics.flow_functions(soil, soil.field_capacity).conductivity
    np.testing.assert_allclose(drained * 86400e3, 0.1, rtol=1e-9)
    np.testing.assert_allclose(soil_hydraulics.suction(soil, soil.wilting_point), 150.0, rtol=1e-9)


def test_slopes_are_derivatives_and_the_potential_is_the_integral_of_conductivity():
    soil = soil_columns.loam(SATURATION.size)
    functions = soil_hydraulics.flow_functions(soil, SATURATION)
    inside = SATURATION - 1e-6

    def slope(name):
        return jax.grad(lambda s: jnp.sum(getattr(soil_hydraulics.flow_functions(soil, s), name)))(inside)

    at = soil_hydraulics.flow_functions(soil, inside)
    np.testing.assert_allclose(at.conductivity_slope, slope("conductivity"), rtol=1e-9)
    np.testing.assert_allclose(at.potential_slope, slope("potential"), rtol=1e-9)
    suction_slope = jax.grad(lambda s: jnp.sum(soil_hydraulics.suction(soil, s)))(inside)
    np.testing.assert_allclose(at.potential_slope, -at.conductivity * suction_slope, rtol=1e-9)
    np.testing.assert_allclose(functions.conductivity[-1], soil.saturated_conductivity[-1])


# alpha (m-1), n, l: loam, sand, clay, silt, and a negative connectivity
CURVES = [(3.6, 1.56, 0.5), (14.5, 2.68, 0.5), (0.8, 1.09, 0.5), (1.6, 1.37, 0.5), (10.0, 3.0, 0.5), (2.0, 1.5, -1.0)]


def _van_genuchten(alpha, n, connectivity):
    soil = soil_columns.loam(SATURATION.size)
    return soil_hydraulics.with_van_genuchten(soil, alpha, n, 0.04, connectivity=connectivity)


@pytest.mark.parametrize(("alpha", "n", "connectivity"), CURVES)
def test_curves_of_van_genuchten_agree_with_quadrature(alpha, n, connectivity):
    """Conductivity by its formula in suction, the potential by its integral over suction, the slopes by AD."""
    soil = _van_genuchten(alpha, n, connectivity)
    saturation = 0.12 + (1.0 - 0.12 - 1e-9) * (SATURATION - 0.05) / 0.95
    functions = soil_hydraulics.flow_functions(soil, saturation)
    m, least = 1.0 - 1.0 / n, soil_hydraulics.LEAST_SUCTION

    def relative(suction):
        x, full = 1.0 / (1.0 + (alpha * suction) ** n), 1.0 / (1.0 + (alpha * least) ** n)
        filled, most = (-np.expm1(m * np.log1p(-v)) for v in (x, full))
        return (x / full) ** (m * connectivity) * (filled / most) ** 2

    ks = 3.667e-6
    np.testing.assert_allclose(functions.conductivity, ks * relative(functions.suction), rtol=1e-9)
    for k in (0, 7, 20, 33, 38):
        start = np.log(float(functions.suction[k]))
        exact, _ = quad(
            lambda v: relative(np.exp(v)) * np.exp(v), start, start + 80.0, epsabs=0, epsrel=1e-10, limit=500
        )
        np.testing.assert_allclose(functions.potential[k], ks * exact, rtol=1e-8)

    def slope(name):
        return jax.grad(lambda s: jnp.sum(getattr(soil_hydraulics.flow_functions(soil, s), name)))(saturation)

    for name in ("conductivity", "potential", "suction"):
        np.testing.assert_allclose(getattr(functions, name + "_slope"), slope(name), rtol=1e-6)
    np.testing.assert_allclose(soil_hydraulics.saturation_at(soil, functions.suction), saturation, rtol=1e-9)


def test_equivalent_power_laws_have_the_same_capillary_drive():
    soil = _van_genuchten(3.6, 1.56, 0.5)
    ks, b = soil.saturated_conductivity, soil.exponent
    drive = soil_hydraulics.saturated_potential(soil) / ks + soil_hydraulics.LEAST_SUCTION
    np.testing.assert_allclose(soil.air_entry_suction * (2.0 * b + 3.0) / (b + 3.0), drive, rtol=1e-12)
    np.testing.assert_allclose(soil_hydraulics.suction(soil, soil.field_capacity), 3.4, rtol=1e-9)
    np.testing.assert_allclose(soil_hydraulics.suction(soil, soil.wilting_point), 150.0, rtol=1e-9)


@pytest.mark.parametrize("shape", [1.0, float("nan"), 50.0])
def test_impossible_curves_are_refused(shape):
    with pytest.raises(InputError, match="shape"):
        soil_hydraulics.with_van_genuchten(soil_columns.loam(), 2.0, shape, 0.05)


def test_equilibrium_saturation_inverts_suction():
    soil = soil_columns.loam()
    for height in (0.2, 1.0, 30.0):
        saturation = soil_hydraulics.saturation_at(soil, jnp.array([height]))
        np.testing.assert_allclose(soil_hydraulics.suction(soil, saturation), height)
    assert float(soil_hydraulics.saturation_at(soil, jnp.array([0.01]))[0]) == 1.0


def test_ice_conducts_better_than_water_and_water_better_than_air():
    soil, zero, half = soil_columns.loam(), jnp.zeros(1), jnp.full(1, 0.4)
    dry, wet, frozen = (
        float(soil_hydraulics.thermal_conductivity(soil, *f)[0]) for f in ((zero, zero), (half, zero), (zero, half))
    )
    assert dry < wet < frozen
    np.testing.assert_allclose(wet, 0.27 * 56.0**0.4)


def test_water_table_is_continuous_where_the_aquifer_meets_the_soil():
    thickness, specific_yield = jnp.full(3, 20.0), jnp.full(3, 0.1)
    table = soil_hydraulics.water_table(jnp.array([2.0 - 1e-9, 2.0, 2.0 + 0.0125]), thickness, specific_yield)
    np.testing.assert_allclose(table.depth, [2.5, 2.5, 0.0], atol=1e-7)
    np.testing.assert_allclose(table.storage_coefficient, [0.1, 0.1, 0.005])
    empty = soil_hydraulics.water_table(jnp.zeros(3), thickness, specific_yield)
    np.testing.assert_allclose(empty.depth, 22.5)


def test_an_aquifer_stores_between_two_levels_what_lies_between_them():
    one = jnp.array([9.0, 4.0, 3.0, 2.5, 2.0, 1.0, -1.0, 3.0, 1.0, 5.0, 1.0])
    other = jnp.array([3.0, 1.0, 2.0, 2.5, 1.0, 2.6, 9.0, 3.0, 1.0, 5.0 + 1e-8, 1.0 + 1e-8])
    between = soil_hydraulics.mean_storage_coefficient(jnp.full(11, 0.1), one, other)
    aquifer = groundwater.Parameters(*(jnp.full(11, value) for value in (1e-5, 0.1, 30.0)))
    stored = groundwater.storage_at_depth(aquifer, one) - groundwater.storage_at_depth(aquifer, other)
    apart = np.abs(one - other) > 1e-6
    np.testing.assert_allclose((between * (other - one))[apart], stored[apart], rtol=1e-12)
    of_one = soil_hydraulics.water_table(groundwater.storage_at_depth(aquifer, one), aquifer.thickness, 0.1)
    np.testing.assert_array_equal(between[~apart], of_one.storage_coefficient[~apart])


@pytest.mark.parametrize(("sand", "clay"), [(0.7, 0.5), (-0.1, 0.5), (float("nan"), 0.1)])
def test_impossible_texture_is_refused(sand, clay):
    with pytest.raises(InputError, match="sand"):
        soil_hydraulics.from_texture(np.array([sand]), np.array([clay]))
