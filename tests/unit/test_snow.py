"""Snow: cover, density, albedo, and the pack that is not there."""

from __future__ import annotations

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from chase_jax import constants as const
from chase_jax.physics import snow, snow_layers, snow_properties
from chase_jax.physics.thermodynamics import enthalpy_of, ice_enthalpy

HOURS = 10800.0


def pack(water, temperature=265.0, liquid=0.0, density=250.0):
    parameters = snow.Parameters.default(np.size(water))
    water = jnp.atleast_1d(jnp.asarray(water, dtype=float))
    enthalpy = enthalpy_of(temperature, liquid, water - liquid, sum(snow.DRY_HEAT_CAPACITY))
    return parameters, snow.State.uniform(parameters, water, enthalpy, water / density)


def supply(n, **given):
    fields = dict.fromkeys(("liquid", "liquid_heat", "solid", "solid_heat", "heat", "sublimation"), 0.0)
    fields |= {"skin_temperature": 265.0, "air_temperature": 265.0, "wind_speed": 1.0} | given
    return snow.Supply(**{name: jnp.broadcast_to(jnp.asarray(value), (n,)) for name, value in fields.items()})


def ground(n, temperature=265.0):
    return snow.Ground(jnp.full(n, temperature), jnp.full(n, 1e5), jnp.full(n, 40.0))


@jax.jit
def advance(parameters, state, given, below):
    shown = snow.surface(state, jnp.full(state.water.size, 0.1), HOURS)
    return snow.step(parameters, state, shown, given, below, HOURS)


def test_cover_grows_from_none_to_all_and_its_depth_keeps_the_volume():
    _, state = pack(np.geomspace(1e-4, 400.0, 60))
    shown = snow.surface(state, jnp.full(60, 0.5), HOURS)
    assert np.all(np.diff(shown.cover) >= 0.0)
    assert shown.cover[0] < 1e-4
    assert 0.99 < shown.cover[-1] <= 1.0
    partial = shown.cover < 0.4
    np.testing.assert_allclose((shown.cover * shown.depth)[partial], state.thickness[partial], rtol=1e-3)
    assert np.all(shown.depth >= snow_properties.PATCH_THICKNESS)


def test_tall_low_vegetation_is_covered_later_up_to_where_it_bends():
    _, state = pack(np.full(3, 25.0))
    cover = snow.surface(state, jnp.asarray([0.0, 0.15, 3.0]), HOURS).cover
    assert cover[0] > cover[1] > cover[2] > 0.5


def test_new_snow_is_light_and_settles():
    parameters, state = pack(np.asarray([30.0]), density=80.0)
    density = [80.0]
    for _ in range(8 * 10):
        state, _ = advance(parameters, state, supply(1), ground(1))
        density.append(float(state.water[0] / state.thickness[0]))
    assert np.all(np.diff(density) > 0.0)
    assert 110.0 < density[-1] < 300.0


def test_warm_snow_settles_faster_and_is_denser_when_it_falls():
    parameters, state = pack(np.asarray([50.0, 50.0]), temperature=jnp.asarray([250.0, 272.0]), density=150.0)
    after, _ = advance(parameters, state, supply(2), ground(2, 260.0))
    assert after.thickness[1] < after.thickness[0] < state.thickness[0]
    fresh = snow_properties.fresh_density
    assert fresh(jnp.asarray(273.15), jnp.ones(())) > fresh(jnp.asarray(263.15), jnp.ones(())) > 65.0
    np.testing.assert_allclose(fresh(jnp.asarray(263.16), jnp.asarray(4.0)), 109.0 - 60.0 + 52.0)
    assert fresh(jnp.asarray(233.16), jnp.zeros(())) == 50.0


def test_viscosity_is_that_of_crocus():
    hour, thickness, ice = 3600.0, jnp.asarray(0.5), jnp.asarray(125.0)
    dry = snow_properties.compacted(ice, 0.0 * ice, thickness, 200.0, jnp.asarray(263.16), hour)
    rate = 9.80616 * 200.0 / (7.62237e6 * np.exp(0.1 * 10.0 + 0.023 * 250.0))
    np.testing.assert_allclose(dry, 0.5 / (1.0 + hour * rate), rtol=1e-9)
    # one percent of liquid by volume softens snow of the same density by 60 percent
    wet = snow_properties.compacted(ice - 5.0, jnp.asarray(5.0), thickness, 200.0, jnp.asarray(273.16), hour)
    rate = 1.6 * 9.80616 * 200.0 / (7.62237e6 * np.exp(0.023 * 250.0))
    np.testing.assert_allclose(wet, 0.5 / (1.0 + hour * rate), rtol=1e-9)


def test_conductivity_is_that_of_yen():
    np.testing.assert_allclose(snow_properties.conductivity(jnp.asarray(300.0)), 2.224 * 0.3**1.885, rtol=1e-12)


def test_a_deep_pack_is_as_deep_as_it_is_thick():
    """Beyond full cover the depth is that of the volume, and not that of the patches continued."""
    cover, depth = snow_properties.cover_and_depth(jnp.asarray([0.0, 0.3, 1.0, 3.0]), jnp.full(4, 0.2))
    np.testing.assert_allclose(depth[1:], [0.3, 1.0, 3.0], rtol=0.05)
    np.testing.assert_allclose(depth[2:], [1.0, 3.0], rtol=1e-3)
    np.testing.assert_allclose(cover[2:], 1.0, rtol=1e-3)
    assert depth[0] == pytest.approx(snow_properties.PATCH_THICKNESS)
    assert cover[0] == 0.0


def test_heat_through_a_pack_is_that_of_its_layers_in_series():
    """With a cold top held and a warm base held, the steady flux is the difference over the sum of resistances."""
    parameters, state = pack(np.asarray([250.0]), temperature=268.0)  # one meter
    air, base = 263.16, 272.66
    huge = snow.Ground(jnp.full(1, base), jnp.full(1, 1e15), jnp.full(1, 1e6))

    def advance(state, _):
        shown = snow.surface(state, jnp.zeros(1), HOURS)
        skin_heat = shown.cover * shown.skin_conductance * (air - shown.temperature)
        after, fluxes = snow.step(parameters, state, shown, supply(1, heat=skin_heat), huge, HOURS)
        return after, (skin_heat, fluxes.ground_heat)

    state, (skin_heat, ground_heat) = jax.jit(lambda s: jax.lax.scan(advance, s, None, 8 * 150))(state)
    conductivity = 2.224 * (state.layer_water / state.layer_thickness / 1000.0) ** 1.885
    resistance = jnp.sum(state.layer_thickness / conductivity, axis=0)
    np.testing.assert_allclose(-ground_heat[-1], (base - air) / resistance, rtol=0.02)  # litter adds one percent
    np.testing.assert_allclose(skin_heat[-1], ground_heat[-1], rtol=1e-2)
    assert np.all(np.diff(snow.diagnose(state).temperature[:, 0]) > 0.0)


def test_a_cold_crust_lies_on_a_base_that_melts():
    parameters, state = pack(np.asarray([300.0]), temperature=const.MELTING_TEMPERATURE, liquid=10.0)
    for _ in range(8):
        shown = snow.surface(state, jnp.zeros(1), HOURS)
        skin_heat = shown.cover * shown.skin_conductance * (263.0 - shown.temperature)
        state, fluxes = snow.step(parameters, state, shown, supply(1, heat=skin_heat), ground(1, 276.0), HOURS)
    temperature = snow.diagnose(state).temperature[:, 0]
    assert temperature[0] < 269.0
    assert temperature[-1] > const.MELTING_TEMPERATURE - 0.1
    assert float(fluxes.outflow[0]) > 0.0


def test_upper_layers_keep_their_thickness_and_thin_snow_is_cut_in_equal_parts():
    shares = jnp.stack(snow_layers.target_shares(jnp.asarray([1e-3, 0.05, 2.0])))
    np.testing.assert_allclose(shares.sum(axis=0), 1.0, rtol=1e-14)
    np.testing.assert_allclose(shares[:, :2], 1.0 / 3.0, atol=3e-3)
    np.testing.assert_allclose(2.0 * shares[:2, 2], snow_layers.UPPER_THICKNESS, rtol=1e-2)


def test_more_heat_than_melts_the_first_layer_melts_those_below():
    parameters, state = pack(np.asarray([100.0]), temperature=const.MELTING_TEMPERATURE)
    melted = 40.0
    heat = melted * const.LATENT_HEAT_FUSION / HOURS
    insulated = snow.Ground(jnp.full(1, 273.16), jnp.full(1, 1e6), jnp.full(1, 1e-12))
    shown = snow.surface(state, jnp.zeros(1), HOURS)
    after, fluxes = snow.step(parameters, state, shown, supply(1, heat=heat), insulated, HOURS)
    assert float(shown.layers.frozen[0, 0]) < melted
    np.testing.assert_allclose(fluxes.melt * HOURS, melted, rtol=0.02)
    assert np.all(snow.diagnose(after).temperature < const.MELTING_TEMPERATURE + 0.5)


def test_albedo_ages_faster_when_melting_and_snowfall_renews_it():
    parameters, state = pack(np.full(2, 100.0))
    skin = jnp.asarray([260.0, const.MELTING_TEMPERATURE])
    for _ in range(8 * 5):
        state, _ = advance(parameters, state, supply(2, skin_temperature=skin), ground(2))
    fresh = parameters.fresh_albedo_visible
    assert state.albedo_visible[1] < state.albedo_visible[0] < fresh[0]
    fall = 30.0 / HOURS
    renewed, _ = advance(parameters, state, supply(2, solid=fall, solid_heat=fall * ice_enthalpy(265.0)), ground(2))
    assert np.all(renewed.albedo_visible > fresh - 0.02)
    assert np.all(renewed.albedo_infrared < parameters.fresh_albedo_infrared)


def test_first_snow_on_bare_ground_is_fresh():
    parameters = snow.Parameters.default(1)
    old = snow.State.empty(parameters)
    state = eqx.tree_at(lambda s: s.albedo_visible, old, jnp.asarray([0.7]))
    for _ in range(8):
        state, _ = advance(parameters, state, supply(1), ground(1))
    np.testing.assert_allclose(state.albedo_visible, parameters.fresh_albedo_visible, atol=1e-3)


def test_an_empty_pack_stays_empty_whatever_lies_below():
    parameters = snow.Parameters.default(3)
    state = snow.State.empty(parameters)
    below = ground(3, jnp.asarray([230.0, 273.16, 320.0]))
    for _ in range(20):
        state, fluxes = advance(parameters, state, supply(3), below)
    assert np.all(state.water == 0.0)
    assert np.all(state.thickness == 0.0)
    assert np.all(fluxes.outflow == 0.0)
    assert all(np.all(np.isfinite(leaf)) for leaf in jax.tree.leaves((state, fluxes)))


def test_a_pack_holds_three_percent_of_its_pores_and_lets_the_rest_go():
    parameters, state = pack(np.asarray([100.0]), temperature=const.MELTING_TEMPERATURE, liquid=50.0)
    ice = 50.0
    after, fluxes = advance(parameters, state, supply(1), ground(1, const.MELTING_TEMPERATURE))
    held = after.water[0] - ice
    pores = 0.4 - ice / const.ICE_DENSITY
    np.testing.assert_allclose(held, 0.03 * 1000.0 * pores, rtol=0.02)
    np.testing.assert_allclose(fluxes.outflow[0] * HOURS, 50.0 - held, rtol=1e-10)


def test_rain_refreezes_in_a_cold_pack():
    parameters, state = pack(np.asarray([200.0]), temperature=263.16)
    insulated = snow.Ground(jnp.full(1, 263.16), jnp.full(1, 1e6), jnp.full(1, 1e-12))
    rain, melted = 5.0 / HOURS, 0.0
    for step in range(16):
        state, fluxes = advance(parameters, state, supply(1, liquid=rain * (step == 0)), insulated)
        assert float(fluxes.outflow[0]) * HOURS < 0.05
        melted += float(fluxes.melt[0]) * HOURS
    np.testing.assert_allclose(melted, -5.0, rtol=0.02)
    layers = snow.diagnose(state)
    warmth = float(jnp.sum(layers.temperature * state.layer_water) / jnp.sum(state.layer_water)) - 263.16
    np.testing.assert_allclose(warmth, 5.0 * const.LATENT_HEAT_FUSION / (205.0 * 2106.0), rtol=0.15)


@pytest.mark.parametrize("temperature", [290.0, 310.0])
def test_thin_snow_on_warm_ground_melts_without_becoming_hot_water(temperature):
    water = np.asarray([1e-3, 0.1, 1.0, 5.0, 20.0])
    parameters, state = pack(water, temperature=const.MELTING_TEMPERATURE)
    for _ in range(60):
        state, fluxes = advance(parameters, state, supply(5), ground(5, temperature))
        diagnosed = snow.diagnose(state).temperature
        assert np.all(diagnosed > const.MELTING_TEMPERATURE - 0.25)
        assert np.all(diagnosed < temperature)
        assert np.all(fluxes.ground_heat <= 0.0)
    assert np.all(state.water < 1e-3 * water)


def test_a_day_long_step_does_not_overshoot_the_temperature_of_the_ground():
    water = np.asarray([0.0, 1e-3, 1.0, 20.0, 60.0])
    for temperature in (263.0, 290.0, 310.0):
        parameters, state = pack(water, temperature=270.0)
        for _ in range(5):
            shown = snow.surface(state, jnp.zeros(5), 86400.0)
            before = shown.layers.temperature
            state, _ = snow.step(parameters, state, shown, supply(5), ground(5, temperature), 86400.0)
            after = snow.diagnose(state).temperature
            low, high = np.minimum(before.min(axis=0), temperature), np.maximum(before.max(axis=0), temperature)
            assert np.all((after > low - 0.2) & (after < high + 0.2))


def test_more_heat_than_melts_a_thin_pack_goes_to_the_ground():
    parameters, state = pack(np.asarray([0.05, 0.5, 3.0]), temperature=272.0)
    shown = snow.surface(state, jnp.zeros(3), HOURS)
    melting = supply(3, heat=500.0 * shown.cover)
    after, fluxes = snow.step(parameters, state, shown, melting, ground(3, 274.0), HOURS)
    assert np.all(snow.diagnose(after).temperature[-1] < const.MELTING_TEMPERATURE + 25.0)
    to_ground = (fluxes.ground_heat + fluxes.outflow_heat) * HOURS
    assert np.all(to_ground[:2] > 0.4 * (500.0 * HOURS * shown.cover + state.enthalpy)[:2])


def test_sublimation_is_limited_to_the_snow_there_is():
    parameters, state = pack(np.asarray([2.0, 200.0]))
    after, fluxes = advance(parameters, state, supply(2, sublimation=5.0 / HOURS), ground(2))
    assert float(after.water[0]) >= 0.0
    assert float(fluxes.sublimation[0]) * HOURS <= 2.0
    np.testing.assert_allclose(fluxes.sublimation[1] * HOURS, 5.0, rtol=1e-3)
