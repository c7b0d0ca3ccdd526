"""Heat of the soil against exact solutions: frost that penetrates a half-space, waves that fade with depth."""

from __future__ import annotations

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy.optimize import brentq
from scipy.special import erf, erfc
from soil_columns import loam

from chase_jax import constants as const
from chase_jax.physics import soil_heat, soil_hydraulics
from chase_jax.physics.thermodynamics import enthalpy_of, phase_state

DAY, HOUR = 86400.0, 3600.0
POROSITY, SOLIDS = 0.45, 880.0 * 2640.0 * 0.55  # 1, J m-3 K-1


def run_heat(soil, thickness, temperatures, days, dt, start):
    """Advance saturated soil under skin temperatures (step,), K; returns T of the layers and all ice over time."""
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
        return enthalpy, (phase.temperature[:, 0], jnp.sum(phase.frozen))

    assert len(temperatures) == round(days * DAY / dt)
    enthalpy = enthalpy_of(jnp.full_like(water, start), water, 0.0 * water, dry)
    return jax.jit(functools.partial(jax.lax.scan, step))(enthalpy, jnp.asarray(temperatures))[1]


def neumann(seconds, surface, initial=2.0, frozen=1.9, unfrozen=1.0):
    """Depth of the front, m: Neumann's solution for a half-space at `initial` degrees, its surface at `surface`."""
    of_frozen = SOLIDS + POROSITY * 1000.0 * const.SPECIFIC_HEAT_ICE
    of_unfrozen = SOLIDS + POROSITY * 1000.0 * const.SPECIFIC_HEAT_WATER
    latent = POROSITY * 1000.0 * const.LATENT_HEAT_FUSION
    a, ratio = frozen / of_frozen, np.sqrt(frozen / of_frozen / (unfrozen / of_unfrozen))

    def balance(x):
        from_below = unfrozen / frozen * ratio * initial / -surface * np.exp(-((x * ratio) ** 2)) / erfc(x * ratio)
        return np.exp(-x * x) / erf(x) - from_below - x * latent * np.sqrt(np.pi) / (of_frozen * -surface)

    return 2.0 * brentq(balance, 1e-3, 2.0) * np.sqrt(a * seconds)


def front(surface, thickness, days):
    """The same by the soil-heat step, after each hour: the ice there is over that of a metre."""
    soil = loam(porosity=POROSITY, solid_heat_capacity=SOLIDS, dry_conductivity=56.0**-POROSITY)
    skin = jnp.full(24 * days, const.MELTING_TEMPERATURE + surface)
    _, ice = run_heat(soil, thickness, skin, days, HOUR, const.MELTING_TEMPERATURE + 2.0)
    return ice / (1000.0 * POROSITY)


@pytest.fixture
def nineteen(monkeypatch):
    """Frozen soil that conducts 1.9 W m-1 K-1 and unfrozen soil that conducts 1, as in the published case."""
    monkeypatch.setattr(soil_hydraulics, "ICE_CONDUCTIVITY_RATIO", 56.0 * 1.9 ** (1.0 / POROSITY))


def test_neumann_agrees_with_the_published_numbers():
    np.testing.assert_allclose([neumann(30 * DAY, -10.0), neumann(90 * DAY, -10.0)], [0.7604, 1.3171], rtol=2e-3)


@pytest.mark.usefixtures("nineteen")
@pytest.mark.parametrize(
    ("thickness", "tolerance"),
    [(soil_hydraulics.LAYER_THICKNESS, 0.12), ((0.0625,) * 40, 0.04)],
    ids=["six layers", "forty layers"],
)
@pytest.mark.parametrize("days", [30, pytest.param(90, marks=pytest.mark.slow)])
def test_frost_penetrates_as_neumann_found(thickness, tolerance, days):
    found = float(front(-10.0, thickness, days)[-1])
    assert abs(found / neumann(days * DAY, -10.0) - 1.0) < tolerance, found


@pytest.mark.usefixtures("nineteen")
def test_frost_answers_to_the_cold_as_neumann_found():
    """The derivative of the mean depth of a month by the temperature of the surface, through all steps.

    The mean, two thirds of the last depth, because layers freeze one after the other.
    """

    def mean_depth(surface):
        return jnp.mean(front(surface, (0.15,) * 14, 30))

    _, slope = jax.jvp(mean_depth, (-10.0,), (1.0,))
    exact = 2.0 / 3.0 * (neumann(30 * DAY, -9.99) - neumann(30 * DAY, -10.01)) / 0.02
    np.testing.assert_allclose(slope, exact, rtol=0.05)


def test_heat_waves_fade_and_lag_with_depth():
    """A yearly wave falls off as exp(-z/d) and lags by z/d, with d = sqrt(2 kappa / omega)."""
    soil, thickness = loam(), (0.3,) * 40
    dt, omega = DAY, 2.0 * np.pi / (365.0 * DAY)
    conductivity = float(soil_hydraulics.thermal_conductivity(soil, soil.porosity, 0.0 * soil.porosity)[0])
    capacity = 1.25e6 + 463.0 * const.SPECIFIC_HEAT_WATER
    damping_depth = np.sqrt(2.0 * conductivity / capacity / omega)
    time = dt * (1.0 + np.arange(3 * 365))
    history, _ = run_heat(soil, thickness, 290.0 + 8.0 * np.sin(omega * time), 3 * 365, dt, 290.0)
    last = np.asarray(history)[-365:] - 290.0
    phase = omega * (time[-365:] - dt)
    for layer in (1, 6, 10):
        depth = 0.3 * (layer + 0.5)
        sine, cosine = 2.0 * np.mean(last[:, layer] * np.sin(phase)), 2.0 * np.mean(last[:, layer] * np.cos(phase))
        np.testing.assert_allclose(np.hypot(sine, cosine), 8.0 * np.exp(-depth / damping_depth), rtol=0.03)
        np.testing.assert_allclose(-np.arctan2(cosine, sine), depth / damping_depth, rtol=0.03)
