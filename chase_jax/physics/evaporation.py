r"""How readily surfaces give off vapor: wet leaves, stomata, soil, dew. Shared formulas, no state, no step."""

from __future__ import annotations

import equinox as eqx
import jax.numpy as jnp

from chase_jax import constants as const
from chase_jax.numerics import smooth
from chase_jax.numerics.fence import fenced
from chase_jax.physics import longwave, vegetation
from chase_jax.physics.disaggregation import Storm
from chase_jax.typing import PerCell, PerComponentCell

DEW_WIDTH = 5e-5  # 1, width in specific humidity over which a surface turns from drying to dewy
WET_LIMIT = 0.25  # 1, of the area of full leaves that water covers, pollard1995, foley1996
LITTER_AREA, LITTER_TRANSFER = 0.5, 0.004  # 1, 1, sakaguchi2009
SERIES_UP_TO = 0.1  # 1, argument below which differences would lose digits
TINY = 1e-12  # 1
STOMATAL_OPTIMUM = 298.0  # K, chen2001
MAXIMUM_RESISTANCE = 5000.0  # s m-1, closed stomata, chen2001


class Wetting(eqx.Module):
    """How wet the components are before the energy balance, which lets them dry.

    Attributes:
        before (component, cell): Share of the capacity that was filled at the start of the step, 1.
        gained (component, cell): Share that what is caught in the step would fill, 1.
        unit (component, cell): Water that fills it, in the mixture of liquid and snow that is there, kg m-2.
    """

    before: PerComponentCell
    gained: PerComponentCell
    unit: PerComponentCell


def dew_share(deficit: PerCell) -> PerCell:
    r"""Smooth switch from drying (0) to dewy (1), $\tfrac12 - \tfrac12\,\Delta / \sqrt{\Delta^2 + w^2}$, 1.

    Args:
        deficit (cell,): Saturation humidity of the surface less humidity of the air, 1.
    """
    return 0.5 - 0.5 * deficit / jnp.sqrt(deficit * deficit + DEW_WIDTH * DEW_WIDTH)


@fenced()
def filling(before: PerCell, gained: PerCell, demand: PerCell, storm: Storm | None = None) -> tuple[PerCell, PerCell]:
    r"""Mean share of their capacity that leaves hold in a step in which rain wets and air dries them, 0 to 1.

    What covers a quarter of full leaves shrinks with what they hold. With everything over the capacity, time over the
    step, the rain u and what full leaves would evaporate x, the share r that is filled obeys

    $$ \frac{dr}{dt} = u - x r, \quad r \le 1, \qquad
       r(t) = r_0 e^{-xt} + u \frac{1 - e^{-xt}}{x}, \qquad
       \theta = \frac1x \ln\Big(1 + \frac{x (1 - r_0)}{u - x}\Big) , $$

    with $\theta$ the time at which rain fills them, 1 if it does not within the step. The mean is exact,

    $$ \bar r = \theta\,[r_0\,\varphi(x\theta) + u\,\theta\,\psi(x\theta)] + 1 - \theta, \qquad
       \varphi(y) = \frac{1 - e^{-y}}{y}, \quad \psi(y) = \frac{y - 1 + e^{-y}}{y^2} . $$

    Where it rains during a part of the step only, the same holds of that part, leaves dry before and after it, and the
    mean of r is weighted with the demand, which is less in rain. Leaves that rain has filled dry by $e^{-xt}$ in the
    rest of the step: no more stays on them, whatever dripped from them before.

    Args:
        before (cell,): Share filled at the start r_0, 1; counted as at most 1.
        gained (cell,): Share that the water caught in the step would fill u, 1.
        demand (cell,): What full leaves would evaporate in the step over their capacity x, 1, >= 0.
        storm: When it rains in the step; all the time if None.

    Returns:
        Both (cell,): mean over the step, 1, at most (r_0 + u) / x; and the share of their capacity that leaves hold at
        the end of the step if they are full when the rain ends, 1.

    Source:
        rutter1971 (evaporation in proportion to what is held); the solution within the step is this project's.
    """
    start = jnp.minimum(before, 1.0)
    if storm is None:
        return _wetting(start, gained, demand)[0], jnp.ones_like(demand)
    weight = 1.0 / (1.0 - storm.during * (1.0 - storm.demand))
    dry = demand * weight
    after = jnp.maximum(1.0 - storm.before - storm.during, 0.0)
    fading = _means_of_decay(dry * storm.before)[0]
    start_of_rain = start * (1.0 - dry * storm.before * fading)
    in_rain, end_of_rain = _wetting(start_of_rain, gained, dry * storm.demand * storm.during)
    reach = dry * after
    fading_after = _means_of_decay(reach)[0]
    drying = storm.before * start * fading + after * end_of_rain * fading_after
    mean = weight * (drying + storm.demand * storm.during * in_rain)
    return mean, jnp.maximum(1.0 - reach * fading_after, 0.0)


def _wetting(start: PerCell, gained: PerCell, demand: PerCell) -> tuple[PerCell, PerCell]:
    """Mean share filled in steady rain, and the share at its end."""
    fills = gained > demand
    surplus = jnp.where(fills, gained - demand, 1.0)
    rate = demand + TINY
    filled_at = jnp.log1p(rate * (1.0 - start) / surplus) / rate
    until = jnp.where(fills, jnp.minimum(filled_at, 1.0), 1.0)
    reach = demand * until
    first, second = _means_of_decay(reach)
    mean = until * (start * first + gained * until * second) + 1.0 - until
    return mean, jnp.minimum(start * (1.0 - reach * first) + gained * until * first, 1.0)


def _means_of_decay(y: PerCell) -> tuple[PerCell, PerCell]:
    """The functions phi and psi of :func:`filling`, near zero by their series."""
    small = y < SERIES_UP_TO
    large = jnp.where(small, 1.0, y)
    inverse = 1.0 / large
    phi = -jnp.expm1(-large) * inverse
    psi = (1.0 - phi) * inverse
    near = jnp.where(small, y, 0.0)
    phi_near = 1.0 - near * (1 / 2 - near * (1 / 6 - near * (1 / 24 - near * (1 / 120 - near / 720))))
    psi_near = 1 / 2 - near * (1 / 6 - near * (1 / 24 - near * (1 / 120 - near * (1 / 720 - near / 5040))))
    return jnp.where(small, phi_near, phi), jnp.where(small, psi_near, psi)


def litter_resistance(vegetated: PerCell, friction_velocity: PerCell) -> PerCell:
    r"""Resistance to vapor of the dead leaves that lie on soil under plants, $(1 - e^{-0.5 f}) / (0.004\,u_*)$, s m-1.

    Args:
        vegetated (cell,): Share of the land under plants f, with half a square metre of litter per square metre, 1.
        friction_velocity (cell,): Friction velocity u_*, m s-1, > 0.

    Source:
        sakaguchi2009; lawrence2019.
    """
    return -jnp.expm1(-LITTER_AREA * vegetated) / (LITTER_TRANSFER * friction_velocity)


def through_litter(share: PerCell, resistance: PerCell, conductance: PerCell) -> PerCell:
    r"""Share $\beta$ of potential evaporation that soil gives, behind litter: $\beta / (1 + \beta r C)$, 1.

    Args:
        share (cell,): Share without it, 1.
        resistance (cell,): Resistance of the litter r, s m-1.
        conductance (cell,): Conductance of heat and vapor between soil and air C, m s-1.

    Source:
        sakaguchi2009: soil, litter and air in series.
    """
    return share / (1.0 + share * resistance * conductance)


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


@fenced()
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


@fenced()
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
