"""Argument checks with one message form: "Argument `x` must ..., but ...".

Every error a user can cause is an :class:`InputError`, and the command line turns it into one line and exit code 2.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike


class InputError(ValueError):
    """The user's input is wrong; the message says what, where, what is allowed and what to do."""


def require(condition: bool, message: str) -> None:
    """Raise :class:`InputError` with `message` unless `condition` holds."""
    if not condition:
        raise InputError(message)


def after_number(unit: str) -> str:
    """A unit as it stands behind a number; a pure number has none. Argument: unit, "1" for pure numbers."""
    return "" if unit == "1" else f" {unit}"


def require_shape(value: ArrayLike, name: str, shape: tuple[int, ...]) -> None:
    """Require an array argument to have exactly `shape`."""
    found = np.shape(value)
    require(found == shape, f"Argument `{name}` must have shape {shape}, but has shape {found}.")


def require_between(value: ArrayLike, name: str, lower: float, upper: float, unit: str = "1") -> None:
    """Require every element of an array argument to be finite and within [lower, upper]."""
    array = np.asarray(value, dtype=float)
    bad = ~((array >= lower) & (array <= upper))
    if bad.any():
        place = np.unravel_index(int(np.argmax(bad)), array.shape)
        index = ", ".join(str(int(i)) for i in place)
        raise InputError(
            f"Argument `{name}` must lie between {lower:g} and {upper:g}{after_number(unit)}, "
            f"but is {array[place]:g} at index ({index})."
        )


def require_choice(value: str, name: str, allowed: tuple[str, ...]) -> None:
    """Require a text argument to be one of `allowed`."""
    require(value in allowed, f"Argument `{name}` must be one of {', '.join(allowed)}, but is '{value}'.")
