r"""The coarse half of a two-level preconditioner for graphs of cells on a grid.

Cells of a connected part of the graph are gathered into squares, few enough that the system of the squares' mean values
is solved exactly. With P taking a square's value to its cells and D the diagonal of the matrix A,

$$ M^{-1} = D^{-1} + P\,(P^T A\, P)^{-1} P^T $$

is symmetric and positive definite, and cures what the diagonal alone is blind to: a lake that rises as one. Small parts
share a block of the coarse matrix, so that all blocks are of one size.

Source: additive two-level method, smith1996, ch. 2, with constants on each square.
"""

from __future__ import annotations

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np

from chase_jax.numerics.graph import EdgeList
from chase_jax.typing import PerCell, PerEdge

MOST_SQUARES = 64  # of a connected part; a block of the coarse matrix has as many rows


class Squares(eqx.Module):
    """Squares of cells; static.

    Attributes:
        slot (cell,): Slot of each cell's square, block by block.
        entry (edge,): Where each edge stands in the flattened blocks; beyond them if both its ends share a square.
        opposite (edge,): Where its transposed entry stands, likewise.
        blocks: Number of blocks (static).
        size: Rows of a block (static).
    """

    slot: jax.Array
    entry: jax.Array
    opposite: jax.Array
    blocks: int = eqx.field(static=True)
    size: int = eqx.field(static=True)

    def inverse(self, edges: EdgeList, diagonal: PerCell, conductance: PerEdge) -> jax.Array:
        """Inverse of the coarse matrix (block, row, column).

        Args:
            edges: The graph.
            diagonal (cell,): Diagonal added to the Laplacian, any unit, > 0.
            conductance (edge,): Weights of the Laplacian, same unit, >= 0.
        """
        number = self.blocks * self.size
        across = jnp.where(self.entry < number * self.size, conductance, 0.0)
        rows = jnp.zeros(number, diagonal.dtype).at[self.slot].add(diagonal + edges.total(across))
        rows = jnp.where(rows > 0.0, rows, 1.0)  # slots without cells
        flat = jnp.zeros(number * self.size, diagonal.dtype)
        for place in (self.entry, self.opposite):
            flat = flat.at[place].add(-across, mode="drop")
        matrix = flat.reshape(self.blocks, self.size, self.size)
        matrix = matrix + rows.reshape(self.blocks, self.size, 1) * jnp.eye(self.size)
        inverse = jnp.linalg.inv(matrix)
        return 0.5 * (inverse + jnp.swapaxes(inverse, 1, 2))

    def spread(self, inverse: jax.Array, value: PerCell) -> PerCell:
        """P times the coarse inverse times P transposed times `value` (cell,).

        Args:
            inverse (block, row, column): From :meth:`inverse`.
            value (cell,): Any unit.
        """
        total = jnp.zeros((self.blocks * self.size,), value.dtype).at[self.slot].add(value)
        solved = jnp.einsum("bij,bj->bi", inverse, total.reshape(self.blocks, self.size))
        return solved.reshape(-1)[self.slot]


def squares(
    row: np.ndarray, column: np.ndarray, part: np.ndarray, edges: EdgeList, most: int = MOST_SQUARES
) -> Squares:
    """The smallest squares of which no connected part has more than `most`; NumPy, once.

    Args:
        row (cell,): Row of each cell in the grid.
        column (cell,): Its column.
        part (cell,): Number of the connected part it belongs to, from 0.
        edges: The graph; no edge joins two parts.
        most: Largest number of squares of a part.
    """
    number = int(part.max(initial=-1)) + 1
    side, label = np.ones(number, dtype=np.int64), np.zeros(part.size, dtype=np.int64)
    while True:
        place = np.stack([part, row // side[part], column // side[part]])
        found, label = np.unique(place, axis=1, return_inverse=True)
        count = np.bincount(found[0], minlength=number)
        if (count <= most).all():
            break
        side[count > most] += 1
    # parts one after the other into blocks, a new block where one does not fit
    size = max(int(min(count.sum(), most)), 1)
    start, used, block = np.zeros(number, dtype=np.int64), 0, 0
    for index in range(number):
        if used + count[index] > size:
            block, used = block + 1, 0
        start[index], used = block * size + used, used + count[index]
    first = np.cumsum(count) - count
    slot = start[part] + label.ravel() - first[part]
    tail, head = slot[np.asarray(edges.tail)], slot[np.asarray(edges.head)]
    blocks = block + 1
    outside = blocks * size * size
    entry, opposite = tail * size + head % size, head * size + tail % size

    def index_of(values: np.ndarray) -> jax.Array:
        return jnp.asarray(np.where(tail == head, outside, values), dtype=jnp.int32)

    return Squares(jnp.asarray(slot, dtype=jnp.int32), index_of(entry), index_of(opposite), blocks, size)
