r"""A fixed number of simultaneous sweeps for linear systems on a forest; the alternative to :mod:`tree`.

The system is that of :mod:`tree`. One sweep solves every row for its own unknown with the neighbours frozen,

$$ x_i^{k} = \frac{r_i + U_i\, x_{p(i)}^{k-1} + \sum_c L_c\, x_c^{k-1}}{D_i}, \qquad x^0 = 0 . $$

Information travels one cell a sweep, and a stiff row (D far above the storage in it) converges slowly, so the number
of sweeps a network needs follows from its stiffest row. Where that is a few flat reaches among thousands of steep
ones, these are relaxed together, as blocks: between two sweeps their rows are solved exactly with the rest frozen.

What is returned is the mean of the last two iterates. An edge between two cells then sees, on average, both one-sided
views of its ends, and stiffness does not amplify the error of unfinished sweeps when fluxes are computed from it.
"""

from __future__ import annotations

import math

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np

from chase_jax.numerics import tree
from chase_jax.numerics.scan import checkpointed_scan
from chase_jax.typing import PerCell


class Block(eqx.Module):
    """Rows that are relaxed together.

    Attributes:
        cell (block,): Their cells.
        forest: The links among them, in packed numbering.
    """

    cell: jax.Array
    forest: tree.Forest


def block(downstream: np.ndarray, member: np.ndarray) -> Block | None:
    """Pack the member cells of a forest; `None` if there are none.

    Args:
        downstream (cell,): Index of the parent, -1 at roots.
        member (cell,): True for the cells relaxed together.
    """
    cell = np.flatnonzero(member)
    if cell.size == 0:
        return None
    packed = np.full(len(member) + 1, -1)  # the last element answers the index -1
    packed[cell] = np.arange(cell.size)
    inside = packed[np.asarray(downstream)[cell]]
    return Block(cell=jnp.asarray(cell, dtype=jnp.int32), forest=tree.forest(inside))


def solve(
    links: tree.Links, diagonal: PerCell, up: PerCell, low: PerCell, right: PerCell, sweeps: int, stiff: Block | None
) -> PerCell:
    r"""Mean of the last two of `sweeps` Jacobi iterates, $(x^m + x^{m-1})/2$.

    Reverse mode differentiates the sweeps as they are. It recomputes them in blocks, so that about $2\sqrt m$ iterates
    of the call at hand are in memory and none of any other call.

    Args:
        links: The network.
        diagonal (cell,): D, any unit, > 0.
        up (cell,): U, the weight of the parent in the cell's row, same unit, >= 0; ignored where there is no parent.
        low (cell,): L, the weight of the cell in its parent's row, same unit, >= 0; ignored likewise.
        right (cell,): r.
        sweeps: Number of sweeps m, >= 1.
        stiff: Rows relaxed as blocks between two sweeps, or `None`.

    Returns:
        (cell,): The mean iterate, in the unit of r over that of D.

    Source:
        Diagonal-implicit sweeps of dong2026; the mean of two iterates and the blocks are this project's.
    """
    up, low = jnp.where(links.linked, up, 0.0), jnp.where(links.linked, low, 0.0)
    inverse = 1.0 / diagonal

    def neighbours(x: PerCell) -> PerCell:
        return up * links.at_parent(x) + links.sum_children(low * x)

    def sweep(carry: tuple[PerCell, PerCell], _: None) -> tuple[tuple[PerCell, PerCell], None]:
        x = relax_block(*carry)
        return ((right + neighbours(x)) * inverse, x), None

    def relax_block(x: PerCell, previous: PerCell) -> PerCell:
        if stiff is None:
            return x
        cell, inner = stiff.cell, stiff.forest.links
        d, u, lo = diagonal[cell], jnp.where(inner.linked, up[cell], 0.0), jnp.where(inner.linked, low[cell], 0.0)
        # What the sweep before took from outside the block: all it took less what came from inside.
        own, before = x[cell], previous[cell]
        outside = d * own - u * inner.at_parent(before) - inner.sum_children(lo * before)
        return x.at[cell].set(tree.solve(stiff.forest, d, u, lo, outside), unique_indices=True)

    first = right * inverse
    (last, previous), _ = checkpointed_scan(
        sweep, (first, jnp.zeros_like(first)), jnp.zeros(sweeps - 1), block=math.isqrt(max(sweeps - 2, 0)) + 1
    )
    return 0.5 * (last + previous)


class Jacobi(eqx.Module):
    """The solver of reaches by simultaneous sweeps.

    Attributes:
        time_step: Longest routing step, s.
        sweeps: Number of sweeps a step.
        stiff: Rows relaxed as blocks between two sweeps, or `None`.
        iterations: Linearisations a step.
    """

    stiff: Block | None = None
    time_step: float = eqx.field(static=True, default=900.0)
    sweeps: int = eqx.field(static=True, default=8)
    iterations: int = eqx.field(static=True, default=1)

    def solve(self, forest: tree.Forest, diagonal: PerCell, up: PerCell, low: PerCell, right: PerCell) -> PerCell:
        """Mean of the last two sweeps, see :func:`solve`.

        Args:
            forest: The network.
            diagonal (cell,): D, m2, > 0.
            up (cell,): U, m2, >= 0.
            low (cell,): L, m2, >= 0.
            right (cell,): r, m3.

        Returns:
            (cell,): The solution, m.
        """
        return solve(forest.links, diagonal, up, low, right, self.sweeps, self.stiff)
