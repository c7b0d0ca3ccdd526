"""How whole programs are compiled.

XLA's CPU backend asks LLVM for vectors of 256 bits also where the processor has 512, which leaves the columns a tenth
slower. Where it has not, and on other backends, the option is without effect.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import equinox as eqx

OPTIONS = {"xla_cpu_prefer_vector_width": 512}


def compiled(function: Callable[..., Any], **named: Any) -> Callable[..., Any]:
    """`equinox.filter_jit` with the :data:`OPTIONS` of the compiler.

    Args:
        function: What to compile; arrays among the leaves of its arguments are traced.
        **named: Passed on, as `donate`.
    """
    jit: Callable[..., Any] = eqx.filter_jit  # its types leave out what it passes on to jax.jit
    return jit(function, compiler_options=OPTIONS, **named)
