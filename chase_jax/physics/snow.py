r"""Snow on the ground: one pack per tile with mass, enthalpy, thickness and an albedo that ages.

$$ \frac{dM}{dt} = P_s + P_l - E - Q, \qquad
   \frac{dH}{dt} = P_s h_s + P_l h_l + G - E h_e - Q h_q - G_g, $$

with snowfall $P_s$, rain on snow $P_l$, sublimation E, outflow Q at the base, heat from the skin G and heat to the
ground $G_g$. Melt, storage of liquid and refreezing follow from mass and enthalpy (see `thermodynamics`); the pack
holds liquid up to a share of its pores and lets the rest go at once. A pack that is nearly gone covers little of the
tile and so meets little heat: it fades out smoothly, and an empty pack is a regular state. The skin itself is solved
with the rest of the surface. Neglected: temperature and density profiles within the pack, light below its surface,
drifting.
All fluxes and stores are per unit area of the tile, except where "of the snow" is said.
"""

from __future__ import annotations

import equinox as eqx
import jax.numpy as jnp

from chase_jax import constants as const
from chase_jax.numerics.smooth import power, scaled_minimum
from chase_jax.physics.thermodynamics import PhaseState, phase_state
from chase_jax.typing import PerCell

DRY_HEAT_CAPACITY = 1000.0  # J m-2 K-1, of the litter an empty pack stands for; keeps its temperature defined
LITTER_CONTACT = 0.01  # 1, share of the tile by which even an empty pack touches the ground, so that it follows it
PATCH_THICKNESS = 0.05  # m, thickness of the last patches; a third of LSX's, whose limit was one of stability
BENT_HEIGHT = 0.20  # m, grass and crops bend under snow and are buried by this much, lawrence2019
HELD_LATENT_RANGE = 2.0  # K, cooling of the pack over which its liquid counts as heat capacity towards the skin
SKIN_DEPTH = 0.10  # m, largest depth over which the skin conducts: the damping depth of the daily wave in snow
CONDUCTIVITY, CONDUCTIVITY_EXPONENT = 2.224, 1.885  # W m-1 K-1 at the density of water, 1; yen1981
LOOSE_DENSITY, DENSE_DENSITY = 50.0, 900.0  # kg m-3, bounds of the pack's density
EMPTY_THICKNESS = 1e-9  # m, added so that an empty pack has the density of fresh snow
VISCOSITY = 3.7e7  # Pa s, at melting and zero density; anderson1976, as the next five
VISCOSITY_TEMPERATURE, VISCOSITY_DENSITY = 12.4, 55.6  # K, kg m-3, e-folding of viscosity
SETTLING_RATE, SETTLING_TEMPERATURE = 2.8e-6, 23.8  # s-1, K, destructive metamorphism
SETTLING_LIMIT, SETTLING_DENSITY = 150.0, 21.7  # kg m-3, density from which it slows down, e-folding
COLD_AGEING_TIME, MELTING_AGEING_TIME = 3.6e6, 3.6e5  # s, 1000 h and 100 h, essery2015
REFRESHING_SNOWFALL = 10.0  # kg m-2, snowfall that renews the albedo, essery2015
UNAGED_WATER, UNAGED_TIME = 0.1, 3600.0  # kg m-2, s; a pack of less than about this turns fresh within this time


class Parameters(eqx.Module):
    """Parameters of snow.

    Attributes:
        fresh_albedo_visible (cell,): Diffuse albedo of fresh snow below 0.7 micrometer, 1.
        fresh_albedo_infrared (cell,): The same above 0.7 micrometer, 1.
        aged_albedo_visible (cell,): Diffuse albedo of old melting snow below 0.7 micrometer, 1.
        aged_albedo_infrared (cell,): The same above 0.7 micrometer, 1.
        liquid_retention (cell,): Share of the pores that holds liquid against gravity, 1.
    """

    fresh_albedo_visible: PerCell
    fresh_albedo_infrared: PerCell
    aged_albedo_visible: PerCell
    aged_albedo_infrared: PerCell
    liquid_retention: PerCell

    @classmethod
    def default(cls, n_cells: int) -> Parameters:
        """Fresh .95 and .72, aged .70 and .35 (together .83 and .51 of sunlight); retention 3 % of the pores.

        Args:
            n_cells: Number of cells.
        """
        return cls(*(jnp.full(n_cells, value, dtype=float) for value in (0.95, 0.72, 0.70, 0.35, 0.03)))


class State(eqx.Module):
    """The pack.

    Attributes:
        water (cell,): Ice and liquid, kg m-2.
        enthalpy (cell,): Enthalpy, J m-2.
        thickness (cell,): Volume of the pack per area of the tile, m.
        albedo_visible (cell,): Diffuse albedo of its surface below 0.7 micrometer, 1.
        albedo_infrared (cell,): The same above 0.7 micrometer, 1.
    """

    water: PerCell
    enthalpy: PerCell
    thickness: PerCell
    albedo_visible: PerCell
    albedo_infrared: PerCell

    @classmethod
    def empty(cls, parameters: Parameters) -> State:
        """No snow, at the melting temperature.

        Args:
            parameters: Parameters of snow.
        """
        zero = jnp.zeros_like(parameters.liquid_retention)
        return cls(zero, zero, zero, parameters.fresh_albedo_visible, parameters.fresh_albedo_infrared)


class Surface(eqx.Module):
    """What the pack shows to the skin, the light and the ground at the start of a step.

    Attributes:
        phase (cell,): Temperature, ice, liquid and specific enthalpies of the pack. Sublimating water carries
            `phase.mean_enthalpy`, which leaves the temperature of the rest as it is.
        cover (cell,): Fraction of the tile covered, 1.
        depth (cell,): Thickness where there is snow, m.
        skin_conductance (cell,): From skin to pack per area of the snow, the pack's change included, W m-2 K-1.
        base_conductance (cell,): From the pack's middle to its base per area of the snow, W m-2 K-1.
    """

    phase: PhaseState
    cover: PerCell
    depth: PerCell
    skin_conductance: PerCell
    base_conductance: PerCell


class Supply(eqx.Module):
    """What reaches the pack during a step.

    Attributes:
        liquid (cell,): Rain and drip on the covered fraction, kg m-2 s-1.
        liquid_heat (cell,): Its enthalpy, W m-2.
        solid (cell,): Snowfall, kg m-2 s-1.
        solid_heat (cell,): Its enthalpy, W m-2.
        heat (cell,): Heat from the skin, conducted and melting, W m-2.
        sublimation (cell,): Wanted by the skin, to the air, kg m-2 s-1; negative where frost forms.
        skin_temperature (cell,): Temperature of the snow's skin, K.
        air_temperature (cell,): Air temperature, K.
    """

    liquid: PerCell
    liquid_heat: PerCell
    solid: PerCell
    solid_heat: PerCell
    heat: PerCell
    sublimation: PerCell
    skin_temperature: PerCell
    air_temperature: PerCell


class Ground(eqx.Module):
    """The layer of soil or ice under the pack.

    Attributes:
        temperature (cell,): Its temperature, K.
        heat_capacity (cell,): Its apparent heat capacity per area of the tile, J m-2 K-1.
        conductance (cell,): From its surface to its middle, W m-2 K-1.
    """

    temperature: PerCell
    heat_capacity: PerCell
    conductance: PerCell


class Fluxes(eqx.Module):
    """What leaves the pack.

    Attributes:
        outflow (cell,): Liquid to the ground, kg m-2 s-1.
        outflow_heat (cell,): Its enthalpy, W m-2.
        ground_heat (cell,): Heat conducted to the ground, W m-2.
        sublimation (cell,): Realised, to the air, kg m-2 s-1.
        melt (cell,): Ice melted less liquid refrozen, kg m-2 s-1; a diagnostic.
    """

    outflow: PerCell
    outflow_heat: PerCell
    ground_heat: PerCell
    sublimation: PerCell
    melt: PerCell


def local_depth(thickness: PerCell, vegetation_height: PerCell) -> PerCell:
    r"""Thickness of the pack where there is snow.

    $$ V = f\,[d_0 + (d_1 - d_0) f], \qquad V/f = d_0/2 + \sqrt{(d_0/2)^2 + (d_1 - d_0) V} . $$

    Args:
        thickness (cell,): Volume of the pack per area of the tile V, m.
        vegetation_height (cell,): Cover fraction times height of the low vegetation, m; $d_1$ is this within 0.1, 0.2.

    Returns:
        (cell,): Depth V / f, m, never below 0.05.

    Source:
        pollard1995; $d_0$ and the upper bound of $d_1$ are smaller here.
    """
    full = jnp.clip(vegetation_height, 2.0 * PATCH_THICKNESS, BENT_HEIGHT)
    half = 0.5 * PATCH_THICKNESS
    return half + jnp.sqrt(half * half + (full - PATCH_THICKNESS) * thickness)


def density(water: PerCell, thickness: PerCell) -> PerCell:
    """Density of the pack, ice and liquid, between 50 and 900; an empty pack has 100 kg m-3.

    Args:
        water (cell,): Ice and liquid, kg m-2.
        thickness (cell,): Thickness, m.
    """
    fresh = 100.0
    return jnp.clip((water + fresh * EMPTY_THICKNESS) / (thickness + EMPTY_THICKNESS), LOOSE_DENSITY, DENSE_DENSITY)


def fresh_density(air_temperature: PerCell) -> PerCell:
    r"""Density of falling snow, $67.9 + 51.3\, e^{T_c/2.6}$, kg m-3, constant above +1 °C.

    Args:
        air_temperature (cell,): Air temperature, K.

    Source:
        hedstrom1998, eq. 10.
    """
    return 67.92 + 51.25 * jnp.exp(jnp.minimum(air_temperature - 273.15, 1.0) / 2.59)


def diagnose(state: State) -> PhaseState:
    """Temperature, ice and liquid of the pack.

    Args:
        state: The pack.
    """
    return phase_state(state.water, state.enthalpy, DRY_HEAT_CAPACITY)


def surface(state: State, vegetation_height: PerCell, dt: float) -> Surface:
    """Diagnose what the pack shows at the start of a step; call it before the skin is solved.

    Args:
        state: The pack.
        vegetation_height (cell,): Cover fraction times height of the low vegetation, m; zero on ice.
        dt: Step the skin will be solved for, s.

    Returns:
        The diagnosed :class:`Surface`.

    Source:
        yen1981 for the conductivity; pollard1995 for the cover.
    """
    phase = diagnose(state)
    depth = local_depth(state.thickness, vegetation_height)
    cover = scaled_minimum(state.thickness / depth, jnp.ones_like(depth))
    conductivity = CONDUCTIVITY * power(density(state.water, state.thickness) / 1000.0, CONDUCTIVITY_EXPONENT)
    half_depth = 0.5 * depth
    # Liquid that may refreeze counts as capacity, or a skin colder than the pack would cool a wet pack too far.
    capacity = DRY_HEAT_CAPACITY + const.SPECIFIC_HEAT_ICE * state.water
    capacity = capacity + const.LATENT_HEAT_FUSION / HELD_LATENT_RANGE * phase.liquid
    resistance = scaled_minimum(half_depth, jnp.full_like(depth, SKIN_DEPTH)) / conductivity
    return Surface(
        phase=phase,
        cover=cover,
        depth=depth,
        skin_conductance=1.0 / (resistance + dt * cover / capacity),
        base_conductance=conductivity / half_depth,
    )


def step(
    parameters: Parameters, state: State, shown: Surface, supply: Supply, ground: Ground, dt: float
) -> tuple[State, Fluxes]:
    """Advance the pack.

    Water: d(water) = dt (liquid + solid - sublimation - outflow).
    Energy: d(enthalpy) = dt (liquid_heat + solid_heat + heat - sublimation * mean_enthalpy - outflow_heat
    - ground_heat), with the mean enthalpy of `shown` and the sublimation realised.

    Args:
        parameters: Parameters of snow.
        state: The pack at the start of the step.
        shown: :func:`surface` of that state.
        supply: What reaches it.
        ground: What lies under it.
        dt: Step, s.

    Source:
        essery2015 for retention and ageing, anderson1976 for compaction.
    """
    available = state.water + dt * supply.solid
    wanted = jnp.maximum(supply.sublimation, 0.0)
    sublimation = supply.sublimation - wanted + scaled_minimum(wanted, 0.999 / dt * available)
    water = available + dt * (supply.liquid - sublimation)
    enthalpy = state.enthalpy + dt * (
        supply.liquid_heat + supply.solid_heat + supply.heat - sublimation * shown.phase.mean_enthalpy
    )

    ground_heat = _heat_to_ground(water, enthalpy, shown, ground, dt)
    enthalpy = enthalpy - dt * ground_heat
    phase = phase_state(water, enthalpy, DRY_HEAT_CAPACITY)

    ice_before = shown.phase.frozen + dt * supply.solid
    loss = jnp.minimum((phase.frozen + 1e-12) / (ice_before + 1e-12), 1.0)  # melt takes volume, refreezing fills pores
    thickness = loss * (state.thickness + dt * supply.solid / fresh_density(supply.air_temperature))
    pores = jnp.maximum(thickness - phase.frozen / const.ICE_DENSITY, 0.0)
    held = scaled_minimum(phase.liquid, const.WATER_DENSITY * parameters.liquid_retention * pores)
    remaining = phase.frozen + held  # rather than water less outflow, which could round to below zero
    outflow = (water - remaining) / dt
    outflow_heat = outflow * phase.liquid_enthalpy
    enthalpy = enthalpy - dt * outflow_heat

    visible, infrared = _aged_albedo(parameters, state, supply, dt)
    fluxes = Fluxes(
        outflow=outflow,
        outflow_heat=outflow_heat,
        ground_heat=ground_heat,
        sublimation=sublimation,
        melt=(ice_before - phase.frozen) / dt - sublimation,
    )
    thickness = _compacted(remaining, thickness, phase.temperature, dt)
    return State(remaining, enthalpy, thickness, visible, infrared), fluxes


def _heat_to_ground(water: PerCell, enthalpy: PerCell, shown: Surface, ground: Ground, dt: float) -> PerCell:
    """Heat exchanged by pack and ground in one step, at most what brings both to one temperature."""
    temperature = phase_state(water, enthalpy, DRY_HEAT_CAPACITY).temperature
    warmth = ground.temperature - const.MELTING_TEMPERATURE
    frozen = jnp.clip(0.5 - 2.0 * warmth, 0.0, 1.0) * water
    sensible = const.SPECIFIC_HEAT_WATER * (water - frozen) + const.SPECIFIC_HEAT_ICE * frozen
    at_ground_temperature = (DRY_HEAT_CAPACITY + sensible) * warmth - const.LATENT_HEAT_FUSION * frozen
    # The capacity is the chord of the enthalpy curve from here to the ground's temperature, latent heat included:
    # the tangent would let a thin melting pack become hot water within a step.
    difference, small = temperature - ground.temperature, 0.01
    floor = DRY_HEAT_CAPACITY + const.SPECIFIC_HEAT_ICE * water
    capacity = (jnp.abs(enthalpy - at_ground_temperature) + small * floor) / (jnp.abs(difference) + small)
    conductance = (shown.cover + LITTER_CONTACT) / (1.0 / shown.base_conductance + 1.0 / ground.conductance)
    return difference * conductance / (1.0 + conductance * dt * (1.0 / capacity + 1.0 / ground.heat_capacity))


def _compacted(water: PerCell, thickness: PerCell, temperature: PerCell, dt: float) -> PerCell:
    """Thickness after settling under half the pack's own weight and by destructive metamorphism."""
    packed = density(water, thickness)
    warmth = jnp.minimum(temperature - const.MELTING_TEMPERATURE, 0.0)
    load = 0.5 * const.GRAVITY * water / VISCOSITY
    rate = load * jnp.exp(warmth / VISCOSITY_TEMPERATURE - packed / VISCOSITY_DENSITY) + SETTLING_RATE * jnp.exp(
        warmth / SETTLING_TEMPERATURE - jnp.maximum(packed - SETTLING_LIMIT, 0.0) / SETTLING_DENSITY
    )
    return jnp.clip(thickness / (1.0 + dt * rate), water / DENSE_DENSITY, water / LOOSE_DENSITY)


def _aged_albedo(parameters: Parameters, state: State, supply: Supply, dt: float) -> tuple[PerCell, PerCell]:
    """Albedos relaxed towards old snow, and towards fresh snow by snowfall or where there was next to none."""
    melting = jnp.clip(supply.skin_temperature - const.MELTING_TEMPERATURE + 1.0, 0.0, 1.0)
    ageing = (1.0 - melting) / COLD_AGEING_TIME + melting / MELTING_AGEING_TIME
    empty = UNAGED_WATER / (UNAGED_WATER + state.water)
    renewal = supply.solid / REFRESHING_SNOWFALL + empty / UNAGED_TIME
    kept = jnp.exp(-dt * (ageing + renewal))
    weight = renewal / (ageing + renewal)
    p = parameters
    visible = p.aged_albedo_visible + weight * (p.fresh_albedo_visible - p.aged_albedo_visible)
    infrared = p.aged_albedo_infrared + weight * (p.fresh_albedo_infrared - p.aged_albedo_infrared)
    return visible + (state.albedo_visible - visible) * kept, infrared + (state.albedo_infrared - infrared) * kept
