r"""A fixed number of simultaneous sweeps for linear systems on a forest; the alternative to :mod:`tree`.

The system is that of :mod:`tree`. One sweep solves every row for its own unknown with the neighbours frozen,

$$ x_i^{k} = \frac{r_i + U_i\, x_{p(i)}^{k-1} + \sum_c L_c\, x_c^{k-1}}{D_i}, \qquad x^0 = 0 . $$

Information travels one cell a sweep, and a stiff row (D far above the storage in it) converges slowly, so the number
of sweeps a network needs would follow from its stiffest row, in the highest flood. The few stiff reaches are therefore
handed over to the exact elimination of :mod:`tree` (:class:`Stiff`): sweeps over all cells, elimination of the stiff
ones between frozen neighbours, and both again. :class:`Jacobi` then looks at what was left undone, and hands a system
that was not finished over as a whole.

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
from chase_jax.typing import CellMask, PerCell


class Stiff(eqx.Module):
    """Reaches that are eliminated among the sweeps; static.

    Attributes:
        cell (stiff,): Their cells.
        member (cell,): True for them.
        within (cell,): True where a cell and its parent are both among them.
        forest: The links within, numbered along `cell`.
    """

    cell: jax.Array
    member: CellMask
    within: CellMask
    forest: tree.Forest

    @classmethod
    def of(cls, links: tree.Links, member: np.ndarray) -> Stiff | None:
        """The reaches of some cells; `None` if there are none. NumPy, once.

        Args:
            links: The network.
            member (cell,): True for the cells to eliminate.
        """
        member = np.asarray(member, dtype=bool)
        if not member.any():
            return None
        parent = np.asarray(links.parent)
        within = np.asarray(links.linked) & member & member[parent]
        cell = np.flatnonzero(member)
        place = np.cumsum(member) - 1
        downstream = np.where(within, place[parent], -1)[cell]
        index = jnp.asarray(cell, dtype=jnp.int32)
        return cls(index, jnp.asarray(member), jnp.asarray(within), tree.forest(downstream))

    def solve(
        self, links: tree.Links, diagonal: PerCell, up: PerCell, low: PerCell, right: PerCell, x: PerCell
    ) -> PerCell:
        """The iterate `x` (cell,) with the exact solution in these reaches, their neighbors frozen.

        Args:
            links: The network.
            diagonal (cell,): D.
            up (cell,): U, zero at roots.
            low (cell,): L, zero at roots.
            right (cell,): r.
            x (cell,): Iterate.
        """
        outer = right + jnp.where(self.within, 0.0, up) * links.at_parent(x)
        outer = outer + links.sum_children(jnp.where(self.within, 0.0, low) * x)
        part = tree.solve(self.forest, *(value[self.cell] for value in (diagonal, up, low, outer)))
        return x.at[self.cell].set(part, unique_indices=True)


def solve(
    links: tree.Links,
    diagonal: PerCell,
    up: PerCell,
    low: PerCell,
    right: PerCell,
    sweeps: int,
    stiff: Stiff | None = None,
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
        stiff: Reaches that are eliminated: once when all cells have been swept, and again when the others have been
            swept between them. None by default.

    Returns:
        (cell,): The mean iterate, in the unit of r over that of D; in stiff reaches the elimination's.

    Source:
        Diagonal-implicit sweeps of dong2026; the mean of two iterates is this project's.
    """
    up, low = jnp.where(links.linked, up, 0.0), jnp.where(links.linked, low, 0.0)
    inverse = 1.0 / diagonal

    def sweep(x: PerCell) -> PerCell:
        return (right + up * links.at_parent(x) + links.sum_children(low * x)) * inverse

    def mean_of_sweeps(first: PerCell, previous: PerCell, held: CellMask | None) -> PerCell:
        def advance(carry: tuple[PerCell, PerCell], _: PerCell) -> tuple[tuple[PerCell, PerCell], None]:
            x = carry[0]
            return (sweep(x) if held is None else jnp.where(held, x, sweep(x)), x), None

        (last, previous), _ = checkpointed_scan(
            advance, (first, previous), jnp.zeros(sweeps - 1), block=math.isqrt(max(sweeps - 2, 0)) + 1
        )
        return 0.5 * (last + previous)

    first = right * inverse
    x = mean_of_sweeps(first, jnp.zeros_like(first), None)
    if stiff is None:
        return x
    x = stiff.solve(links, diagonal, up, low, right, x)
    x = mean_of_sweeps(jnp.where(stiff.member, x, sweep(x)), x, stiff.member)
    return stiff.solve(links, diagonal, up, low, right, x)


class Jacobi(eqx.Module):
    """The solver of reaches by simultaneous sweeps, with a check.

    Attributes:
        time_step: Longest routing step, s.
        sweeps: Number of sweeps a step.
        iterations: Linearisations a step.
        tolerance: Largest error of depth that sweeps may leave in a cell, m. Infinity keeps the sweeps as they are.
        spared: Share of the cells, 1, that may be left with more; beyond it the step is solved by elimination.
        stiff: Reaches that are eliminated among the sweeps.
    """

    time_step: float = eqx.field(static=True, default=900.0)
    sweeps: int = eqx.field(static=True, default=8)
    iterations: int = eqx.field(static=True, default=1)
    tolerance: float = eqx.field(static=True, default=1.0)
    spared: float = eqx.field(static=True, default=1e-4)
    stiff: Stiff | None = None

    def solve(self, forest: tree.Forest, diagonal: PerCell, up: PerCell, low: PerCell, right: PerCell) -> PerCell:
        """Mean of the last two sweeps, see :func:`solve`; the exact solution where these are not enough.

        Args:
            forest: The network.
            diagonal (cell,): D, m2, > 0.
            up (cell,): U, m2, >= 0.
            low (cell,): L, m2, >= 0.
            right (cell,): r, m3.

        Returns:
            (cell,): The solution, m.
        """
        swept = self.sweep(forest, diagonal, up, low, right)
        left = self.unfinished(forest, diagonal, up, low, right, swept)
        return jax.lax.cond(self.finished(left), lambda: swept, lambda: tree.solve(forest, diagonal, up, low, right))

    def sweep(self, forest: tree.Forest, diagonal: PerCell, up: PerCell, low: PerCell, right: PerCell) -> PerCell:
        """What the sweeps find (cell,), m, finished or not; arguments of :meth:`solve`.

        Args:
            forest: The network.
            diagonal (cell,): D, m2, > 0.
            up (cell,): U, m2, >= 0.
            low (cell,): L, m2, >= 0.
            right (cell,): r, m3.
        """
        return solve(forest.links, diagonal, up, low, right, self.sweeps, self.stiff)

    def finished(self, left: CellMask) -> jax.Array:
        """Whether the sweeps may be kept.

        Args:
            left (cell,): Cells that the sweeps left undone, from :meth:`unfinished`.
        """
        return jnp.mean(left) <= self.spared

    def unfinished(
        self, forest: tree.Forest, diagonal: PerCell, up: PerCell, low: PerCell, right: PerCell, swept: PerCell
    ) -> CellMask:
        """Cells (cell,) in which sweeps leave more than the tolerance.

        Args:
            forest: The network.
            diagonal (cell,): D, m2, > 0.
            up (cell,): U, m2, >= 0.
            low (cell,): L, m2, >= 0.
            right (cell,): r, m3.
            swept (cell,): What the sweeps found, m.
        """
        up, low = (jnp.where(forest.links.linked, weight, 0.0) for weight in (up, low))
        undone = right - tree.product(forest, diagonal, up, low, swept)
        storage = diagonal - low - forest.links.sum_children(up)  # what is left of D without the fluxes: dV/dh
        return ~(jnp.abs(undone) <= self.tolerance * storage)
