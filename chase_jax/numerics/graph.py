"""Graphs of cells: differences along edges, net outflow at cells, and a limiter that keeps every store positive.

River, lake and aquifer are edge lists over cells and share the same flux-form update:
`store += dt * (source - edges.divergence(flux))`. What one cell gives the other takes, so the sum is kept whatever the
fluxes are.
"""

from __future__ import annotations

from collections.abc import Callable

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
    edges: EdgeList, flux: jax.Array, available: jax.Array, boundary_flux: jax.Array | None = None
) -> tuple[jax.Array, jax.Array]:
    r"""Scale the fluxes that leave a cell so that it never gives more than it has and gets.

    $$ r_i = \min\left(1, \frac{a_i + \sum_{e \to i} r_{up(e)} |Q_e|}{\sum_{e \leftarrow i} |Q_e|}\right) $$

    The largest solution is found from above, r = 1: a cell that is short takes from what the next ones get, and only as
    far as that makes these short the repetition goes on. Water that runs downhill along the edges runs in no circle,
    so it ends at the solution itself, however many cells a wave passes in a step. Should a flux without a potential run
    in circles so that it does not end, cells count on no inflow, which is always safe.

    The derivative is that of the solution: a linear system in the cells that are short, solved the same way.

    Args:
        edges: Edges between cells.
        flux (edge,): Proposed flux, m3 s-1, positive from tail to head.
        available (cell,): Volume over the time step plus sources, m3 s-1; negative counts as zero.
        boundary_flux (cell,): Proposed flux out of the domain, m3 s-1; negative is an inflow and is left alone.

    Returns:
        Limited flux (edge,) and limited boundary flux (cell,), m3 s-1, same signs as proposed.
    """
    forward = flux > 0.0
    donor = jnp.where(forward, edges.tail, edges.head)
    taker = jnp.where(forward, edges.head, edges.tail)
    size = jnp.abs(flux)
    boundary = jnp.zeros_like(available) if boundary_flux is None else boundary_flux
    leaving = jnp.where(boundary > 0.0, boundary, 0.0)
    outflow = leaving.at[donor].add(size)
    supply = jnp.where(available > 0.0, available, 0.0) + (leaving - boundary)
    # A hair less than all, so that rounding in the sums cannot leave a store at minus one ulp.
    needed = outflow / (1.0 - 16.0 * jnp.finfo(flux.dtype).eps)
    none = jnp.zeros_like(supply)

    def share(scale: jax.Array) -> jax.Array:
        supplied = supply + none.at[taker].add(size * scale[donor])
        enough = needed <= supplied
        return jnp.where(enough, 1.0, supplied / jnp.where(enough, 1.0, needed))

    found, ended = jax.lax.stop_gradient(_repeat(share, jnp.ones_like(supply)))
    short = jnp.where(ended, found < 1.0, jax.lax.stop_gradient(needed > supply))
    passed_on = jnp.where(ended & short[taker], size, 0.0)
    diagonal, right = jnp.where(short, needed, 1.0), jnp.where(short, supply, 1.0)
    scale = _handed_down(donor, taker, passed_on, diagonal, right, jnp.where(ended, found, right / diagonal))
    return flux * scale[donor], jnp.where(boundary > 0.0, boundary * scale, boundary)


def _handed_down(
    donor: jax.Array, taker: jax.Array, weight: jax.Array, diagonal: jax.Array, right: jax.Array, guess: jax.Array
) -> jax.Array:
    """Solution x (cell,) of `diagonal` x_i = `right` + sum of `weight` x_donor over the edges towards i."""
    guess = jax.lax.stop_gradient(guess)

    def along(x: jax.Array) -> jax.Array:
        return jnp.zeros_like(x).at[taker].add(weight * x[donor])

    def against(x: jax.Array) -> jax.Array:
        return jnp.zeros_like(x).at[donor].add(weight * x[taker])

    def solved(sums: Callable[[jax.Array], jax.Array], b: jax.Array, start: jax.Array) -> jax.Array:
        return _repeat(lambda x: (b + sums(x)) / diagonal, start)[0]

    return jax.lax.custom_linear_solve(
        lambda x: diagonal * x - along(x),
        right,
        lambda _, b: solved(along, b, guess),
        lambda _, b: solved(against, b, b / diagonal),
    )


def _repeat(function: Callable[[jax.Array], jax.Array], x: jax.Array) -> tuple[jax.Array, jax.Array]:
    """Apply `function` until nothing changes, at most as often as there are cells; the result, whether it is final."""

    def change(carry: tuple[jax.Array, jax.Array, jax.Array]) -> tuple[jax.Array, jax.Array, jax.Array]:
        old, _, count = carry
        new = function(old)
        return new, jnp.all(new == old), count + 1

    def unfinished(carry: tuple[jax.Array, jax.Array, jax.Array]) -> jax.Array:
        return ~carry[1] & (carry[2] <= x.size)

    x, ended, _ = jax.lax.while_loop(unfinished, change, (x, jnp.asarray(False), jnp.asarray(0)))
    return x, ended
