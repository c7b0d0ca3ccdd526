"""Where a run under derivatives breaks: the first day, the cell and the store that is no finite number any more."""

from __future__ import annotations

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np

from chase_jax.calibration.trial import Simulator, Span
from chase_jax.model.containers import State


@dataclasses.dataclass(frozen=True)
class Break:
    """The first value that is no finite number.

    Attributes:
        what: "value" or "derivative".
        span: "run-in" or "period".
        day: Day of the span, from 1 on.
        cell: Number of the cell among those of the model, 1.
        store: The store that broke, which names its process: `land.snow...`, `land.soil...`, `aquifer.storage`.
    """

    what: str
    span: str
    day: int
    cell: int
    store: str


def first_break(simulator: Simulator, unknowns: jax.Array, state: State) -> Break | None:
    """Go through run-in and period day by day until a store, or its derivative, is no finite number.

    Args:
        simulator: A model under weather.
        unknowns (parameter, cell): Unknowns of its free parameters, 1.
        state: Stores at the start.

    Returns:
        The first break, in the order of the stores within a day; None if all stays finite.
    """
    count = len(simulator.free)
    moving = jax.tree.map(lambda leaf: jnp.zeros((count, *leaf.shape), leaf.dtype), state)
    for name, span in simulator.spans:
        for day, weather in _days(span):
            state, moving = simulator.day_with_tangents(unknowns, state, moving, weather)
            for what, tree in (("value", state), ("derivative", moving)):
                found = _not_finite(tree)
                if found is not None:
                    return Break(what, name, day, *found)
    return None


def _days(span: Span):
    """The days of a span with their number from 1 on, each as a chunk of its own."""
    number = 0
    for k in range(span.chunks):
        weather, count = span.read(k)
        for day in range(count):
            number += 1
            yield number, jax.tree.map(lambda leaf, day=day: leaf[day : day + 1], weather)


def _not_finite(tree: State) -> tuple[int, str] | None:
    """Cell and name of the first leaf (..., cell) that is not finite."""
    for path, leaf in jax.tree_util.tree_leaves_with_path(tree):
        bad = ~np.isfinite(np.asarray(leaf))
        if bad.any():
            cells = np.flatnonzero(bad.reshape(-1, bad.shape[-1]).any(axis=0))
            return int(cells[0]), jax.tree_util.keystr(path, simple=True, separator=".")
    return None
