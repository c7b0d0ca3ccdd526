"""The drainage tree: which cell drains into which, in an order that makes every catchment one slice.

Cells are numbered in post-order: all cells upstream of a cell come right before it. So `downstream[i] > i`, the
catchment of `i` is `first[i] .. i`, and the sum of anything over every catchment is a difference of two cumulative
sums. The branch with most cells comes last among siblings, which keeps main stems contiguous in memory.
"""

from __future__ import annotations

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np

from chase_jax.checks import InputError
from chase_jax.domain.grid import STEPS_D8, Grid
from chase_jax.numerics.graph import EdgeList

OUTLET_CODE = 0  # 1, flow direction of an outlet to the sea or out of the domain
SINK_CODE = 255  # 1, flow direction of an inland sink


class Drainage(eqx.Module):
    """The drainage tree in post-order.

    Attributes:
        downstream (cell,): Next cell downstream, 1; -1 at outlets and inland sinks, else larger than the own number.
        first (cell,): First cell of the catchment `first[i] .. i`, 1.
        outlet (cell,): Whether water leaves the domain here.
        sink (cell,): Whether the cell is an inland sink, where water stays.
        length (cell,): Distance to the center of the next cell, m; the root of the cell area at outlets and sinks.
        upstream_area (cell,): Area of the catchment including the cell, m2.
        strahler_order (cell,): Stream order after Strahler, 1; 1 at headwaters.
        edges: One edge from each cell with a next cell (`tail`) to that cell (`head`).
    """

    downstream: jax.Array
    first: jax.Array
    outlet: jax.Array
    sink: jax.Array
    length: jax.Array
    upstream_area: jax.Array
    strahler_order: jax.Array
    edges: EdgeList

    def upstream_sum(self, values: jax.Array) -> jax.Array:
        """Sum of `values` (..., cell) over every catchment, the cell included, in the unit of `values`."""
        total = jnp.cumsum(values, axis=-1)
        before = jnp.concatenate([jnp.zeros_like(total[..., :1]), total], axis=-1)
        return total - before[..., self.first]

    def is_upstream(self, cell: jax.Array | int, of: jax.Array | int) -> jax.Array:
        """Whether `cell` lies in the catchment of the cell `of` (which is in its own catchment)."""
        return (self.first[of] <= cell) & (cell <= jnp.asarray(of))


def decode(grid: Grid, flow_direction: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Next cell of every packed cell of `grid`, from ESRI flow directions.

    Args:
        grid: Grid with the active cells packed in any order.
        flow_direction (cell,): ESRI D8 code, 1; 0 outlet, 255 inland sink.

    Returns:
        `downstream` (cell,) with -1 at outlets and sinks, `outlet` (cell,) and `sink` (cell,).

    Raises:
        InputError: A code is invalid or points to an inactive cell, or a sink has no neighbor.
    """
    allowed = [OUTLET_CODE, SINK_CODE, *STEPS_D8]
    raw = np.asarray(flow_direction, dtype=np.float64)
    _refuse(
        grid,
        ~np.isin(raw, allowed),
        lambda cell: f"`flow_direction` must be one of {sorted(allowed)}, but is {raw[cell]:g}",
        "Correct the code or make the cell inactive.",
    )
    code = raw.astype(np.int64)
    outlet, sink = code == OUTLET_CODE, code == SINK_CODE
    row, column = grid.neighbors_d8(code)
    inside = (row >= 0) & (row < grid.shape[0]) & (column >= 0) & (column < grid.shape[1])
    index = grid.index_raster()
    target = np.where(inside, index[np.where(inside, row, 0), np.where(inside, column, 0)], -1)
    flows = ~(outlet | sink)
    _refuse(
        grid,
        flows & (target < 0),
        lambda cell: f"`flow_direction` {code[cell]} must point to an active cell, but leaves the domain",
        f"Use {OUTLET_CODE} for an outlet or {SINK_CODE} for an inland sink.",
    )
    padded = np.pad(index >= 0, 1)
    neighbors = np.zeros(grid.cells, dtype=bool)
    for north, east in STEPS_D8.values():
        neighbors |= padded[1 + grid.row + north, 1 + grid.column + east]
    _refuse(
        grid,
        sink & ~neighbors,
        lambda cell: "An inland sink must have an active neighbor, but the cell is isolated",
        "Make it an outlet (0) or inactive.",
    )
    return np.where(flows, target, -1), outlet, sink


def post_order(grid: Grid, downstream: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Number of every cell in post-order and the number of the first cell of its catchment.

    Work is O(N log N) in whole-array operations, with one short pass per level of the tree.

    Args:
        grid: Grid with the cells in the numbering of `downstream`, for messages.
        downstream (cell,): Next cell, -1 at roots.

    Returns:
        `number` (cell,) and `first` (cell,), in the old order of cells.

    Raises:
        InputError: The flow directions form a loop.
    """
    count = downstream.size
    levels = level_sets(_depth(grid, downstream))
    size = np.ones(count, dtype=np.int64)
    for cells in levels[:0:-1]:  # from the far ends to the roots
        np.add.at(size, downstream[cells], size[cells])
    # Siblings are laid out one after the other, the largest last; roots are siblings of each other.
    order = np.lexsort((size, downstream))
    before = np.cumsum(size[order]) - size[order]
    family = downstream[order]
    starts = np.flatnonzero(np.diff(family, prepend=-2))
    offset = np.empty(count, dtype=np.int64)
    offset[order] = before - np.repeat(before[starts], np.diff(starts, append=count))
    first = offset
    for cells in levels[1:]:
        first[cells] += first[downstream[cells]]
    return first + size - 1, first


def level_sets(level: np.ndarray) -> list[np.ndarray]:
    """Cells of each level 0, 1, ... of `level` (cell,)."""
    order = np.argsort(level, kind="stable")
    return np.split(order, np.cumsum(np.bincount(level))[:-1]) if level.size else []


def tree_levels(downstream: np.ndarray) -> list[np.ndarray]:
    """Cells by number of edges to their root, roots first, for `downstream` in post-order."""
    return level_sets(_distance_to_root(downstream)[0])


def build(grid: Grid, downstream: np.ndarray, first: np.ndarray, outlet: np.ndarray, sink: np.ndarray, cell_area):
    """Drainage of cells already in post-order.

    Args:
        grid: Grid with the cells in post-order.
        downstream (cell,): Next cell, -1 at roots.
        first (cell,): First cell of each catchment.
        outlet (cell,): Whether water leaves the domain here.
        sink (cell,): Whether the cell is an inland sink.
        cell_area (cell,): Area, m2.

    Returns:
        The drainage tree.
    """
    width_x, width_y = grid.spacing
    flows = downstream >= 0
    tail = np.flatnonzero(flows)
    head = downstream[flows]
    length = np.sqrt(cell_area)
    length[tail] = np.hypot(
        width_x * (grid.column[head] - grid.column[tail]), width_y * (grid.row[head] - grid.row[tail])
    )
    total = np.concatenate([[0.0], np.cumsum(cell_area)])
    return Drainage(
        downstream=jnp.asarray(downstream, dtype=jnp.int32),
        first=jnp.asarray(first, dtype=jnp.int32),
        outlet=jnp.asarray(outlet),
        sink=jnp.asarray(sink),
        length=jnp.asarray(length),
        upstream_area=jnp.asarray(total[1:] - total[first]),
        strahler_order=jnp.asarray(_strahler(downstream), dtype=jnp.int32),
        edges=EdgeList(jnp.asarray(tail, dtype=jnp.int32), jnp.asarray(head, dtype=jnp.int32), downstream.size),
    )


def cut(tree: Drainage, start: int, stop: int, leaves: bool) -> Drainage:
    """The catchment `start .. stop - 1` on its own; its last cell is an outlet if `leaves`, else what it was."""
    inside = slice(start, stop)
    last = np.arange(stop - start) == stop - start - 1
    return Drainage(
        downstream=jnp.asarray(np.where(last, -1, tree.downstream[inside] - start)),
        first=tree.first[inside] - start,
        outlet=jnp.asarray(np.where(last, leaves, tree.outlet[inside])),
        sink=tree.sink[inside],
        length=tree.length[inside],
        upstream_area=tree.upstream_area[inside],
        strahler_order=tree.strahler_order[inside],
        edges=tree.edges.subset(start, stop)[0],
    )


def _depth(grid: Grid, downstream: np.ndarray) -> np.ndarray:
    """Number of edges from every cell to its root, 1; refuses loops."""
    depth, looping = _distance_to_root(downstream)
    _refuse(
        grid,
        looping,
        lambda cell: "`flow_direction` must lead to an outlet or a sink, but runs in a loop",
        f"Break the loop, or make one of its cells an inland sink ({SINK_CODE}).",
    )
    return depth


def _distance_to_root(downstream: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Edges to the root by pointer doubling, and where no root is reached (a loop or what drains into one)."""
    own = np.arange(downstream.size)
    jump = np.where(downstream < 0, own, downstream)
    depth = (downstream >= 0).astype(np.int64)
    for _ in range(max(int(downstream.size).bit_length(), 1)):
        depth = depth + depth[jump]
        further = jump[jump]
        if np.array_equal(further, jump):
            break
        jump = further
    return depth, downstream[jump] >= 0


def _strahler(downstream: np.ndarray) -> np.ndarray:
    """Strahler order of cells in post-order, 1."""
    order = np.ones(downstream.size, dtype=np.int64)
    highest = np.zeros_like(order)
    ties = np.zeros_like(order)
    for cells in tree_levels(downstream)[::-1]:
        order[cells] = np.maximum(highest[cells] + (ties[cells] >= 2), 1)
        cells = cells[downstream[cells] >= 0]
        parents = downstream[cells]
        np.maximum.at(highest, parents, order[cells])
        np.add.at(ties, parents, order[cells] == highest[parents])
    return order


def _refuse(grid: Grid, bad: np.ndarray, what, advice: str) -> None:
    """Raise an error that names the first bad cell, if any."""
    if bad.any():
        cell = int(np.argmax(bad))
        raise InputError(f"{what(cell)}, at {grid.place(cell)}; {int(bad.sum())} cell(s) in all. {advice}")
