r"""Interception: rain and snow held by leaves and stems, dripping, unloading, and the heat that goes with them.

Three stores (upper leaves, upper stems, low vegetation) of mass and enthalpy, per unit land area. What falls on the
cover of a component meets it with probability $1-e^{-L}$, L its one-sided area per cover; what is held drips with an
e-folding time, liquid and snow each with its own, and what exceeds the capacity drips at once. Freezing and thawing of
intercepted water follow from the enthalpy of the store. Neglected: leaves that shed snow in wind or sun by themselves.

Source: pollard1995; foley1996.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import equinox as eqx
import jax
import jax.numpy as jnp

from chase_jax import constants as const
from chase_jax.numerics import smooth
from chase_jax.numerics.fence import fenced
from chase_jax.physics import thermodynamics, vegetation
from chase_jax.typing import PerCell, PerComponentCell

if TYPE_CHECKING:
    from chase_jax.physics.atmosphere import Air

DRIP_TIME = 7200.0  # s, e-folding time of liquid, foley1996
UNLOADING_TIME = 43200.0  # s, e-folding time of snow, foley1996
WET_EXPONENT = 2.0 / 3.0  # 1, deardorff1978
# Upper leaves, upper stems, low vegetation, per unit two-sided area: foley1996, but liquid on leaves dickinson1984
# (0.2 mm per leaf area index), whose capacity belongs to a wet fraction that may reach one, as it may here.
LIQUID_CAPACITY = (0.10, 0.20, 0.10)  # kg m-2
SNOW_CAPACITY = (2.0, 4.0, 2.0)  # kg m-2
HEAT_CAPACITY = (2109.0, 1.25e4, 8436.0)  # J m-2 K-1
HEAT_CAPACITY_FLOOR = 500.0  # J m-2 K-1 of land; keeps cells without vegetation regular


class Parameters(eqx.Module):
    """What the canopy holds; components are upper leaf, upper stem, low vegetation.

    Attributes:
        dry_heat_capacity (component, cell): Heat capacity without water, of the year's greatest area, J m-2 K-1.
        capacity_factor (cell,): Factor on the capacities for liquid and snow, 1.
    """

    dry_heat_capacity: PerComponentCell
    capacity_factor: PerCell

    @classmethod
    def default(cls, vegetation_parameters: vegetation.Parameters) -> Parameters:
        """Default parameters.

        Args:
            vegetation_parameters: Vegetation of each cell.
        """
        areas = vegetation.maximum_areas(vegetation_parameters)
        heat_capacity = HEAT_CAPACITY_FLOOR + jnp.asarray(HEAT_CAPACITY)[:, None] * areas
        return cls(dry_heat_capacity=heat_capacity, capacity_factor=jnp.ones_like(areas[0]))


class State(eqx.Module):
    """Water held by the canopy and its heat, leaves and stems included, per unit land area.

    Attributes:
        water (component, cell): Intercepted water, liquid and ice, kg m-2.
        enthalpy (component, cell): Enthalpy of water and vegetation, J m-2.
    """

    water: PerComponentCell
    enthalpy: PerComponentCell

    @classmethod
    def default(cls, parameters: Parameters, temperature: PerCell) -> State:
        """Dry canopy.

        Args:
            parameters: What the canopy holds.
            temperature (cell,): Its temperature, K.
        """
        excess = temperature - const.MELTING_TEMPERATURE
        heat_capacity = parameters.dry_heat_capacity
        return cls(water=jnp.zeros_like(heat_capacity), enthalpy=heat_capacity * excess)


class Throughfall(eqx.Module):
    """What reaches the ground, per unit land area.

    Attributes:
        liquid (cell,): Rain and drip, kg m-2 s-1.
        liquid_heat (cell,): Enthalpy that comes with it, W m-2.
        solid (cell,): Snow and unloaded snow, kg m-2 s-1.
        solid_heat (cell,): Enthalpy that comes with it, W m-2.
    """

    liquid: PerCell
    liquid_heat: PerCell
    solid: PerCell
    solid_heat: PerCell


def diagnose(parameters: Parameters, state: State) -> thermodynamics.PhaseState:
    """Temperature and ice of the three stores: `phase_state` with leaves (component, cell).

    Args:
        parameters: What the canopy holds.
        state: Its water and enthalpy.
    """
    return thermodynamics.phase_state(state.water, state.enthalpy, parameters.dry_heat_capacity)


def _retention(time: float, dt: float) -> tuple[float, float]:
    r"""Shares kept after dt of what was there, $e^{-dt/\tau}$, and of a constant input, $\tau(1-e^{-dt/\tau})/dt$."""
    old = math.exp(-dt / time)
    return old, (1.0 - old) * time / dt


def intercept(
    parameters: Parameters,
    state: State,
    canopy: vegetation.Canopy,
    snow_fraction: PerCell,
    air: Air,
    dt: float,
) -> tuple[State, Throughfall]:
    r"""Catch rain and snow, drip and unload, in the order upper leaves, upper stems, low vegetation, ground.

    Each store solves $dw/dt = I - w/\tau$ exactly for constant interception I, separately for liquid and snow, after
    old and new water have mixed and shared their heat; what exceeds the capacity leaves at once. Mass and enthalpy are
    conserved to rounding.

    Args:
        parameters: What the canopy holds.
        state: Its water and enthalpy.
        canopy: The day's leaf areas.
        snow_fraction (cell,): Fraction of the ground under snow, 1; it buries low vegetation.
        air: Rain, snowfall (kg m-2 s-1) and their specific enthalpies (J kg-1).
        dt: Length of the step, s.

    Returns:
        The new state and what reaches the ground.

    Source:
        pollard1995; foley1996, with the exact exponential instead of an explicit step.
    """
    areas = canopy.areas(snow_fraction)
    catches = (canopy.upper_leaf_catch, canopy.upper_stem_catch, canopy.lower_catch)
    rainy = Throughfall(air.rain, air.rain * air.rain_enthalpy, air.snowfall, air.snowfall * air.snow_enthalpy)
    stores = []

    def _pass_through(component: int, falling: Throughfall) -> Throughfall:
        store, below = _hold(parameters, state, component, areas[component], catches[component], falling, dt)
        stores.append(store)
        return below

    under_trees = _pass_through(1, _pass_through(0, _part(canopy.upper_fraction, rainy)))
    falling = _sum(under_trees, _part(1.0 - canopy.upper_fraction, rainy))
    cover = canopy.lower_fraction * (1.0 - snow_fraction)
    falling = _sum(_pass_through(2, _part(cover, falling)), _part(1.0 - cover, falling))
    waters, enthalpies = zip(*stores, strict=True)
    return State(water=jnp.stack(waters), enthalpy=jnp.stack(enthalpies)), falling


def _part(share: PerCell, falling: Throughfall) -> Throughfall:
    """A share of what falls."""
    return jax.tree.map(lambda flux: share * flux, falling)


def _sum(first: Throughfall, second: Throughfall) -> Throughfall:
    """What falls in both."""
    return jax.tree.map(jnp.add, first, second)


@fenced(static=("component", "dt"))
def _hold(parameters, state, component, area, catch, falling, dt):
    """One store: catch a share of what falls on it, mix, let go. Returns (water, enthalpy) and what falls below."""
    new = dt * catch * (falling.liquid + falling.solid)
    water = state.water[component] + new
    enthalpy = state.enthalpy[component] + dt * catch * (falling.liquid_heat + falling.solid_heat)
    phase = thermodynamics.phase_state(water, enthalpy, parameters.dry_heat_capacity[component])
    new_share = smooth.safe_divide(new, water)
    drip_old, drip_new = _retention(DRIP_TIME, dt)
    unload_old, unload_new = _retention(UNLOADING_TIME, dt)
    capacity = area * parameters.capacity_factor
    liquid = phase.liquid * (drip_old + (drip_new - drip_old) * new_share)
    frozen = phase.frozen * (unload_old + (unload_new - unload_old) * new_share)
    liquid = jnp.minimum(liquid, LIQUID_CAPACITY[component] * capacity)
    frozen = jnp.minimum(frozen, SNOW_CAPACITY[component] * capacity)
    drip, unloading = phase.liquid - liquid, phase.frozen - frozen
    drip_heat = drip * phase.liquid_enthalpy
    unloading_heat = unloading * thermodynamics.ice_enthalpy(phase.temperature)
    missed = 1.0 - catch
    below = Throughfall(
        liquid=missed * falling.liquid + drip / dt,
        liquid_heat=missed * falling.liquid_heat + drip_heat / dt,
        solid=missed * falling.solid + unloading / dt,
        solid_heat=missed * falling.solid_heat + unloading_heat / dt,
    )
    return (liquid + frozen, enthalpy - drip_heat - unloading_heat), below


def exchange_with_air(state: State, evaporation: PerComponentCell, heating: PerComponentCell, dt: float) -> State:
    """Take up what the energy balance gave.

    Args:
        state: Water and enthalpy of the canopy.
        evaporation (component, cell): Evaporation of intercepted water, to the air, kg m-2 s-1.
        heating (component, cell): Rate of change of enthalpy, enthalpy of the vapor already taken off, W m-2.
        dt: Length of the step, s.
    """
    # the energy balance takes no more than is there: the bound only meets rounding
    water = jnp.maximum(state.water - dt * evaporation, 0.0)
    return State(water=water, enthalpy=state.enthalpy + dt * heating)


def wet_fraction(
    parameters: Parameters, canopy: vegetation.Canopy, snow_fraction: PerCell, liquid, frozen
) -> tuple[PerCell, PerCell, PerCell]:
    r"""Fraction of each component's area that is wet or snowy, $(w_l/w_{l,max} + w_s/w_{s,max})^{2/3} \le 1$.

    The models this one follows cap the linear fraction at 0.25, which lets forests evaporate little of what they hold;
    the power law with a cap of one is the choice here.

    Args:
        parameters: What the canopy holds.
        canopy: The day's leaf areas.
        snow_fraction (cell,): Fraction of the ground under snow, 1.
        liquid (component, cell): Intercepted liquid, kg m-2.
        frozen (component, cell): Intercepted snow, kg m-2.

    Returns:
        Wet fractions (cell,) of the three components, 1.

    Source:
        deardorff1978, eq. 25.
    """
    fractions = []
    for component, area in enumerate(canopy.areas(snow_fraction)):
        capacity = area * parameters.capacity_factor
        filling = smooth.safe_divide(
            liquid[component] / LIQUID_CAPACITY[component] + frozen[component] / SNOW_CAPACITY[component], capacity
        )
        fractions.append(smooth.power(jnp.minimum(filling, 1.0), WET_EXPONENT))
    return fractions[0], fractions[1], fractions[2]
