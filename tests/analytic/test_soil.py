"""Soil against exact solutions and fine-grid references: infiltration, rest, capillary rise, frost, heat waves."""

from __future__ import annotations

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from soil_columns import loam, state_of

from chase_jax import constants as const
from chase_jax.physics import exchange, soil_heat, soil_hydraulics, soil_water
from chase_jax.physics.thermodynamics import enthalpy_of, phase_state

LAYERS = soil_hydraulics.LAYER_THICKNESS
DAY = 86400.0


def free_drainage(soil, saturation, mobility, storage):
    functions = soil_hydraulics.flow_functions(soil, saturation)
    return exchange.Exchange(1e3 * functions.conductivity, 1e3 * functions.conductivity_slope, 0.0 * storage)


def no_flow(saturation, mobility, storage):
    return exchange.Exchange(0.0 * storage, 0.0 * storage, 0.0 * storage)


def run_water(soil, saturation, supply, dt, bottom, thickness=LAYERS, puddle_capacity=1e-6, **options):
    """Advance a column at 285 K; returns final water and totals (kg m-2) of recharge, runoff, infiltration."""
    one, layers = jnp.ones(1), len(thickness)
    start = state_of(soil, saturation, jnp.full((layers, 1), 285.0), 0.0 * one, thickness)

    def step(carry, rate):
        water, puddle, storage = carry
        warm = state_of(soil, water / soil_hydraulics.pore_capacity(soil, thickness), 285.0, puddle, thickness)
        phase = soil_water.diagnose(soil, warm, thickness)
        nothing = jnp.zeros((layers, 1))
        limits = (puddle_capacity * one, one, one)
        after, storage, out = soil_water.step(
            soil,
            warm,
            phase,
            rate * one,
            0.0 * one,
            nothing,
            storage,
            bottom,
            *limits,
            dt,
            thickness=thickness,
            **options,
        )
        return (after.water, after.puddle, storage), jnp.stack([out.recharge, out.puddle_runoff, out.infiltration])

    scan = jax.jit(functools.partial(jax.lax.scan, step))
    (water, _, _), totals = scan((start.water, start.puddle, one), jnp.asarray(supply))
    return water, dt * jnp.sum(totals, axis=0)[:, 0], dt * totals[:, 2, 0]


@pytest.mark.parametrize(
    ("rate", "hours", "days", "drainage"), [(5.0, 48, 1, 40.2), (10.0, 6, 10, 379.0)], ids=["steady", "bursts"]
)
def test_wetting_fronts_pass_six_layers(rate, hours, days, drainage):
    """Drainage of 30 days within 10 % of a 5-mm grid, and no overflow of a soil that takes all the rain."""
    time = np.arange(0.0, 30 * DAY, 10800.0)
    wet = (time < 2 * DAY) if days == 1 else (time % DAY < hours * 3600.0) & (time < days * DAY)
    soil = loam()
    bottom = jax.tree_util.Partial(free_drainage, soil)
    _, totals, _ = run_water(soil, jnp.full((6, 1), 0.45), np.where(wet, rate / 3600.0, 0.0), 10800.0, bottom)
    assert abs(float(totals[0]) / drainage - 1.0) < 0.10
    assert float(totals[1]) < 1e-2


def test_interpolated_saturations_block_wetting_fronts():
    """The known weakness of LSX's form, kept for comparison: on six layers most of the rain overflows."""
    wet = np.arange(0.0, 30 * DAY, 3600.0) < 2 * DAY
    soil = loam()
    bottom = jax.tree_util.Partial(free_drainage, soil)
    supply = np.where(wet, 5.0 / 3600.0, 0.0)
    _, totals, _ = run_water(soil, jnp.full((6, 1), 0.45), supply, 3600.0, bottom, flux="interpolated_saturation")
    assert float(totals[0]) < 5.0
    assert float(totals[1]) > 60.0


def green_ampt(seconds, soil, start):
    """Infiltration in m by Green and Ampt's argument, the flow q uniform above the front, without their piston.

    The profile is dz = dPhi / (q - K), so q gives the water above the front, and dF/dt = q gives the time.
    """
    b, ks, psi, pores = (
        float(x[0]) for x in (soil.exponent, soil.saturated_conductivity, soil.air_entry_suction, soil.porosity)
    )
    flow = ks * (1.0 + np.geomspace(1e4, 1e-3, 4000))
    share = (np.arange(4000) + 0.5) / 4000  # of the matric flux potential
    saturation, conductivity = share ** (1.0 / (b + 3.0)), ks * share ** ((2.0 * b + 3.0) / (b + 3.0))
    water = np.maximum(saturation - start, 0.0) / (flow[:, None] - conductivity)
    depth = pores * ks * psi * b / (b + 3.0) * np.mean(water, axis=1)
    times = np.cumsum(np.diff(depth) * 2.0 / (flow[1:] + flow[:-1]))
    return np.interp(seconds, times, depth[1:])


def test_infiltration_follows_green_and_ampt():
    """Ponded infiltration into a soil so steep in its curves that the front is sharp."""
    soil = loam(exponent=40.0, air_entry_suction=0.3, saturated_conductivity=1e-6)
    start, dt, hours = 0.5, 600.0, 12
    bottom = jax.tree_util.Partial(free_drainage, soil)
    supply = np.full(6 * hours, 1.0)
    _, _, entered = run_water(soil, jnp.full((40, 1), start), supply, dt, bottom, (0.02,) * 40, puddle_capacity=5.0)
    for hour in (1, 3, 12):
        found = 1e-3 * float(jnp.sum(entered[: 6 * hour]))
        np.testing.assert_allclose(found, green_ampt(3600.0 * hour, soil, start), rtol=0.04)


def test_water_at_rest_stays_at_rest():
    """Gravity taken upstream is not exactly in balance with capillarity on thick layers: 3 % of storage in a year."""
    soil = loam()
    depth = np.cumsum(LAYERS) - 0.5 * np.asarray(LAYERS)
    rest = soil_hydraulics.saturation_at(soil, jnp.asarray(3.0 - depth)[:, None])
    thickness, specific_yield = jnp.full(1, 20.0), jnp.full(1, 0.1)
    factors = exchange.Parameters(jnp.ones(1))
    bottom = jax.tree_util.Partial(_fixed_head, factors, soil, thickness, specific_yield)
    water, _, _ = run_water(soil, rest, np.zeros(365), DAY, bottom, substeps=32)
    before = rest * soil_hydraulics.pore_capacity(soil)
    assert abs(float(jnp.sum(water) / jnp.sum(before)) - 1.0) < 0.03


def _fixed_head(factors, soil, thickness, specific_yield, saturation, mobility, storage):
    level = specific_yield * (thickness - 0.5)
    out = exchange.soil_aquifer(factors, soil, thickness, specific_yield, saturation, mobility, level)
    return exchange.Exchange(out.flux, out.saturation_slope, 0.0 * storage)


# Downward flow, mm per day, between saturation s and a water table z metres below: the root q of
# integral_0^psi(s) dpsi / (1 - q / K(psi)) = z, by quadrature. Soils: b, psi_e (m), K_s (mm per day).
LOAM, CLAY = (5.39, 0.478, 600.48), (11.4, 0.405, 110.88)
STEADY_FLOW = [
    (LOAM, 1.0, {0.5: -151.0, 0.7: -132.0, 0.9: 54.7}),
    (LOAM, 2.0, {0.3: -29.9, 0.5: -29.2, 0.7: -17.2, 0.9: 137.0}),
    (LOAM, 5.0, {0.5: -2.64, 0.7: 3.58, 0.9: 141.0}),
    (LOAM, 20.0, {0.3: -0.0837, 0.7: 4.41}),
    (CLAY, 2.0, {0.5: -6.40, 0.9: 5.50}),
    (CLAY, 5.0, {0.7: -0.721, 0.9: 7.31}),
]


def test_exchange_with_the_aquifer_agrees_with_the_exact_steady_flow():
    one, errors = jnp.ones(1), {z: [] for _, z, _ in STEADY_FLOW}
    for (b, psi_e, ks), z, flows in STEADY_FLOW:
        soil = loam(exponent=b, air_entry_suction=psi_e, saturated_conductivity=ks / 1e3 / DAY)
        storage = 0.1 * (100.0 - (z - 0.5)) * one  # the node lies half a metre above the bottom of the column
        for s, exact in flows.items():
            out = exchange.soil_aquifer(exchange.Parameters(one), soil, 100.0 * one, 0.1 * one, s * one, one, storage)
            errors[z].append(abs(float(out.flux[0]) * DAY / exact - 1.0))
    assert max(errors.pop(1.0)) < 0.20  # two air-entry suctions above the water table
    assert max(max(of_height) for of_height in errors.values()) < 0.10


def run_heat(soil, thickness, temperatures, days, dt, start):
    """Advance saturated soil under skin temperatures (step,), K; returns the phases at the end and T over time."""
    water = soil_hydraulics.pore_capacity(soil, thickness)
    dry = soil_hydraulics.dry_heat_capacity(soil, thickness)
    still = jnp.zeros_like(water)
    zero = jnp.zeros(1)

    def step(enthalpy, skin):
        phase = phase_state(water, enthalpy, dry)
        coupling = soil_heat.conduction(soil, phase, dt, thickness)
        implicit = 1.0 / (1.0 / coupling.skin + dt / coupling.heat_capacity)
        heat = implicit * (skin - coupling.temperature)
        enthalpy, _ = soil_heat.step(
            soil, enthalpy, water, phase, coupling, heat, still[1:], zero, still, zero, dt, thickness=thickness
        )
        return enthalpy, phase.temperature[:, 0]

    assert len(temperatures) == round(days * DAY / dt)
    enthalpy = enthalpy_of(jnp.full_like(water, start), water, 0.0 * water, dry)
    enthalpy, history = jax.jit(functools.partial(jax.lax.scan, step))(enthalpy, jnp.asarray(temperatures))
    return phase_state(water, enthalpy, dry), np.asarray(history)


@pytest.mark.parametrize(
    ("thickness", "tolerance"), [(LAYERS, 0.12), ((0.125,) * 20, 0.05)], ids=["six layers", "twenty layers"]
)
@pytest.mark.parametrize(("days", "front"), [(30, 0.7604), (90, 1.3171)])
def test_frost_penetrates_as_neumann_found(monkeypatch, thickness, tolerance, days, front):
    """Exact front of a half-space at +2 degrees whose surface is held at -10: 2 x 0.25559 sqrt(a t)."""
    water, ice = 56.0**0.45, 56.0**0.45 * 1.9
    monkeypatch.setattr(soil_hydraulics, "ICE_CONDUCTIVITY_RATIO", ice ** (1.0 / 0.45))
    soil = loam(porosity=0.45, solid_heat_capacity=880.0 * 2640.0 * 0.55, dry_conductivity=1.0 / water)
    steps = days * 8
    phase, _ = run_heat(soil, thickness, np.full(steps, const.MELTING_TEMPERATURE - 10.0), days, 10800.0, 275.16)
    found = float(jnp.sum(phase.frozen)) / (1000.0 * 0.45)
    assert abs(found / front - 1.0) < tolerance, found


def test_heat_waves_fade_and_lag_with_depth():
    """A yearly wave falls off as exp(-z/d) and lags by z/d, with d = sqrt(2 kappa / omega)."""
    soil, thickness = loam(), (0.5,) * 24
    dt, omega = DAY, 2.0 * np.pi / (365.0 * DAY)
    conductivity = float(soil_hydraulics.thermal_conductivity(soil, soil.porosity, 0.0 * soil.porosity)[0])
    capacity = 1.25e6 + 463.0 * const.SPECIFIC_HEAT_WATER
    damping_depth = np.sqrt(2.0 * conductivity / capacity / omega)
    time = dt * (1.0 + np.arange(3 * 365))
    _, history = run_heat(soil, thickness, 290.0 + 8.0 * np.sin(omega * time), 3 * 365, dt, 290.0)
    last = history[-365:] - 290.0
    phase = omega * (time[-365:] - dt)
    for layer in (1, 3, 5):
        depth = 0.5 * (layer + 0.5)
        sine, cosine = 2.0 * np.mean(last[:, layer] * np.sin(phase)), 2.0 * np.mean(last[:, layer] * np.cos(phase))
        np.testing.assert_allclose(np.hypot(sine, cosine), 8.0 * np.exp(-depth / damping_depth), rtol=0.03)
        np.testing.assert_allclose(-np.arctan2(cosine, sine), depth / damping_depth, rtol=0.03)
