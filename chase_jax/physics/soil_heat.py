r"""Heat in the soil: conduction, heat carried by water, freezing and thawing in enthalpy form.

$$ \frac{dH_k}{dt} = Q_{k-1/2} - Q_{k+1/2} - U_k h_k, \qquad
   Q_{k+1/2} = g_{k+1/2} (T_k - T_{k+1}) + F_{k+1/2}\, h_{up}, \qquad h = c_w (T - T_m) $$

with conductances g of half layers in series, water flows F of the soil-water step and the liquid enthalpy of the layer
they come from. Temperature follows from enthalpy and water, so freezing and thawing need no terms of their own, and
the apparent heat capacity dH/dT carries the latent heat through the Newton iterations. Stores are updated by the heat
flows of the last linear system: energy is exact whatever the iteration left over. No heat is conducted through the
bottom.
"""

from __future__ import annotations

import itertools

import equinox as eqx
import jax
import jax.numpy as jnp

from chase_jax import constants as const
from chase_jax.numerics import tridiagonal
from chase_jax.numerics.fence import fenced
from chase_jax.numerics.layers import stack
from chase_jax.physics import soil_hydraulics
from chase_jax.physics.soil_hydraulics import LAYER_THICKNESS
from chase_jax.physics.thermodynamics import PhaseState, phase_state
from chase_jax.typing import PerCell, PerLayerCell

ITERATIONS = 2  # Newton iterations; the first needs no new diagnosis of phases

Layers = tuple[jax.Array, ...]


class Conduction(eqx.Module):
    """What the column offers to heat from above in the coming step.

    Attributes:
        between (layer - 1): Conductance between neighbouring layers, W m-2 K-1.
        skin (cell,): Conductance from the surface to the middle of the first layer, W m-2 K-1.
        temperature (cell,): Temperature of the first layer at the end of the step if no heat entered, K.
        heat_capacity (cell,): Heat that warms it by one kelvin above that in this step, what the layers below draw off
            included, J m-2 K-1.
    """

    between: Layers
    skin: PerCell
    temperature: PerCell
    heat_capacity: PerCell


def conduction(
    parameters: soil_hydraulics.Parameters,
    phase: PhaseState,
    dt: float,
    thickness: tuple[float, ...] = LAYER_THICKNESS,
) -> Conduction:
    r"""Conductances and the implicit response of the column to heat at its surface.

    Elimination from the bottom upward gives the first layer's temperature at the end of the step as
    $T_1 = T_f + G\,dt / C$, linear in the heat G it receives. A skin that exchanges heat with a store of temperature
    $T_f$ and heat capacity C, implicit in that store, is then implicit in the whole column.

    Args:
        parameters: Soil, leaves (cell,).
        phase (layer, cell): Phases at the start of the step, puddle counted into the first layer.
        dt: Step, s.
        thickness (layer): Layer thickness, m (static).

    Source:
        foley1996 (conductivity, half layers in series).
    """
    pores = [const.WATER_DENSITY * dz for dz in thickness]
    conductivity = [
        soil_hydraulics.thermal_conductivity(
            parameters,
            jnp.minimum(phase.liquid[k] / pores[k], parameters.porosity),
            jnp.minimum(phase.frozen[k] / pores[k], parameters.porosity),
        )
        for k in range(len(thickness))
    ]
    resistance = [0.5 * dz / c for dz, c in zip(thickness, conductivity, strict=True)]
    between = tuple(1.0 / (a + b) for a, b in itertools.pairwise(resistance))

    free, response = phase.temperature[-1], dt / phase.heat_capacity[-1]
    for k in range(len(thickness) - 2, -1, -1):
        coupling = 1.0 / (1.0 / between[k] + response)
        inertia = phase.heat_capacity[k] / dt
        response = 1.0 / (inertia + coupling)
        free = (inertia * phase.temperature[k] + coupling * free) * response
    return Conduction(
        between=between,
        skin=1.0 / resistance[0],
        temperature=free,
        heat_capacity=dt / response,
    )


class HeatFluxes(eqx.Module):
    """Heat carried out of the column by water, means over the step.

    Attributes:
        recharge_heat (cell,): With recharge and bypass to the aquifer, W m-2; negative with capillary rise.
        runoff_heat (cell,): With the overflow of the puddle, W m-2.
        uptake_heat (cell,): With the water taken by roots, W m-2.
    """

    recharge_heat: PerCell
    runoff_heat: PerCell
    uptake_heat: PerCell


@fenced(static=("iterations", "thickness"))
def step(
    parameters: soil_hydraulics.Parameters,
    enthalpy: PerLayerCell,
    water: PerLayerCell,
    phase: PhaseState,
    coupling: Conduction,
    surface_heat: PerCell,
    interface_flow: PerLayerCell,
    recharge: PerCell,
    uptake: PerLayerCell,
    puddle_runoff: PerCell,
    dt: float,
    iterations: int = ITERATIONS,
    thickness: tuple[float, ...] = LAYER_THICKNESS,
    bypass: PerCell | float = 0.0,
) -> tuple[PerLayerCell, HeatFluxes]:
    """Advance the enthalpy of the column.

    Args:
        parameters: Soil, leaves (cell,).
        enthalpy (layer, cell): Enthalpy at the start, puddle counted into the first layer, J m-2.
        water (layer, cell): Water at the *end* of the step, puddle counted into the first layer, kg m-2.
        phase (layer, cell): Phases at the start.
        coupling: What :func:`conduction` found for `phase`.
        surface_heat (cell,): All heat that enters the first layer from above: conducted from skin and snow, brought by
            the supply of the puddle, less what evaporation takes (its mass flux times its specific enthalpy), W m-2.
        interface_flow (layer - 1, cell): Downward flow of water between layers, kg m-2 s-1.
        recharge (cell,): Flow from the last layer to the aquifer, kg m-2 s-1.
        uptake (layer, cell): Water taken by roots, leaves with the liquid enthalpy of the start, kg m-2 s-1.
        puddle_runoff (cell,): Overflow of the puddle, kg m-2 s-1.
        dt: Step, s.
        iterations: Newton iterations (static).
        thickness (layer): Layer thickness, m (static).
        bypass (cell,): Flow from the puddle straight to the aquifer, kg m-2 s-1.

    Returns:
        Enthalpy at the end, J m-2, and the heat that left with water. To rounding,
        sum(d enthalpy) = dt (surface_heat - recharge_heat - runoff_heat - uptake_heat). Water that rises from the
        aquifer brings the temperature the last layer has at the start.

    Source:
        voller1987 (enthalpy method); the upstream heat of water is implicit, so that it is stable for any flow.
    """
    cw, layers = const.SPECIFIC_HEAT_WATER, range(len(thickness))
    dry = soil_hydraulics.dry_heat_capacity(parameters, thickness)
    old = tuple(phase.temperature - const.MELTING_TEMPERATURE)
    down = [cw * jnp.maximum(interface_flow[k], 0.0) for k in layers[:-1]]
    up = [cw * jnp.maximum(-interface_flow[k], 0.0) for k in layers[:-1]]
    drained, overflow = cw * jnp.maximum(recharge, 0.0), cw * (puddle_runoff + bypass)
    rising_heat = cw * jnp.maximum(-recharge, 0.0) * old[-1]
    taken = [uptake[k] * phase.liquid_enthalpy[k] for k in layers]
    source = [-t for t in taken]
    source[0], source[-1] = source[0] + surface_heat, source[-1] + rising_heat

    # heat per kelvin of the layer above that crosses an interface downward, and of the layer below upward, W m-2 K-1
    leave_down = [*(g + d for g, d in zip(coupling.between, down, strict=True)), drained]
    leave_up = [overflow, *(g + u for g, u in zip(coupling.between, up, strict=True))]

    def _heat_flows(excess):
        """Heat through the interfaces, downward, from runoff and bypass at the top to recharge at the bottom, W m-2."""
        inner = [leave_down[k] * excess[k] - leave_up[k + 1] * excess[k + 1] for k in layers[:-1]]
        return [-overflow * excess[0], *inner, drained * excess[-1]]

    lower = (jnp.zeros_like(surface_heat), *(-c for c in leave_down[:-1]))
    upper = (*(-c for c in leave_up[1:]), jnp.zeros_like(surface_heat))
    # first guess: water has moved, temperatures have not
    excess = old
    capacity = [phase.heat_capacity[k] + cw * (water[k] - phase.liquid[k] - phase.frozen[k]) for k in layers]
    capacity = [jnp.maximum(c, dry[k]) for k, c in zip(layers, capacity, strict=True)]
    estimate = [enthalpy[k] + cw * (water[k] - phase.liquid[k] - phase.frozen[k]) * old[k] for k in layers]
    for iteration in range(iterations):
        if iteration > 0:
            now = [phase_state(water[k], estimate[k], dry[k]) for k in layers]
            excess = tuple(p.temperature - const.MELTING_TEMPERATURE for p in now)
            capacity = [p.heat_capacity for p in now]
        flows = _heat_flows(excess)
        right = tuple(flows[k] - flows[k + 1] + source[k] - (estimate[k] - enthalpy[k]) / dt for k in layers)
        diagonal = tuple(capacity[k] / dt + leave_up[k] + leave_down[k] for k in layers)
        change = tridiagonal.solve(lower, diagonal, upper, right)
        estimate = [e + c * d for e, c, d in zip(estimate, capacity, change, strict=True)]
    excess = tuple(e + d for e, d in zip(excess, change, strict=True))

    flows = _heat_flows(excess)
    updated = stack([enthalpy[k] + dt * (flows[k] - flows[k + 1] + source[k]) for k in layers])
    bypass_heat = cw * bypass * excess[0]
    return updated, HeatFluxes(
        recharge_heat=flows[-1] - rising_heat + bypass_heat,
        runoff_heat=-flows[0] - bypass_heat,
        uptake_heat=sum(taken[1:], taken[0]),
    )
