r"""The five surfaces of the land column: what their energy balance knows of them and how readily they exchange.

Upper leaves, upper stems and low vegetation carry heat and intercepted water; soil and snow are skins that pass heat
on. Shared formulas: no state, no step; `surface_energy` iterates on them.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple, Protocol

import equinox as eqx
import jax.numpy as jnp

from chase_jax import constants as const
from chase_jax.numerics import smooth
from chase_jax.numerics.fence import fenced
from chase_jax.physics import evaporation, thermodynamics, turbulence, vegetation
from chase_jax.typing import PerCell, PerComponentCell

if TYPE_CHECKING:
    from chase_jax.physics.atmosphere import Air

LEVELS = (0, 0, 1, 1, 1)  # level of air of upper leaf, upper stem, low vegetation, soil, snow
TRANSPIRING = (0, 2)  # surfaces with stomata
MELT_CONDUCTANCE = 800.0  # W m-2 K-1; 400 W m-2 of melt warm the snow skin by 0.5 K
PLATEAU = 0.75  # K, half of the span around melting within which leaves may hold any share of ice
BEND = 0.02  # 1, of the span of enthalpy that ice may take up, over which its ends are rounded
LEAST_SPAN = 1e-3  # J m-2, next to nothing; keeps the share of it finite in single precision, too
LEAST_MELT = 0.1  # W m-2, over which the beginning of melt is rounded
LEAST_WIDTH = 1e-12  # W m-2, the same without snow
MELT_WIDTH = 0.1  # K, bend of the melt heat at the melting temperature


class Leaves(eqx.Module):
    """Canopy at the start of the step; components are upper leaf, upper stem, low vegetation.

    Attributes:
        water (component, cell): Intercepted water, kg m-2.
        enthalpy (component, cell): Enthalpy, J m-2.
        dry_heat_capacity (component, cell): Heat capacity of what is not water, J m-2 K-1.
        phase (component, cell): What `phase_state` makes of these three.
        wetting: How wet they are before they dry.
        root_stress (cell,): Opening that soil water allows, 0 to 1.
        root_enthalpy (cell,): Specific enthalpy of the water that roots take up, J kg-1.
    """

    water: PerComponentCell
    enthalpy: PerComponentCell
    dry_heat_capacity: PerComponentCell
    phase: thermodynamics.PhaseState
    wetting: evaporation.Wetting
    root_stress: PerCell
    root_enthalpy: PerCell


class Ground(eqx.Module):
    """Soil and snow at the start of the step.

    Attributes:
        snow_fraction (cell,): Fraction of the ground under snow, 1.
        soil_temperature (cell,): Temperature of the first soil layer, K.
        soil_conductance (cell,): Conductance from soil skin to first layer per unit *land* area, W m-2 K-1; see
            :func:`surface_energy.implicit_conductance`.
        soil_wetness (cell,): Share of potential evaporation that the soil surface sustains, 0 to 1.
        soil_humidity (cell,): Relative humidity in its pores, 0 to 1.
        soil_enthalpy (cell,): Specific enthalpy of the soil water that evaporates, J kg-1.
        snow_temperature (cell,): Temperature of the snow, K.
        snow_conductance (cell,): Conductance from snow skin to snow per unit *land* area, W m-2 K-1.
        snow_enthalpy (cell,): Specific enthalpy of the snow that sublimates, J kg-1.
        snow_melt_limit (cell,): Heat that would melt all of the snow within the step, W m-2.
    """

    snow_fraction: PerCell
    soil_temperature: PerCell
    soil_conductance: PerCell
    soil_wetness: PerCell
    soil_humidity: PerCell
    soil_enthalpy: PerCell
    snow_temperature: PerCell
    snow_conductance: PerCell
    snow_enthalpy: PerCell
    snow_melt_limit: PerCell


class Sunlight(Protocol):
    """Shortwave that the surfaces absorb per unit land area; any object with these (cell,) arrays, W m-2."""

    upper_leaf: PerCell
    upper_stem: PerCell
    lower: PerCell
    soil: PerCell
    snow: PerCell
    upper_leaf_visible: PerCell
    lower_leaf_visible: PerCell


class Known(NamedTuple):
    """What does not change from one iteration to the next."""

    parameters: vegetation.Parameters
    canopy: vegetation.Canopy
    geometry: turbulence.Geometry
    air: Air
    leaves: Leaves
    ground: Ground
    absorbed: tuple  # shortwave of the five surfaces, W m-2
    areas: tuple  # two-sided areas of the three canopy components, 1
    wind: PerCell  # at the reference height, m s-1
    leaf_areas: tuple  # one-sided, where stomata are; None for stems, 1
    light: tuple  # stomatal conductance that light and soil water allow, None for stems, m s-1
    litter: PerCell  # resistance to vapor of the litter on soil, s m-1
    dt: float


class Guess(NamedTuple):
    """What one iteration hands to the next."""

    temperatures: tuple  # of the five surfaces, K
    phases: tuple  # of the three canopy components: enthalpy (J m-2), temperature (K), apparent capacity (J m-2 K-1)
    air_temperatures: tuple  # among the trees, in the low vegetation, K
    humidities: tuple  # the same, 1


class Exchange(NamedTuple):
    """Coefficients of one iteration, kg m-2 s-1 per unit land area."""

    above: PerCell
    between: PerCell
    heat: tuple  # of the five surfaces
    wet: tuple  # vapor from the water on leaves, stems, low vegetation, in soil and snow
    stomata: tuple  # vapor through stomata, likewise; None where there are none
    humidities: tuple  # saturation humidity of the five surfaces, that of the pores for soil, 1
    slopes: tuple  # its derivative by temperature, K-1
    left: tuple  # share of their capacity that leaves full at the end of rain hold at the end of the step, 1


@fenced()
def _transfer(known: Known, guess: Guess) -> turbulence.Coefficients:
    """Transfer coefficients under the stability that the guess implies."""
    air, geometry, ground = known.air, known.geometry, known.ground
    upper, lower = (t * (1.0 + 0.608 * q) for t, q in zip(guess.air_temperatures, guess.humidities, strict=True))
    screen = air.temperature * (1.0 + 0.608 * air.specific_humidity)
    above = turbulence.richardson_per_kelvin(known.wind, geometry.height_above, air.temperature)
    between = turbulence.richardson_per_kelvin(
        geometry.wind_between * known.wind, geometry.height_between, air.temperature
    )
    limit = turbulence.STABLE_LIMIT - (turbulence.STABLE_LIMIT - turbulence.SNOW_STABLE_LIMIT) * ground.snow_fraction
    factors_above = turbulence.stability(above * (screen - upper), geometry.louis_above, limit)
    _, factor_between = turbulence.stability(
        between * (upper - lower), geometry.louis_between, turbulence.BETWEEN_STABLE_LIMIT
    )
    return turbulence.exchange(geometry, known.wind, air.density, factors_above, factor_between)


@fenced()
def exchange(known: Known, guess: Guess) -> Exchange:
    """Coefficients of heat and vapor at the guess.

    Args:
        known: What does not change.
        guess: Temperatures and humidities of the last iteration.
    """
    leaves, ground, parameters = known.leaves, known.ground, known.parameters
    c = _transfer(known, guess)
    per_area = (c.upper_leaf, c.upper_leaf, c.lower_leaf)
    heat = tuple(area * coefficient for area, coefficient in zip(known.areas, per_area, strict=True))
    saturation = [thermodynamics.saturation_humidity(t, known.air.pressure) for t in guess.temperatures]
    deficits = [s.humidity - guess.humidities[level] for s, level in zip(saturation, LEVELS, strict=True)]
    dew = [evaporation.dew_share(deficit) for deficit in deficits[:4]]

    wet, stomata, left = [], [], []
    for j in range(3):
        most = evaporation.WET_LIMIT * heat[j]
        demand = known.dt * most * jnp.maximum(deficits[j], 0.0) / leaves.wetting.unit[j]
        filled, full_after = evaporation.filling(
            leaves.wetting.before[j], leaves.wetting.gained[j], demand, known.air.storm
        )
        left.append(full_after)
        share = evaporation.WET_LIMIT * filled
        share = share + (1.0 - share) * dew[j]
        wet.append(share * heat[j])
        if j in TRANSPIRING:
            response = evaporation.climate_response(
                guess.temperatures[j], deficits[j], parameters.humidity_deficit_factor
            )
            opening = known.air.density * known.light[j] * response
            through = known.leaf_areas[j] * per_area[j] * opening / (per_area[j] + opening)
            stomata.append((1.0 - share) * (1.0 - dew[j]) * through)
        else:
            stomata.append(0.0)

    soil_heat, snow_heat = (1.0 - ground.snow_fraction) * c.soil, ground.snow_fraction * c.snow
    share = evaporation.soil_share(ground.soil_wetness, saturation[3].slope, guess.air_temperatures[1], c.soil)
    share = evaporation.through_litter(share, known.litter, c.soil / known.air.density)
    pores = ground.soil_humidity + (1.0 - ground.soil_humidity) * dew[3]
    saturated = jnp.ones_like(pores)
    relative = (saturated, saturated, saturated, pores, saturated)
    return Exchange(
        above=c.above,
        between=c.between,
        heat=(*heat, soil_heat, snow_heat),
        wet=(*wet, soil_heat * (share + (1.0 - share) * dew[3]), snow_heat),
        stomata=(*stomata, 0.0, 0.0),
        humidities=tuple(r * s.humidity for r, s in zip(relative, saturation, strict=True)),
        slopes=tuple(r * s.slope for r, s in zip(relative, saturation, strict=True)),
        left=tuple(left),
    )


@fenced()
def passed_on(known: Known, guess: Guess) -> tuple[list, list]:
    """Heat that each surface keeps or passes on at the guess, W m-2, and its derivative, W m-2 K-1.

    Leaves and stems keep what changes their enthalpy at constant mass; skins pass on what is conducted and, on snow,
    what melts.

    Args:
        known: What does not change.
        guess: Temperatures and enthalpies of the last iteration.
    """
    ground, dt = known.ground, known.dt
    kept, rates = [], []
    for temperature, phase, start in zip(guess.temperatures[:3], guess.phases, known.leaves.enthalpy, strict=True):
        enthalpy, diagnosed, capacity = phase
        kept.append((enthalpy - start + capacity * (temperature - diagnosed)) / dt)
        rates.append(capacity / dt)
    soil, snow = guess.temperatures[3:]
    above_melting = snow - const.MELTING_TEMPERATURE
    root = jnp.sqrt(above_melting * above_melting + MELT_WIDTH * MELT_WIDTH)
    melt = 0.5 * MELT_CONDUCTANCE * ground.snow_fraction
    kept.append(ground.soil_conductance * (soil - ground.soil_temperature))
    kept.append(ground.snow_conductance * (snow - ground.snow_temperature) + melt * (above_melting + root))
    rates.append(ground.soil_conductance)
    rates.append(ground.snow_conductance + melt * (1.0 + above_melting / root))
    return kept, rates


def leaf_heat(leaves: Leaves, j: int, temperature: PerCell, water: PerCell, offered: PerCell, dt: float) -> PerCell:
    """What leaves or stems take of the heat that the last linear system offers them, W m-2.

    Where ice melts or freezes, the straight line of the last iteration may miss the curve by far: leaves at 10 degrees
    would get the heat of ice at the melting point. So they take what brings them to their temperature in the
    solution, with any share of ice within about a kelvin of melting. The rest, nothing where the iterations have
    converged, is the air's.

    Args:
        leaves: The canopy at the start of the step.
        j: Which of its components.
        temperature (cell,): Its temperature in the solution, K.
        water (cell,): Water on it after the step, kg m-2.
        offered (cell,): Heat that it is offered, less the enthalpy of water that leaves, W m-2.
        dt: Length of the step, s.
    """
    steps = (temperature - const.MELTING_TEMPERATURE) / PLATEAU
    most_ice, least_ice = smooth.step(2.0 - steps) * water, smooth.step(-1.0 - steps) * water
    dry, start = leaves.dry_heat_capacity[j], leaves.enthalpy[j]
    least = thermodynamics.enthalpy_of(temperature, water - most_ice, most_ice, dry)
    most = thermodynamics.enthalpy_of(temperature, water - least_ice, least_ice, dry)
    share = (dt * offered + start - least) / (most - least + LEAST_SPAN)
    return (least + smooth.unit_clip(share, BEND) * (most - least) - start) / dt


def snow_heat(ground: Ground, temperature: PerCell, offered: PerCell) -> PerCell:
    """What snow takes of the heat that the last linear system offers it, W m-2.

    That is what is conducted, and of the melt no less than none, for the line of a guess that melted would refreeze
    dry snow, and no more than melts it all. The rest is the air's.

    Args:
        ground: Soil and snow at the start of the step.
        temperature (cell,): Temperature of the snow's skin in the solution, K.
        offered (cell,): Heat that it is offered, W m-2.
    """
    conducted = ground.snow_conductance * (temperature - ground.snow_temperature)
    melting = smooth.smooth_positive(offered - conducted, LEAST_MELT * ground.snow_fraction + LEAST_WIDTH)
    return conducted + smooth.scaled_minimum(melting, ground.snow_melt_limit)
