"""A border that the compiler does not fuse across.

XLA's CPU backend copies a cheap producer into every consumer. In a long chain of elementwise formulas, and far more in
its derivative, the copies multiply: the energy balance of a canopy compiled as one piece takes three times as long as
in pieces, and its forward-mode derivative two hundred times. `optimization_barrier` does not stop that, a call that is
not inlined does. Where a compiler ignores the mark, results are the same and only speed is lost.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import TypeVar

import jax
from jax.experimental.xla_metadata import set_xla_metadata

Result = TypeVar("Result")


def fenced(*, static: tuple[str, ...] = ()) -> Callable[[Callable[..., Result]], Callable[..., Result]]:
    """Decorator: compile the function, and each of its derivatives, as a piece of its own.

    Args:
        static: Names of the arguments that are not pytrees of arrays.
    """

    def _decorate(function: Callable[..., Result]) -> Callable[..., Result]:
        compiled = jax.jit(function, static_argnames=static)

        @functools.wraps(function)
        def separate(*arguments, **named) -> Result:
            with set_xla_metadata(inlineable="false"):
                return compiled(*arguments, **named)

        return separate

    return _decorate
