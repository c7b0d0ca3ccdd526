r"""Formulas of a wide channel: storage, conveyance, discharge between two cells and what it responds to.

The flow is a diffusion wave: inertia is neglected, gravity and the slope of the water surface balance friction (Manning
or Strickler). Discharge therefore has the sign of the fall of the water surface, and backwater needs no special case.
Altitudes never enter, only falls between neighbouring beds and depths above them, so that rounding stays small in
single precision too.
"""

from __future__ import annotations

import equinox as eqx
import jax.numpy as jnp

from chase_jax.numerics.fence import fenced
from chase_jax.typing import PerCell

SLOPE_SMOOTHING = 1e-6  # 1; below this slope (1 mm per km) discharge is linear in the slope; choice of this project
DEPTH_SMOOTHING = 1e-3  # m; hydraulic radii below this count as this, which keeps derivatives finite at a dry bed


class Parameters(eqx.Module):
    """Channels; differentiable.

    Attributes:
        manning_roughness (cell,): Manning's n, s m-1/3, > 0; "rough" of dong2026.
        width (cell,): Channel width, m, > 0.
        bank_depth (cell,): Depth at which water reaches the floodplain, m, > 0.
        floodplain_fraction (cell,): Share of the cell outside the channel that is flooded above the banks, 1.
    """

    manning_roughness: PerCell
    width: PerCell
    bank_depth: PerCell
    floodplain_fraction: PerCell

    @classmethod
    def default(cls, width: PerCell, bank_depth: PerCell, manning_roughness: float = 0.035) -> Parameters:
        """Channels with one roughness and no floodplain.

        Args:
            width (cell,): Channel width, m, > 0.
            bank_depth (cell,): Depth of the banks, m, > 0.
            manning_roughness: Manning's n of all channels, s m-1/3, > 0.
        """
        width = jnp.asarray(width, dtype=float)
        return cls(
            manning_roughness=jnp.full_like(width, manning_roughness),
            width=width,
            bank_depth=jnp.asarray(bank_depth, dtype=float),
            floodplain_fraction=jnp.zeros_like(width),
        )


def depth(volume: PerCell, area: PerCell, bank_depth: PerCell, floodplain_area: PerCell) -> tuple[PerCell, PerCell]:
    r"""Depth of water, and the storage one more metre takes.

    $$ V = a\,h + a_f \max(h - h_b, 0) $$

    Args:
        volume (cell,): Volume V of water in the cell, m3, >= 0.
        area (cell,): Channel area a, m2, > 0.
        bank_depth (cell,): Depth h_b at which the floodplain begins, m.
        floodplain_area (cell,): Floodplain area a_f, m2, >= 0.

    Returns:
        Depth h (cell,), m, and dV/dh (cell,), m2.

    Source:
        Two-stage rectangular section, choice of this project.
    """
    over_bank = volume - area * bank_depth
    above = over_bank > 0.0
    slope = area + jnp.where(above, floodplain_area, 0.0)
    return jnp.where(above, bank_depth + over_bank / slope, volume / area), slope


def storage(depth: PerCell, area: PerCell, bank_depth: PerCell, floodplain_area: PerCell) -> PerCell:
    """Volume at a given depth: the inverse of :func:`depth`.

    Args:
        depth (cell,): Depth of water, m, >= 0.
        area (cell,): Channel area, m2, > 0.
        bank_depth (cell,): Depth at which the floodplain begins, m.
        floodplain_area (cell,): Floodplain area, m2, >= 0.

    Returns:
        (cell,): Volume, m3.
    """
    over_bank = depth - bank_depth
    return area * depth + floodplain_area * jnp.where(over_bank > 0.0, over_bank, 0.0)


def conveyance(depth: PerCell, width: PerCell, roughness: PerCell) -> PerCell:
    r"""Discharge per square root of slope of a rectangular section.

    $$ K = \frac{W h}{n} \left(R^2 + r_0^2\right)^{1/3}, \qquad R = \frac{W h}{W + 2 h} $$

    $r_0$ = 1 mm makes the film on a nearly dry bed flow linearly; at R = 1 m it changes K by 3e-7.

    Args:
        depth (cell,): Depth h, m, >= 0.
        width (cell,): Width W, m, > 0.
        roughness (cell,): Manning's n, s m-1/3, > 0.

    Returns:
        (cell,): Conveyance K, m3 s-1.

    Source:
        Manning's law, chow1959, eq. 5-6; the smoothing is this project's.
    """
    return _conveyance_slope(depth, width, roughness)[0]


def signed_root(slope: PerCell) -> PerCell:
    r"""Signed square root of a slope, linear through zero: $S / (S^2 + \epsilon^2)^{1/4}$, $\epsilon$ = 1e-6.

    Args:
        slope (cell,): Slope S of the water surface, 1.

    Returns:
        (cell,): The root, 1, with the sign of S.

    Source:
        Choice of this project.
    """
    return _signed_root_slope(slope)[0]


class EdgeFlow(eqx.Module):
    """Discharge of the edge that leaves each cell, with its response to the depths at both ends.

    Attributes:
        discharge (cell,): Discharge Q, m3 s-1, positive downstream.
        to_own (cell,): Derivative with the depth of the cell, m2 s-1, >= 0.
        to_next (cell,): Minus the derivative with the depth of the next cell, m2 s-1, >= 0.
    """

    discharge: PerCell
    to_own: PerCell
    to_next: PerCell


@fenced()
def edge_flow(head: PerCell, head_next: PerCell, width: PerCell, roughness: PerCell, length: PerCell) -> EdgeFlow:
    r"""Discharge between two cells over the crest between them, linearised.

    $$ Q = K(h_u)\, \frac{S}{(S^2 + \epsilon^2)^{1/4}}, \qquad S = \frac{\eta_i - \eta_j}{L}, \qquad
       h_u = \max(\eta_i, \eta_j, 0) $$

    The heads $\eta$ are water levels above the higher of the two beds (or a sill), so the conveyance takes the depth of
    the upstream side whichever way the water runs, and is zero as long as neither side reaches the crest.

    Args:
        head (cell,): Water level of the cell above the crest, m.
        head_next (cell,): Water level of the next cell above the crest, m.
        width (cell,): Channel width, m, > 0.
        roughness (cell,): Manning's n, s m-1/3, > 0.
        length (cell,): Distance L between the two cells, m, > 0.

    Returns:
        The :class:`EdgeFlow`.

    Source:
        Diffusion wave, ponce1977; upstream weighting as is usual for it, smoothing of this project.
    """
    upper = jnp.maximum(head, head_next)
    carrying, rises = _conveyance_slope(jnp.where(upper >= 0.0, upper, 0.0), width, roughness)
    rises = jnp.where(upper >= 0.0, rises, 0.0)
    slope = (head - head_next) / length
    root, root_slope = _signed_root_slope(slope)
    diffusive = carrying * root_slope / length
    kinematic = rises * root  # acts on the side that is higher
    downhill = head >= head_next
    return EdgeFlow(
        discharge=carrying * root,
        to_own=diffusive + jnp.where(downhill, kinematic, 0.0),
        to_next=diffusive - jnp.where(downhill, 0.0, kinematic),
    )


def normal_flow(depth: PerCell, slope: PerCell, width: PerCell, roughness: PerCell) -> tuple[PerCell, PerCell]:
    r"""Discharge at normal depth, $Q = K(h)\sqrt{S_b}$, and its derivative with depth.

    Args:
        depth (cell,): Depth h, m, >= 0.
        slope (cell,): Bed slope S_b, 1, > 0.
        width (cell,): Channel width, m, > 0.
        roughness (cell,): Manning's n, s m-1/3, > 0.

    Returns:
        Discharge (cell,), m3 s-1, and its derivative (cell,), m2 s-1.

    Source:
        chow1959, eq. 5-6.
    """
    root = jnp.sqrt(slope)
    carrying, rises = _conveyance_slope(depth, width, roughness)
    return carrying * root, rises * root


@fenced()
def _conveyance_slope(depth: PerCell, width: PerCell, roughness: PerCell) -> tuple[PerCell, PerCell]:
    """Conveyance and its derivative with depth, m2 s-1; dR/dh = (W / (W + 2 h))2."""
    share = width / (width + 2.0 * depth)
    radius, wide = depth * share, width / roughness
    square = radius * radius + DEPTH_SMOOTHING * DEPTH_SMOOTHING
    cube_root = _cube_root(square)
    rises = wide * cube_root * (1.0 + (2.0 / 3.0) * depth * radius * share * share / square)
    return wide * depth * cube_root, rises


@fenced()
def _signed_root_slope(slope: PerCell) -> tuple[PerCell, PerCell]:
    """Signed root of a slope and its derivative, 1."""
    square = slope * slope
    root = 1.0 / _fourth_root(square + SLOPE_SMOOTHING * SLOPE_SMOOTHING)
    return slope * root, root * (1.0 - 0.5 * square / (square + SLOPE_SMOOTHING * SLOPE_SMOOTHING))


@fenced()
def _cube_root(value: PerCell) -> PerCell:
    return jnp.exp(jnp.log(value) / 3.0)


@fenced()
def _fourth_root(value: PerCell) -> PerCell:
    return jnp.sqrt(jnp.sqrt(value))
