"""Soil against exact solutions and fine-grid references: infiltration, rest, capillary rise, frost, heat waves."""

from __future__ import annotations

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy.integrate import quad
from scipy.optimize import brentq
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
    assert float(totals[1]) < 1e-6


def test_interpolated_saturations_block_wetting_fronts():
    """The known weakness of LSX's form, kept for comparison: on six layers most of the rain overflows."""
    wet = np.arange(0.0, 30 * DAY, 3600.0) < 2 * DAY
    soil = loam()
    bottom = jax.tree_util.Partial(free_drainage, soil)
    supply = np.where(wet, 5.0 / 3600.0, 0.0)
    _, totals, _ = run_water(soil, jnp.full((6, 1), 0.45), supply, 3600.0, bottom, flux="interpolated_saturation")
    assert float(totals[0]) < 5.0
    assert float(totals[1]) > 60.0


def test_infiltration_follows_green_and_ampt():
    """Ponded infiltration into a soil with a sharp front: K t = F - N ln(1 + F / N) with N = psi_f (1 - s) p."""
    soil = loam(exponent=11.0, air_entry_suction=0.3, saturated_conductivity=1e-6)
    thickness, start, dt = (0.02,) * 40, 0.5, 600.0
    hours = 12
    _, _, entered = run_water(
        soil,
        jnp.full((40, 1), start),
        np.full(6 * hours, 1.0),
        dt,
        jax.tree_util.Partial(free_drainage, soil),
        thickness,
        puddle_capacity=5.0,
    )
    # suction at the front: the matric flux potential over the conductivity of the wetted soil
    b = 11.0
    front = 0.3 * b / (b + 3.0) * (1.0 - start ** (b + 3.0)) * 1.0
    pull = front * 0.463 * (1.0 - start)
    for hour in (3, 12):
        seconds = hour * 3600.0
        exact = brentq(lambda f, s=seconds: f - pull * np.log1p(f / pull) - 1e-6 * s, 1e-6, 1.0)
        found = 1e-3 * float(jnp.sum(entered[: 6 * hour]))
        assert abs(found / exact - 1.0) < 0.06, (hour, found, exact)


def test_water_at_rest_stays_at_rest():
    """Above a closed bottom at the water table, storage drifts by less than 2 % in a year."""
    soil = loam()
    depth = np.cumsum(LAYERS) - 0.5 * np.asarray(LAYERS)
    rest = soil_hydraulics.saturation_at(soil, jnp.asarray(3.0 - depth)[:, None])
    thickness, specific_yield = jnp.full(1, 20.0), jnp.full(1, 0.1)
    # the aquifer of 1 m2 m-2 of water is full to half a metre below the column
    factors = exchange.Parameters(jnp.ones(1))
    bottom = jax.tree_util.Partial(_fixed_head, factors, soil, thickness, specific_yield)
    water, totals, _ = run_water(soil, rest, np.zeros(365), DAY, bottom, substeps=32)
    before = rest * soil_hydraulics.pore_capacity(soil)
    assert abs(float(jnp.sum(water) / jnp.sum(before)) - 1.0) < 0.02
    assert abs(float(totals[0])) < 20.0  # mm in a year


def _fixed_head(factors, soil, thickness, specific_yield, saturation, mobility, storage):
    level = specific_yield * (thickness - 0.5)
    out = exchange.soil_aquifer(factors, soil, thickness, specific_yield, saturation, mobility, level)
    return exchange.Exchange(out.flux, out.saturation_slope, 0.0 * storage)


def exact_steady_flow(s, z, b, psi_e, ks):
    """Downward flow between saturation s and a water table z below: the integral of dpsi / (1 + q / K) equals z."""

    def conductivity(suction):
        return ks * min(1.0, (psi_e / suction) ** (2.0 + 3.0 / b))

    def height(up):
        inner = quad(lambda u: np.exp(u) / (1.0 + up / conductivity(np.exp(u))), np.log(psi_e), np.log(psi_e * s**-b))
        return psi_e / (1.0 + up / ks) + inner[0]

    if psi_e * s**-b > z:
        return -brentq(lambda up: height(up) - z, 1e-18, 1e2 * ks, xtol=1e-22)
    return brentq(lambda down: height(-down) - z, 0.0, ks * s ** (2.0 * b + 3.0) * (1.0 - 1e-12), xtol=1e-24)


@pytest.mark.parametrize(("b", "psi_e", "ks"), [(5.39, 0.478, 6.95e-6), (11.4, 0.405, 1.2833e-6)], ids=["loam", "clay"])
def test_exchange_with_the_aquifer_agrees_with_the_exact_steady_flow(b, psi_e, ks):
    soil = loam(exponent=b, air_entry_suction=psi_e, saturated_conductivity=ks)
    one = jnp.ones(1)
    errors = []
    for z in (2.0, 5.0, 20.0):
        for s in (0.3, 0.5, 0.7, 0.9):
            exact = 1e3 * exact_steady_flow(s, z, b, psi_e, ks)
            storage = 0.1 * (100.0 - (z - 0.5)) * one
            found = exchange.soil_aquifer(
                exchange.Parameters(one), soil, 100.0 * one, 0.1 * one, s * one, one, storage
            ).flux[0]
            errors.append(abs(float(found) / exact - 1.0))
    assert np.median(errors) < 0.05
    assert np.quantile(errors, 0.8) < 0.15


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
    ("thickness", "tolerance"), [(LAYERS, 0.12), ((0.0625,) * 40, 0.04)], ids=["six layers", "forty layers"]
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
    soil, thickness = loam(), (0.25,) * 60
    dt, omega = DAY, 2.0 * np.pi / (365.0 * DAY)
    conductivity = float(soil_hydraulics.thermal_conductivity(soil, soil.porosity, 0.0 * soil.porosity)[0])
    capacity = 1.25e6 + 463.0 * const.SPECIFIC_HEAT_WATER
    damping_depth = np.sqrt(2.0 * conductivity / capacity / omega)
    time = dt * (1.0 + np.arange(3 * 365))
    _, history = run_heat(soil, thickness, 290.0 + 8.0 * np.sin(omega * time), 3 * 365, dt, 290.0)
    last = history[-365:] - 290.0
    phase = omega * (time[-365:] - dt)
    for layer in (2, 6, 10):
        depth = 0.25 * (layer + 0.5)
        sine, cosine = 2.0 * np.mean(last[:, layer] * np.sin(phase)), 2.0 * np.mean(last[:, layer] * np.cos(phase))
        np.testing.assert_allclose(np.hypot(sine, cosine), 8.0 * np.exp(-depth / damping_depth), rtol=0.03)
        np.testing.assert_allclose(-np.arctan2(cosine, sine), depth / damping_depth, rtol=0.03)
