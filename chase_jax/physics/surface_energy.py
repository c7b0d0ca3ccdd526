r"""Energy balance of leaves, stems, low vegetation, soil skin and snow skin, joined by two levels of canopy air.

Nine unknowns per cell: the temperatures of the five surfaces and the temperature and humidity of the air among the
trees (12) and in the low vegetation (34). Each surface j obeys

$$ \frac{H_j(T_j) - H_j^0}{dt} = R_j - c_p A_j (T_j - T_n) - \big[W_j (h_v - h_{w,j}) + V_j (h_v - h_r)\big]
   \big(q_s(T_j) - q_n\big) - G_j , $$

with A, W, V the exchange coefficients of heat, of wet surfaces and through stomata, h_v, h_w, h_r the specific
enthalpies of vapor, of the water on the surface and of the water that roots take up; skins have no heat capacity, and G
is the heat they pass on. Air holds neither heat nor vapor. Each iteration linearises in all nine unknowns, eliminates
the surfaces by hand and solves two 2 x 2 systems; coefficients that depend on the solution (stability, stomata, the
wet share of leaves) lag by one iteration. **The fluxes are those of the last linear system**, so that they close to
rounding however far from convergence it is; what a surface cannot take up of its share
(:func:`surfaces.leaf_heat`) is sensible heat:

$$ S + L = c_p\text{-heat} + h_v \sum E - h_r E_r + \sum_j \dot H_j + (G_g - h_g E_g) + (G_i - h_i E_i) , $$

S, L absorbed shortwave and net longwave, E all vapor, E_r transpiration, $\dot H_j$ the heating of the canopy, and in
brackets what soil and snow gain. Neglected: storage of heat and vapor in canopy air, heat from respiration.

Source: pollard1995; foley1996.
"""

from __future__ import annotations

import functools
import operator
from collections.abc import Iterable
from typing import TYPE_CHECKING

import equinox as eqx
import jax

from chase_jax import constants as const
from chase_jax.numerics import two_level
from chase_jax.numerics.fence import fenced
from chase_jax.numerics.layers import stack
from chase_jax.physics import evaporation, longwave, surfaces, thermodynamics, turbulence, vegetation
from chase_jax.typing import PerCell, PerComponentCell

if TYPE_CHECKING:
    from chase_jax.physics.atmosphere import Air

ITERATIONS = 3  # pollard1995


class Fluxes(eqx.Module):
    """What the surfaces exchange, per unit land area; vapor and heat positive to the air.

    Attributes:
        canopy_evaporation (component, cell): Evaporation of intercepted water, kg m-2 s-1, negative for dew.
        canopy_left (component, cell): Share of the capacity that leaves full at the end of rain hold after the step, 1.
        transpiration (2, cell): Transpiration of trees and of low vegetation, kg m-2 s-1.
        soil_evaporation (cell,): Evaporation of soil water, kg m-2 s-1.
        snow_sublimation (cell,): Sublimation and evaporation of snow, kg m-2 s-1.
        sensible_heat (cell,): Sensible heat, W m-2.
        net_longwave (cell,): Longwave absorbed less emitted, W m-2.
        canopy_heating (component, cell): Rate of change of the canopy's enthalpy, W m-2.
        ground_heat (cell,): Heat passed from soil skin into the first layer, W m-2.
        snow_heat (cell,): Heat passed from snow skin into the snow, melt included, W m-2.
        soil_skin_temperature (cell,): K.
        snow_skin_temperature (cell,): K; without meaning where there is no snow.
        canopy_air_temperature (cell,): Temperature of the air among the trees, K.
    """

    canopy_evaporation: PerComponentCell
    canopy_left: PerComponentCell
    transpiration: PerComponentCell
    soil_evaporation: PerCell
    snow_sublimation: PerCell
    sensible_heat: PerCell
    net_longwave: PerCell
    canopy_heating: PerComponentCell
    ground_heat: PerCell
    snow_heat: PerCell
    soil_skin_temperature: PerCell
    snow_skin_temperature: PerCell
    canopy_air_temperature: PerCell


def implicit_conductance(conductance: PerCell, fraction: PerCell, heat_capacity: PerCell, dt: float) -> PerCell:
    r"""Conductance that counts the warming of the store below within the step, $f g / (1 + f g\,dt / C)$.

    Args:
        conductance (cell,): Conductance g from the skin to the middle of the store per unit area of skin, W m-2 K-1.
        fraction (cell,): Fraction of the land that is skin f, 1.
        heat_capacity (cell,): Apparent heat capacity of the store C per unit land area, J m-2 K-1.
        dt: Length of the step, s.

    Returns:
        (cell,): Conductance per unit land area, W m-2 K-1.

    Source:
        Backward Euler of the store with this flux alone.
    """
    per_land = fraction * conductance
    return per_land / (1.0 + per_land * dt / heat_capacity)


def _total(parts: Iterable[PerCell]) -> PerCell:
    """Sum of arrays."""
    return functools.reduce(operator.add, parts)


@fenced()
def _iterate(known: surfaces.Known, guess: surfaces.Guess) -> tuple[surfaces.Guess, Fluxes]:
    """Linearise at the guess, solve, and evaluate every flux from the linear system.

    Args:
        known: What does not change.
        guess: Result of the last iteration.
    """
    air, leaves, ground = known.air, known.leaves, known.ground
    exchange = surfaces.exchange(known, guess)
    radiation, emission = longwave.exchange(
        guess.temperatures, air.longwave_down, known.canopy, known.areas, ground.snow_fraction
    )
    kept, rates = surfaces.passed_on(known, guess)
    on_surface = (*leaves.phase.mean_enthalpy, ground.soil_enthalpy, ground.snow_enthalpy)
    wet_heat = [air.vapor_enthalpy - enthalpy for enthalpy in on_surface]  # J kg-1
    stomatal_heat = air.vapor_enthalpy - leaves.root_enthalpy
    rows = [
        two_level.row(
            surplus=known.absorbed[j] + radiation[j] - kept[j],
            stiffness=emission[j] + rates[j],
            heat=exchange.heat[j],
            vapor=exchange.wet[j] + exchange.stomata[j],
            latent=exchange.wet[j] * wet_heat[j] + exchange.stomata[j] * stomatal_heat,
            warmth=guess.temperatures[j] - air.temperature,
            humidity=exchange.humidities[j] - air.specific_humidity,
            slope=exchange.slopes[j],
        )
        for j in range(5)
    ]
    levels = two_level.solve_air(exchange.above, exchange.between, rows[:2], rows[2:])
    changes = [row.change(*levels[level]) for row, level in zip(rows, surfaces.LEVELS, strict=True)]
    temperatures = tuple(t + change for t, change in zip(guess.temperatures, changes, strict=True))
    passed_on = [heat + rate * change for heat, rate, change in zip(kept, rates, changes, strict=True)]
    # humidity of each surface at its new temperature less that of its air
    deficits = [
        row.humidity + row.slope * change - levels[level][1]
        for row, change, level in zip(rows, changes, surfaces.LEVELS, strict=True)
    ]
    sensible = _total(row.heat * (row.warmth + change) for row, change in zip(rows, changes, strict=True))
    sensible -= _total(row.heat * levels[level][0] for row, level in zip(rows, surfaces.LEVELS, strict=True))
    evaporated = [wet * deficit for wet, deficit in zip(exchange.wet, deficits, strict=True)]
    water = tuple(leaves.water)
    limited = [
        evaporation.limit_to_store(evaporated[j], water[j], air.vapor_enthalpy, on_surface[j], known.dt)
        for j in range(3)
    ]
    heating, left_over = [], []
    for j, (realised, _) in enumerate(limited):
        offered = passed_on[j] - realised * on_surface[j]  # less what the lost water held
        remaining = water[j] - known.dt * realised
        heating.append(surfaces.leaf_heat(leaves, j, temperatures[j], remaining, offered, known.dt))
        left_over.append(offered - heating[j])
    snow_heat = surfaces.snow_heat(ground, temperatures[4], passed_on[4])
    left_over.append(passed_on[4] - snow_heat)
    sensible_heat = const.SPECIFIC_HEAT_AIR * sensible + _total(extra for _, extra in limited) + _total(left_over)
    transpiration = [exchange.stomata[j] * deficits[j] for j in surfaces.TRANSPIRING]
    fluxes = Fluxes(
        canopy_evaporation=stack([realised for realised, _ in limited]),
        canopy_left=stack(exchange.left),
        transpiration=stack(transpiration),
        soil_evaporation=evaporated[3],
        snow_sublimation=evaporated[4],
        sensible_heat=sensible_heat,
        net_longwave=_total(
            flux - slope * change for flux, slope, change in zip(radiation, emission, changes, strict=True)
        ),
        canopy_heating=stack(heating),
        ground_heat=passed_on[3],
        snow_heat=snow_heat,
        soil_skin_temperature=temperatures[3],
        snow_skin_temperature=temperatures[4],
        canopy_air_temperature=air.temperature + levels[0][0],
    )
    phases = []
    for k, (store, dry) in enumerate(zip(water, leaves.dry_heat_capacity, strict=True)):
        heat = surfaces.leaf_heat(leaves, k, temperatures[k], store, passed_on[k], known.dt)
        enthalpy = leaves.enthalpy[k] + known.dt * heat
        phase = thermodynamics.phase_state(store, enthalpy, dry)
        phases.append((enthalpy, phase.temperature, phase.heat_capacity))
    guess = surfaces.Guess(
        temperatures=temperatures,
        phases=tuple(phases),
        air_temperatures=tuple(air.temperature + warmth for warmth, _ in levels),
        humidities=tuple(air.specific_humidity + humidity for _, humidity in levels),
    )
    return guess, fluxes


def solve(
    parameters: vegetation.Parameters,
    canopy: vegetation.Canopy,
    geometry: turbulence.Geometry,
    air: Air,
    shortwave: surfaces.Sunlight,
    leaves: surfaces.Leaves,
    ground: surfaces.Ground,
    dt: float,
    iterations: int = ITERATIONS,
) -> Fluxes:
    """Solve the balance of all surfaces for one step.

    Args:
        parameters: Vegetation of each cell.
        canopy: The day's leaf areas.
        geometry: The day's paths of heat and vapor.
        air: Weather of the step.
        shortwave: Absorbed by each surface, and by leaves in the visible, per unit land area.
        leaves: The canopy at the start of the step.
        ground: Soil and snow at the start of the step.
        dt: Length of the step, s.
        iterations: How often to linearise, a static number.

    Returns:
        The :class:`Fluxes`, closed to rounding by the identity of the module's docstring.

    Source:
        pollard1995, section 4; foley1996. Enthalpy in place of semi-implicit phase change is this project's.
    """
    areas = canopy.areas(ground.snow_fraction)
    absorbed = (shortwave.upper_leaf, shortwave.upper_stem, shortwave.lower, shortwave.soil, shortwave.snow)
    upper_leaf_area = 0.5 * areas[0]
    lower_leaf_area = canopy.lower_leaf * canopy.lower_fraction * (1.0 - ground.snow_fraction)
    wind = turbulence.reference_wind(geometry, air.wind_speed)
    vegetated = 1.0 - (1.0 - canopy.upper_fraction) * (1.0 - canopy.lower_fraction)
    known = surfaces.Known(
        parameters=parameters,
        canopy=canopy,
        geometry=geometry,
        air=air,
        leaves=leaves,
        ground=ground,
        absorbed=absorbed,
        areas=areas,
        wind=wind,
        leaf_areas=(upper_leaf_area, None, lower_leaf_area),
        light=(
            evaporation.light_conductance(
                shortwave.upper_leaf_visible, upper_leaf_area, parameters, leaves.root_stress
            ),
            None,
            evaporation.light_conductance(
                shortwave.lower_leaf_visible, lower_leaf_area, parameters, leaves.root_stress
            ),
        ),
        litter=evaporation.litter_resistance(vegetated, geometry.friction * wind),
        dt=dt,
    )
    phase = leaves.phase
    guess = surfaces.Guess(
        temperatures=(*phase.temperature, ground.soil_temperature, ground.snow_temperature),
        phases=tuple(zip(leaves.enthalpy, phase.temperature, phase.heat_capacity, strict=True)),
        air_temperatures=(air.temperature, air.temperature),
        humidities=(air.specific_humidity, air.specific_humidity),
    )
    # a loop, not unrolled: it compiles in a fraction of the time and runs as fast
    # of each iteration reverse mode keeps the guess, and computes the rest again: less to write and to read
    iterate = jax.checkpoint(_iterate, prevent_cse=False)
    guess, _ = jax.lax.scan(lambda carry, _: (iterate(known, carry)[0], None), guess, length=iterations - 1)
    return iterate(known, guess)[1]
