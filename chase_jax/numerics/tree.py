r"""Exact solution of linear systems whose sparsity is that of a forest, such as a drainage network.

Every cell i has at most one parent p(i) (the next cell downstream) and any number of children c. The system is

$$ D_i x_i - U_i\, x_{p(i)} - \sum_{c} L_c\, x_c = r_i , $$

where U_i is what cell i feels of its parent and L_c what a parent feels of its child c. With D positive, U and L not
negative and D_i > L_i + sum of U_c (a storage plus the linearised fluxes), elimination is stable in any order.

Elimination from the headwaters down would take as many steps as the longest river has cells. Instead each round removes
at once all leaves (*rake*) and an independent half of the cells with one child (*compress*, which is cyclic reduction
on the unbranched reaches), so the number of rounds grows with the logarithm of the number of cells. The order depends
on the network alone and is worked out once, in NumPy.

Source: the rake and compress of miller1985.
"""

from __future__ import annotations

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np

from chase_jax.checks import require
from chase_jax.typing import CellIndex, CellMask, PerCell


class Links(eqx.Module):
    """Which cell drains into which: one edge per cell, named by the cell it leaves.

    Attributes:
        parent (cell,): Index of the next cell downstream; a cell without one names itself.
        linked (cell,): True where the cell has a parent.
    """

    parent: CellIndex
    linked: CellMask

    def at_parent(self, value: PerCell) -> PerCell:
        """Value (cell,) of `value` (cell,) at the parent; a cell without one sees its own."""
        return value.at[self.parent].get(mode="promise_in_bounds")

    def sum_children(self, value: PerCell) -> PerCell:
        """Sum (cell,) over the children of `value` (cell,), which must be zero where there is no link."""
        return jnp.zeros_like(value).at[self.parent].add(value, mode="promise_in_bounds")


def links(downstream: np.ndarray) -> Links:
    """Links from the index of the parent.

    Args:
        downstream (cell,): Index of the parent, -1 where there is none.
    """
    downstream = np.asarray(downstream)
    linked = downstream >= 0
    parent = np.where(linked, downstream, np.arange(downstream.size))
    return Links(parent=jnp.asarray(parent, dtype=jnp.int32), linked=jnp.asarray(linked))


class Forest(eqx.Module):
    """The network and the order in which it is eliminated; all of it static.

    The eliminated cells of a round fill consecutive slots, leaves first, so that a round reads slices.

    Attributes:
        links: The network.
        order (cell,): Cell that stands in each slot.
        slot (cell,): Slot of each cell.
        slot_parent (cell,): Parent of each slot when it is eliminated, counted from the first slot left over.
        slot_child (compressed,): Child of each compressed slot, counted likewise.
        rounds: Number of raked and of compressed cells of each round.
    """

    links: Links
    order: CellIndex
    slot: CellIndex
    slot_parent: CellIndex
    slot_child: jax.Array
    rounds: tuple[tuple[int, int], ...] = eqx.field(static=True)


def forest(downstream: np.ndarray) -> Forest:
    """Work out the order of elimination.

    Args:
        downstream (cell,): Index of the parent, -1 at roots. Any numbering without a loop.

    Returns:
        The :class:`Forest`.

    Raises:
        InputError: If an index is out of range or the links form a loop.
    """
    downstream = np.asarray(downstream, dtype=np.int64)
    number = downstream.size
    inside = (downstream >= -1) & (downstream < number)
    require(bool(inside.all()), f"Argument `downstream` must lie between -1 and {number - 1}, but does not everywhere.")
    end = downstream
    for _ in range(number.bit_length()):  # after k rounds `end` lies 2^k cells downstream
        end = np.where(end >= 0, end[end], -1)
    require(bool((end < 0).all()), "Argument `downstream` must form no loop, but does.")
    order, slot_parent, slot_child, rounds = _eliminate(downstream)
    slot = np.empty(number, dtype=np.int64)
    slot[order] = np.arange(number)

    def index(values: np.ndarray) -> jax.Array:
        return jnp.asarray(values, dtype=jnp.int32)

    return Forest(
        links=links(downstream),
        order=index(order),
        slot=index(slot),
        slot_parent=index(slot_parent),
        slot_child=index(slot_child),
        rounds=rounds,
    )


def _eliminate(downstream: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray, tuple[tuple[int, int], ...]]:
    """Order, parents and children at the time of elimination, and the rounds; see :class:`Forest`."""
    number = downstream.size
    parent = downstream.copy()
    left = np.ones(number, dtype=bool)
    removed, parents, children, rounds = [], [], [], []
    while left.any():
        cells = np.flatnonzero(left)
        linked = cells[parent[cells] >= 0]
        children_left = np.bincount(parent[linked], minlength=number)
        child = np.full(number, -1)
        child[parent[linked]] = linked  # meaningful where there is exactly one
        leaf = left & (children_left == 0)
        single = left & (children_left == 1) & (parent >= 0)
        raked, compressed = np.flatnonzero(leaf), _alternate(single, leaf, child)
        gone = np.concatenate([raked, compressed])
        removed.append(gone)
        parents.append(parent[gone])
        children.append(child[compressed])
        rounds.append((raked.size, compressed.size))
        left[gone] = False
        parent[child[compressed]] = parent[compressed]
    if not removed:
        empty = np.zeros(0, dtype=np.int64)
        return empty, empty, empty, ()
    order = np.concatenate(removed)
    slot = np.empty(number, dtype=np.int64)
    slot[order] = np.arange(number)
    ends = np.cumsum([sum(sizes) for sizes in rounds])
    # A root has no parent; its couplings are zero, so any slot left over may stand for it.
    slot_parents = [np.where(p >= 0, slot[p] - end, 0) for p, end in zip(parents, ends, strict=True)]
    slot_children = [slot[c] - end for c, end in zip(children, ends, strict=True)]
    return order, np.concatenate(slot_parents), np.concatenate(slot_children), tuple(rounds)


def _alternate(single: np.ndarray, leaf: np.ndarray, child: np.ndarray) -> np.ndarray:
    """Every other cell of each unbranched run, none of them below a leaf, by pointer doubling up the run."""
    above = np.where(single, child, -1)
    # distance from the top of the run: doubling follows `above` while it stays in the run
    jump = np.where((above >= 0) & single[np.maximum(above, 0)], above, -1)
    top_is_leaf = np.where((above >= 0) & (jump < 0), leaf[np.maximum(above, 0)], False)
    distance = (jump >= 0).astype(np.int64)
    for _ in range(single.size.bit_length()):  # enough for the longest run
        here = np.flatnonzero(jump >= 0)
        target = jump[here]
        distance[here] += distance[target]
        top_is_leaf[here] |= top_is_leaf[target]
        jump[here] = jump[target]
    return np.flatnonzero(single & ((distance + top_is_leaf) % 2 == 0))


def product(network: Forest, diagonal: PerCell, up: PerCell, low: PerCell, x: PerCell) -> PerCell:
    """Left-hand side of the system.

    Args:
        network: The forest.
        diagonal (cell,): D.
        up (cell,): U, zero at roots.
        low (cell,): L, zero at roots.
        x (cell,): Unknowns.
    """
    return diagonal * x - up * network.links.at_parent(x) - network.links.sum_children(low * x)


def solve(network: Forest, diagonal: PerCell, up: PerCell, low: PerCell, right: PerCell) -> PerCell:
    r"""Exact solution x of the system in the module's head.

    The derivative is that of the solution, not of the elimination: one more elimination per tangent, and one with U
    and L exchanged (the transposed matrix) in reverse mode.

    Args:
        network: The forest.
        diagonal (cell,): D, any unit, > 0.
        up (cell,): U, the weight of the parent in the cell's row, same unit, >= 0; ignored at roots.
        low (cell,): L, the weight of the cell in its parent's row, same unit, >= 0; ignored at roots.
        right (cell,): r.

    Returns:
        (cell,): x, in the unit of r over that of D.

    Source:
        miller1985.
    """
    up, low = jnp.where(network.links.linked, up, 0.0), jnp.where(network.links.linked, low, 0.0)
    return jax.lax.custom_linear_solve(
        lambda x: product(network, diagonal, up, low, x),
        right,
        lambda _, r: _substitute(network, diagonal, up, low, r),
        lambda _, r: _substitute(network, diagonal, low, up, r),
    )


def _substitute(network: Forest, diagonal: PerCell, up: PerCell, low: PerCell, right: PerCell) -> PerCell:
    """Eliminate round by round, then substitute back."""
    d, u, w, r = (a.at[network.order].get(mode="promise_in_bounds") for a in (diagonal, up, low, right))
    kept = []
    start_parent = start_child = 0
    for raked, compressed in network.rounds:
        size = raked + compressed
        p = network.slot_parent[start_parent : start_parent + size]
        c = network.slot_child[start_child : start_child + compressed]
        inverse = 1.0 / d[:size]
        own, to_parent = r[:size] * inverse, u[:size] * inverse
        low_own = w[:size]
        d, u, w, r = d[size:], u[size:], w[size:], r[size:]
        to_child = None
        if d.shape[0] > 0:
            d = d.at[p].add(-low_own * to_parent, mode="promise_in_bounds")
            r = r.at[p].add(low_own * own, mode="promise_in_bounds")
        if compressed > 0:
            low_child, up_child = w[c], u[c]
            to_child = low_child * inverse[raked:]
            d = d.at[c].add(-up_child * to_child, mode="promise_in_bounds")
            r = r.at[c].add(up_child * own[raked:], mode="promise_in_bounds")
            u = u.at[c].set(up_child * to_parent[raked:], mode="promise_in_bounds", unique_indices=True)
            w = w.at[c].set(to_child * low_own[raked:], mode="promise_in_bounds", unique_indices=True)
        kept.append((raked, p, c, own, to_parent, to_child))
        start_parent, start_child = start_parent + size, start_child + compressed
    x = d  # nothing is left
    for raked, p, c, own, to_parent, to_child in reversed(kept):
        solution = own + to_parent * x.at[p].get(mode="clip") if x.shape[0] > 0 else own
        if to_child is not None:
            from_child = to_child * x.at[c].get(mode="promise_in_bounds")
            solution = jnp.concatenate([solution[:raked], solution[raked:] + from_child])
        x = jnp.concatenate([solution, x])
    return x.at[network.slot].get(mode="promise_in_bounds")


class Tree(eqx.Module):
    """The exact solver of reaches.

    Attributes:
        time_step: Longest routing step, s.
        iterations: Newton iterations a step; more than one only to make references.
    """

    time_step: float = eqx.field(static=True, default=900.0)
    iterations: int = eqx.field(static=True, default=1)

    def solve(self, forest: Forest, diagonal: PerCell, up: PerCell, low: PerCell, right: PerCell) -> PerCell:
        """Exact solution, see :func:`solve`.

        Args:
            forest: The network.
            diagonal (cell,): D, m2, > 0.
            up (cell,): U, m2, >= 0.
            low (cell,): L, m2, >= 0.
            right (cell,): r, m3.

        Returns:
            (cell,): The solution, m.
        """
        return solve(forest, diagonal, up, low, right)
