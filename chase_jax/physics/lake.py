r"""The two-dimensional diffusion wave on lake patches, one implicit step at a time.

$$ A_i \frac{dH_i}{dt} = s_i + \sum_f C_f\,(H_j - H_i), \qquad
   C_f = \frac{K_f}{L_f\,(|\nabla H|_f^2 + \epsilon^2)^{1/4}}, \qquad K_f = \frac{b_f}{n_f} h_f^{5/3} $$

over the faces f between cell i and its neighbours j, $\nabla H$ the slope of the water surface, across the face and
along it, and $h_f$ the depth of the higher side above the higher bed. The slope along the face is the mean of those of
its two cells over their wet faces; without it water would run faster along a diagonal than along the grid. With the
conductances taken as known (Picard) the step is a linear system whose matrix is symmetric and positive definite, solved
by conjugate gradients, preconditioned as :mod:`coarse` says; the conductances are then renewed at the new stages. The
last linear system also gives the discharge through each face, which moves the water: mass is conserved whatever the
iteration did. A cell is dry where it holds nothing; a lake at rest, islands included, stays at rest.

What crosses the shore comes as a source s and its linear response to the stage, from :mod:`surface_water`.
"""

from __future__ import annotations

import equinox as eqx
import jax
import jax.numpy as jnp

from chase_jax.numerics.coarse import Squares
from chase_jax.numerics.graph import EdgeList
from chase_jax.numerics.krylov import ConjugateGradient
from chase_jax.numerics.smooth import safe_divide
from chase_jax.physics import channel
from chase_jax.typing import PerEdge, PerLakeCell

PICARD_ITERATIONS = 3  # 1; each shrinks the change of stage to about 0.4 at steps of half an hour


class Geometry(eqx.Module):
    """Cells and faces of all patches; static, not differentiable.

    Attributes:
        area (lake_cell,): Area, m2.
        edges: Faces between cells, numbered on the lake axis.
        fall (lake_edge,): Bed at the tail minus bed at the head, m.
        length (lake_edge,): Distance between the two centers, m.
        width (lake_edge,): Width of the face, m.
        direction (2, lake_edge): Unit vector from tail to head in the plane of the grid, 1.
        squares: Squares of cells that speed up the solver, or `None`.
    """

    area: PerLakeCell
    edges: EdgeList
    fall: PerEdge
    length: PerEdge
    width: PerEdge
    direction: jax.Array
    squares: Squares | None = None


class Answer(eqx.Module):
    """Answer of the patches to one step.

    Attributes:
        discharge (lake_edge,): Discharge through each face, m3 s-1, from tail to head, before any limiting.
        rise (lake_cell,): Change of stage, m.
    """

    discharge: PerEdge
    rise: PerLakeCell


def conductance(roughness: PerLakeCell, geometry: Geometry, depth: PerLakeCell) -> tuple[PerEdge, PerEdge]:
    """Discharge per metre of fall of the water surface through each face, and that fall.

    Args:
        roughness (lake_cell,): Manning's n, s m-1/3, > 0; a face takes the mean of its two cells.
        geometry: Cells and faces.
        depth (lake_cell,): Depth of water, m, >= 0.

    Returns:
        Conductance (lake_edge,), m2 s-1, >= 0, and fall of the surface from tail to head (lake_edge,), m.

    Source:
        Secant form of the diffusion wave, dong2026.
    """
    tail, head = geometry.edges.tail, geometry.edges.head
    crest = jnp.maximum(-geometry.fall, 0.0)
    above = depth[tail] - crest, depth[head] - geometry.fall - crest
    upper = jnp.maximum(*above)
    wet = jnp.where(upper >= 0.0, upper, 0.0)
    carrying = channel.conveyance(wet, geometry.width, 0.5 * (roughness[tail] + roughness[head]))
    fall = above[0] - above[1]
    slope = fall / geometry.length
    along = slope_along(geometry, slope, upper > 0.0)
    steepness = slope * slope + along * along + channel.SLOPE_SMOOTHING * channel.SLOPE_SMOOTHING
    return carrying / (jnp.sqrt(jnp.sqrt(steepness)) * geometry.length), fall


def slope_along(geometry: Geometry, slope: PerEdge, wet: jax.Array) -> PerEdge:
    """Slope of the water surface along each face, from the slopes across the wet faces around its two cells.

    Args:
        geometry: Cells and faces.
        slope (lake_edge,): Slope across each face, falling from tail to head, 1.
        wet (lake_edge,): Whether water stands above the bed of the face.

    Returns:
        (lake_edge,): Slope along the face, 1; zero where no wet face turns that way.

    Source:
        Mean of the neighbors' differences, as usual on staggered grids.
    """
    edges = geometry.edges

    def mean(part: PerEdge) -> PerLakeCell:
        weight = jnp.where(wet, jnp.abs(part), 0.0)
        return safe_divide(edges.total(weight * jnp.sign(part) * slope), edges.total(weight))

    first, second = geometry.direction
    of_first, of_second = mean(first), mean(second)
    tail, head = edges.tail, edges.head
    return 0.5 * (first * (of_second[tail] + of_second[head]) - second * (of_first[tail] + of_first[head]))


def respond(
    roughness: PerLakeCell,
    geometry: Geometry,
    volume: PerLakeCell,
    source: PerLakeCell,
    response: PerLakeCell,
    dt: float,
    solver: ConjugateGradient,
    iterations: int = PICARD_ITERATIONS,
) -> Answer:
    """Stages and face discharges of one implicit step.

    Args:
        roughness (lake_cell,): Manning's n, s m-1/3, > 0.
        geometry: Cells and faces.
        volume (lake_cell,): Water in each cell, m3, >= 0.
        source (lake_cell,): Inflow if the stage stood still, m3 s-1.
        response (lake_cell,): How much of it is lost per metre of rise, m2 s-1, >= 0.
        dt: Length of the step, s.
        solver: Conjugate gradients.
        iterations: Picard iterations.

    Returns:
        The :class:`Answer`.

    Source:
        Linearised two-dimensional diffusion wave with preconditioned conjugate gradients, dong2026.
    """
    area, edges = geometry.area, geometry.edges
    start = depth = volume / area
    for iteration in range(iterations):
        conducts, fall = conductance(roughness, geometry, depth)
        standing = conducts * fall
        rise = depth - start
        right = dt * (source - response * rise - edges.divergence(standing)) - area * rise
        change, _ = solver(edges, area + dt * response, dt * conducts, right, geometry.squares)
        if iteration + 1 < iterations:
            depth = jnp.maximum(depth + change, 0.0)
    return Answer(standing + conducts * edges.difference(change), rise + change)
