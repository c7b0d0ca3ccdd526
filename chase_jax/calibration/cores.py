"""Closed columns on several cores at once.

A compiled program goes from block to block of columns on one core. Columns do not see each other, so they are shared
out: every core runs the same program on a share of them, at the same time. What a column yields does not depend on the
number of cores.
"""

from __future__ import annotations

import itertools
import os
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any, TypeVar

import jax
import jax.numpy as jnp
import numpy as np

LEAST_COLUMNS = 256  # in a share; a program of fewer costs nearly as much
Result = TypeVar("Result")


def usable() -> int:
    """Number of cores that this process may run on."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def shares(total: int, cores: int) -> list[np.ndarray]:
    """Numbers (chosen,) of the columns of every share, in order.

    All shares are as long, so that one program runs them; the last begins before the one ahead of it ends where the
    columns do not divide.

    Args:
        total: Number of columns, > 0.
        cores: Most shares.
    """
    size = -(-total // max(min(cores, total // LEAST_COLUMNS), 1))
    firsts = (min(first, total - size) for first in range(0, total, size))
    return [np.arange(first, first + size) for first in firsts]


def joined(parts: Sequence[Any], numbers: Sequence[np.ndarray]) -> Any:
    """Leaves (..., cell) of all columns from those of their shares; other leaves are those of the first share.

    Args:
        parts: Trees of the same structure.
        numbers: The columns of each, as :func:`shares` gives them.
    """
    size = numbers[0].size
    known = [0, *(int(before[-1] + 1 - own[0]) for before, own in itertools.pairwise(numbers))]

    def join(*leaves: Any) -> Any:
        if not (np.ndim(leaves[0]) and leaves[0].shape[-1] == size):
            return leaves[0]
        kept = [leaf[..., first:] for leaf, first in zip(leaves, known, strict=True)]
        return (np if isinstance(leaves[0], np.ndarray) else jnp).concatenate(kept, axis=-1)

    return parts[0] if len(parts) == 1 else jax.tree.map(join, *parts)


def at_once(function: Callable[..., Result], *arguments: Sequence[Any]) -> list[Result]:
    """Results of a function, as of `map`, each in a thread of its own.

    Args:
        function: What is called; compiled programs leave the interpreter to the others while they run.
        *arguments: For every argument of the function, its values in the order of the calls.
    """
    calls = list(zip(*arguments, strict=True))
    if len(calls) == 1:
        return [function(*calls[0])]
    with ThreadPoolExecutor(len(calls)) as pool:
        return list(pool.map(function, *arguments))


def alone_at_first(function: Callable[..., Any]) -> Callable[..., Any]:
    """The function, of which calls with new shapes are made one after the other, so that none is compiled twice.

    Args:
        function: A compiled function.
    """
    lock, known = threading.Lock(), set()

    def call(*arguments: Any) -> Any:
        shapes = tuple((leaf.shape, str(leaf.dtype)) for leaf in jax.tree.leaves(arguments) if hasattr(leaf, "dtype"))
        if shapes not in known:
            with lock:
                if shapes not in known:
                    found = function(*arguments)
                    known.add(shapes)
                    return found
        return function(*arguments)

    return call
