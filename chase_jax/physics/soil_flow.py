r"""Shared formulas of liquid flow in a soil column: one implicit sub-step. No state of its own.

$$ \frac{dM_k}{dt} = F_{k-1/2} - F_{k+1/2} - U_k, \qquad
   F_{k+1/2} = \rho_w \phi \left[ K_g + \frac{\Phi(s_k) - \Phi(s_{k+1})}{(\Delta z_k + \Delta z_{k+1})/2} \right] $$

with the matric flux potential $\Phi$ and $\phi = (1 - \max f_{ice})^2$. Gravity is upstream, $K_g = K(s_k)$, where
the upper layer is the wetter. On thick layers this form lets wetting fronts through, which interpolated saturations
(LSX's form, kept as an option) block. Where the lower layer is the wetter, $K_g$ is the mean of K over suction,

$$ K_g = \frac{\Phi(s_{k+1}) - \Phi(s_k)}{\psi(s_k) - \psi(s_{k+1})}, \qquad F_{k+1/2} \le \rho_w \phi K(s_k), $$

with which water at rest stays at rest on any layers. Steady flow between two points never exceeds the bound, which
also makes the flow rise with the saturation above and fall with that below. A sub-step is
one Newton iteration of the implicit equations, together with the infiltration capacity above and the storage of the
aquifer below. The *flows* of the linear system are then limited to the water their donors have, and the stores are
updated by these flows: mass is exact and no store is ever negative, whatever the iteration left over. Water that does
not fit into a layer is passed upward, at last to the puddle. Ice rests and takes pore space.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

import equinox as eqx
import jax
import jax.numpy as jnp

from chase_jax import constants as const
from chase_jax.numerics import smooth, tridiagonal
from chase_jax.numerics.fence import fenced
from chase_jax.physics import soil_hydraulics
from chase_jax.typing import PerCell

FLUXES = ("matric_flux_potential", "interpolated_saturation")
INFILTRATION_WIDTH = 0.01 / 3600.0  # kg m-2 s-1, bend between supply and capacity
LEAST_DIFFUSIVITY = 1e-9  # m2 s-1, of the interpolated form; LSX
TINY = 1e-9  # kg m-2
NEAR = 1e-3  # 1, relative difference of suctions below which their potentials' difference is not divided by it

Layers = tuple[jax.Array, ...]


class BottomFlow(Protocol):
    """What the lower boundary returns."""

    flux: PerCell  # kg m-2 s-1, downward
    saturation_slope: PerCell  # kg m-2 s-1
    storage_slope: PerCell  # kg m-3 s-1


class Column(eqx.Module):
    """What stays the same during the sub-steps of a step.

    Attributes:
        soil: Soil, leaves (cell,).
        free (layer): Pore space free of ice, floored, the denominator of saturation, kg m-2.
        room (layer): Pore space free of ice, kg m-2.
        mobility (layer): Factor by which ice reduces conductivity, 1.
        sink (layer): Liquid taken by roots and, in the first layer, by evaporation, kg m-2 s-1.
        puddle_ice (cell,): Ice on the surface, kg m-2.
        puddle_gain (cell,): Supply and dew, kg m-2 s-1.
        puddle_sink (cell,): Liquid evaporated from the puddle, kg m-2 s-1.
        puddle_capacity (cell,): Water the puddle holds, kg m-2.
        capacity_factor (cell,): Factor on the infiltration capacity, 1.
        land_fraction (cell,): Land in the cell, 1.
        bypass_share (cell,): Share of infiltrating water that goes straight to the aquifer, 1.
        bottom: Lower boundary: (saturation, mobility, aquifer storage) -> flow with slopes, as a jax.tree_util.Partial.
        flux: Form of the flow between layers, one of FLUXES (static).
        thickness (layer): Layer thickness, m (static).
    """

    soil: soil_hydraulics.Parameters
    free: Layers
    room: Layers
    mobility: Layers
    sink: Layers
    puddle_ice: PerCell
    puddle_gain: PerCell
    puddle_sink: PerCell
    puddle_capacity: PerCell
    capacity_factor: PerCell
    land_fraction: PerCell
    bypass_share: PerCell
    bottom: Callable[[PerCell, PerCell, PerCell], BottomFlow]
    flux: str = eqx.field(static=True)
    thickness: tuple[float, ...] = eqx.field(static=True)


class Stores(eqx.Module):
    """What a sub-step advances.

    Attributes:
        liquid (layer): Liquid of the layers, kg m-2.
        puddle (cell,): Liquid on the surface, kg m-2.
        aquifer (cell,): Water of the aquifer, m per cell area.
        recharge (cell,): Flow to the aquifer summed over the sub-steps so far, kg m-2 s-1.
        runoff (cell,): Overflow of the puddle, the same.
        exfiltration (cell,): Water pushed up into the puddle, the same.
        bypass (cell,): Flow from the puddle straight to the aquifer, the same.
    """

    liquid: Layers
    puddle: PerCell
    aquifer: PerCell
    recharge: PerCell
    runoff: PerCell
    exfiltration: PerCell
    bypass: PerCell


@fenced()
def substep(column: Column, stores: Stores, remaining: jax.Array, h: float) -> Stores:
    """One implicit sub-step of the column.

    Args:
        column: What stays the same during the step.
        stores: Water at its start.
        remaining: Time to the end of the step, this sub-step included, s.
        h: Length of the sub-step, s.
    """
    parameters, liquid, puddle, storage = column.soil, stores.liquid, stores.puddle, stores.aquifer
    floor = soil_hydraulics.SATURATION_FLOOR
    saturation = tuple(jnp.clip(m / f, floor, 1.0) for m, f in zip(liquid, column.free, strict=True))
    functions = tuple(soil_hydraulics.flow_functions(parameters, s) for s in saturation)

    flow, by_upper, by_lower = _FORMS[column.flux](column, saturation, functions)
    below = column.bottom(saturation[-1], column.mobility[-1], storage)
    # the storage of the aquifer is eliminated from the implicit equations
    damping = 1.0 / (1.0 - below.storage_slope * column.land_fraction * h / const.WATER_DENSITY)
    flow, by_upper = (*flow, below.flux * damping), (*by_upper, below.saturation_slope * damping)

    # evaporation still to come is set aside, and so is uptake below: their sum was limited at the start of the step
    ponded = jnp.maximum(puddle - remaining * column.puddle_sink, 0.0)
    offered = ponded / h + column.puddle_gain
    entering, entering_slope = _infiltration(column, offered, functions[0])

    kept_in = 1.0 - column.bypass_share
    change = _solve_changes(column, flow, by_upper, by_lower, kept_in * entering, kept_in * entering_slope, h)
    infiltrating = jnp.clip(entering + entering_slope * change[0], 0.0, offered)
    bypass = column.bypass_share * infiltrating
    entering = infiltrating - bypass
    linear = [
        f + du * change[k] + dl * change[k + 1]
        for k, (f, du, dl) in enumerate(zip(flow[:-1], by_upper[:-1], by_lower, strict=True))
    ]
    linear.append(flow[-1] + by_upper[-1] * change[-1])
    linear[-1] = jnp.maximum(linear[-1], -storage * const.WATER_DENSITY / (h * jnp.maximum(column.land_fraction, 1e-6)))
    spare = tuple(jnp.maximum(m - remaining * u, 0.0) for m, u in zip(liquid, column.sink, strict=True))
    limited = _limit_to_donors(spare, entering, linear, h)

    inflow = (entering, *limited[:-1])
    updated = [m + h * (i - o - u) for m, i, o, u in zip(liquid, inflow, limited, column.sink, strict=True)]
    squeezed = jnp.zeros_like(puddle)
    for k in range(len(updated) - 1, -1, -1):
        filled = updated[k] + squeezed
        squeezed = jnp.maximum(filled - column.room[k], 0.0)
        updated[k] = jnp.maximum(filled - squeezed, 0.0)

    puddle = puddle + h * (column.puddle_gain - column.puddle_sink - infiltrating) + squeezed
    kept = jnp.maximum(remaining - h, 0.0) * column.puddle_sink
    overflow = jnp.clip(puddle + column.puddle_ice - column.puddle_capacity, 0.0, jnp.maximum(puddle - kept, 0.0))
    gain = column.land_fraction * (limited[-1] + bypass) / const.WATER_DENSITY
    storage = jnp.maximum(storage + h * gain, 0.0)
    return Stores(
        liquid=tuple(updated),
        puddle=jnp.maximum(puddle - overflow, 0.0),
        aquifer=storage,
        recharge=stores.recharge + limited[-1],
        runoff=stores.runoff + overflow / h,
        exfiltration=stores.exfiltration + squeezed / h,
        bypass=stores.bypass + bypass,
    )


@fenced()
def _infiltration(column, offered, first):
    """Infiltration into the first layer and its slope by saturation: the smooth lesser of offer and capacity."""
    soil, half = column.soil, 0.5 * column.thickness[0]
    scale = const.WATER_DENSITY * column.capacity_factor * column.mobility[0]
    drive = soil_hydraulics.saturated_potential(soil) - first.potential
    capacity = scale * (soil.saturated_conductivity + drive / half)
    difference = offered - capacity
    weight = 0.5 + 0.5 * difference / jnp.sqrt(difference * difference + INFILTRATION_WIDTH * INFILTRATION_WIDTH)
    return smooth.smooth_minimum(offered, capacity, INFILTRATION_WIDTH), -weight * scale * first.potential_slope / half


@fenced()
def _matric_flux_potential(column, saturation, functions):
    """Downward flow between layers, kg m-2 s-1, and its slopes by the saturations above and below."""
    thickness, mobility = column.thickness, column.mobility
    flow, by_upper, by_lower = [], [], []
    for k in range(len(thickness) - 1):
        upper, lower = functions[k], functions[k + 1]
        factor = const.WATER_DENSITY * jnp.minimum(mobility[k], mobility[k + 1])
        inverse = 2.0 / (thickness[k] + thickness[k + 1])
        gravity = _gravity(upper, lower, inverse, saturation[k] < saturation[k + 1])
        flow.append(factor * (gravity + inverse * (upper.potential - lower.potential)))
        # gravity as if it were the upper layer's: a slope that jumps where the order of the two layers changes would
        # make the step jump, too
        by_upper.append(factor * (upper.conductivity_slope + inverse * upper.potential_slope))
        by_lower.append(-factor * inverse * lower.potential_slope)
    return tuple(flow), tuple(by_upper), tuple(by_lower)


def _gravity(upper, lower, inverse, wetter_below):
    """Conductivity that gravity acts on, m s-1.

    Under a drier layer it is the upper one's. Above a wetter one it is the mean over suction, with which water at rest
    stays at rest, but no more than makes the flow that of the upper layer under gravity alone.
    """
    rise, difference = lower.potential - upper.potential, upper.suction - lower.suction
    far = difference > NEAR * lower.suction
    over = 1.0 / jnp.where(far, difference, 1.0)
    # of a cubic through both ends, where the difference of the potentials is lost in rounding
    bend = upper.conductivity_slope / upper.suction_slope - lower.conductivity_slope / lower.suction_slope
    near = 0.5 * (upper.conductivity + lower.conductivity) - difference * bend / 12.0
    mean = jnp.minimum(jnp.where(far, rise * over, near), upper.conductivity + inverse * rise)
    return jnp.where(wetter_below, mean, upper.conductivity)


def _interpolated_saturation(column, saturation, functions):
    """The same in LSX's form: conductivity and diffusivity at the saturation interpolated to the interface."""
    thickness, mobility = column.thickness, column.mobility
    flow, by_upper, by_lower = [], [], []
    for k in range(len(thickness) - 1):
        weight = thickness[k] / (thickness[k] + thickness[k + 1])
        between = weight * saturation[k] + (1.0 - weight) * saturation[k + 1]
        at = soil_hydraulics.flow_functions(column.soil, between)
        factor = const.WATER_DENSITY * jnp.minimum(mobility[k], mobility[k + 1])
        inverse = 2.0 / (thickness[k] + thickness[k + 1])
        gradient = inverse * (saturation[k + 1] - saturation[k])
        diffusivity = jnp.maximum(at.potential_slope, LEAST_DIFFUSIVITY * column.soil.porosity)
        flow.append(factor * (at.conductivity - diffusivity * gradient))
        by_upper.append(factor * (weight * at.conductivity_slope + inverse * diffusivity))
        by_lower.append(factor * ((1.0 - weight) * at.conductivity_slope - inverse * diffusivity))
    return tuple(flow), tuple(by_upper), tuple(by_lower)


_FORMS = dict(zip(FLUXES, (_matric_flux_potential, _interpolated_saturation), strict=True))


@fenced()
def _solve_changes(column, flow, by_upper, by_lower, entering, entering_slope, h):
    """Changes of saturation that make the linearised flows and the storage change agree."""
    last = len(flow) - 1
    lower, diagonal, upper, right = [], [], [], []
    for k in range(last + 1):
        from_above = entering if k == 0 else flow[k - 1]
        own = by_upper[k] - (entering_slope if k == 0 else by_lower[k - 1])
        lower.append(jnp.zeros_like(entering) if k == 0 else -by_upper[k - 1])
        diagonal.append(column.free[k] / h + own)
        upper.append(jnp.zeros_like(entering) if k == last else by_lower[k])
        right.append(from_above - flow[k] - column.sink[k])
    return tridiagonal.solve(tuple(lower), tuple(diagonal), tuple(upper), tuple(right))


@fenced()
def _limit_to_donors(spare, entering, flow, h):
    """Flows scaled so that no layer gives more than it has; the second pass counts the inflow the first allowed."""
    small = 1.0 - 16.0 * jnp.finfo(entering.dtype).eps
    down = [jnp.maximum(f, 0.0) for f in flow]
    up = [jnp.maximum(-f, 0.0) for f in flow]
    leaving = [h * (d + (up[k - 1] if k > 0 else 0.0)) for k, d in enumerate(down)]
    first = [s / jnp.maximum(jnp.maximum(s, out), TINY) for s, out in zip(spare, leaving, strict=True)]
    scale = []
    for k, out in enumerate(leaving):
        inflow = entering if k == 0 else first[k - 1] * down[k - 1]
        inflow = inflow + (first[k + 1] * up[k] if k + 1 < len(flow) else up[k])
        have = (spare[k] + h * inflow) * small
        scale.append(have / jnp.maximum(jnp.maximum(have, out), TINY))
    return [scale[k] * d - (scale[k + 1] if k + 1 < len(flow) else 1.0) * up[k] for k, d in enumerate(down)]
