"""Graphs of cells: differences along edges, net outflow at cells, and a limiter that keeps every store positive.

River, lake and aquifer are edge lists over cells and share the same flux-form update:
`store += dt * (source - edges.divergence(flux))`. What one cell gives the other takes, so the sum is kept whatever the
fluxes are.
"""

from __future__ import annotations

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np


class EdgeList(eqx.Module):
    """Directed edges between cells; a flux is positive from tail to head.

    Attributes:
        tail (edge,): Cell where the edge starts, 1.
        head (edge,): Cell where the edge ends, 1.
        cells: Number of cells, 1 (static).
    """

    tail: jax.Array
    head: jax.Array
    cells: int = eqx.field(static=True)

    @property
    def size(self) -> int:
        """Number of edges, 1."""
        return self.tail.shape[0]

    def subset(self, start: int, stop: int) -> tuple[EdgeList, np.ndarray]:
        """Edges with both ends in the cells `start .. stop - 1`, renumbered from 0, and where (edge,) these were."""
        ends = np.stack([self.tail, self.head])
        keep = np.all((ends >= start) & (ends < stop), axis=0)
        tail, head = (jnp.asarray(end - start) for end in ends[:, keep])
        return EdgeList(tail, head, stop - start), np.asarray(keep)

    def difference(self, values: jax.Array) -> jax.Array:
        """Fall (edge,) of `values` (cell,) from tail to head, in the unit of `values`."""
        return values[self.tail] - values[self.head]

    def divergence(self, flux: jax.Array) -> jax.Array:
        """Net outflow (cell,) of edge fluxes (edge,), in the unit of `flux`."""
        return jnp.zeros(self.cells, flux.dtype).at[self.tail].add(flux).at[self.head].add(-flux)

    def total(self, values: jax.Array) -> jax.Array:
        """Sum (cell,) of `values` (edge,) over all edges that touch a cell, in the unit of `values`."""
        return jnp.zeros(self.cells, values.dtype).at[self.tail].add(values).at[self.head].add(values)

    def laplacian(self, conductance: jax.Array, values: jax.Array) -> jax.Array:
        """Graph Laplacian (cell,): net outflow of the fluxes `conductance` (edge,) times the fall of `values`."""
        return self.divergence(conductance * self.difference(values))


def limit_outflow(
    edges: EdgeList,
    flux: jax.Array,
    available: jax.Array,
    boundary_flux: jax.Array | None = None,
    passes: int = 0,
) -> tuple[jax.Array, jax.Array]:
    r"""Scale the fluxes that leave a cell so that it never gives more than it has.

    $$ r_i \leftarrow \min\left(1, \frac{a_i + \sum_{e \to i} r_{up(e)} |Q_e|}{\sum_{e \leftarrow i} |Q_e|}\right) $$

    The first estimate ignores the inflow, which is safe; each pass then lets a cell hand on what it certainly
    receives. The ratio only grows from pass to pass and every iterate keeps all stores >= 0, so any number of passes
    is correct; a through-flow with Courant number n needs n of them not to be throttled.

    Args:
        edges: Edges between cells.
        flux (edge,): Proposed flux, m3 s-1, positive from tail to head.
        available (cell,): Volume over the time step plus sources, m3 s-1; negative counts as zero.
        boundary_flux (cell,): Proposed flux out of the domain, m3 s-1; negative is an inflow and is left alone.
        passes: Number of refinements (static).

    Returns:
        Limited flux (edge,) and limited boundary flux (cell,), m3 s-1, same signs as proposed.
    """
    forward = flux > 0.0
    donor = jnp.where(forward, edges.tail, edges.head)
    taker = jnp.where(forward, edges.head, edges.tail)
    size = jnp.abs(flux)
    boundary = jnp.zeros_like(available) if boundary_flux is None else boundary_flux
    leaving = jnp.where(boundary > 0.0, boundary, 0.0)
    entering = leaving - boundary
    outflow = leaving.at[donor].add(size)
    supply = jnp.where(available > 0.0, available, 0.0)
    # A hair less than all, so that rounding in the sums cannot leave a store at minus one ulp.
    safe = 1.0 - 16.0 * jnp.finfo(flux.dtype).eps

    def ratio(inflow):
        enough = outflow <= safe * (supply + inflow)
        return jnp.where(enough, 1.0, safe * (supply + inflow) / jnp.where(enough, 1.0, outflow))

    scale = ratio(entering)
    for _ in range(passes):
        scale = ratio(entering.at[taker].add(size * scale[donor]))
    return flux * scale[donor], jnp.where(boundary > 0.0, boundary * scale, boundary)
