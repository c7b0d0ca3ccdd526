r"""How readily surfaces give off vapor: wet leaves, stomata, soil, dew. Shared formulas, no state, no step."""

from __future__ import annotations

import jax.numpy as jnp

from chase_jax import constants as const
from chase_jax.numerics import smooth
from chase_jax.physics import longwave, vegetation
from chase_jax.typing import PerCell

DEW_WIDTH = 5e-5  # 1, width in specific humidity over which a surface turns from drying to dewy
WATER_FLOOR = 1e-9  # kg m-2, keeps the share of a wet leaf that dries within the step regular
STOMATAL_OPTIMUM = 298.0  # K, chen2001
MAXIMUM_RESISTANCE = 5000.0  # s m-1, closed stomata, chen2001


def dew_share(deficit: PerCell) -> PerCell:
    r"""Smooth switch from drying (0) to dewy (1), $\tfrac12 - \tfrac12\,\Delta / \sqrt{\Delta^2 + w^2}$, 1.

    Args:
        deficit (cell,): Saturation humidity of the surface less humidity of the air, 1.
    """
    return 0.5 - 0.5 * deficit / jnp.sqrt(deficit * deficit + DEW_WIDTH * DEW_WIDTH)


def drying_share(wet_share: PerCell, demand: PerCell, water: PerCell) -> PerCell:
    r"""Mean wet share of leaves that dry during the step, $f\,w/(w + D)$.

    The wet share counts as proportional to what is left, and what is left as that of the end of the step; so no more
    than w can evaporate.

    Args:
        wet_share (cell,): Wet share at the start of the step f, 1.
        demand (cell,): What that share would evaporate in the step D, kg m-2, >= 0.
        water (cell,): Intercepted water w, kg m-2.

    Returns:
        (cell,): Mean wet share, 1.

    Source:
        Backward Euler of a store whose outflow is proportional to its content.
    """
    kept = water + WATER_FLOOR
    return wet_share * kept / (kept + demand)


def soil_share(wetness: PerCell, slope: PerCell, temperature: PerCell, exchange: PerCell) -> PerCell:
    r"""Share of potential evaporation that soil gives, from a wetness that is a share of actual potential.

    $$ \beta_s = \frac{\beta}{1 + B(1-\beta)}, \qquad B = \frac{L_v\, dq_s/dT}{c_p + 4\epsilon\sigma T^3/s} $$

    Args:
        wetness (cell,): Relative wetness of the surface beta, 0 to 1.
        slope (cell,): Slope of the saturation humidity dq_s/dT, K-1.
        temperature (cell,): Air temperature near the ground T, K.
        exchange (cell,): Transfer coefficient of the soil s, kg m-2 s-1, > 0.

    Returns:
        (cell,): Share beta_s, 0 to 1.

    Source:
        milly1992; pollard1995.
    """
    radiative = 4.0 * longwave.GROUND_EMISSIVITY * const.STEFAN_BOLTZMANN * temperature * temperature * temperature
    ratio = const.LATENT_HEAT_VAPORIZATION * slope / (const.SPECIFIC_HEAT_AIR + radiative / exchange)
    return wetness / (1.0 + ratio * (1.0 - wetness))


def light_conductance(
    absorbed: PerCell, leaf_area: PerCell, parameters: vegetation.Parameters, root_stress: PerCell
) -> PerCell:
    r"""Stomatal conductance at the best temperature and humidity, $F_1 F_4 / r_{min}$.

    $$ F_1 = \frac{f + r_{min}/r_{max}}{1 + f}, \qquad f = \frac{2 S}{L\,R_{GL}} $$

    Args:
        absorbed (cell,): Visible light that the leaves absorb per unit land area S, W m-2.
        leaf_area (cell,): One-sided leaf area per unit land area L, 1.
        parameters: Vegetation of each cell.
        root_stress (cell,): Opening that soil water allows F_4, 0 to 1.

    Returns:
        (cell,): Conductance per unit one-sided leaf area, m s-1.

    Source:
        jarvis1976; chen2001.
    """
    f = jnp.maximum(smooth.safe_divide(2.0 * absorbed, leaf_area * parameters.radiation_half), 0.0)
    return root_stress * (f / parameters.minimum_stomatal_resistance + 1.0 / MAXIMUM_RESISTANCE) / (1.0 + f)


def climate_response(temperature: PerCell, deficit: PerCell, humidity_deficit_factor: PerCell) -> PerCell:
    r"""Response of stomata to temperature and dryness of the air, $F_2 F_3$, 0 to 1.

    $$ F_2 = \max\big(1 - 0.0016\,(298 - T)^2,\ 0.01\big), \qquad F_3 = 1 / (1 + HS\,\Delta q) $$

    Args:
        temperature (cell,): Leaf temperature T, K.
        deficit (cell,): Saturation humidity of the leaf less humidity of the air, 1; negative counts as zero.
        humidity_deficit_factor (cell,): HS, kg kg-1.

    Source:
        jarvis1976; chen2001.
    """
    cold = STOMATAL_OPTIMUM - temperature
    return jnp.maximum(1.0 - 0.0016 * cold * cold, 0.01) / (1.0 + humidity_deficit_factor * jnp.maximum(deficit, 0.0))


def limit_to_store(
    evaporation: PerCell, available: PerCell, vapor_enthalpy: PerCell, source_enthalpy: PerCell, dt: float
) -> tuple[PerCell, PerCell]:
    r"""Evaporation that a store can give, and the sensible heat that takes the place of what it cannot.

    The cut $\Delta = E - \min(E, M/dt)$ would have carried $h_v - h$ per kilogram from the surface: that heat leaves as
    sensible heat instead, and the fluxes into the stores stay as they are.

    Args:
        evaporation (...): Evaporation or uptake asked for E, kg m-2 s-1.
        available (...): Water there is M, kg m-2.
        vapor_enthalpy (...): Specific enthalpy of vapor h_v, J kg-1.
        source_enthalpy (...): Specific enthalpy of the water in the store h, J kg-1.
        dt: Length of the step, s.

    Returns:
        Evaporation that takes place, kg m-2 s-1, and additional sensible heat, W m-2.
    """
    realised = jnp.minimum(evaporation, jnp.maximum(available, 0.0) / dt)
    return realised, (evaporation - realised) * (vapor_enthalpy - source_enthalpy)
