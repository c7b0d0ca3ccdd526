r"""Lateral flow in the unconfined aquifer below the soil column (Boussinesq), and its overflow at the surface.

$$ A \frac{dS}{dt} = -\sum_f Q_f, \qquad Q_f = K_f\, b_f\, (h_i - h_j) $$

with S the storage, h the head, and on the face f between two square cells $K_f$ the conductivity and $b_f$ the
saturated thickness. Recharge from the soil and seepage to rivers are added by their owners. No water crosses the outer
boundary. Confining layers, density and the resistance of vertical flow within the aquifer are neglected.

Heads enter only as differences, made of the fall of the land surface and the depths of the water table, so that no
altitude is rounded. Fluxes move the water: what one cell gives its neighbor receives, and no cell gives more than it
has, whatever the solver did.
"""

from __future__ import annotations

import equinox as eqx
import jax
import jax.numpy as jnp

from chase_jax.numerics import smooth
from chase_jax.numerics.graph import EdgeList, limit_outflow
from chase_jax.numerics.krylov import ConjugateGradient, Report
from chase_jax.physics import soil_hydraulics
from chase_jax.typing import PerCell, PerEdge

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


class Fluxes(eqx.Module):
    """Means over the step.

    Attributes:
        lateral (edge,): Flow across the faces, m3 s-1, positive from tail to head.
        exfiltration (cell,): Overflow to the land surface, m s-1 per cell area, >= 0.
        report: How the last linear solve ended; zeros for the explicit step.
    """

    lateral: PerEdge
    exfiltration: PerCell
    report: Report


class Explicit(eqx.Module):
    r"""Forward Euler; stable while $\Delta t < S_c A / (4 K b)$ with the smallest storage coefficient $S_c$.

    Attributes:
        substeps: Equal parts of the step, 1 (static).
    """

    substeps: int = eqx.field(static=True, default=1)

    def flux(self, faces: EdgeList, capacity: PerCell, conductance: PerEdge, fall: PerEdge) -> tuple[PerEdge, Report]:
        """Flow (edge,), m3 s-1, for the heads at the start.

        Args:
            faces: Faces between cells.
            capacity (cell,): Storage area over the time step, m2 s-1.
            conductance (edge,): Flow per fall, m2 s-1.
            fall (edge,): Head at the tail minus that at the head at the start, m.
        """
        zero = jnp.zeros((), fall.dtype)
        return conductance * fall, Report(jnp.zeros((), jnp.int32), zero)


class Implicit(eqx.Module):
    """Backward Euler, linearised once with the thickness at the start; stable for every step.

    Attributes:
        substeps: Equal parts of the step, 1 (static).
        linear: Solver of the linear system.
    """

    substeps: int = eqx.field(static=True, default=1)
    linear: ConjugateGradient = ConjugateGradient()

    def flux(self, faces: EdgeList, capacity: PerCell, conductance: PerEdge, fall: PerEdge) -> tuple[PerEdge, Report]:
        """Flow (edge,), m3 s-1, for the heads at the end, and how the solve went.

        Args:
            faces: Faces between cells.
            capacity (cell,): Storage area over the time step, m2 s-1.
            conductance (edge,): Flow per fall, m2 s-1.
            fall (edge,): Head at the tail minus that at the head at the start, m.
        """
        start = conductance * fall
        rise, report = self.linear(faces, capacity, conductance, -faces.divergence(start))
        return start + conductance * faces.difference(rise), report


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
    tail, head = thickness[faces.tail], thickness[faces.head]
    thickness_face = smooth.smooth_minimum(0.5 * (tail + head), jnp.where(fall >= 0.0, tail, head), THICKNESS_WIDTH)
    one, other = parameters.conductivity[faces.tail], parameters.conductivity[faces.head]
    return smooth.safe_divide(2.0 * one * other, one + other) * thickness_face


def step(
    parameters: Parameters,
    state: State,
    faces: EdgeList,
    surface_fall: PerEdge,
    cell_area: PerCell,
    dt: float,
    solver: Explicit | Implicit,
) -> tuple[State, Fluxes]:
    r"""Move water between cells for one step, then let what stands above the surface overflow.

    Identity: $A\,(S' - S) = -\Delta t\,(\mathrm{div}\,Q + A\,E)$ in every cell, with E the exfiltration.

    Args:
        parameters: Aquifer.
        state: Storage at the start.
        faces: Faces between cells.
        surface_fall (edge,): Land surface at the tail minus that at the head, m.
        cell_area (cell,): Area, m2.
        dt: Length of the step, s.
        solver: :class:`Explicit` or :class:`Implicit`.

    Returns:
        State at the end and mean fluxes.

    Source:
        Boussinesq equation in finite volumes; flux form and limiter are this project's.
    """
    part = dt / solver.substeps

    def advance(storage: PerCell, _: object) -> tuple[PerCell, tuple[PerEdge, Report]]:
        table = soil_hydraulics.water_table(storage, parameters.thickness, parameters.specific_yield)
        fall = surface_fall - faces.difference(table.depth)
        conductance = face_conductance(parameters, storage, faces, fall)
        flux, report = solver.flux(faces, cell_area * table.storage_coefficient / part, conductance, fall)
        flux, _ = limit_outflow(faces, flux, storage * cell_area / part)
        return storage - part * faces.divergence(flux) / cell_area, (flux, report)

    storage, (flux, reports) = jax.lax.scan(advance, state.storage, None, length=solver.substeps)
    excess = storage - capacity(parameters)
    overflow = jnp.where(excess > 0.0, excess, 0.0)
    last = jax.tree.map(lambda leaf: jax.lax.stop_gradient(leaf[-1]), reports)
    return State(storage - overflow), Fluxes(jnp.mean(flux, axis=0), overflow / dt, last)
