r"""Shared formulas of a pack of layers: heat between them, and how snow is dealt out to them. No state, no step.

Layers come from the top down, one (cell,) array each, and the loops over them are unrolled.
"""

from __future__ import annotations

import functools
import itertools
import operator
from collections.abc import Sequence

import jax.numpy as jnp

from chase_jax import constants as const
from chase_jax.numerics import tridiagonal
from chase_jax.numerics.fence import fenced
from chase_jax.numerics.smooth import scaled_minimum
from chase_jax.physics.snow_properties import EMPTY_THICKNESS
from chase_jax.typing import PerCell

Layers = tuple[PerCell, ...]

# m, of the upper layers at most, whose first follows the day (pollard1995). Against eight layers in a winter at 1325 m
# in the Alps, three leave 1.5 mm in the root mean square error of the snow's mass.
UPPER_THICKNESS = (0.05, 0.20)
LAYERS = len(UPPER_THICKNESS) + 1
# J m-2 K-1, of the litter that an empty layer stands for and that keeps its temperature defined. It lies at the base;
# on top it would keep the heat that the skin of the last flakes gets.
DRY_HEAT_CAPACITY = (20.0,) * (LAYERS - 1) + (1000.0,)
SMALL_DIFFERENCE = 0.01  # K, below it the chord of the enthalpy curve turns into its frozen slope


def _enthalpy_at(water: PerCell, warmth: PerCell, dry: float) -> PerCell:
    """Enthalpy of a layer at a temperature above melting, J m-2, with the plateau spread over half a kelvin."""
    frozen = jnp.clip(0.5 - 2.0 * warmth, 0.0, 1.0) * water
    sensible = const.SPECIFIC_HEAT_WATER * (water - frozen) + const.SPECIFIC_HEAT_ICE * frozen
    return (dry + sensible) * warmth - const.LATENT_HEAT_FUSION * frozen


@fenced()
def conducted(
    water: Sequence[PerCell],
    enthalpy: Sequence[PerCell],
    temperature: Sequence[PerCell],
    conductance: Sequence[PerCell],
    ground_capacity: PerCell,
    dt: float,
) -> Layers:
    r"""Heat that flows from each layer to the next and from the last to the ground in an implicit step, W m-2.

    $$ C_k \frac{T_k' - T_k}{dt} = F_{k-1} - F_k, \qquad F_k = g_k (T_k' - T_{k+1}'), $$

    where $C_k$ is the chord of the layer's enthalpy curve, latent heat included, from here to the temperature that it
    would reach without latent heat: the tangent would let a thin melting layer become hot water within a step.

    Args:
        water (layer): Ice and liquid, kg m-2.
        enthalpy (layer): Enthalpy, J m-2.
        temperature (layer + 1): Temperature of the layers and of the ground, K.
        conductance (layer): Conductance g from each layer to the next and from the last to the ground, W m-2 K-1.
        ground_capacity (cell,): Heat capacity of the ground, J m-2 K-1.
        dt: Step, s.

    Source:
        Backward Euler; the chord is this project's.
    """
    g, off = conductance, tuple(-value for value in conductance)
    warmth = [t - const.MELTING_TEMPERATURE for t in temperature]
    dry = DRY_HEAT_CAPACITY
    floor = [(c + const.SPECIFIC_HEAT_ICE * w) / dt for c, w in zip(dry, water, strict=True)]  # W m-2 K-1, as all rates
    ground_rate = ground_capacity / dt

    def solve(rates: list[PerCell]) -> Layers:
        inner = (r + above + below for r, above, below in zip(rates[1:], g[:-1], g[1:], strict=True))
        diagonal = (rates[0] + g[0], *inner, ground_rate + g[-1])
        right = tuple(r * w for r, w in zip([*rates, ground_rate], warmth, strict=True))
        return tridiagonal.solve((off[0], *off), diagonal, (*off, off[-1]), right)

    rates = []
    for k, (start, drawn) in enumerate(zip(warmth[:-1], solve(floor)[:-1], strict=True)):
        change = jnp.abs(enthalpy[k] - _enthalpy_at(water[k], drawn, dry[k])) / dt + SMALL_DIFFERENCE * floor[k]
        rates.append(change / (jnp.abs(start - drawn) + SMALL_DIFFERENCE))
    after = solve(rates)
    return tuple(value * (upper - lower) for value, (upper, lower) in zip(g, itertools.pairwise(after), strict=True))


def target_shares(thickness: PerCell) -> Layers:
    """Share of each layer in the pack's thickness, 1: equal while the pack is thin, then the upper ones at their most.

    Args:
        thickness (cell,): Thickness of the pack, m.
    """
    room = thickness + EMPTY_THICKNESS
    shares, rest = [], jnp.ones_like(room)
    for k, limit in enumerate(UPPER_THICKNESS):
        shares.append(scaled_minimum(rest / (LAYERS - k), limit / room))
        rest = rest - shares[-1]
    return (*shares, rest)


@fenced()
def dealt_out(
    water: Sequence[PerCell], enthalpy: Sequence[PerCell], thickness: Sequence[PerCell], temperature: Sequence[PerCell]
) -> tuple[Layers, Layers, Layers]:
    """Snow dealt out to layers of their proper thickness; totals stay as they are.

    What lies between the new boundaries goes with its mass and its enthalpy; the litter stays.

    Args:
        water (layer): Ice and liquid, each (cell,), kg m-2.
        enthalpy (layer): Enthalpy, J m-2.
        thickness (layer): Thickness, m.
        temperature (layer): Temperature, K.

    Returns:
        Water, enthalpy and thickness of the new layers.

    Source:
        essery2015.
    """
    litter = [c * (t - const.MELTING_TEMPERATURE) for c, t in zip(DRY_HEAT_CAPACITY, temperature, strict=True)]
    carried = [h - dry for h, dry in zip(enthalpy, litter, strict=True)]
    total = functools.reduce(operator.add, thickness)
    bounds = [total * share for share in itertools.accumulate(target_shares(total)[:-1])]
    top, shares = jnp.zeros_like(total), []  # of each old layer in each new one
    for old in thickness:
        inverse = 1.0 / (old + EMPTY_THICKNESS)
        zero = jnp.zeros_like(top)
        above = [zero, *(jnp.clip((bound - top) * inverse, 0.0, 1.0) for bound in bounds), zero + 1.0]
        shares.append([lower - upper for upper, lower in itertools.pairwise(above)])
        top = top + old

    def deal(amounts: Sequence[PerCell]) -> Layers:
        return tuple(
            functools.reduce(operator.add, (share[k] * amount for share, amount in zip(shares, amounts, strict=True)))
            for k in range(LAYERS)
        )

    dealt = tuple(h + dry for h, dry in zip(deal(carried), litter, strict=True))
    return deal(water), dealt, deal(thickness)
