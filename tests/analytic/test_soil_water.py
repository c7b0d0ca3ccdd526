"""Soil water against exact solutions and fine-grid references: infiltration, fronts, rest, capillary rise."""

from __future__ import annotations

import functools

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy.optimize import brentq
from soil_columns import loam, state_of

from chase_jax.model import land
from chase_jax.physics import exchange, runoff, soil_flow, soil_hydraulics, soil_water

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


DEFAULT = land.Options()
PUDDLE = float(runoff.Parameters.default(jnp.zeros(1)).puddle_capacity[0])


@pytest.mark.parametrize(
    ("rate", "hours", "days", "drainage"), [(5.0, 48, 1, 40.2), (10.0, 6, 10, 379.0)], ids=["steady", "bursts"]
)
@pytest.mark.parametrize(
    ("substeps", "puddle"), [(DEFAULT.soil_substeps, PUDDLE), (4, 1e-6)], ids=["default", "without puddles"]
)
def test_wetting_fronts_pass_six_layers(rate, hours, days, drainage, substeps, puddle):
    """Drainage of 30 days within 10 % of a 5-mm grid, and no overflow of a soil that takes all the rain.

    The puddles that are the default hold what the soil takes after the first of two steps of 90 minutes; without any,
    it takes four steps of 45 minutes.
    """
    dt = DAY / DEFAULT.land_substeps
    time = np.arange(0.0, 30 * DAY, dt)
    wet = (time < 2 * DAY) if days == 1 else (time % DAY < hours * 3600.0) & (time < days * DAY)
    soil, supply = loam(), np.where(wet, rate / 3600.0, 0.0)
    bottom = jax.tree_util.Partial(free_drainage, soil)
    options = {"substeps": substeps, "flux": DEFAULT.soil_flux, "puddle_capacity": puddle}
    _, totals, _ = run_water(soil, jnp.full((6, 1), 0.45), supply, dt, bottom, **options)
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


def power_law_front(seconds, soil, start):
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


def ponded(soil, start, hours, thickness, substeps):
    """Infiltration in m from a surface under water, by the soil-water step: after each ten minutes."""
    bottom = jax.tree_util.Partial(free_drainage, soil)
    layers = jnp.full((len(thickness), 1), start)
    supply = np.full(6 * hours, 1.0)
    out = run_water(soil, layers, supply, 600.0, bottom, thickness, puddle_capacity=5.0, substeps=substeps)
    return 1e-3 * jnp.cumsum(out[2])


def by_conductivity(soil, *arguments):
    """Infiltration after each hour, and its derivative by the logarithm of the saturated conductivity."""

    def run(factor):
        where = lambda s: s.saturated_conductivity  # noqa: E731
        return ponded(eqx.tree_at(where, soil, factor * soil.saturated_conductivity), *arguments)[5::6]

    value, slope = jax.jvp(run, (jnp.ones(1),), (jnp.ones(1),))
    return np.asarray(value), np.asarray(slope)


def test_infiltration_into_power_laws_follows_a_sharp_front():
    """Curves so steep that the front is sharp, while the soil behind it is not at one conductivity."""
    soil = loam(exponent=40.0, air_entry_suction=0.3, saturated_conductivity=1e-6)
    found = ponded(soil, 0.5, 12, (0.02,) * 40, 4)
    for hour in (1, 3, 12):
        np.testing.assert_allclose(found[6 * hour - 1], power_law_front(3600.0 * hour, soil, 0.5), rtol=0.03)


def test_infiltration_follows_green_and_ampt():
    """A soil that empties at one suction: K t = F - N ln(1 + F / N)."""
    conductivity, start = 1e-6, 0.5
    soil = soil_hydraulics.with_van_genuchten(loam(saturated_conductivity=conductivity), 1.0 / 0.3, 20.0, 0.0)
    drive = float(soil_hydraulics.saturated_potential(soil)[0]) / conductivity + soil_hydraulics.LEAST_SUCTION
    drive *= float(soil.porosity[0]) * (1.0 - start)
    found = ponded(soil, start, 12, (0.015,) * 40, 20)
    for hour in (1, 3, 12):
        t = 3600.0 * hour
        exact = brentq(lambda f, t=t: f - drive * np.log1p(f / drive) - conductivity * t, 1e-6, 1.0)
        np.testing.assert_allclose(found[6 * hour - 1], exact, rtol=0.03)


def sorptivity(soil, start):
    """Philip's sorptivity, m s-1/2, of a soil with power laws: by the iteration of Philip and Knight."""
    b, ks, psi, pores = (
        float(x[0]) for x in (soil.exponent, soil.saturated_conductivity, soil.air_entry_suction, soil.porosity)
    )
    s = start + (1.0 - start) * (np.arange(4000) + 0.5) / 4000
    diffusivity, width = ks * psi * b * s ** (b + 2.0) / pores, pores * (1.0 - start) / 4000
    share = (s - start) / (1.0 - start)  # of the flux at the surface, by saturation
    for _ in range(30):
        squared = 2.0 * np.sum(pores * (s - start) * diffusivity / share) * width
        depth = np.cumsum((diffusivity / share)[::-1])[::-1]
        share = np.cumsum(depth) / np.sum(depth)
    return np.sqrt(squared)


def test_early_infiltration_follows_philip():
    """Without gravity F = S sqrt(t), and S goes with the root of the conductivity."""
    soil = loam(saturated_conductivity=3.667e-10, air_entry_suction=1100.0)
    found, slope = by_conductivity(soil, 0.45, 3, (0.012,) * 22, 10)
    exact = sorptivity(soil, 0.45) * np.sqrt(3600.0 * np.arange(1, 4))
    np.testing.assert_allclose(found, exact, rtol=0.03)
    np.testing.assert_allclose(slope, 0.5 * exact, rtol=0.03)


def test_infiltration_agrees_with_celia():
    """The case of Celia et al. (1990), the head held at -75 cm above and -1000 cm below, against a grid of 2.5 mm."""
    soil = loam(porosity=0.368, saturated_conductivity=9.22e-5)
    soil = soil_hydraulics.with_van_genuchten(soil, 3.35, 2.0, 0.102, least_suction=1e-4)
    wet, dry = (soil_hydraulics.saturation_at(soil, jnp.full(1, h)) for h in (0.75, 10.0))
    # the first layer is thin and holds so much that its head stays
    thickness, dt = (1e-9, *(0.025,) * 40), 600.0
    one, zero = jnp.ones(1), jnp.zeros(1)
    pores = (1e6 * one, *(1000.0 * dz * soil.porosity for dz in thickness[1:]))

    def held(saturation, mobility, storage):
        inside, outside = (soil_hydraulics.flow_functions(soil, s) for s in (saturation, dry))
        inverse = 2.0 / thickness[-1]
        flux = 1e3 * (inside.conductivity + inverse * (inside.potential - outside.potential))
        slope = 1e3 * (inside.conductivity_slope + inverse * inside.potential_slope)
        return exchange.Exchange(flux, slope, 0.0 * storage)

    column = soil_flow.Column(
        soil=soil,
        free=pores,
        room=pores,
        mobility=(one,) * 41,
        sink=(zero,) * 41,
        puddle_ice=zero,
        puddle_gain=zero,
        puddle_sink=zero,
        puddle_capacity=one,
        capacity_factor=one,
        land_fraction=zero,
        bypass_share=zero,
        bottom=jax.tree_util.Partial(held),
        flux="matric_flux_potential",
        thickness=thickness,
    )
    start = soil_flow.Stores(tuple(s * p for s, p in zip((wet, *(dry,) * 40), pores, strict=True)), *(zero,) * 6)

    def step(stores, _):
        return soil_flow.substep(column, stores, zero + dt, dt), None

    end, _ = jax.jit(lambda stores: jax.lax.scan(step, stores, length=144))(start)
    entered = float((start.liquid[0] - end.liquid[0])[0]) / 10.0  # cm
    assert abs(entered / 4.104 - 1.0) < 0.02, entered
    gained = sum(float((after - before)[0]) for after, before in zip(end.liquid[1:], start.liquid[1:], strict=True))
    drained = dt * float(end.recharge[0])
    np.testing.assert_allclose(gained + drained, 10.0 * entered, rtol=1e-7)  # what rounding leaves of a huge store

    suction = [float(soil_hydraulics.suction(soil, m / p)[0]) for m, p in zip(end.liquid[1:], pores[1:], strict=True)]
    depth = 2.5 * (np.arange(40) + 0.5)  # cm
    for head, place in ((1.143, 45.0), (1.428, 50.0), (2.537, 55.0)):
        assert abs(np.interp(head, suction, depth) - place) < 2.0


def at_rest(soil, table):
    """Saturation of the six layers (layer, cell) in equilibrium with a water table at that depth, m."""
    depth = np.cumsum(LAYERS) - 0.5 * np.asarray(LAYERS)
    return soil_hydraulics.saturation_at(soil, jnp.asarray(table - depth)[:, None])


SOILS = {
    "power laws": loam(),
    "van Genuchten": soil_hydraulics.with_van_genuchten(loam(porosity=0.43), 3.6, 1.56, 0.078),
}


@pytest.mark.parametrize("soil", SOILS.values(), ids=SOILS)
def test_water_at_rest_above_a_closed_bottom_does_not_move(soil):
    rest = at_rest(soil, 3.0)
    water, _, _ = run_water(soil, rest, np.zeros(365), DAY, jax.tree_util.Partial(no_flow))
    np.testing.assert_allclose(water / soil_hydraulics.pore_capacity(soil), rest, atol=1e-10)


def test_water_at_rest_above_an_aquifer_stays_at_rest():
    """The exchange rounds the corner of the capillary fringe, which moves equilibrium by a ten-thousandth."""
    soil = loam()
    thickness, specific_yield = jnp.full(1, 20.0), jnp.full(1, 0.1)
    factors = exchange.Parameters(jnp.ones(1), jnp.zeros(1))
    bottom = jax.tree_util.Partial(_fixed_head, factors, soil, thickness, specific_yield)
    rest = at_rest(soil, 3.0)
    water, _, _ = run_water(soil, rest, np.zeros(365), DAY, bottom, substeps=32)
    before = rest * soil_hydraulics.pore_capacity(soil)
    assert abs(float(jnp.sum(water) / jnp.sum(before)) - 1.0) < 1e-3


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
            out = exchange.soil_aquifer(
                exchange.Parameters(one, 0.0 * one), soil, 100.0 * one, 0.1 * one, s * one, one, storage
            )
            errors[z].append(abs(float(out.flux[0]) * DAY / exact - 1.0))
    assert max(errors.pop(1.0)) < 0.20  # two air-entry suctions above the water table
    assert max(max(of_height) for of_height in errors.values()) < 0.10


# The same over K_s of a loam with the curves of van Genuchten, by the saturation above the residual one.
STEADY_FLOW_OF_LOAM = {2.0: {0.2: -3.592e-4, 0.4: 6.953e-4, 0.6: 1.112e-2}, 5.0: {0.4: 8.440e-4, 0.6: 1.113e-2}}


def test_exchange_agrees_with_the_exact_steady_flow_for_the_curves_of_van_genuchten():
    one, soil = jnp.ones(1), SOILS["van Genuchten"]
    residual = float(soil.retention.residual_saturation[0])
    for z, flows in STEADY_FLOW_OF_LOAM.items():
        for filled, exact in flows.items():
            s, storage = residual + (1.0 - residual) * filled, 0.1 * (100.0 - (z - 0.5)) * one
            out = exchange.soil_aquifer(
                exchange.Parameters(one, 0.0 * one), soil, 100.0 * one, 0.1 * one, s * one, one, storage
            )
            np.testing.assert_allclose(out.flux / (1e3 * soil.saturated_conductivity), exact, rtol=0.10)
