"""Loops over time and over blocks of cells, arranged so that reverse mode stays small."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

import jax
import jax.numpy as jnp
from jax import lax

Carry = TypeVar("Carry")


def checkpointed_scan(
    function: Callable[[Carry, Any], tuple[Carry, Any]],
    start: Carry,
    inputs: Any,
    block: int | None = None,
) -> tuple[Carry, Any]:
    """`lax.scan` whose reverse pass stores carries only, every one of them or every `block`-th.

    Every step is recomputed in the reverse pass. With `block` steps to a block, only the carries between blocks
    are kept for the whole length and those inside for one block at a time: about 2 sqrt(T) carries for
    block = sqrt(T), at the price of one more forward run.

    Args:
        function: Step (carry, input) -> (carry, output).
        start: First carry.
        inputs: Pytree with a leading time axis of one length T.
        block: Steps in a block; `None` keeps every carry.

    Returns:
        The last carry and the outputs stacked over time, as `lax.scan` does.
    """
    step = jax.checkpoint(function, prevent_cse=False)
    length = jax.tree.leaves(inputs)[0].shape[0]
    if block is None or block >= length:
        return lax.scan(step, start, inputs)
    whole = length // block

    def run_block(carry: Carry, part: Any) -> tuple[Carry, Any]:
        return lax.scan(step, carry, part)

    head = jax.tree.map(lambda x: x[: whole * block].reshape(whole, block, *x.shape[1:]), inputs)
    carry, output = lax.scan(jax.checkpoint(run_block, prevent_cse=False), start, head)
    output = jax.tree.map(lambda y: y.reshape(whole * block, *y.shape[2:]), output)
    if whole * block == length:
        return carry, output
    carry, rest = lax.scan(step, carry, jax.tree.map(lambda x: x[whole * block :], inputs))
    return carry, jax.tree.map(lambda a, b: jnp.concatenate([a, b]), output, rest)


def keep_solutions(primitive: Any, *_: Any, **__: Any) -> bool:
    """Policy of `jax.checkpoint` for a routing step: keep what linear solves and iterations found, not the formulas.

    A solution is one number per unknown and costs many times what a formula does. Around a whole day the same policy
    was measured to cost 40 times the value, where keeping all or nothing costs 2.5 and 3.2.

    Args:
        primitive: Operation whose result may be kept.
    """
    return primitive.name in ("custom_linear_solve", "while")


def to_blocks(tree: Any, size: int) -> Any:
    """Cut the last axis of every leaf into blocks: (..., cell) -> (block, ..., cell in block).

    Blocks are as equal as they can be; the last is filled up with copies of the last cell, which :func:`from_blocks`
    drops again. Leaves without an axis are repeated for every block.

    Args:
        tree: Pytree of arrays whose last axis is the cell.
        size: Most cells in a block, > 0.
    """
    cells = max(leaf.shape[-1] for leaf in jax.tree.leaves(tree) if jnp.ndim(leaf))
    blocks = -(-cells // size)
    size = -(-cells // blocks)

    def cut(leaf: jax.Array) -> jax.Array:
        if jnp.ndim(leaf) == 0:
            return jnp.broadcast_to(leaf, (blocks,))
        padding = [(0, 0)] * (leaf.ndim - 1) + [(0, blocks * size - cells)]
        padded = jnp.pad(leaf, padding, mode="edge")
        return jnp.moveaxis(padded.reshape(*leaf.shape[:-1], blocks, size), -2, 0)

    return jax.tree.map(cut, tree)


def from_blocks(tree: Any, cells: int) -> Any:
    """Undo :func:`to_blocks`: (block, ..., cell in block) -> (..., cell).

    Args:
        tree: Pytree of arrays with a leading block axis and the cell last.
        cells: Cells to keep.
    """

    def join(leaf: jax.Array) -> jax.Array:
        moved = jnp.moveaxis(leaf, 0, -2)
        return moved.reshape(*moved.shape[:-2], -1)[..., :cells]

    return jax.tree.map(join, tree)
