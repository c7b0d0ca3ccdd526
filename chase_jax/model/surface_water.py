r"""Rivers and lakes together: one volume per cell, moved by discharges that each leave one cell and enter another.

A step goes in four moves. (1) Losses are cut to what a cell holds. (2) The rivers propose discharges with the lakes
standing still. (3) The two-dimensional patches answer: their stages, and the river cells at their mouths, change
together, and the discharge across the shore is corrected accordingly. (4) One limiter over all edges keeps every
volume at or above zero, and the limited discharges move the water.

Identity, per step and cell, to rounding: V' - V = dt (realised source + inflows - outflows); over all cells the
inflows and outflows between cells cancel, and what is left is the outflow at outlets.
"""

from __future__ import annotations

import math

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np

from chase_jax.domain.domain import Domain
from chase_jax.domain.lakes import Lakes
from chase_jax.numerics import coarse
from chase_jax.numerics.graph import EdgeList, limit_outflow
from chase_jax.numerics.jacobi import Jacobi, Stiff
from chase_jax.numerics.krylov import ConjugateGradient
from chase_jax.numerics.scan import keep_solutions
from chase_jax.numerics.tree import Links, Tree
from chase_jax.physics import channel, lake, river
from chase_jax.typing import PerCell, PerEdge

LAKE_SOLVER = ConjugateGradient(tolerance=1e-10, max_steps=1000)
NO_DISCHARGE = 1e-30  # m3 s-1; smaller discharges count as none
SPREAD = 3.5 * 3600.0  # s, how much the steps of the routing may spread a wave on its way
SPREAD_SHARE = 0.01  # 1, share of the variance by which rivers spread a wave that the steps may add to that
SHORTEST_STEP, LONGEST_STEP = 300.0, 3600.0  # s, between which a routing step is chosen
FEWEST_SWEEPS, MOST_SWEEPS = 4, 1000  # between which the sweeps of Jacobi are chosen
HANDED_OVER = 0.05  # 1, share of the cells for which sweeps need not be enough: the stiffest are eliminated


class Geometry(eqx.Module):
    """Channels, lake patches and what joins them; static, not differentiable.

    Attributes:
        network: Channels.
        lake: Patches, or `None` if the domain has none.
        lake_cell (lake_cell,): Cell of each patch cell.
        mouth (mouth,): Cell whose edge crosses a shore (its upstream end).
        mouth_lake (mouth,): Lake end of that edge, on the lake axis.
        mouth_river (mouth,): River end, a cell.
        inward (mouth,): True where the river runs into the lake.
        edges: All edges over cells: first that of each cell to the next, then the faces of the patches.
    """

    network: river.Network
    lake: lake.Geometry | None
    lake_cell: jax.Array
    mouth: jax.Array
    mouth_lake: jax.Array
    mouth_river: jax.Array
    inward: jax.Array
    edges: EdgeList

    @classmethod
    def from_domain(cls, domain: Domain) -> Geometry:
        """Geometry of a domain; NumPy, once."""
        tree_, lakes = domain.drainage, domain.lakes
        network = river.network(
            downstream=np.asarray(tree_.downstream),
            bed_fall=np.asarray(domain.bed_fall),
            length=np.asarray(domain.channel_length),
            cell_area=np.asarray(domain.cell_area),
            outlet=np.asarray(tree_.outlet),
            outlet_slope=np.asarray(domain.outlet_slope),
            patch=np.asarray(lakes.member),
            sill=np.asarray(domain.sill),
            sea_stage=np.where(domain.coast, domain.bed_depth - domain.sea_depth, np.nan),
        )
        cell, grid = np.asarray(lakes.cell), domain.grid
        squares = coarse.squares(grid.row[cell], grid.column[cell], np.asarray(lakes.patch), lakes.edges)
        return cls.join(network, lakes, squares)

    @classmethod
    def join(
        cls, network: river.Network, lakes: Lakes | None = None, squares: coarse.Squares | None = None
    ) -> Geometry:
        """Channels and patches, which must be those the network was told of, and squares of their cells."""
        cells = network.fall.shape[0]
        tail, head = jnp.arange(cells, dtype=jnp.int32), network.links.parent
        none = jnp.zeros(0, jnp.int32)
        if lakes is None or lakes.cell.shape[0] == 0:
            return cls(network, None, none, none, none, none, none.astype(bool), EdgeList(tail, head, cells))
        faces = EdgeList(
            jnp.concatenate([tail, lakes.cell[lakes.edges.tail]]),
            jnp.concatenate([head, lakes.cell[lakes.edges.head]]),
            cells,
        )
        patches = lake.Geometry(
            lakes.area,
            lakes.edges,
            lakes.edge_fall,
            lakes.edge_length,
            lakes.edge_width,
            lakes.edge_direction,
            squares,
        )
        mouths = (lakes.mouth_tail, lakes.mouth_lake, lakes.mouth_river, lakes.inward)
        return cls(network, patches, lakes.cell, *mouths, faces)


class State(eqx.Module):
    """Water in channels, lakes and inland sinks.

    Attributes:
        volume (cell,): Volume of water, m3, >= 0.
    """

    volume: PerCell


class Fluxes(eqx.Module):
    """Means over the interval.

    Attributes:
        discharge (cell,): Discharge to the next cell or out of the domain, m3 s-1, negative when it runs back;
            zero inside lake patches, where water leaves on all sides.
        outflow (cell,): Discharge out of the domain, m3 s-1; zero except at outlets, negative where the sea runs in.
        unmet_loss (cell,): Part of a negative lateral inflow that found no water, m3 s-1, >= 0.
    """

    discharge: PerCell
    outflow: PerCell
    unmet_loss: PerCell


def depth(parameters: channel.Parameters, geometry: Geometry, state: State) -> PerCell:
    """Depth of water above the bed of channel, lake or sink (cell,), m."""
    sides = river.section(parameters, geometry.network)
    return channel.depth(state.volume, sides.area, sides.bank_depth, sides.floodplain_area)[0]


def step(
    parameters: channel.Parameters,
    geometry: Geometry,
    state: State,
    lateral_inflow: PerCell,
    duration: float,
    solver: Tree | Jacobi,
    lake_solver: ConjugateGradient = LAKE_SOLVER,
) -> tuple[State, Fluxes]:
    """Route the water of one interval in equal steps no longer than the solver's.

    Args:
        parameters: Channels.
        geometry: Channels and lakes.
        state: Water at the beginning.
        lateral_inflow (cell,): Runoff, seepage and rain on water less evaporation, m3 s-1, constant over the interval.
        duration: Length of the interval, s (a Python number).
        solver: Solver of the reaches and its step.
        lake_solver: Conjugate gradients of the patches.

    Returns:
        The :class:`State` at the end and the :class:`Fluxes` of the interval.
    """
    count = max(1, math.ceil(duration / solver.time_step - 1e-9))
    dt = duration / count

    def move(volume: PerCell, inflow: PerCell, parameters: channel.Parameters) -> tuple[PerCell, _Move]:
        return _substep(parameters, geometry, volume, inflow, dt, solver, lake_solver)

    move = jax.checkpoint(move, prevent_cse=False, policy=keep_solutions)

    def advance(carry: tuple[PerCell, _Move], _: None) -> tuple[tuple[PerCell, _Move], None]:
        volume, total = carry
        volume, now = move(volume, lateral_inflow, parameters)
        return (volume, jax.tree.map(jnp.add, total, now)), None

    zero = jnp.zeros_like(state.volume)
    (volume, total), _ = jax.lax.scan(advance, (state.volume, _Move(zero, zero)), None, length=count)
    discharge, at = total.discharge / count, geometry.network.outlet
    return State(volume), Fluxes(
        discharge=discharge,
        outflow=zero.at[at].set(discharge[at], unique_indices=True),
        unmet_loss=total.unmet_loss / count,
    )


class _Move(eqx.Module):
    """What one step adds to :class:`Fluxes`."""

    discharge: PerCell
    unmet_loss: PerCell


def choose_solver(
    parameters: channel.Parameters,
    geometry: Geometry,
    reach: str,
    interval: float,
    time_step: float | None = None,
    sweeps: int | None = None,
) -> tuple[Tree | Jacobi, str]:
    r"""Solver of the reaches with the step, and the sweeps, that a network calls for, and a sentence that says why.

    Steps add to the variance in time of a wave (:func:`river.added_variance`). The step is the longest that divides the
    interval and keeps this, on every way through the network, below the square of 3.5 hours and a hundredth of what the
    rivers themselves add, which counts up to $T^2/12$, an even spread over the whole time T of its travel.
    The sweeps are as few as leave no more than 5 % of the cells that need more in a flood or flow into such. These are
    eliminated among the sweeps (:class:`jacobi.Stiff`); steps in which this is not enough are eliminated as a whole.

    Args:
        parameters: Channels.
        geometry: Channels and lakes.
        reach: "tree" or "jacobi".
        interval: Time between exchanges with land and aquifer, s.
        time_step: Routing step if it is not to be chosen, s.
        sweeps: Sweeps a step if they are not to be chosen.

    Returns:
        The solver and a report for the log. Runs on the host, once; not differentiable.
    """
    network = geometry.network
    reason = ""
    if time_step is None:
        way = river.travel(parameters, network)
        allowed = SPREAD**2 + SPREAD_SHARE * np.minimum(way.variance, way.time**2 / 12.0)
        steps, most = math.ceil(interval / LONGEST_STEP - 1e-9), math.ceil(interval / SHORTEST_STEP - 1e-9)
        while steps < most:
            middle = (steps + most) // 2
            if np.all(river.added_variance(network, way.passage, interval / middle) <= allowed):
                most = middle
            else:
                steps = middle + 1
        time_step = interval / steps
        spread = math.sqrt(np.max(river.added_variance(network, way.passage, time_step), initial=0.0)) / 3600.0
        travel = np.max(way.time, initial=0.0) / 86400.0
        reason = f" (a flood wave travels up to {travel:.2g} d and is spread by {spread:.2g} h)"
    if reach == "tree":
        return Tree(time_step), f"Reaches: exact elimination in steps of {time_step:g} s{reason}."
    needed = river.required_sweeps(parameters, network, time_step)
    if sweeps is None:
        sweeps, enough = FEWEST_SWEEPS, MOST_SWEEPS
        while sweeps < enough:
            middle = (sweeps + enough) // 2
            if _handed_over(network.links, needed, middle).sum() <= HANDED_OVER * needed.size:
                enough = middle
            else:
                sweeps = middle + 1
    stiff = _handed_over(network.links, needed, sweeps)
    most = needed.max(initial=0.0)
    return Jacobi(time_step, sweeps, stiff=Stiff.of(network.links, stiff)), (
        f"Reaches: {sweeps} sweeps in steps of {time_step:g} s{reason}; {int(stiff.sum())} of {needed.size} cells "
        f"would need more in a flood, up to {most:.0f}, or flow into such, and are solved by elimination."
    )


def _handed_over(links: Links, needed: np.ndarray, sweeps: int) -> np.ndarray:
    """Cells (cell,) for which sweeps are not enough, and those that flow into them.

    What a tributary's last cell exchanges with a stiff river is large beside what it stores, also where it would need
    few sweeps itself: eliminated by turns, the two would come to terms slowly.

    Args:
        links: The network.
        needed (cell,): Sweeps that each needs.
        sweeps: Sweeps there are.
    """
    stiff = needed > sweeps
    return stiff | (np.asarray(links.linked) & stiff[np.asarray(links.parent)])


def _substep(
    parameters: channel.Parameters,
    geometry: Geometry,
    volume: PerCell,
    lateral_inflow: PerCell,
    dt: float,
    solver: Tree | Jacobi,
    lake_solver: ConjugateGradient,
) -> tuple[PerCell, _Move]:
    """One step of :func:`step`."""
    network = geometry.network
    linked = network.links.linked
    hair = 16.0 * jnp.finfo(volume.dtype).eps  # rounding must not leave a cell at minus one ulp
    most = -volume / dt * (1.0 - hair)
    source = jnp.where(lateral_inflow > most, lateral_inflow, most)
    proposal = river.propose(parameters, network, solver, volume, source, dt, solver.iterations)
    discharge, between_lakes = _answer(parameters, geometry, volume, source, proposal, dt, lake_solver)
    between = jnp.concatenate([jnp.where(linked, discharge, 0.0), between_lakes])
    leaving = jnp.where(linked, 0.0, jnp.where(network.tidal, discharge, jnp.maximum(discharge, 0.0)))
    # A discharge below any meaning would overflow in the derivative of the limiter's quotient.
    between = jnp.where(jnp.abs(between) > NO_DISCHARGE, between, 0.0)
    leaving = jnp.where(jnp.abs(leaving) > NO_DISCHARGE, leaving, 0.0)
    available = volume / dt + source - hair * (volume / dt + jnp.abs(source))
    between, leaving = limit_outflow(geometry.edges, between, available, leaving)
    volume = volume + dt * (source - geometry.edges.divergence(between) - leaving)
    return volume, _Move(discharge=between[: volume.shape[0]] + leaving, unmet_loss=source - lateral_inflow)


def _answer(
    parameters: channel.Parameters,
    geometry: Geometry,
    volume: PerCell,
    source: PerCell,
    proposal: river.Proposal,
    dt: float,
    lake_solver: ConjugateGradient,
) -> tuple[PerCell, PerEdge]:
    r"""Let the patches answer the rivers' proposal.

    A rise of the lake by one metre takes the river cell at its mouth along. With the flow at the mouth responding by
    alpha to its upstream and by -beta to its downstream depth, and the storage a of the river cell, eliminating that
    cell leaves a response of $\beta a / (a + \Delta t\,\alpha)$ where the river runs in and of
    $\alpha a / (a + \Delta t\,\beta)$ where it runs out: never negative, so the lake's matrix stays positive definite.

    Returns:
        Discharge of every cell's edge and discharge through every face of the patches, m3 s-1.
    """
    discharge = proposal.discharge
    if geometry.lake is None:
        return discharge, jnp.zeros(0, discharge.dtype)
    links, flow, cell = geometry.network.links, proposal.flow, geometry.lake_cell
    own, following = flow.to_own[geometry.mouth], flow.to_next[geometry.mouth]
    stored = proposal.storage_slope[geometry.mouth_river]
    at_lake, at_river = jnp.where(geometry.inward, following, own), jnp.where(geometry.inward, own, following)
    at_mouth = at_lake * stored / (stored + dt * at_river)
    at_outlet = jnp.where(links.linked, 0.0, flow.to_own)[cell]
    passing = jnp.where(links.linked, discharge, 0.0)
    inflow = (source + links.sum_children(passing) - discharge)[cell]
    answer = lake.respond(
        parameters.manning_roughness[cell],
        geometry.lake,
        volume[cell],
        inflow,
        at_outlet.at[geometry.mouth_lake].add(at_mouth),
        dt,
        lake_solver,
    )
    correction = at_mouth * answer.rise[geometry.mouth_lake]
    discharge = discharge.at[geometry.mouth].add(jnp.where(geometry.inward, -correction, correction))
    discharge = discharge.at[cell].add(at_outlet * answer.rise)
    return discharge, answer.discharge
