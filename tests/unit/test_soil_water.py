"""What a column holds and lets go: stress, wetness, ice, the order of limits."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import soil_columns
from soil_columns import loam, state_of

from chase_jax.checks import InputError
from chase_jax.physics import exchange, soil_flow, soil_hydraulics, soil_water
from chase_jax.physics.thermodynamics import PhaseState


def closed(saturation, mobility, storage):
    zero = jnp.zeros_like(saturation)
    return exchange.Exchange(zero, zero, zero)


def stepped(parameters, state, supply=0.0, evaporation=0.0, uptake=None, flux="matric_flux_potential", dt=10800.0):
    cells = parameters.porosity.shape[0]
    ones = jnp.ones(cells)
    return _step(
        parameters,
        state,
        soil_water.diagnose(parameters, state),
        supply * ones,
        evaporation * ones,
        jnp.zeros((6, cells)) if uptake is None else uptake,
        ones,
        jax.tree_util.Partial(closed),
        10.0 * ones,
        ones,
        ones,
        dt,
        flux=flux,
    )


_step = jax.jit(soil_water.step, static_argnames=("flux",))


def uniform(parameters, saturation, temperature=285.0, puddle=0.0):
    cells = parameters.porosity.shape[0]
    return state_of(
        parameters, jnp.full((6, cells), saturation), jnp.full((6, cells), temperature), jnp.full(cells, puddle)
    )


def test_stress_goes_from_wilting_to_field_capacity():
    parameters, roots = loam(), jnp.asarray([0.3, 0.3, 0.2, 0.1, 0.06, 0.04])[:, None]
    factors = []
    for saturation in (0.1, 0.25, 0.3, 0.4, 0.58, 0.9):
        state = uniform(parameters, saturation)
        stress = soil_water.root_stress(parameters, soil_water.diagnose(parameters, state), roots)
        np.testing.assert_allclose(jnp.sum(stress.share, axis=0), 1.0, rtol=1e-12)
        factors.append(float(stress.factor[0]))
    assert np.all(np.diff(factors) >= 0.0)
    assert factors[0] < 1e-5
    np.testing.assert_allclose(factors[-2:], 1.0, atol=1e-5)


def test_frozen_soil_supplies_no_roots():
    parameters = loam()
    phase = soil_water.diagnose(parameters, uniform(parameters, 0.8, temperature=268.0))
    stress = soil_water.root_stress(parameters, phase, jnp.full((6, 1), 1.0 / 6.0))
    assert float(stress.factor[0]) < 1e-5


def test_wetness_counts_puddles():
    parameters, capacity = loam(3), jnp.full(3, 10.0)
    state = uniform(parameters, 0.3)
    state = soil_water.State(state.water, state.enthalpy, jnp.array([0.0, 5.0, 50.0]))
    wetness = soil_water.surface_wetness(parameters, state, jnp.full(3, 290.0), capacity)
    assert np.all(np.diff(wetness.availability) > 0.0)
    np.testing.assert_allclose(wetness.availability, (np.array([0.3, 0.475, 0.65]) - 0.25) / 0.75, rtol=1e-9)
    assert np.all(wetness.pore_humidity > 0.98)
    dry = soil_water.surface_wetness(parameters, uniform(parameters, 0.02), jnp.full(3, 290.0), capacity)
    np.testing.assert_allclose(dry.availability, 0.0)
    assert np.all(dry.pore_humidity < 0.5)


def test_frozen_ground_sheds_what_unfrozen_ground_takes():
    parameters = loam()
    _, _, warm = stepped(parameters, uniform(parameters, 0.9), supply=2e-3)
    _, _, cold = stepped(parameters, uniform(parameters, 0.9, temperature=266.0), supply=2e-3)
    assert float(warm.puddle_runoff[0]) == 0.0
    assert float(cold.infiltration[0]) < 0.2 * float(warm.infiltration[0])
    assert float(cold.puddle_runoff[0]) > 0.4e-3


def test_full_column_returns_water_to_the_surface():
    parameters = loam()
    state, _, fluxes = stepped(parameters, uniform(parameters, 1.0), supply=2e-3)
    assert float(fluxes.puddle_runoff[0]) > 0.9e-3
    np.testing.assert_allclose(state.water, soil_hydraulics.pore_capacity(parameters), rtol=1e-12)


@pytest.mark.parametrize("temperature", [285.0, 262.0])
def test_evaporation_takes_the_last_drop_and_no_more(temperature):
    parameters = loam()
    start = uniform(parameters, 0.02, temperature, puddle=0.05)
    state, _, fluxes = stepped(parameters, start, evaporation=1e-3)
    assert 0.0 < float(fluxes.evaporation[0]) < 1e-3
    np.testing.assert_allclose(fluxes.evaporation * 10800.0, start.water[0] + start.puddle, rtol=1e-9)
    assert 0.0 <= float(state.water[0, 0]) < 1e-9
    np.testing.assert_allclose(state.puddle, 0.0, atol=1e-12)


def test_dew_wets_the_surface():
    parameters = loam()
    state, _, fluxes = stepped(parameters, uniform(parameters, 0.3), evaporation=-1e-4)
    np.testing.assert_allclose(fluxes.evaporation, -1e-4)
    np.testing.assert_allclose(fluxes.infiltration * 10800.0 + state.puddle, 1.08, rtol=1e-9)


def test_uptake_stops_at_the_wilting_point():
    parameters = loam()
    start = uniform(parameters, 0.26)
    _, _, fluxes = stepped(parameters, start, uptake=jnp.full((6, 1), 1e-2))
    available = 0.01 * soil_hydraulics.pore_capacity(parameters)
    np.testing.assert_allclose(fluxes.uptake * 10800.0, available, rtol=1e-6)


def test_unknown_form_of_the_flow_is_refused():
    parameters = loam()
    with pytest.raises(InputError, match="matric_flux_potential"):
        stepped(parameters, uniform(parameters, 0.5), flux="upstream")


def test_no_cells_are_no_trouble():
    parameters = loam(0)
    state, storage, fluxes = stepped(parameters, uniform(parameters, 0.5), supply=1e-3)
    assert state.water.shape == (6, 0)
    assert storage.shape == fluxes.recharge.shape == (0,)


def test_helper_states_have_the_temperature_they_were_made_with():
    parameters = loam(2)
    state = soil_columns.random_state(parameters, 3)
    assert np.all(np.isfinite(soil_water.diagnose(parameters, state).temperature))


def between(soil, saturation, thickness=(0.75, 1.0)):
    """Flow between two layers and its slopes by their saturations."""
    cells = soil.porosity.shape[0]
    ones = (jnp.ones(cells),) * 2
    column = soil_flow.Column(
        soil, *(ones,) * 4, *(ones[0],) * 7, jax.tree_util.Partial(closed), "matric_flux_potential", thickness
    )
    functions = tuple(soil_hydraulics.flow_functions(soil, s) for s in saturation)
    return tuple(part[0] for part in soil_flow._matric_flux_potential(column, saturation, functions))


@pytest.mark.parametrize("curves", ["power laws", "van Genuchten"])
def test_flow_between_layers_is_bounded_and_monotonic(curves):
    """Above a wetter layer: between none and gravity alone short of rest, upward beyond it; else slopes are exact."""
    upper, lower = (x.ravel() for x in np.meshgrid(np.linspace(0.12, 0.98, 30), np.linspace(0.13, 0.99, 29)))
    soil = loam(upper.size)
    if curves == "van Genuchten":
        soil = soil_hydraulics.with_van_genuchten(soil, 3.6, 1.56, 0.04)
    saturation = jnp.asarray(upper), jnp.asarray(lower)
    flow, by_upper, by_lower = between(soil, saturation)
    conductivity = 1e3 * np.asarray(soil_hydraulics.flow_functions(soil, saturation[0]).conductivity)
    rise = np.asarray(soil_hydraulics.suction(soil, saturation[0]) - soil_hydraulics.suction(soil, saturation[1]))
    below = rise > 0.0  # wetter below
    assert np.all(flow[below & (rise < 0.875)] >= 0.0)
    assert np.all(flow[below & (rise > 0.875)] < 0.0)
    assert np.all((flow - conductivity)[below] <= 1e-12 * conductivity[below])
    assert np.all((flow - conductivity)[~below] >= 0.0)
    assert np.all(by_upper >= 0.0)
    assert np.all(by_lower <= 1e-12 * np.abs(by_upper))
    exact = jax.grad(lambda s: jnp.sum(between(soil, s)[0]))(saturation)
    scale = np.abs(by_upper) + np.abs(by_lower)
    for true, used in zip(exact, (by_upper, by_lower), strict=True):
        np.testing.assert_allclose(((true - used) / scale)[~below], 0.0, atol=1e-7)


def test_ice_impedes_flow_by_the_square_of_the_pores_it_leaves():
    """The same saturation of the free pores, with a share of ice in all layers: flow falls by (1 - share)^2."""
    soil, share = loam(3), jnp.array([0.0, 0.3, 0.8])
    capacity = soil_hydraulics.pore_capacity(soil)
    saturation = jnp.linspace(0.9, 0.6, 6)[:, None]
    frozen, liquid = share * capacity, (1.0 - share) * capacity * saturation
    nothing = jnp.zeros_like(capacity)
    phase = PhaseState(nothing + 273.16, frozen, liquid, nothing, nothing, nothing)
    state = soil_water.State(frozen + liquid, nothing, jnp.zeros(3))
    ones, zero = jnp.ones(3), jnp.zeros(3)
    bottom = jax.tree_util.Partial(closed)
    _, _, flows = soil_water.step(
        soil, state, phase, zero, zero, nothing, ones, bottom, ones, ones, ones, dt=1.0, substeps=1
    )
    expected = np.broadcast_to((1.0 - share) ** 2, (5, 3))
    np.testing.assert_allclose(flows.interface_flow / flows.interface_flow[:, :1], expected, rtol=2e-3)


def test_a_step_does_not_jump_where_two_layers_become_equally_wet():
    """Else a derivative of the model would not be that of its differences."""
    soil = loam(3)
    state = uniform(soil, 0.6)
    water = state.water.at[1].multiply(1.0 + jnp.array([-1e-9, 0.0, 1e-9]))
    after = stepped(soil, soil_water.State(water, state.enthalpy, state.puddle), supply=1e-4)[0].water
    np.testing.assert_allclose(after[:, 0], after[:, 1], rtol=3e-9)
    np.testing.assert_allclose(after[:, 2], after[:, 1], rtol=3e-9)
