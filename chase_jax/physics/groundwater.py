r"""Lateral flow in the unconfined aquifer below the soil column (Boussinesq), and its overflow at the surface.

$$ A \frac{dS}{dt} = -\sum_f Q_f - Q_s, \qquad Q_f = K_f\, b_f\, (h_i - h_j), \qquad Q_s = 2 K\, b_s\, (h - h_s) $$

with S the storage, h the head, and on the face f between two square cells $K_f$ the conductivity and $b_f$ the
saturated thickness. On the coast the aquifer ends half a cell away at the level $h_s$ of the sea, which takes water and
gives it. Recharge from the soil and seepage to rivers are added by their owners. No other water crosses the outer
boundary. Confining layers, density (so the wedge of salt water, too) and the resistance of vertical flow within the
aquifer are neglected.

Heads enter only as differences, made of the fall of the land surface and the depths of the water table, so that no
altitude is rounded. Fluxes move the water: what one cell gives its neighbor receives, and no cell gives more than it
has, whatever the solver did.
"""

from __future__ import annotations

from typing import NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp

from chase_jax.numerics import smooth
from chase_jax.numerics.graph import EdgeList, limit_outflow
from chase_jax.numerics.krylov import ConjugateGradient, Report
from chase_jax.physics import soil_hydraulics
from chase_jax.typing import CellMask, PerCell, PerEdge

THICKNESS_WIDTH = 0.1  # m, bend between mean and donor thickness of a face; choice of this project


class Parameters(eqx.Module):
    """Aquifer.

    Attributes:
        conductivity (cell,): Lateral saturated conductivity, m s-1, >= 0.
        specific_yield (cell,): Specific yield, 1, > 0.
        thickness (cell,): Thickness between the base and the bottom of the soil column, m, > 0.
    """

    conductivity: PerCell
    specific_yield: PerCell
    thickness: PerCell


class State(eqx.Module):
    """Water in the aquifer.

    Attributes:
        storage (cell,): Water above the residual content, m per cell area, >= 0.
    """

    storage: PerCell


class Coast(eqx.Module):
    """Where the aquifer ends at the sea.

    Attributes:
        cell (cell,): True for cells on the coast.
        depth (cell,): Depth of the sea level below the land surface there, m.
    """

    cell: CellMask
    depth: PerCell


class Fluxes(eqx.Module):
    """Means over the step.

    Attributes:
        lateral (edge,): Flow across the faces, m3 s-1, positive from tail to head.
        to_sea (cell,): Flow into the sea, m3 s-1, negative where the sea comes in.
        exfiltration (cell,): Overflow to the land surface, m s-1 per cell area, >= 0.
        report: How the last linear solve ended; zeros for the explicit step.
    """

    lateral: PerEdge
    to_sea: PerCell
    exfiltration: PerCell
    report: Report


class Flow(NamedTuple):
    """What leads water out of cells: conductance, m2 s-1, and fall of the head at the start, m.

    Attributes:
        conductance (edge,): Of the faces.
        fall (edge,): From tail to head.
        shore (cell,): Conductance towards the sea, zero where there is none.
        above_sea (cell,): Head above the sea.
    """

    conductance: PerEdge
    fall: PerEdge
    shore: PerCell
    above_sea: PerCell


class Explicit(eqx.Module):
    r"""Forward Euler; stable while $\Delta t < S_c A / (4 K b)$ with the smallest storage coefficient $S_c$.

    Attributes:
        substeps: Equal parts of the step, 1 (static).
    """

    substeps: int = eqx.field(static=True, default=1)

    def flux(self, faces: EdgeList, capacity: PerCell, flow: Flow) -> tuple[PerEdge, PerCell, Report]:
        """Flow (edge,) and flow into the sea (cell,), m3 s-1, for the heads at the start.

        Args:
            faces: Faces between cells.
            capacity (cell,): Storage area over the time step, m2 s-1.
            flow: Conductances and falls.
        """
        none = Report(jnp.zeros((), jnp.int32), jnp.zeros((), flow.fall.dtype))
        return flow.conductance * flow.fall, flow.shore * flow.above_sea, none


class Implicit(eqx.Module):
    """Backward Euler, linearised once with the thickness at the start; stable for every step.

    Attributes:
        substeps: Equal parts of the step, 1 (static).
        linear: Solver of the linear system.
    """

    substeps: int = eqx.field(static=True, default=1)
    linear: ConjugateGradient = ConjugateGradient()

    def flux(self, faces: EdgeList, capacity: PerCell, flow: Flow) -> tuple[PerEdge, PerCell, Report]:
        """Flow (edge,) and flow into the sea (cell,), m3 s-1, for the heads at the end, and how the solve went.

        Args:
            faces: Faces between cells.
            capacity (cell,): Storage area over the time step, m2 s-1.
            flow: Conductances and falls.
        """
        start, to_sea = flow.conductance * flow.fall, flow.shore * flow.above_sea
        right = -faces.divergence(start) - to_sea
        rise, report = self.linear(faces, capacity + flow.shore, flow.conductance, right)
        return start + flow.conductance * faces.difference(rise), to_sea + flow.shore * rise, report


STABLE_SHARE = 0.25  # 1, of what a cell stores per metre, which it may exchange per metre in an explicit step


def choose_solver(
    parameters: Parameters, faces: EdgeList, cell_area: PerCell, dt: float, coast: Coast | None = None
) -> tuple[Explicit | Implicit, str]:
    r"""The explicit step where no cell can come near its limit of stability, else the implicit one; and why.

    The limit is reached where a cell exchanges, per metre of head and step, what it stores per metre,
    $\Delta t \sum_f K_f b_f = S_c A$, with the full thickness and the smaller storage coefficient of water table and
    pressurised aquifer. Half of it keeps solutions free of oscillation; a quarter is asked for.

    Args:
        parameters: Aquifer.
        faces: Faces between cells.
        cell_area (cell,): Area, m2.
        dt: Length of the step, s.
        coast: Where the aquifer ends at the sea.

    Returns:
        The solver and a sentence for the log. Runs on the host, once; not differentiable.

    Source:
        Limit of the explicit scheme for diffusion; the margin is this project's.
    """
    full = parameters.specific_yield * parameters.thickness
    conductance = face_conductance(parameters, full, faces, jnp.zeros(faces.size))
    exchange = faces.total(conductance)
    if coast is not None:
        exchange = exchange + jnp.where(coast.cell, 2.0 * parameters.conductivity * parameters.thickness, 0.0)
    coefficient = jnp.minimum(parameters.specific_yield, soil_hydraulics.CONFINED_STORAGE)
    share = float(jnp.max(dt * exchange / (coefficient * cell_area), initial=0.0))
    if share <= STABLE_SHARE:
        return Explicit(), f"Aquifer: explicit steps, which use at most {share:.2g} of their limit of stability."
    return (
        Implicit(),
        f"Aquifer: implicit steps; explicit ones would use up to {share:.2g} of their limit of stability.",
    )


def capacity(parameters: Parameters) -> PerCell:
    """Storage with the head at the land surface (cell,), m, above which water overflows.

    Args:
        parameters: Aquifer.
    """
    pressurised = soil_hydraulics.CONFINED_STORAGE * soil_hydraulics.COLUMN_DEPTH
    return parameters.specific_yield * parameters.thickness + pressurised


def storage_at_depth(parameters: Parameters, depth: PerCell) -> PerCell:
    """Storage for a given depth of the water table, m; the inverse of :func:`soil_hydraulics.water_table`.

    Args:
        parameters: Aquifer.
        depth (cell,): Depth of the water table below the surface, m; deeper than the base counts as the base.

    Returns:
        Storage (cell,), m, >= 0.
    """
    rise = soil_hydraulics.COLUMN_DEPTH - depth
    coefficient = jnp.where(rise > 0.0, soil_hydraulics.CONFINED_STORAGE, parameters.specific_yield)
    return jnp.maximum(parameters.specific_yield * parameters.thickness + coefficient * rise, 0.0)


def face_conductance(parameters: Parameters, storage: PerCell, faces: EdgeList, fall: PerEdge) -> PerEdge:
    r"""Transmissivity of the faces, m2 s-1: harmonic mean of conductivity times saturated thickness.

    $$ K_f = \frac{2 K_i K_j}{K_i + K_j}, \qquad b_f = \min\left(\frac{b_i + b_j}{2},\; b_{donor}\right) $$

    On a level base the donor is the thicker side and $b_f$ the arithmetic mean, the most accurate one on coarse cells.
    On a steep base the donor may run dry above a thick aquifer below; then it is the donor that limits.

    Args:
        parameters: Aquifer.
        storage (cell,): Storage, m, >= 0.
        faces: Faces between cells.
        fall (edge,): Head at the tail minus that at the head, m.

    Returns:
        Flow per fall (edge,), m2 s-1; the faces of square cells are as wide as the centers are apart.

    Source:
        Harmonic and arithmetic mean as usual in finite volumes; the donor limit is this project's.
    """
    thickness = jnp.minimum(storage / parameters.specific_yield, parameters.thickness)
    thickness_face = _face_thickness(thickness[faces.tail], thickness[faces.head], fall)
    one, other = parameters.conductivity[faces.tail], parameters.conductivity[faces.head]
    return smooth.safe_divide(2.0 * one * other, one + other) * thickness_face


def _face_thickness(one: jax.Array, other: jax.Array, fall: jax.Array) -> jax.Array:
    """Saturated thickness between two sides, m, the first of them higher by `fall`; see :func:`face_conductance`."""
    return smooth.smooth_minimum(0.5 * (one + other), jnp.where(fall >= 0.0, one, other), THICKNESS_WIDTH)


def shore_conductance(parameters: Parameters, storage: PerCell, coast: Coast, above_sea: PerCell) -> PerCell:
    """Transmissivity from the middle of the cells to the sea (cell,), m2 s-1; zero inland.

    The coast is as long as the cell is wide and half as far away. The thickness is that of a face, with the aquifer
    filled to the level of the sea on its other side.

    Args:
        parameters: Aquifer.
        storage (cell,): Storage, m, >= 0.
        coast: Where the sea is.
        above_sea (cell,): Head above the sea, m.

    Source:
        As :func:`face_conductance`.
    """
    thickness = jnp.minimum(storage / parameters.specific_yield, parameters.thickness)
    filled = jnp.clip(soil_hydraulics.COLUMN_DEPTH + parameters.thickness - coast.depth, 0.0, parameters.thickness)
    between = _face_thickness(thickness, filled, above_sea)
    return jnp.where(coast.cell, 2.0 * parameters.conductivity * between, 0.0)


def step(
    parameters: Parameters,
    state: State,
    faces: EdgeList,
    surface_fall: PerEdge,
    cell_area: PerCell,
    dt: float,
    solver: Explicit | Implicit,
    coast: Coast | None = None,
) -> tuple[State, Fluxes]:
    r"""Move water between cells and into the sea for one step, then let what stands above the surface overflow.

    Identity: $A\,(S' - S) = -\Delta t\,(\mathrm{div}\,Q + Q_s + A\,E)$ in every cell, with E the exfiltration.

    Args:
        parameters: Aquifer.
        state: Storage at the start.
        faces: Faces between cells.
        surface_fall (edge,): Land surface at the tail minus that at the head, m.
        cell_area (cell,): Area, m2.
        dt: Length of the step, s.
        solver: :class:`Explicit` or :class:`Implicit`.
        coast: Where the aquifer ends at the sea; nowhere by default.

    Returns:
        State at the end and mean fluxes.

    Source:
        Boussinesq equation in finite volumes; flux form and limiter are this project's.
    """
    part = dt / solver.substeps

    def advance(storage: PerCell, _: object) -> tuple[PerCell, tuple[PerEdge, PerCell, Report]]:
        table = soil_hydraulics.water_table(storage, parameters.thickness, parameters.specific_yield)
        fall = surface_fall - faces.difference(table.depth)
        above = shore = jnp.zeros_like(storage)
        if coast is not None:
            above = jnp.where(coast.cell, coast.depth - table.depth, 0.0)
            shore = shore_conductance(parameters, storage, coast, above)
        flow = Flow(face_conductance(parameters, storage, faces, fall), fall, shore, above)
        flux, to_sea, report = solver.flux(faces, cell_area * table.storage_coefficient / part, flow)
        flux, to_sea = limit_outflow(faces, flux, storage * cell_area / part, to_sea)
        return storage - part * (faces.divergence(flux) + to_sea) / cell_area, (flux, to_sea, report)

    storage, (flux, to_sea, reports) = jax.lax.scan(advance, state.storage, None, length=solver.substeps)
    excess = storage - capacity(parameters)
    overflow = jnp.where(excess > 0.0, excess, 0.0)
    last = jax.tree.map(lambda leaf: jax.lax.stop_gradient(leaf[-1]), reports)
    means = jnp.mean(flux, axis=0), jnp.mean(to_sea, axis=0)
    return State(storage - overflow), Fluxes(*means, overflow / dt, last)
