"""What figures share: the style they are drawn in, and one line where matplotlib is not installed."""

from __future__ import annotations

import functools
import importlib.util
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from chase_jax.checks import require

if TYPE_CHECKING:
    from matplotlib.figure import Figure


def require_matplotlib() -> None:
    """Require matplotlib, which only figures need.

    Raises:
        InputError: If it is not installed.
    """
    there = importlib.util.find_spec("matplotlib") is not None
    require(there, "Figures need matplotlib; install it with: pip install 'chase_jax[plot]'.")


def styled(style: Mapping[str, Any]) -> Callable[[Callable[..., Figure]], Callable[..., Figure]]:
    """Decorator: draw under a style; what else is drawn elsewhere keeps its own. Argument: style, rc parameters."""

    def decorate(draw: Callable[..., Figure]) -> Callable[..., Figure]:
        @functools.wraps(draw)
        def drawn(*args: Any, **kwargs: Any) -> Figure:
            require_matplotlib()
            import matplotlib as mpl

            with mpl.rc_context(dict(style)):  # type: ignore[arg-type]
                return draw(*args, **kwargs)

        return drawn

    return decorate
