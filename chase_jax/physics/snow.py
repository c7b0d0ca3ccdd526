r"""Snow on the ground: three layers per tile, each with mass, enthalpy and thickness, under an albedo that ages.

$$ \frac{dM_k}{dt} = P_k + Q_{k-1} - Q_k, \qquad
   \frac{dH_k}{dt} = P_k h_p + Q_{k-1} h_{k-1} - Q_k h_k + F_{k-1} - F_k , $$

with water Q that percolates and heat F conducted between layers; at the top P is snowfall, rain and sublimation, and F
the heat from the skin; at the base they pass to the ground. Melt, storage of liquid and refreezing follow from mass and
enthalpy (see `thermodynamics`): each layer holds liquid up to a share of its pores and lets the rest go at once.
Each settles under what lies on it. After every step the snow is dealt out anew (`snow_layers`), in thirds while it is
thin, else 5 and 20 cm on top and the rest below, so that a cold crust can lie on a base that melts.

A pack that is nearly gone covers little of the tile and so meets little heat: it fades out smoothly, and an empty pack
is a regular state. The skin itself is solved with the rest of the surface. Neglected: light below the surface, flow of
vapor and air within the pack, drifting.
All fluxes and stores are per unit area of the tile, except where "of the snow" is said.
"""

from __future__ import annotations

from typing import NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp

from chase_jax import constants as const
from chase_jax.numerics.fence import fenced
from chase_jax.numerics.layers import stack
from chase_jax.numerics.smooth import scaled_minimum
from chase_jax.physics import snow_layers as column
from chase_jax.physics import snow_properties as properties
from chase_jax.physics.snow_layers import DRY_HEAT_CAPACITY, LAYERS
from chase_jax.physics.thermodynamics import PhaseState, phase_state
from chase_jax.typing import PerCell, PerLayerCell

LITTER_CONTACT = 0.01  # 1, share of the tile by which even an empty pack touches the ground, so that it follows it
HELD_LATENT_RANGE = 2.0  # K, cooling of a layer over which its liquid counts as heat capacity towards the skin


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
    """The pack, from its uppermost layer down.

    Attributes:
        layer_water (layer, cell): Ice and liquid, kg m-2.
        layer_enthalpy (layer, cell): Enthalpy, J m-2.
        layer_thickness (layer, cell): Volume per area of the tile, m.
        albedo_visible (cell,): Diffuse albedo of its surface below 0.7 micrometer, 1.
        albedo_infrared (cell,): The same above 0.7 micrometer, 1.
    """

    layer_water: PerLayerCell
    layer_enthalpy: PerLayerCell
    layer_thickness: PerLayerCell
    albedo_visible: PerCell
    albedo_infrared: PerCell

    @property
    def water(self) -> PerCell:
        """Ice and liquid of the pack (cell,), kg m-2."""
        return jnp.sum(self.layer_water, axis=0)

    @property
    def enthalpy(self) -> PerCell:
        """Enthalpy of the pack (cell,), J m-2."""
        return jnp.sum(self.layer_enthalpy, axis=0)

    @property
    def thickness(self) -> PerCell:
        """Volume of the pack per area of the tile (cell,), m."""
        return jnp.sum(self.layer_thickness, axis=0)

    @classmethod
    def empty(cls, parameters: Parameters) -> State:
        """No snow, at the melting temperature.

        Args:
            parameters: Parameters of snow.
        """
        zero = jnp.zeros((LAYERS, *parameters.liquid_retention.shape), parameters.liquid_retention.dtype)
        return cls(zero, zero, zero, parameters.fresh_albedo_visible, parameters.fresh_albedo_infrared)

    @classmethod
    def uniform(cls, parameters: Parameters, water: PerCell, enthalpy: PerCell, thickness: PerCell) -> State:
        """A pack of one density and temperature throughout, with the albedo of fresh snow.

        Args:
            parameters: Parameters of snow.
            water (cell,): Ice and liquid of the pack, kg m-2.
            enthalpy (cell,): Enthalpy of the pack, its litter included, J m-2.
            thickness (cell,): Volume of the pack per area of the tile, m.
        """
        share = jnp.stack(column.target_shares(thickness))
        phase = phase_state(water, enthalpy, sum(DRY_HEAT_CAPACITY))
        litter = _dry(water) * (phase.temperature - const.MELTING_TEMPERATURE)
        layer_enthalpy = litter + share * (enthalpy - jnp.sum(litter, axis=0))
        fresh = parameters.fresh_albedo_visible, parameters.fresh_albedo_infrared
        return cls(share * water, layer_enthalpy, share * thickness, *fresh)


class Surface(eqx.Module):
    """What the pack shows to the skin, the light and the ground at the start of a step.

    Attributes:
        layers: Temperature, ice, liquid and specific enthalpies of the layers, leaves (layer, cell).
        cover (cell,): Fraction of the tile covered, 1.
        depth (cell,): Thickness where there is snow, m.
        temperature (cell,): Temperature that the uppermost layer would have without heat from the skin, K.
        mean_enthalpy (cell,): Specific enthalpy of the uppermost layer's water, J kg-1. Sublimating water carries it,
            which leaves the temperature of the rest as it is.
        skin_conductance (cell,): From skin to that temperature per area of the snow, the change of the layer and of
            what lies below it included, W m-2 K-1.
        conductances: Between the layers, and from the middle of the lowest to the base, per area of the snow, each
            (cell,), W m-2 K-1.
    """

    layers: PhaseState
    cover: PerCell
    depth: PerCell
    temperature: PerCell
    mean_enthalpy: PerCell
    skin_conductance: PerCell
    conductances: column.Layers


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
        wind_speed (cell,): Wind speed, m s-1.
    """

    liquid: PerCell
    liquid_heat: PerCell
    solid: PerCell
    solid_heat: PerCell
    heat: PerCell
    sublimation: PerCell
    skin_temperature: PerCell
    air_temperature: PerCell
    wind_speed: PerCell


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


def _dry(like: jax.Array) -> jax.Array:
    """Heat capacity of the litter (layer, 1), J m-2 K-1, in the precision of `like`."""
    return jnp.asarray(DRY_HEAT_CAPACITY, like.dtype)[:, None]


def diagnose(state: State) -> PhaseState:
    """Temperature, ice and liquid of the layers, leaves (layer, cell).

    Args:
        state: The pack.
    """
    return phase_state(state.layer_water, state.layer_enthalpy, _dry(state.layer_water))


def cover(state: State, vegetation_height: PerCell) -> PerCell:
    """Fraction of the tile under snow, 1.

    Args:
        state: The pack.
        vegetation_height (cell,): Cover fraction times height of the low vegetation, m; zero on ice.
    """
    return properties.cover_and_depth(state.thickness, vegetation_height)[0]


def surface(state: State, vegetation_height: PerCell, dt: float) -> Surface:
    r"""Diagnose what the pack shows at the start of a step; call it before the skin is solved.

    Heat q from the skin warms the uppermost layer to $T_1' = T_s + q\,dt / (C_1 + a)$ in a step of implicit conduction
    above a base that lets no heat pass, where $C_k$ are the capacities and a that of what lies below as felt above.

    Args:
        state: The pack.
        vegetation_height (cell,): Cover fraction times height of the low vegetation, m; zero on ice.
        dt: Step the skin will be solved for, s.

    Returns:
        The diagnosed :class:`Surface`.

    Source:
        yen1981 for the conductivity; pollard1995 for the cover.
    """
    layers = diagnose(state)
    thickness = state.thickness
    covered, depth = properties.cover_and_depth(thickness, vegetation_height)
    tiny = properties.EMPTY_THICKNESS
    share = (state.layer_thickness + tiny / LAYERS) / (thickness + tiny)
    conductivity = properties.conductivity(properties.density(state.layer_water, state.layer_thickness))
    half = 0.5 * depth * share / conductivity  # m2 K W-1
    conductances = (*(1.0 / (half[k] + half[k + 1]) for k in range(LAYERS - 1)), 1.0 / half[-1])

    # Liquid that may refreeze counts as capacity, or a skin colder than the pack would cool a wet pack too far.
    capacity = _dry(thickness) + const.SPECIFIC_HEAT_ICE * state.layer_water
    capacity = capacity + const.LATENT_HEAT_FUSION / HELD_LATENT_RANGE * layers.liquid
    contact = dt * (covered + LITTER_CONTACT)
    below, warmth_below = capacity[-1], layers.temperature[-1]
    for k in range(LAYERS - 2, -1, -1):
        below = below * (contact * conductances[k]) / (below + contact * conductances[k])  # as felt from layer k
        total = capacity[k] + below
        warmth_below = (capacity[k] * layers.temperature[k] + below * warmth_below) / total
        below = total
    return Surface(
        layers=layers,
        cover=covered,
        depth=depth,
        temperature=warmth_below,
        mean_enthalpy=layers.mean_enthalpy[0],
        skin_conductance=1.0 / (half[0] + dt * covered / below),
        conductances=conductances,
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
        essery2015 for retention and ageing, vionnet2012 for compaction.
    """
    water, enthalpy, thickness = (
        [leaf[k] for k in range(LAYERS)] for leaf in (state.layer_water, state.layer_enthalpy, state.layer_thickness)
    )
    ice = [shown.layers.frozen[k] for k in range(LAYERS)]
    ice_before = sum(ice) + dt * supply.solid

    # what the air gives and takes, at the top
    available = water[0] + dt * supply.solid
    # where there is no snow there is no demand either: it counts as one on an empty store, which has no slope, not half
    # as frost, whose slope would say that thickness without mass gathers it
    wanted = jnp.where(supply.sublimation < 0.0, 0.0, supply.sublimation)
    sublimation = supply.sublimation - wanted + scaled_minimum(wanted, 0.999 / dt * available)
    water[0] = available + dt * (supply.liquid - sublimation)
    enthalpy[0] = enthalpy[0] + dt * (
        supply.liquid_heat + supply.solid_heat + supply.heat - sublimation * shown.mean_enthalpy
    )
    ice[0] = ice[0] + dt * supply.solid
    thickness[0] = thickness[0] + dt * supply.solid / properties.fresh_density(
        supply.air_temperature, supply.wind_speed
    )

    first = phase_state(water[0], enthalpy[0], DRY_HEAT_CAPACITY[0]).temperature
    contact = shown.cover + LITTER_CONTACT
    between = [contact * conductance for conductance in shown.conductances[:-1]]
    between.append(contact / (1.0 / shown.conductances[-1] + 1.0 / ground.conductance))
    temperature = (first, *(shown.layers.temperature[k] for k in range(1, LAYERS)), ground.temperature)
    flux = column.conducted(water, enthalpy, temperature, between, ground.heat_capacity, dt)
    ground_heat = flux[-1]
    for k in range(LAYERS):
        enthalpy[k] = enthalpy[k] + dt * ((flux[k - 1] if k > 0 else 0.0) - flux[k])

    # down the pack: what melts takes volume, what refreezes fills pores, and what the pores do not hold goes on
    above = _Above(*[jnp.zeros_like(ground_heat)] * 3)
    remains, temperatures = jnp.zeros_like(ground_heat), []
    for k in range(LAYERS):
        layer = water[k], enthalpy[k], thickness[k], ice[k]
        settled, above = _settle(parameters.liquid_retention, layer, above, DRY_HEAT_CAPACITY[k], dt)
        water[k], enthalpy[k], thickness[k], frozen, warmth = settled
        remains = remains + frozen
        temperatures.append(warmth)

    fluxes = Fluxes(
        outflow=above.flow / dt,
        outflow_heat=above.flow_heat / dt,
        ground_heat=ground_heat,
        sublimation=sublimation,
        melt=(ice_before - remains) / dt - sublimation,
    )
    p, mass = parameters, state.water
    visible, infrared = (
        properties.aged_albedo(albedo, fresh, aged, supply.solid, mass, supply.skin_temperature, dt)
        for albedo, fresh, aged in (
            (state.albedo_visible, p.fresh_albedo_visible, p.aged_albedo_visible),
            (state.albedo_infrared, p.fresh_albedo_infrared, p.aged_albedo_infrared),
        )
    )
    dealt = column.dealt_out(water, enthalpy, thickness, temperatures)
    layer_water, layer_enthalpy, layer_thickness = (stack(leaf) for leaf in dealt)
    return State(layer_water, layer_enthalpy, layer_thickness, visible, infrared), fluxes


class _Above(NamedTuple):
    """What reaches a layer from above: liquid, kg m-2, its heat, J m-2, and what lies on it, kg m-2."""

    flow: PerCell
    flow_heat: PerCell
    load: PerCell


@fenced()
def _settle(
    retention: PerCell, layer: tuple[PerCell, ...], above: _Above, dry_heat_capacity: float, dt: float
) -> tuple[tuple[PerCell, ...], _Above]:
    """A layer takes the liquid from above, melts or freezes, holds what its pores hold, and is compacted.

    Args:
        retention (cell,): Share of the pores that holds liquid, 1.
        layer: Its water, kg m-2, enthalpy, J m-2, thickness, m, and ice at the start of the step, kg m-2 (cell,).
        above: What reaches it.
        dry_heat_capacity: Of its litter, J m-2 K-1.
        dt: Step, s.

    Returns:
        Water, enthalpy, thickness, ice and temperature after it, and what reaches the next layer.
    """
    water, enthalpy, thickness, ice = layer
    phase = phase_state(water + above.flow, enthalpy + above.flow_heat, dry_heat_capacity)
    thickness = jnp.minimum((phase.frozen + 1e-12) / (ice + 1e-12), 1.0) * thickness
    pores = jnp.maximum(thickness - phase.frozen / const.ICE_DENSITY, 0.0)
    held = scaled_minimum(const.WATER_DENSITY * retention * pores, phase.liquid)
    flow = phase.liquid - held
    flow_heat = flow * phase.liquid_enthalpy
    enthalpy = enthalpy + above.flow_heat - flow_heat
    water = phase.frozen + held  # rather than water less outflow, which could round to below zero
    middle = above.load + 0.5 * water
    thickness = properties.compacted(phase.frozen, held, thickness, middle, phase.temperature, dt)
    after = water, enthalpy, thickness, phase.frozen, phase.temperature
    return after, _Above(flow, flow_heat, above.load + water)
