r"""Energy balance of one open surface under the air: shared formulas, no state, no step.

Bare ice, the snow on a glacier and open water have no canopy above them. Their skin has no heat capacity and takes the
temperature T at which

$$ R + \epsilon (L - \sigma T^4) = \rho c_p C (T - T_a) + \rho C (q_s(T) - q_a)(h_v - h_s) + g (T - T_s)
   + g_m (T - T_m)_+ , $$

with the conductance C of :func:`turbulence.bulk_conductance`. The last term is heat that melts: $g_m$ is large, so the
skin of ice stays within a few tenths of a kelvin of melting.
"""

from __future__ import annotations

import equinox as eqx
import jax
import jax.numpy as jnp

from chase_jax import constants as const
from chase_jax.numerics.smooth import scaled_minimum
from chase_jax.physics import turbulence
from chase_jax.physics.atmosphere import Air
from chase_jax.physics.thermodynamics import saturation_humidity
from chase_jax.typing import PerCell

ITERATIONS = 4  # leaves the balance itself open by 0.3 W m-2 (median), where the air is stable and strong by 25
REFERENCE_HEIGHT = 10.0  # m, of wind speed; air temperature and humidity count as those of the same height
MELT_CONDUCTANCE = 1000.0  # W m-2 K-1, g_m: 300 W m-2 of melt warm the skin by 0.3 K
MELT_WIDTH = 0.1  # K, half the range in which the ramp (T - T_m)_+ is a parabola; below it nothing melts


class SkinFluxes(eqx.Module):
    """What the skin exchanges, per unit area of it.

    Attributes:
        temperature (cell,): Skin temperature, K.
        net_longwave (cell,): Longwave absorbed less longwave emitted, W m-2.
        sensible_heat (cell,): To the air, W m-2.
        evaporation (cell,): To the air, kg m-2 s-1; negative where dew or frost forms.
        conduction (cell,): Heat into the store below, W m-2.
        melt_heat (cell,): Heat that melts at the skin, W m-2.
    """

    temperature: PerCell
    net_longwave: PerCell
    sensible_heat: PerCell
    evaporation: PerCell
    conduction: PerCell
    melt_heat: PerCell


def solve(
    air: Air,
    absorbed: PerCell,
    emissivity: float,
    momentum_roughness: PerCell | float,
    heat_roughness: PerCell | float,
    conductance: PerCell,
    store_temperature: PerCell,
    source_enthalpy: PerCell | float,
    melt_conductance: PerCell | float = 0.0,
    stable_limit: float = turbulence.STABLE_LIMIT,
) -> SkinFluxes:
    r"""Solve the skin's balance by Newton's method and take the fluxes from the last linear system.

    The fluxes close to rounding whether or not the iteration has converged:
    absorbed + net_longwave = sensible_heat + evaporation (h_v - h_s) + conduction + melt_heat.

    Args:
        air: The air above.
        absorbed (cell,): Absorbed shortwave and other heat brought to the skin R, W m-2.
        emissivity: Longwave emissivity, 1.
        momentum_roughness (cell,): Roughness length of momentum, m.
        heat_roughness (cell,): Roughness length of heat and vapor, m.
        conductance (cell,): Conductance g to the store below, with the store's own change within the step in it
            (1/g = 1/conductance + dt/capacity), W m-2 K-1.
        store_temperature (cell,): Temperature of the store below at the start of the step T_s, K.
        source_enthalpy (cell,): Specific enthalpy of the water that evaporates h_s, J kg-1.
        melt_conductance (cell,): Conductance of melt g_m, W m-2 K-1; zero where nothing melts at the skin.
        stable_limit: The Richardson number that counts at most, 1.

    Returns:
        Skin temperature and fluxes.

    Source:
        louis1982 for the exchange; the skin balance as in pollard1995, with the melt term in place of their clip.
    """
    latent = air.vapor_enthalpy - source_enthalpy

    def iterate(_, carry):
        guess, exchange = carry[0].temperature, carry[1]
        at_guess = turbulence.bulk_conductance(
            air.wind_speed, air.temperature, guess, REFERENCE_HEIGHT, momentum_roughness, heat_roughness, stable_limit
        )
        exchange = 0.5 * (exchange + at_guess)  # averaged, or stable nights oscillate
        squared = guess * guess
        saturation = saturation_humidity(guess, air.pressure)
        heating = air.density * const.SPECIFIC_HEAT_AIR * exchange
        longwave = emissivity * (air.longwave_down - const.STEFAN_BOLTZMANN * squared * squared)
        sensible = heating * (guess - air.temperature)
        evaporation = air.density * exchange * (saturation.humidity - air.specific_humidity)
        above = guess - const.MELTING_TEMPERATURE
        bend = jnp.clip(above + MELT_WIDTH, 0.0, 2.0 * MELT_WIDTH)
        melt = melt_conductance * (bend * bend / (4.0 * MELT_WIDTH) + jnp.maximum(above - MELT_WIDTH, 0.0))
        conduction = conductance * (guess - store_temperature)
        longwave_slope = -4.0 * emissivity * const.STEFAN_BOLTZMANN * squared * guess
        evaporation_slope = air.density * exchange * saturation.slope
        melt_slope = melt_conductance * bend / (2.0 * MELT_WIDTH)
        surplus = absorbed + longwave - sensible - evaporation * latent - conduction - melt
        slope = heating + evaporation_slope * latent + conductance + melt_slope - longwave_slope
        step = surplus / slope
        fluxes = SkinFluxes(
            temperature=guess + step,
            net_longwave=longwave + longwave_slope * step,
            sensible_heat=sensible + heating * step,
            evaporation=evaporation + evaporation_slope * step,
            conduction=conduction + conductance * step,
            melt_heat=melt + melt_slope * step,
        )
        return fluxes, exchange

    zero = jnp.zeros_like(store_temperature)
    exchange = turbulence.bulk_conductance(
        air.wind_speed,
        air.temperature,
        store_temperature,
        REFERENCE_HEIGHT,
        momentum_roughness,
        heat_roughness,
        stable_limit,
    )
    start = SkinFluxes(store_temperature, zero, zero, zero, zero, zero)
    return jax.lax.fori_loop(0, ITERATIONS, iterate, (start, exchange))[0]


def limit_evaporation(fluxes: SkinFluxes, available: PerCell, latent_heat: PerCell) -> SkinFluxes:
    """Cut evaporation to what the store can give; the energy of the cut goes to the air as sensible heat.

    Args:
        fluxes: What :func:`solve` found.
        available (cell,): Largest evaporation possible, kg m-2 s-1, >= 0.
        latent_heat (cell,): Heat the skin spends per mass evaporated, h_v - h_s, J kg-1.

    Returns:
        The fluxes with evaporation and sensible heat changed.

    Source:
        This project.
    """
    wanted = jnp.maximum(fluxes.evaporation, 0.0)
    cut = wanted - scaled_minimum(wanted, available)
    return eqx.tree_at(
        lambda f: (f.evaporation, f.sensible_heat),
        fluxes,
        (fluxes.evaporation - cut, fluxes.sensible_heat + cut * latent_heat),
    )
