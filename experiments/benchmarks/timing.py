"""What the benchmarks share: time of compiled functions, and the lines of their tables."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import jax

from chase_jax.numerics.compilation import OPTIONS

REPEATS = 3


def lowered(function: Callable[..., Any], *arguments: Any) -> Any:
    """A traced function; its `compile` is that of the model's own programs."""
    return jax.jit(function, compiler_options=OPTIONS).lower(*arguments)


def seconds(call: Callable[[], Any], clock: Callable[[], float] = time.perf_counter) -> float:
    """Least time of a few calls of a compiled function, s.

    Args:
        call: The call.
        clock: Of the wall, or of the processor where other jobs disturb.
    """
    times = []
    for _ in range(REPEATS):
        begun = clock()
        jax.block_until_ready(call())
        times.append(clock() - begun)
    return min(times)


def report(name: str, value: float, unit: str) -> None:
    """Print one line of the table."""
    print(f"{name:<52} {value:>12,.4g}  {unit}", flush=True)
