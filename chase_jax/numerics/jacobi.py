r"""A fixed number of simultaneous sweeps for linear systems on a forest; the alternative to :mod:`tree`.

The system is that of :mod:`tree`. One sweep solves every row for its own unknown with the neighbours frozen,

$$ x_i^{k} = \frac{r_i + U_i\, x_{p(i)}^{k-1} + \sum_c L_c\, x_c^{k-1}}{D_i}, \qquad x^0 = 0 . $$

Information travels one cell a sweep, and a stiff row (D far above the storage in it) converges slowly, so the number
of sweeps a network needs follows from its stiffest row, in the highest flood. :class:`Jacobi` therefore looks at what
its sweeps left undone, and hands a system that they did not finish over to the exact elimination.

What is returned is the mean of the last two iterates. An edge between two cells then sees, on average, both one-sided
views of its ends, and stiffness does not amplify the error of unfinished sweeps when fluxes are computed from it.
"""

from __future__ import annotations

import math

import equinox as eqx
import jax
import jax.numpy as jnp

from chase_jax.numerics import tree
from chase_jax.numerics.scan import checkpointed_scan
from chase_jax.typing import CellMask, PerCell


def solve(links: tree.Links, diagonal: PerCell, up: PerCell, low: PerCell, right: PerCell, sweeps: int) -> PerCell:
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

    Returns:
        (cell,): The mean iterate, in the unit of r over that of D.

    Source:
        Diagonal-implicit sweeps of dong2026; the mean of two iterates is this project's.
    """
    up, low = jnp.where(links.linked, up, 0.0), jnp.where(links.linked, low, 0.0)
    inverse = 1.0 / diagonal

    def sweep(carry: tuple[PerCell, PerCell], _: PerCell) -> tuple[tuple[PerCell, PerCell], None]:
        x = carry[0]
        return ((right + up * links.at_parent(x) + links.sum_children(low * x)) * inverse, x), None

    first = right * inverse
    (last, previous), _ = checkpointed_scan(
        sweep, (first, jnp.zeros_like(first)), jnp.zeros(sweeps - 1), block=math.isqrt(max(sweeps - 2, 0)) + 1
    )
    return 0.5 * (last + previous)


class Jacobi(eqx.Module):
    """The solver of reaches by simultaneous sweeps, with a check.

    Attributes:
        time_step: Longest routing step, s.
        sweeps: Number of sweeps a step.
        iterations: Linearisations a step.
        tolerance: Largest error of depth that sweeps may leave in a cell, m; beyond it the step is solved by
            elimination. Infinity keeps the sweeps as they are.
    """

    time_step: float = eqx.field(static=True, default=900.0)
    sweeps: int = eqx.field(static=True, default=8)
    iterations: int = eqx.field(static=True, default=1)
    tolerance: float = eqx.field(static=True, default=1e-3)

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
        swept = solve(forest.links, diagonal, up, low, right, self.sweeps)
        finished = ~jnp.any(self.unfinished(forest, diagonal, up, low, right, swept))
        return jax.lax.cond(finished, lambda: swept, lambda: tree.solve(forest, diagonal, up, low, right))

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
