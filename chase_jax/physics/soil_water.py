"""Water in the soil: what a column holds, what roots and air may take, and its step through infiltration and flow.

The flow itself, one implicit sub-step, is in soil_flow.py. Ice rests during the step; how much of the water is ice is
diagnosed from the enthalpy of the layer, which the heat step advances with the flows found here.
"""

from __future__ import annotations

from collections.abc import Callable

import equinox as eqx
import jax
import jax.numpy as jnp

from chase_jax import constants as const
from chase_jax.checks import require_choice
from chase_jax.numerics.layers import stack
from chase_jax.physics import soil_flow, soil_hydraulics
from chase_jax.physics.soil_hydraulics import LAYER_THICKNESS
from chase_jax.physics.thermodynamics import PhaseState, phase_state
from chase_jax.typing import PerCell, PerLayerCell

PORE_SPACE_FLOOR = 0.02  # 1, share of the pores that counts as free of ice even where all is frozen
PUDDLE_SHARE = 0.5  # 1, share of the ground under water when the puddle is full; LSX
STRESS_CURVATURE = 5.0  # 1, how early uptake approaches its maximum; IBIS, foley1996
TINY = 1e-9  # kg m-2


class State(eqx.Module):
    """Water and heat of the soil column, per unit area of land.

    Attributes:
        water (layer, cell): Liquid and ice, kg m-2.
        enthalpy (layer, cell): Enthalpy, zero for liquid at the melting temperature, J m-2; that of the puddle is part
            of the first layer's.
        puddle (cell,): Water on the surface, liquid and ice, kg m-2.
    """

    water: PerLayerCell
    enthalpy: PerLayerCell
    puddle: PerCell


class Fluxes(eqx.Module):
    """Flows of one step, means over it, per unit area of land.

    Attributes:
        infiltration (cell,): From the puddle into the first layer, less what came back, kg m-2 s-1.
        interface_flow (layer - 1, cell): Downward flow between layers, kg m-2 s-1.
        recharge (cell,): From the last layer to the aquifer, kg m-2 s-1.
        uptake (layer, cell): Realised uptake by roots, kg m-2 s-1.
        evaporation (cell,): Realised evaporation from first layer and puddle, kg m-2 s-1; negative for dew.
        puddle_runoff (cell,): Overflow of the puddle, kg m-2 s-1.
        exfiltration (cell,): Pushed out of the full first layer into the puddle, kg m-2 s-1.
        bypass (cell,): From the puddle straight to the aquifer, not part of infiltration and recharge, kg m-2 s-1.
    """

    infiltration: PerCell
    interface_flow: PerLayerCell
    recharge: PerCell
    uptake: PerLayerCell
    evaporation: PerCell
    puddle_runoff: PerCell
    exfiltration: PerCell
    bypass: PerCell


def diagnose(
    parameters: soil_hydraulics.Parameters, state: State, thickness: tuple[float, ...] = LAYER_THICKNESS
) -> PhaseState:
    """Temperature, ice and liquid of the layers (layer, cell), the puddle counted into the first.

    Args:
        parameters: Soil, leaves (cell,).
        state: Water and heat.
        thickness (layer): Layer thickness, m.
    """
    water = jnp.concatenate([state.water[:1] + state.puddle, state.water[1:]])
    return phase_state(water, state.enthalpy, soil_hydraulics.dry_heat_capacity(parameters, thickness))


class Stress(eqx.Module):
    """Supply of soil water to roots.

    Attributes:
        factor (cell,): Stress factor, 1 where water is plenty, 0 at the wilting point, 1.
        share (layer, cell): Share of each layer in the uptake, sums to 1 with the root fractions, 1.
        enthalpy (cell,): Specific enthalpy of the water taken up, J kg-1.
    """

    factor: PerCell
    share: PerLayerCell
    enthalpy: PerCell


def root_stress(
    parameters: soil_hydraulics.Parameters,
    phase: PhaseState,
    root_fraction: PerLayerCell,
    thickness: tuple[float, ...] = LAYER_THICKNESS,
) -> Stress:
    r"""Soil-water stress of transpiration, summed over the root profile.

    $$ F = \sum_k r_k \frac{1 - e^{-5 a_k}}{1 - e^{-5}}, \qquad a_k = \mathrm{clip}\,\frac{s_k - s_w}{s_f - s_w} . $$

    Args:
        parameters: Soil, leaves (cell,).
        phase (layer, cell): Phases of the layers.
        root_fraction (layer, cell): Share of roots r per layer, sums to 1, 1.
        thickness (layer): Layer thickness, m.

    Source:
        foley1996; liquid saturation counts, so frozen soil supplies nothing.
    """
    wilting, field = parameters.wilting_point, parameters.field_capacity
    saturation = phase.liquid / soil_hydraulics.pore_capacity(parameters, thickness)
    available = jnp.clip((saturation - wilting) / (field - wilting), 0.0, 1.0)
    supply = root_fraction * (1.0 - jnp.exp(-STRESS_CURVATURE * available)) / (1.0 - jnp.exp(-STRESS_CURVATURE))
    supply = supply + 1e-6 * root_fraction  # shares stay defined in a dry column
    total = jnp.sum(supply, axis=0)
    share = supply / jnp.maximum(total, 1e-12)
    return Stress(factor=jnp.minimum(total, 1.0), share=share, enthalpy=jnp.sum(share * phase.liquid_enthalpy, axis=0))


class SurfaceWetness(eqx.Module):
    """What limits evaporation from the ground.

    Attributes:
        availability (cell,): Share of potential evaporation the surface sustains before turbulence is considered, 1.
        pore_humidity (cell,): Relative humidity in the pores of the first layer, 1.
    """

    availability: PerCell
    pore_humidity: PerCell


def surface_wetness(
    parameters: soil_hydraulics.Parameters, state: State, temperature: PerCell, puddle_capacity: PerCell
) -> SurfaceWetness:
    r"""Wetness of the evaporating surface, puddles included.

    $$ w = z_p + (1 - z_p) s_1, \quad \beta = \mathrm{clip}\,\frac{w - s_w}{1 - s_w}, \quad
       h = \exp\frac{-g \psi_e w^{-b}}{R_v T} . $$

    Args:
        parameters: Soil, leaves (cell,).
        state: Water of the column.
        temperature (cell,): Temperature of the first layer or of the skin T, K.
        puddle_capacity (cell,): Water the puddle holds, kg m-2.

    Source:
        foley1996; philip1957 (humidity of pores).
    """
    pores = const.WATER_DENSITY * LAYER_THICKNESS[0] * parameters.porosity
    ponded = _ponded_share(state.puddle, puddle_capacity)
    wetness = ponded + (1.0 - ponded) * jnp.minimum(state.water[0] / pores, 1.0)
    dry = parameters.wilting_point
    suction = soil_hydraulics.suction(parameters, wetness)
    return SurfaceWetness(
        availability=jnp.clip((wetness - dry) / (1.0 - dry), 0.0, 1.0),
        pore_humidity=jnp.exp(-const.GRAVITY * suction / (const.GAS_CONSTANT_VAPOR * temperature)),
    )


def _ponded_share(puddle: PerCell, puddle_capacity: PerCell) -> PerCell:
    return PUDDLE_SHARE * jnp.clip(puddle / puddle_capacity, 0.0, 1.0)


def step(
    parameters: soil_hydraulics.Parameters,
    state: State,
    phase: PhaseState,
    supply: PerCell,
    evaporation: PerCell,
    uptake: PerLayerCell,
    aquifer_storage: PerCell,
    bottom: Callable[[PerCell, PerCell, PerCell], soil_flow.BottomFlow],
    puddle_capacity: PerCell,
    capacity_factor: PerCell,
    land_fraction: PerCell,
    dt: float,
    substeps: int = 4,
    flux: str = "matric_flux_potential",
    thickness: tuple[float, ...] = LAYER_THICKNESS,
    bypass_share: PerCell | float = 0.0,
) -> tuple[State, PerCell, Fluxes]:
    """Advance the water of the column; its enthalpy is left to the heat step, which needs the flows returned here.

    Args:
        parameters: Soil, leaves (cell,).
        state: Water and heat at the start.
        phase (layer, cell): Phases that :func:`diagnose` found for `state`.
        supply (cell,): Liquid that joins the puddle, kg m-2 s-1.
        evaporation (cell,): Evaporation asked of puddle and first layer, kg m-2 s-1; negative for dew.
        uptake (layer, cell): Uptake asked by roots, kg m-2 s-1, >= 0.
        aquifer_storage (cell,): Water of the aquifer, m per cell area.
        bottom: Lower boundary (saturation, ice factor, storage) -> flow with slopes: a jax.tree_util.Partial, of
            exchange.soil_aquifer for one.
        puddle_capacity (cell,): Water the puddle holds, kg m-2.
        capacity_factor (cell,): Factor on the infiltration capacity, 1.
        land_fraction (cell,): Land in the cell, 1.
        dt: Step, s.
        substeps: Sub-steps (static).
        flux: Form of the flow between layers, one of soil_flow.FLUXES (static).
        thickness (layer): Layer thickness, m (static).
        bypass_share (cell,): Share of infiltrating water that goes straight to the aquifer, 1.

    Returns:
        State with new water and puddle and the *old* enthalpy; aquifer storage, m; flows. With them, to rounding,
        sum(d water) + d puddle = dt (supply - evaporation - sum(uptake) - puddle_runoff - recharge - bypass) and
        1000 d storage = dt land_fraction (recharge + bypass).

    Source:
        campbell1974 (power laws); pollard1995 (implicit step, squeeze, puddles); the form of the flow and its limiter
        are this project's.
    """
    require_choice(flux, "flux", soil_flow.FLUXES)
    capacity = soil_hydraulics.pore_capacity(parameters, thickness)
    total = tuple(state.water)
    liquid_share = phase.liquid[0] / jnp.maximum(total[0] + state.puddle, TINY)
    ice = (total[0] * (1.0 - liquid_share), *phase.frozen[1:])
    liquid = tuple(m - i for m, i in zip(total, ice, strict=True))
    room = tuple(jnp.maximum(c - i, 0.0) for c, i in zip(capacity, ice, strict=True))

    wilted = parameters.wilting_point * capacity
    from_puddle, from_soil = _divide_evaporation(evaporation, total[0], state.puddle, capacity[0], puddle_capacity, dt)
    realised = tuple(
        jnp.minimum(u, jnp.maximum(m - w, 0.0) / dt) for u, m, w in zip(uptake, liquid, wilted, strict=True)
    )
    # roots of the first layer come after evaporation
    left = jnp.maximum(liquid[0] / dt - from_soil * liquid_share, 0.0)
    realised = (jnp.minimum(realised[0], left), *realised[1:])
    column = soil_flow.Column(
        soil=parameters,
        free=tuple(jnp.maximum(r, PORE_SPACE_FLOOR * c) for r, c in zip(room, capacity, strict=True)),
        room=room,
        mobility=tuple((r / c) * (r / c) for r, c in zip(room, capacity, strict=True)),
        sink=(realised[0] + from_soil * liquid_share, *realised[1:]),
        puddle_ice=state.puddle * (1.0 - liquid_share),
        puddle_gain=supply + jnp.maximum(-evaporation, 0.0),
        puddle_sink=from_puddle * liquid_share,
        puddle_capacity=puddle_capacity,
        capacity_factor=capacity_factor,
        land_fraction=land_fraction,
        bypass_share=jnp.asarray(bypass_share, supply.dtype),
        bottom=bottom,
        flux=flux,
        thickness=thickness,
    )

    def _body(stores, remaining):
        return soil_flow.substep(column, stores, remaining, dt / substeps), None

    zero = jnp.zeros_like(supply)
    start = soil_flow.Stores(liquid, state.puddle * liquid_share, aquifer_storage, zero, zero, zero, zero)
    remaining = dt * (1.0 - jnp.arange(substeps, dtype=supply.dtype) / substeps)
    end, _ = jax.lax.scan(jax.checkpoint(_body), start, remaining)

    # Flows between layers from the change of the stores, bottom up: exact, and cheaper than adding up sub-steps.
    flows = [end.recharge / substeps]
    for new, old, sink in zip(end.liquid[::-1], liquid[::-1], column.sink[::-1], strict=True):
        flows.append(flows[-1] + sink + (new - old) / dt)
    flows = flows[::-1]

    water = [new + i for new, i in zip(end.liquid, ice, strict=True)]
    water[0] = jnp.maximum(water[0] - dt * from_soil * (1.0 - liquid_share), 0.0)
    puddle = jnp.maximum(end.puddle + column.puddle_ice - dt * from_puddle * (1.0 - liquid_share), 0.0)
    fluxes = Fluxes(
        infiltration=flows[0],
        interface_flow=stack(flows[1:-1]),
        recharge=flows[-1],
        uptake=stack(realised),
        evaporation=from_puddle + from_soil - jnp.maximum(-evaporation, 0.0),
        puddle_runoff=end.runoff / substeps,
        exfiltration=end.exfiltration / substeps,
        bypass=end.bypass / substeps,
    )
    return State(water=stack(water), enthalpy=state.enthalpy, puddle=puddle), end.aquifer, fluxes


def _divide_evaporation(evaporation, water, puddle, pores, puddle_capacity, dt):
    """Evaporation from the puddle and from the first layer, by their shares of the surface and what they hold."""
    wanted = jnp.maximum(evaporation, 0.0)
    ponded = _ponded_share(puddle, puddle_capacity)
    bare = (1.0 - ponded) * jnp.minimum(water / pores, 1.0)
    share = ponded / jnp.maximum(ponded + bare, TINY)
    from_soil = jnp.minimum((1.0 - share) * wanted, water / dt)
    from_puddle = jnp.minimum(wanted - from_soil, puddle / dt)
    return from_puddle, jnp.minimum(wanted - from_puddle, water / dt)
