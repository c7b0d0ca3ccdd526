"""Arithmetic in single precision on stores in double precision.

Formulas hardly feel the seven digits of single precision and run about twice as fast in it. Stores do: what a day adds
to a store of 500 mm is lost in the last digits. So stores are kept in double precision, a step is computed from their
rounded values, and what it changed is added to the exact ones.
"""

from __future__ import annotations

from typing import Any, TypeVar

import jax
import jax.numpy as jnp

Tree = TypeVar("Tree")


def single(tree: Tree) -> Tree:
    """The tree with its numbers in single precision. Argument: tree of arrays, integers stay as they are."""
    return _cast(tree, jnp.float32)


def double(tree: Tree) -> Tree:
    """The tree with its numbers in double precision. Argument: tree of arrays, integers stay as they are."""
    return _cast(tree, jnp.float64)


def _cast(tree: Tree, kind: Any) -> Tree:
    return jax.tree.map(lambda x: x.astype(kind) if jnp.issubdtype(x.dtype, jnp.floating) else x, tree)


def changed(exact: Tree, before: Tree, after: Tree) -> Tree:
    """Stores in double precision after a step in single precision.

    The change is added where it is small. Where it is more than half of what is left, the new value is taken as it
    is: its own digits suffice, and a store that empties is exactly empty.

    Args:
        exact: Stores at the start, in double precision.
        before: The same rounded, with which the step began.
        after: Stores with which it ended, in single precision.
    """

    def move(kept: jax.Array, old: jax.Array, new: jax.Array) -> jax.Array:
        old, new = old.astype(kept.dtype), new.astype(kept.dtype)
        change = new - old
        return jnp.where(2.0 * jnp.abs(change) > jnp.abs(new), new, kept + change)

    return jax.tree.map(move, exact, before, after)
