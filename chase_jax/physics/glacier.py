r"""Glacier ice: an unlimited or finite store whose uppermost layer exchanges heat.

The active layer of mass $m = \min(W, m_0)$ (smooth) rests on ice that always has the temperature $T_d$:

$$ \frac{dW}{dt} = F - E - M, \qquad
   \frac{dH}{dt} = G + G_m + B + F h_f - E h_e - M h_l + D\,h_i(T_d), $$

with firn F made of old snow, sublimation E, melt M, conduction from above G, heat that melts at the skin $G_m$, heat
from the deep ice B and the ice D that rises into the active layer to keep its mass. Heat that melts at the skin runs
off at once, also where the layer is cold: ice, unlike snow, has no pores in which melt could freeze again. Rain and the
water that leaves the snow above run off too and never enter this store. Ice does not flow.
All fluxes and stores are per unit area of the glacier tile.
"""

from __future__ import annotations

import equinox as eqx
import jax.numpy as jnp

from chase_jax import constants as const
from chase_jax.numerics.smooth import scaled_minimum
from chase_jax.physics.thermodynamics import PhaseState, ice_enthalpy, phase_state
from chase_jax.typing import PerGlacier

ACTIVE_DEPTH = 1.5  # m
ACTIVE_MASS = ACTIVE_DEPTH * const.ICE_DENSITY  # kg m-2
BED_HEAT_CAPACITY = 1.0e5  # J m-2 K-1, of 5 cm of rock: what is left of the active layer where the ice has gone
CONDUCTIVITY = 2.24  # W m-1 K-1, of ice; sauter2020
SKIN_DEPTH = 0.20  # m, depth over which the skin conducts: the damping depth of the daily wave in ice
MELT_WIDTH = 0.01  # K, width of the phase transition: less than half a millimeter of water is both


class Parameters(eqx.Module):
    """Parameters of glacier ice.

    Attributes:
        albedo_visible (glacier,): Albedo of bare ice below 0.7 micrometer, 1.
        albedo_infrared (glacier,): The same above 0.7 micrometer, 1.
        deep_temperature (glacier,): Temperature of the deep ice, K, at most the melting temperature.
    """

    albedo_visible: PerGlacier
    albedo_infrared: PerGlacier
    deep_temperature: PerGlacier

    @classmethod
    def default(cls, mean_air_temperature: PerGlacier) -> Parameters:
        """Albedo .45 and .17 (together .30 of sunlight, sauter2020); deep ice as cold as the mean air.

        Args:
            mean_air_temperature (glacier,): Mean annual air temperature, K.
        """
        mean = jnp.asarray(mean_air_temperature, dtype=float)
        return cls(jnp.full_like(mean, 0.45), jnp.full_like(mean, 0.17), jnp.minimum(mean, const.MELTING_TEMPERATURE))


class State(eqx.Module):
    """The ice.

    Attributes:
        ice (glacier,): Ice mass, kg m-2.
        enthalpy (glacier,): Enthalpy of the active layer, J m-2.
    """

    ice: PerGlacier
    enthalpy: PerGlacier

    @classmethod
    def at_rest(cls, parameters: Parameters, ice: PerGlacier) -> State:
        """A glacier as cold as its deep ice.

        Args:
            parameters: Parameters of glacier ice.
            ice (glacier,): Ice mass, kg m-2.
        """
        excess = parameters.deep_temperature - const.MELTING_TEMPERATURE
        mass = active_mass(ice)
        return cls(ice, mass * ice_enthalpy(parameters.deep_temperature) + BED_HEAT_CAPACITY * excess)


class Fluxes(eqx.Module):
    """What leaves and enters the ice.

    Attributes:
        melt (glacier,): Water running off, kg m-2 s-1.
        melt_heat (glacier,): Its enthalpy, W m-2.
        sublimation (glacier,): Realised, to the air, kg m-2 s-1.
        base_heat (glacier,): Heat from the deep ice into the active layer, W m-2.
    """

    melt: PerGlacier
    melt_heat: PerGlacier
    sublimation: PerGlacier
    base_heat: PerGlacier


def active_mass(ice: PerGlacier) -> PerGlacier:
    """Mass of the active layer, kg m-2: 1.5 m of ice, or all there is.

    Args:
        ice (glacier,): Ice mass, kg m-2.
    """
    return scaled_minimum(ice, jnp.full_like(ice, ACTIVE_MASS))


def total_enthalpy(parameters: Parameters, state: State) -> PerGlacier:
    """Enthalpy of active and deep ice, J m-2: what the energy balance is about.

    Args:
        parameters: Parameters of glacier ice.
        state: The ice.
    """
    return state.enthalpy + (state.ice - active_mass(state.ice)) * ice_enthalpy(parameters.deep_temperature)


def diagnose(state: State) -> PhaseState:
    """Phase of the active layer; subliming ice carries its `mean_enthalpy`.

    Args:
        state: The ice.
    """
    return phase_state(active_mass(state.ice), state.enthalpy, BED_HEAT_CAPACITY, MELT_WIDTH)


def heat_capacity(state: State) -> PerGlacier:
    """Heat capacity of the active layer without latent heat, J m-2 K-1.

    Args:
        state: The ice.
    """
    return BED_HEAT_CAPACITY + const.SPECIFIC_HEAT_ICE * active_mass(state.ice)


def step(
    parameters: Parameters,
    state: State,
    phase: PhaseState,
    heat: PerGlacier,
    melting_heat: PerGlacier,
    sublimation: PerGlacier,
    firn: PerGlacier,
    firn_heat: PerGlacier,
    dt: float,
) -> tuple[State, Fluxes]:
    r"""Advance the ice.

    Water: d(ice) = dt (firn - sublimation - melt).
    Energy: d(total_enthalpy) = dt (heat + melting_heat + base_heat + firn_heat - sublimation * mean_enthalpy
    - melt_heat), with the mean enthalpy of `phase` and the sublimation realised.

    Args:
        parameters: Parameters of glacier ice.
        state: The ice at the start of the step.
        phase: :func:`diagnose` of that state.
        heat (glacier,): Heat conducted from skin and snow into the active layer, W m-2.
        melting_heat (glacier,): Heat that melts at the skin, W m-2; what is below zero is conduction.
        sublimation (glacier,): Wanted by the skin, to the air, kg m-2 s-1; negative where frost forms.
        firn (glacier,): Snow turned into ice, kg m-2 s-1.
        firn_heat (glacier,): Its enthalpy, W m-2.
        dt: Step, s.

    Returns:
        The ice at the end of the step, and what left it.

    Source:
        dong2026 for the single active layer; the enthalpy form is this project's.
    """
    mass = active_mass(state.ice)
    deep_enthalpy = ice_enthalpy(parameters.deep_temperature)
    wanted = jnp.maximum(sublimation, 0.0)
    sublimated = sublimation - wanted + scaled_minimum(wanted, 0.5 / dt * mass)
    # Each kilogram takes what lifts it from the layer's enthalpy to zero, that of water at the melting temperature.
    lift = jnp.maximum(-phase.mean_enthalpy, 0.5 * const.LATENT_HEAT_FUSION)
    skin_melt = scaled_minimum(jnp.maximum(melting_heat, 0.0) / lift, 0.4 / dt * mass)

    resistance = ACTIVE_DEPTH / CONDUCTIVITY + dt / heat_capacity(state)
    base_heat = (parameters.deep_temperature - phase.temperature) / resistance
    enthalpy = state.enthalpy + dt * (heat + melting_heat + base_heat + firn_heat - sublimated * phase.mean_enthalpy)
    remaining = mass + dt * (firn - sublimated - skin_melt)
    after = phase_state(remaining, enthalpy, BED_HEAT_CAPACITY, MELT_WIDTH)
    melt = skin_melt + after.liquid / dt
    melt_heat = after.liquid / dt * after.liquid_enthalpy

    ice = (state.ice - mass) + after.frozen
    risen = active_mass(ice) - after.frozen
    new_enthalpy = enthalpy - dt * melt_heat + risen * deep_enthalpy
    return State(ice, new_enthalpy), Fluxes(melt, melt_heat, sublimated, base_heat)
