r"""Interception: rain and snow held by leaves and stems, dripping, unloading, and the heat that goes with them.

Three stores (upper leaves, upper stems, low vegetation) of mass and enthalpy, per unit land area. What falls on the
cover of a component meets it with probability $1-e^{-L}$, L its one-sided area per cover. Rain, evaporation and drip of
a step act at the same time: :func:`intercept` lets leaves catch more than they can hold, the energy balance evaporates
from it, and :func:`shed` lets go what then exceeds the capacity, or what air leaves of it where rain ends within the
step. So rain that goes on wets what dries meanwhile, and what leaves lose to the air does not depend on how a storm is
cut into steps. Freezing and thawing of intercepted water
follow from the enthalpy of the store. Neglected: drip below capacity, which LSX lets
go in two hours.

Source: rutter1971 (store, drying in proportion to what it holds); pollard1995 and foley1996 (components, catch, snow).
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
from chase_jax.numerics.layers import stack
from chase_jax.physics import thermodynamics, vegetation
from chase_jax.physics.evaporation import Wetting
from chase_jax.typing import PerCell, PerComponentCell

if TYPE_CHECKING:
    from chase_jax.physics.atmosphere import Air

UNLOADING_TIME = 43200.0  # s, e-folding time of snow, foley1996
FASTEST_EVAPORATION = 2e-4  # kg m-2 s-1; leaves keep what this would take in the step, the rest drips before it
SNOW_EXPONENT = 2.0 / 3.0  # 1, of the area that snow covers, deardorff1978
WATER_FLOOR = 1e-9  # kg m-2, keeps the share of liquid regular where leaves are dry
# Upper leaves, upper stems, low vegetation, per unit two-sided area: snow as in foley1996, liquid half of it.
LIQUID_CAPACITY = (0.10, 0.20, 0.10)  # kg m-2
SNOW_CAPACITY = (2.0, 4.0, 2.0)  # kg m-2
LIQUID_TO_SNOW = tuple(snow / liquid for snow, liquid in zip(SNOW_CAPACITY, LIQUID_CAPACITY, strict=True))
# Leaves and stems of trees: foley1996. A leaf of a herb, 57 g m-2 dry (0.035 m2 per gram of carbon) with 133 g m-2 of
# water, has 639 J m-2 K-1 by bonan2018, as much on two sides as it is with stems as heavy as the leaves.
HEAT_CAPACITY = (2109.0, 1.25e4, 640.0)  # J m-2 K-1
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


def intercept(
    parameters: Parameters,
    state: State,
    canopy: vegetation.Canopy,
    snow_fraction: PerCell,
    air: Air,
    dt: float,
) -> tuple[State, Throughfall, Wetting]:
    r"""Catch rain and snow of the step in the order upper leaves, upper stems, low vegetation, ground.

    Old and new water mix and share their heat. Only what could not even evaporate if the step were hot and dry, beyond
    the capacity and 0.7 mm per hour, drips at once. Mass and enthalpy are conserved to rounding.

    Args:
        parameters: What the canopy holds.
        state: Its water and enthalpy.
        canopy: The day's leaf areas.
        snow_fraction (cell,): Fraction of the ground under snow, 1; it buries low vegetation.
        air: Rain, snowfall (kg m-2 s-1) and their specific enthalpies (J kg-1).
        dt: Length of the step, s.

    Returns:
        The state before the energy balance, what reaches the ground, and what wets the leaves.

    Source:
        pollard1995; foley1996.
    """
    rainy = Throughfall(air.rain, air.rain * air.rain_enthalpy, air.snowfall, air.snowfall * air.snow_enthalpy)
    state, below, wetting = _cascade(parameters, state, canopy, snow_fraction, rainy, dt, dt * FASTEST_EVAPORATION, 1.0)
    return state, below, wetting


def shed(
    parameters: Parameters,
    state: State,
    canopy: vegetation.Canopy,
    snow_fraction: PerCell,
    wetting: Wetting,
    left: PerComponentCell,
    dt: float,
) -> tuple[State, Throughfall]:
    """Let go, after the energy balance, what exceeds the capacity, and snow with its e-folding time.

    Where rain ends within the step, drip ends with it, and leaves go on drying: what they hold after the step is at
    most what the air leaves of their capacity. All the rest dripped in the rain, as long as so much was caught.
    What drips from leaves falls through stems and low vegetation as rain does.

    Args:
        parameters: What the canopy holds.
        state: Its water and enthalpy.
        canopy: The day's leaf areas.
        snow_fraction (cell,): Fraction of the ground under snow, 1.
        wetting: What :func:`intercept` returned.
        left (component, cell): Share of their capacity that leaves hold at most after what is left of the step when
            rain ends, 1.
        dt: Length of the step, s.

    Returns:
        The state after the step and what reaches the ground.

    Source:
        rutter1971; foley1996 (snow).
    """
    nothing = jnp.zeros_like(snow_fraction)
    dry = Throughfall(nothing, nothing, nothing, nothing)
    remaining = math.exp(-dt / UNLOADING_TIME)
    caught = wetting.gained * wetting.unit
    state, below, _ = _cascade(parameters, state, canopy, snow_fraction, dry, dt, 0.0, remaining, caught, left)
    return state, below


def together(first: Throughfall, second: Throughfall) -> Throughfall:
    """The sum of two throughfalls.

    Args:
        first: One.
        second: The other.
    """
    return jax.tree.map(jnp.add, first, second)


def _cascade(
    parameters, state, canopy, snow_fraction, falling, dt, allowance, remaining, caught=(0.0,) * 3, left=(1.0,) * 3
):
    """Let water fall through all components; see :func:`_hold`."""
    areas = canopy.areas(snow_fraction)
    catches = (canopy.upper_leaf_catch, canopy.upper_stem_catch, canopy.lower_catch)
    stores = []

    def pass_through(component: int, part: Throughfall) -> Throughfall:
        store, below = _hold(
            parameters,
            state,
            component,
            areas[component],
            catches[component],
            part,
            caught[component],
            left[component],
            dt,
            allowance,
            remaining,
        )
        stores.append(store)
        return below

    under_trees = pass_through(1, pass_through(0, _part(canopy.upper_fraction, falling)))
    falling = together(under_trees, _part(1.0 - canopy.upper_fraction, falling))
    cover = canopy.lower_fraction * (1.0 - snow_fraction)
    falling = together(pass_through(2, _part(cover, falling)), _part(1.0 - cover, falling))
    water, enthalpy, before, gained, unit = (stack(parts) for parts in zip(*stores, strict=True))
    return State(water, enthalpy), falling, Wetting(before, gained, unit)


def _part(share: PerCell, falling: Throughfall) -> Throughfall:
    """A share of what falls."""
    return jax.tree.map(lambda flux: share * flux, falling)


@fenced(static=("component", "dt", "allowance", "remaining"))
def _hold(parameters, state, component, area, catch, falling, caught, left, dt, allowance, remaining):
    """One store: catch a share of what falls on it, mix, let go.

    It keeps what it can hold and the `allowance` (kg m-2), and of snow the share `remaining`. Of what it can hold it
    keeps the share `left`, but lets go no more for that than it caught, `caught` before and the rest now.
    Returns water, enthalpy and the three parts of :class:`Wetting`, and what falls below.
    """
    old, new = state.water[component], dt * catch * (falling.liquid + falling.solid)
    water = old + new
    enthalpy = state.enthalpy[component] + dt * catch * (falling.liquid_heat + falling.solid_heat)
    phase = thermodynamics.phase_state(water, enthalpy, parameters.dry_heat_capacity[component])
    capacity = area * parameters.capacity_factor
    most_liquid, most_frozen = LIQUID_CAPACITY[component] * capacity, SNOW_CAPACITY[component] * capacity
    held = jnp.minimum(phase.liquid, most_liquid + allowance)
    liquid = jnp.minimum(held, jnp.maximum(left * most_liquid + allowance, held - caught - new))
    frozen = jnp.minimum(remaining * phase.frozen, most_frozen)
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
    is_liquid = (phase.liquid + WATER_FLOOR) / (water + WATER_FLOOR)
    unit = WATER_FLOOR + most_frozen / (LIQUID_TO_SNOW[component] * is_liquid + (1.0 - is_liquid))
    return (liquid + frozen, enthalpy - drip_heat - unloading_heat, old / unit, new / unit, unit), below


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


def snow_cover(
    parameters: Parameters, canopy: vegetation.Canopy, snow_fraction: PerCell, frozen: PerComponentCell
) -> tuple[PerCell, PerCell, PerCell]:
    r"""Fraction of each component's area that snow covers, $(w_s/w_{s,max})^{2/3} \le 1$, to which its optics answer.

    Args:
        parameters: What the canopy holds.
        canopy: The day's leaf areas.
        snow_fraction (cell,): Fraction of the ground under snow, 1.
        frozen (component, cell): Intercepted snow, kg m-2.

    Returns:
        Fractions (cell,) of the three components, 1.

    Source:
        deardorff1978, eq. 25.
    """
    fractions = []
    for component, area in enumerate(canopy.areas(snow_fraction)):
        capacity = SNOW_CAPACITY[component] * area * parameters.capacity_factor
        filling = smooth.safe_divide(frozen[component], capacity)
        fractions.append(smooth.power(jnp.minimum(filling, 1.0), SNOW_EXPONENT))
    return fractions[0], fractions[1], fractions[2]
