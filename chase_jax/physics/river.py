r"""The one-dimensional diffusion wave on the drainage network, one implicit step at a time.

$$ \frac{dV_i}{dt} = q_i + \sum_{c} Q_c - Q_i , \qquad Q_i = Q(h_i, h_{p(i)}) $$

with one channel per cell, c the cells that drain into i and p(i) the cell it drains into. An implicit step, linearised
about known depths, gives a system on the drainage tree,

$$ \Big(V'_i + \Delta t\,\alpha_i + \Delta t \sum_c \beta_c\Big)\delta_i - \Delta t\,\beta_i\,\delta_{p(i)}
   - \Delta t \sum_c \alpha_c\,\delta_c = V_i^n - V(h_i) + \Delta t\Big(q_i + \sum_c Q_c - Q_i\Big), $$

$\alpha$ and $-\beta$ being the derivatives of the discharge with the depths at its two ends. Of the part of them that
carries the wave onwards only the share $\theta$ is taken (:func:`_centered`): a half, centered in time, which does not
spread the wave, up to one where it passes many cells a step. The part that evens out depths is taken whole. A solver
proposes $\delta$; the discharges $Q_i + \alpha_i\delta_i - \beta_i\delta_{p(i)}$ then move the water, each leaving one
cell and entering another, so mass is conserved however good the proposal is.

Cells of two-dimensional lake patches stand on the same axis. Their depths enter the edges that cross the shore and are
frozen here; the patch answers in :mod:`lake`.
"""

from __future__ import annotations

from typing import NamedTuple, Protocol

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np

from chase_jax.checks import require, require_shape
from chase_jax.numerics import tree
from chase_jax.physics import channel
from chase_jax.typing import CellMask, PerCell

MINIMUM_OUTLET_SLOPE = 1e-5  # 1; keeps the outflow of a flat last reach above zero; choice of this project
FLOOD_DEPTH = 1.5  # 1; depth of the flood that the solver is prepared for, in depths of the banks
FLOOD_SLOPE = 1e-5  # 1; least slope of its surface
LEAST_CELERITY = 1e-3  # m s-1, of its waves


class Solver(Protocol):
    """What solves the linear system of one step for the change of depth."""

    def solve(self, forest: tree.Forest, diagonal: PerCell, up: PerCell, low: PerCell, right: PerCell) -> PerCell:
        """Solve the system of :mod:`tree`.

        Args:
            forest: The network.
            diagonal (cell,): D, m2, > 0.
            up (cell,): U, m2, >= 0.
            low (cell,): L, m2, >= 0.
            right (cell,): r, m3.

        Returns:
            (cell,): The solution, m.
        """
        ...


class Network(eqx.Module):
    """Geometry of the channels; static in time, not differentiable.

    Attributes:
        links: Every edge that the one-dimensional law serves, those across a lake shore included.
        forest: The edges between two river cells only.
        outlet (outlet,): Cells from which water leaves the domain at normal depth.
        outlet_slope (outlet,): Bed slope there, 1.
        outlet_stage (outlet,): Level of the sea above the bed there, m, >= 0; where there is none, zero.
        tidal (cell,): True at outlets where the sea stands; at the others water leaves at normal depth.
        patch (cell,): True for cells of two-dimensional lake patches.
        fall (cell,): Bed of the cell minus bed of the next cell, m; may be negative.
        crest (cell,): Height of the highest point between the two beds above the bed of the cell, m, >= 0.
        length (cell,): Distance to the next cell, m.
        channel_length (cell,): Length of the channel within the cell, m.
        fixed_area (cell,): Water area where it is not width times length (inland sinks, lakes), else 0, m2.
        cell_area (cell,): Area of the cell, m2.
    """

    links: tree.Links
    forest: tree.Forest
    outlet: jax.Array
    outlet_slope: jax.Array
    outlet_stage: jax.Array
    tidal: jax.Array
    patch: CellMask
    fall: PerCell
    crest: PerCell
    length: PerCell
    channel_length: PerCell
    fixed_area: PerCell
    cell_area: PerCell


def network(
    downstream: np.ndarray,
    bed_fall: np.ndarray,
    length: np.ndarray,
    cell_area: np.ndarray,
    outlet: np.ndarray,
    outlet_slope: np.ndarray,
    patch: np.ndarray | None = None,
    channel_length: np.ndarray | None = None,
    sill: np.ndarray | None = None,
    sea_stage: np.ndarray | None = None,
) -> Network:
    """Prepare the network; NumPy in, once per domain.

    Args:
        downstream (cell,): Index of the next cell, -1 at outlets and inland sinks.
        bed_fall (cell,): Bed of the cell minus bed of the next cell, m (anything where there is none).
        length (cell,): Distance to the next cell, m, > 0.
        cell_area (cell,): Area, m2, > 0.
        outlet (cell,): True where water leaves the domain; other cells without a next one keep their water.
        outlet_slope (cell,): Bed slope at outlets, 1 (anything elsewhere).
        patch (cell,): True for cells of two-dimensional lake patches; none by default.
        channel_length (cell,): Length of channel within the cell, m, > 0; `length` by default.
        sill (cell,): Height of a sill towards the next cell above the bed of the cell, m; none by default.
        sea_stage (cell,): Level of the sea above the bed at outlets, m, NaN where there is no sea (anything where there
            is no outlet); none by default. A sea below the bed leaves the river to fall freely.

    Returns:
        The :class:`Network`.

    Raises:
        InputError: If a shape is wrong, the links form a loop, or an outlet has a next cell.
    """
    downstream, outlet = np.asarray(downstream), np.asarray(outlet, dtype=bool)
    number = downstream.size
    fields = {"bed_fall": bed_fall, "length": length, "cell_area": cell_area, "outlet": outlet}
    for name, field in fields.items():
        require_shape(field, name, (number,))
    require(
        not (outlet & (downstream >= 0)).any(), "Argument `outlet` must mark cells without a next cell, but does not."
    )
    patch = np.zeros(number, dtype=bool) if patch is None else np.asarray(patch, dtype=bool)
    next_patch = np.where(downstream >= 0, patch[downstream], False)
    linked = np.where(patch & next_patch, -1, downstream)
    river = np.where(patch | next_patch, -1, downstream)
    fall = np.where(linked >= 0, bed_fall, 0.0)
    crest = np.maximum(-fall, 0.0 if sill is None else np.where(linked >= 0, sill, 0.0))
    keeps = patch | ((downstream < 0) & ~outlet)
    slopes = np.maximum(np.asarray(outlet_slope, dtype=float)[outlet], MINIMUM_OUTLET_SLOPE)
    stage = np.full(number, np.nan) if sea_stage is None else np.asarray(sea_stage, dtype=float)
    require_shape(stage, "sea_stage", (number,))
    return Network(
        links=tree.links(linked),
        forest=tree.forest(river),
        outlet=jnp.asarray(np.flatnonzero(outlet), dtype=jnp.int32),
        outlet_slope=jnp.asarray(slopes),
        outlet_stage=jnp.asarray(np.maximum(np.nan_to_num(stage[outlet]), 0.0)),
        tidal=jnp.asarray(outlet & ~np.isnan(stage)),
        patch=jnp.asarray(patch),
        fall=jnp.asarray(fall, dtype=float),
        crest=jnp.asarray(np.maximum(crest, 0.0), dtype=float),
        length=jnp.asarray(length, dtype=float),
        channel_length=jnp.asarray(length if channel_length is None else channel_length, dtype=float),
        fixed_area=jnp.asarray(np.where(keeps, cell_area, 0.0), dtype=float),
        cell_area=jnp.asarray(cell_area, dtype=float),
    )


class Section(eqx.Module):
    """Storage of each cell as :func:`channel.depth` takes it.

    Attributes:
        area (cell,): Water area below the banks, m2.
        bank_depth (cell,): Depth of the banks, m.
        floodplain_area (cell,): Additional area above them, m2.
    """

    area: PerCell
    bank_depth: PerCell
    floodplain_area: PerCell


def section(parameters: channel.Parameters, network: Network) -> Section:
    """Areas of channel, lake or sink and of the floodplain.

    Args:
        parameters: Channels.
        network: Geometry.
    """
    kept = network.fixed_area > 0.0
    area = jnp.where(kept, network.fixed_area, parameters.width * network.channel_length)
    spare = jnp.where(kept, 0.0, jnp.maximum(network.cell_area - area, 0.0))
    return Section(area, parameters.bank_depth, parameters.floodplain_fraction * spare)


def flow(parameters: channel.Parameters, network: Network, depth: PerCell) -> channel.EdgeFlow:
    """Linearised discharge of the edge or outlet of every cell; zero where a cell has neither.

    Water leaves the domain at normal depth, or runs out of and into the sea as between two cells.

    Args:
        parameters: Channels.
        network: Geometry.
        depth (cell,): Depth of water, m, >= 0.
    """
    roughness, links = parameters.manning_roughness, network.links
    width = jnp.minimum(parameters.width, links.at_parent(parameters.width))  # the way out of a lake is its river
    head, head_next = depth - network.crest, links.at_parent(depth) - network.fall - network.crest
    edge = channel.edge_flow(head, head_next, width, roughness, network.length)
    at = network.outlet
    ends = width[at], roughness[at]
    free, response = channel.normal_flow(depth[at], network.outlet_slope, *ends)
    # The sea stands half a reach away, over a level bed.
    held = channel.edge_flow(depth[at], network.outlet_stage, *ends, 0.5 * network.length[at])

    def place(values: PerCell, at_normal_depth: jax.Array, at_sea: jax.Array) -> PerCell:
        at_outlet = jnp.where(network.tidal[at], at_sea, at_normal_depth)
        return jnp.where(links.linked, values, 0.0).at[at].set(at_outlet, unique_indices=True)

    return channel.EdgeFlow(
        discharge=place(edge.discharge, free, held.discharge),
        to_own=place(edge.to_own, response, held.to_own),
        to_next=place(edge.to_next, jnp.zeros_like(response), held.to_next),
    )


class Proposal(eqx.Module):
    """Answer of the rivers to one step with frozen lakes.

    Attributes:
        flow: Edges, linearised about the last depths.
        discharge (cell,): Discharge over the step, m3 s-1, from the linearised edges.
        storage_slope (cell,): Storage per metre of depth dV/dh, m2.
    """

    flow: channel.EdgeFlow
    discharge: PerCell
    storage_slope: PerCell


def _centered(links: tree.Links, flow: channel.EdgeFlow, storage_slope: PerCell, dt: float) -> channel.EdgeFlow:
    r"""Edges whose response to the depth upstream counts by the share theta of the step.

    $$ \theta = \max\left(\tfrac12,\; 1 - \frac1C\right), \qquad C = \frac{\Delta t}{V'} \left|\alpha - \beta\right| $$

    C is the Courant number of the upstream cell: alpha and beta have the diffusive part in common, and one of them the
    kinematic part. The smallest theta with which a falling wave leaves no dip behind is 1 - 1/C.

    Source:
        Limit of monotony of the theta method, leveque2002; its use cell by cell is this project's.
    """
    kinematic = flow.to_own - flow.to_next
    storage = jnp.where(kinematic >= 0.0, storage_slope, links.at_parent(storage_slope))
    courant = dt * jnp.abs(kinematic) / storage
    fast = courant > 2.0
    early = kinematic * jnp.where(fast, 1.0 / jnp.where(fast, courant, 1.0), 0.5)
    down, up = jnp.where(early > 0.0, early, 0.0), jnp.where(early < 0.0, early, 0.0)
    return channel.EdgeFlow(flow.discharge, flow.to_own - down, flow.to_next + up)


def propose(
    parameters: channel.Parameters,
    network: Network,
    solver: Solver,
    volume: PerCell,
    source: PerCell,
    dt: float,
    iterations: int = 1,
) -> Proposal:
    """Discharges of one implicit step, lakes frozen, before any limiting.

    Args:
        parameters: Channels.
        network: Geometry.
        solver: Solves the linear system.
        volume (cell,): Water in each cell, m3, >= 0.
        source (cell,): Lateral inflow, m3 s-1.
        dt: Length of the step, s.
        iterations: Newton iterations; with one the step is linearised about its beginning and centered where that is
            calm, with more it is backward Euler.

    Returns:
        The :class:`Proposal`.

    Source:
        Implicit diffusion wave with one linearisation a step; conservative edge fluxes of this project.
    """
    links, sides = network.links, section(parameters, network)
    depth, slope = channel.depth(volume, sides.area, sides.bank_depth, sides.floodplain_area)
    stored = volume
    for iteration in range(iterations):
        edges = flow(parameters, network, depth)
        if iterations == 1:
            edges = _centered(links, edges, slope, dt)
        up, low = dt * jnp.where(links.linked, edges.to_next, 0.0), dt * edges.to_own
        net = source + links.sum_children(jnp.where(links.linked, edges.discharge, 0.0)) - edges.discharge
        right = volume - stored + dt * net
        diagonal = slope + low + links.sum_children(up)
        # Lakes stand still: rows of their own, with the answer zero.
        diagonal, right = jnp.where(network.patch, 1.0, diagonal), jnp.where(network.patch, 0.0, right)
        change = solver.solve(network.forest, diagonal, up, low, right)
        if iteration + 1 < iterations:
            depth = jnp.maximum(depth + change, 0.0)
            stored = channel.storage(depth, sides.area, sides.bank_depth, sides.floodplain_area)
            slope = sides.area + jnp.where(depth > sides.bank_depth, sides.floodplain_area, 0.0)
    discharge = (
        edges.discharge + edges.to_own * change - edges.to_next * jnp.where(links.linked, links.at_parent(change), 0.0)
    )
    return Proposal(edges, discharge, slope)


def flood(parameters: channel.Parameters, network: Network) -> tuple[PerCell, channel.EdgeFlow]:
    """The flood that solvers are prepared for: depth (cell,), m, and linearised discharge of the edges.

    Rivers stand 1.5 times as high as their banks, and their level reaches back into whatever lies below it: a steep
    tributary that a flat river backs up is as stiff as the river. Computed on the host.

    Args:
        parameters: Channels.
        network: Geometry.
    """
    links, fall, length = network.links, np.asarray(network.fall), np.asarray(network.length)
    linked, parent = np.asarray(links.linked), np.asarray(links.parent)
    level = FLOOD_DEPTH * np.asarray(parameters.bank_depth)
    while True:
        backed = np.where(linked, np.maximum(level, level[parent] - fall), level)
        if np.array_equal(backed, level):
            break
        level = backed
    drop = np.where(linked, fall + level - level[parent], 0.0)
    drop = np.maximum(drop, FLOOD_SLOPE * length)
    edge = channel.edge_flow(
        jnp.asarray(level), jnp.asarray(level - drop), parameters.width, parameters.manning_roughness, network.length
    )
    return jnp.asarray(level), edge


def required_sweeps(parameters: channel.Parameters, network: Network, dt: float) -> np.ndarray:
    r"""Sweeps that every cell needs in a flood: $\max(\theta\,\mathrm{CFL}, 0.65\,\lambda)$.

    CFL is how many cells a wave passes in one step and $\theta$ how much of that is implicit; $\lambda$ is how much
    more water the diffusive exchange with the neighbours moves in a step than the cell stores, both per metre of depth,
    in the flood of :func:`flood`.

    Args:
        parameters: Channels.
        network: Geometry.
        dt: Routing step, s.

    Returns:
        (cell,): Number of sweeps, 1; zero in lake patches. Computed on the host.

    Source:
        Measured by this project on channels of slope 2e-5 to 5e-3.
    """
    links = network.links
    _, edge = flood(parameters, network)
    diffusive = jnp.where(links.linked, edge.to_next, 0.0)
    kinematic = jnp.where(links.linked, edge.to_own, 0.0) - diffusive
    exchange = diffusive + links.sum_children(diffusive)
    area = section(parameters, network).area
    courant = dt * kinematic / area
    needed = jnp.maximum(jnp.maximum(0.5 * courant, courant - 1.0), 0.65 * dt * exchange / area)
    return np.asarray(jnp.where(network.patch, 0.0, needed))


class Travel(NamedTuple):
    """The way of a flood wave to an outlet, sink or lake.

    Attributes:
        passage (cell,): How long it takes to pass the cell, s.
        time (cell,): How long it takes from there to the end, s.
        variance (cell,): By how much the rivers spread it on that way, s2; the square of a standard deviation.
    """

    passage: np.ndarray
    time: np.ndarray
    variance: np.ndarray


def travel(parameters: channel.Parameters, network: Network) -> Travel:
    r"""How long a flood wave takes on its way, and how rivers spread it.

    It passes a cell of length L with the celerity $c = 5v/3$ in L / c, which adds $2 D L / c^3$ to its variance in
    time, with the hydraulic diffusivity $D = Q / (2 W S)$; v, Q and the slope S of the water are those of the flood of
    :func:`flood`.

    Args:
        parameters: Channels.
        network: Geometry.

    Returns:
        The :class:`Travel`. Computed on the host.

    Source:
        Celerity of a kinematic wave in a wide channel: chow1959, ch. 18; diffusivity and moments: hayami1951.
    """
    level, edge = flood(parameters, network)
    length, width = np.asarray(network.length), np.asarray(parameters.width)
    celerity = np.maximum(5.0 / 3.0 * np.asarray(edge.discharge) / (width * np.asarray(level)), LEAST_CELERITY)
    diffusivity = np.asarray(edge.to_next) * length / width  # Q falls by Q / (2 S L) for each metre the next cell rises
    passage = np.where(_carries(network), length / celerity, 0.0)
    time, variance = (_on_the_way(network, x) for x in (passage, 2.0 * diffusivity * length / celerity**3))
    return Travel(passage, time, variance)


def added_variance(network: Network, passage: np.ndarray, dt: float) -> np.ndarray:
    r"""Variance in time that steps add to a flood wave on its way (cell,), s2.

    Passing a cell in a time t, it gains $(2 \theta - 1)\,t\,\Delta t$ with the theta of :func:`_centered`: nothing
    where it passes at most two cells a step, and $t\,(\Delta t - 2 t)$ where it passes more.

    Args:
        network: Geometry.
        passage (cell,): Time to pass each cell, s.
        dt: Routing step, s.

    Source:
        Leading error of the theta method for a wave.
    """
    return _on_the_way(network, passage * np.maximum(dt - 2.0 * passage, 0.0))


def _carries(network: Network) -> np.ndarray:
    """Cells that a wave passes on to a next one (cell,)."""
    return np.asarray(network.links.linked) & ~np.asarray(network.patch)


def _on_the_way(network: Network, value: np.ndarray) -> np.ndarray:
    """Sum of `value` (cell,) from each cell to the end of its way (cell,)."""
    linked = _carries(network)
    end = linked.size
    next_cell = np.append(np.where(linked, np.asarray(network.links.parent), end), end)
    total = np.append(np.where(linked, value, 0.0), 0.0)
    while np.any(next_cell < end):  # after k rounds a sum covers 2^k cells
        total, next_cell = total + total[next_cell], next_cell[next_cell]
    return total[:end]
