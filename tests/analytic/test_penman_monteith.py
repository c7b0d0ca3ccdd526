"""The canopy's balance against closed forms: a single leaf layer after Penman and Monteith, bare soil by bisection."""

from __future__ import annotations

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from land_column import make_air, make_shortwave

from chase_jax import constants as const
from chase_jax.physics import canopy, surface_energy, surfaces, thermodynamics, turbulence
from chase_jax.physics import vegetation as plants

ONE = jnp.ones(1)
STEP = 100.0  # s
solve = jax.jit(surface_energy.solve, static_argnums=(7, 8))


def field(leaf_area, wind, wetness, water, sun, temperature=298.0, humidity=0.016, conductance=0.0):
    """Low vegetation that covers all, over a ground that conducts or not; returns inputs of `solve`."""
    vegetation = plants.from_class(np.array([7]))
    vegetation = eqx.tree_at(lambda p: p.lower_fraction, vegetation, ONE)
    vegetation = eqx.tree_at(lambda p: p.humidity_deficit_factor, vegetation, 0.0 * ONE)
    cover = plants.canopy(vegetation, 0.3 * leaf_area * ONE / 0.3)
    parameters = canopy.Parameters.default(vegetation)
    state = canopy.State.default(parameters, temperature * ONE)
    water = water * jnp.array([[0.0], [0.0], [1.0]])
    heat = thermodynamics.liquid_enthalpy(temperature) * water
    state = canopy.State(water=water, enthalpy=state.enthalpy + heat)
    longwave = 0.85 * const.STEFAN_BOLTZMANN * temperature**4 * ONE
    air = make_air(temperature * ONE, humidity * ONE, 1e5 * ONE, wind * ONE, longwave, 0.0 * ONE, 0.0 * ONE)
    leaf_light = sun if leaf_area > 0.0 else 0.0
    shortwave = make_shortwave(jnp.array([0.0, 0.0, leaf_light, sun - leaf_light, 0.0])[:, None] * ONE)
    phase = canopy.diagnose(parameters, state)
    leaves = surfaces.Leaves(
        water=state.water,
        enthalpy=state.enthalpy,
        dry_heat_capacity=parameters.dry_heat_capacity,
        phase=phase,
        wetting=surfaces.evaporation.Wetting(wetness * water / 10.0, 0.0 * water, 10.0 + 0.0 * water),
        root_stress=(1.0 - wetness) * ONE,
        root_enthalpy=0.0 * ONE,
    )
    open_soil = 0.0 * ONE if leaf_area > 0.0 else ONE
    ground = surfaces.Ground(
        snow_fraction=0.0 * ONE,
        soil_temperature=temperature * ONE,
        soil_conductance=conductance * ONE,
        soil_wetness=open_soil,
        soil_humidity=open_soil,
        soil_enthalpy=0.0 * ONE,
        snow_temperature=273.0 * ONE,
        snow_conductance=0.0 * ONE,
        snow_enthalpy=0.0 * ONE,
        snow_melt_limit=0.0 * ONE,
    )
    geometry = turbulence.geometry(vegetation, cover, 0.0 * ONE)
    return vegetation, cover, geometry, air, shortwave, leaves, ground


@pytest.mark.parametrize("wet", [True, False])
@pytest.mark.parametrize("sun", [400.0, 700.0])
def test_dense_canopy_obeys_penman_monteith(wet, sun):
    inputs = field(leaf_area=7.5, wind=30.0, wetness=1.0 if wet else 0.0, water=10.0 if wet else 0.0, sun=sun)
    vegetation, cover, geometry, air, shortwave, leaves, ground = inputs
    for _ in range(50):  # until the leaves keep their temperature
        fluxes = solve(vegetation, cover, geometry, air, shortwave, leaves, ground, STEP, 3)
        enthalpy = leaves.enthalpy + STEP * fluxes.canopy_heating
        water = leaves.water - STEP * fluxes.canopy_evaporation
        phase = thermodynamics.phase_state(water, enthalpy, leaves.dry_heat_capacity)
        leaves = eqx.tree_at(lambda s: (s.water, s.enthalpy, s.phase), leaves, (water, enthalpy, phase))
    # resistances of the same path; in a gale stability hardly matters
    wind = turbulence.reference_wind(geometry, air.wind_speed)
    c = turbulence.exchange(geometry, wind, air.density, (ONE, ONE), ONE)
    area = cover.areas(0.0 * ONE)[2]
    aerodynamic = 1.0 / c.above + 1.0 / c.between + 1.0 / (area * c.lower_leaf)
    stomatal = surfaces.evaporation.light_conductance(0.7 * sun * ONE, cover.lower_leaf, vegetation, ONE)
    through = cover.lower_leaf / (1.0 / c.lower_leaf + 1.0 / (air.density * stomatal))
    covered = surfaces.evaporation.WET_LIMIT * area
    vapor = 1.0 / c.above + 1.0 / c.between + (1.0 / (covered * c.lower_leaf) if wet else 1.0 / through)
    saturation = thermodynamics.saturation_humidity(air.temperature, air.pressure)
    latent_heat = air.vapor_enthalpy - leaves.phase.mean_enthalpy[2] if wet else air.vapor_enthalpy
    evaporation = fluxes.canopy_evaporation.sum() + fluxes.transpiration.sum()
    available = fluxes.sensible_heat + latent_heat * evaporation
    deficit = saturation.humidity - air.specific_humidity
    psychrometric = const.SPECIFIC_HEAT_AIR / latent_heat
    numerator = saturation.slope * available + const.SPECIFIC_HEAT_AIR * deficit / aerodynamic
    expected = numerator / (saturation.slope + psychrometric * vapor / aerodynamic)
    np.testing.assert_allclose(latent_heat * evaporation, expected, rtol=0.02)
    assert expected > 50.0


@pytest.mark.parametrize(("sun", "wind"), [(0.0, 1.0), (0.0, 6.0), (300.0, 2.0), (800.0, 5.0)])
def test_without_leaves_it_is_a_single_wet_surface(sun, wind):
    inputs = field(leaf_area=0.0, wind=wind, wetness=0.0, water=0.0, sun=sun, conductance=10.0)
    vegetation, cover, geometry, air, _, _, ground = inputs
    bare = eqx.tree_at(lambda c: (c.upper_fraction, c.lower_fraction), cover, (0.0 * ONE, 0.0 * ONE))  # no litter
    inputs = (vegetation, bare, *inputs[2:])
    fluxes = solve(*inputs, STEP, 60)
    speed = turbulence.reference_wind(geometry, air.wind_speed)

    def fluxes_at(skin):
        """Bare-soil fluxes at a skin temperature; stability and canopy air settle by repetition."""
        saturation = thermodynamics.saturation_humidity(skin * ONE, air.pressure)
        warm = skin - air.temperature
        moist = saturation.humidity - air.specific_humidity

        def settle(_, guess):
            upper, lower, _ = guess
            screen, high, low = (
                (air.temperature + s * warm) * (1.0 + 0.608 * (air.specific_humidity + s * moist))
                for s in (0.0, upper, lower)
            )
            above = turbulence.richardson_per_kelvin(speed, geometry.height_above, air.temperature)
            between = turbulence.richardson_per_kelvin(
                geometry.wind_between * speed, geometry.height_between, air.temperature
            )
            factors = turbulence.stability(above * (screen - high), geometry.louis_above)
            _, heat = turbulence.stability(between * (high - low), geometry.louis_between)
            c = turbulence.exchange(geometry, speed, air.density, factors, heat)
            total = 1.0 / (1.0 / c.above + 1.0 / c.between + 1.0 / c.soil)
            return 0.5 * (upper + total / c.above), 0.5 * (lower + total / c.above + total / c.between), total

        *_, total = jax.lax.fori_loop(0, 200, settle, (0.0 * ONE, 0.0 * ONE, ONE))
        sensible = const.SPECIFIC_HEAT_AIR * total * warm
        latent = air.vapor_enthalpy * total * moist
        radiation = 0.95 * (air.longwave_down - const.STEFAN_BOLTZMANN * skin**4) + sun
        into_soil = ground.soil_conductance * (skin - ground.soil_temperature)
        return (radiation - sensible - latent - into_soil)[0], sensible, latent

    surplus = jax.jit(fluxes_at)
    low, high = 250.0, 350.0
    for _ in range(60):
        middle = 0.5 * (low + high)
        low, high = (middle, high) if surplus(middle)[0] > 0.0 else (low, middle)
    _, sensible, latent = surplus(middle)
    np.testing.assert_allclose(fluxes.soil_skin_temperature, middle, atol=1e-3)
    np.testing.assert_allclose(fluxes.sensible_heat, sensible, atol=0.05)
    np.testing.assert_allclose(air.vapor_enthalpy * fluxes.soil_evaporation, latent, atol=0.05)
