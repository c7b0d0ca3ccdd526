"""Smooth building blocks whose value and derivative are finite everywhere.

Each function guards the argument that is singular, not the result, because reverse mode multiplies the derivative of
the branch not taken by zero, and zero times infinity is NaN.
"""

from __future__ import annotations

import jax
import jax.numpy as jnp

TINY = 1e-30


def softplus(x: jax.Array, width: float | jax.Array) -> jax.Array:
    r"""Smooth ramp $w \ln(1 + e^{x/w})$, with exponential tails.

    Args:
        x: Argument, any unit.
        width: Width of the bend w in the unit of `x`, > 0.

    Returns:
        Values >= 0, above max(x, 0) by at most 0.7 `width`.
    """
    return width * jax.nn.softplus(x / width)


def smooth_positive(x: jax.Array, width: float | jax.Array) -> jax.Array:
    r"""Cheap smooth ramp $(x + \sqrt{x^2 + w^2})/2$, with algebraic tails.

    Args:
        x: Argument, any unit.
        width: Width of the bend w in the unit of `x`, > 0.

    Returns:
        Values > 0, above max(x, 0) by at most w / 2.
    """
    return 0.5 * (x + jnp.sqrt(x * x + width * width))


def smooth_minimum(a: jax.Array, b: jax.Array, width: float | jax.Array) -> jax.Array:
    r"""Smooth minimum $(a + b - \sqrt{(a-b)^2 + w^2})/2$, never above the true one and never below zero.

    Args:
        a: First argument, >= 0, any unit.
        b: Second argument, >= 0, same unit.
        width: Width of the bend w in the same unit, > 0.

    Returns:
        Values between 0 and min(a, b).
    """
    difference = a - b
    return jnp.maximum(0.5 * (a + b - jnp.sqrt(difference * difference + width * width)), 0.0)


def scaled_minimum(a: jax.Array, b: jax.Array) -> jax.Array:
    r"""Smooth minimum without a width, $a b / (a^8 + b^8)^{1/8}$: for stores, whose size has no natural scale.

    Args:
        a: First argument, >= 0, any unit.
        b: Second argument, >= 0, same unit.

    Returns:
        Values between 0 and min(a, b): 8 % below it where both are equal, 0.05 % where one is twice the other.
    """
    lower, upper = jnp.minimum(a, b), jnp.maximum(a, b)
    ratio = lower / jnp.maximum(upper, TINY)
    square = ratio * ratio
    fourth = square * square
    return lower / jnp.sqrt(jnp.sqrt(jnp.sqrt(1.0 + fourth * fourth)))


def unit_clip(x: jax.Array, width: float) -> jax.Array:
    r"""Smooth clip to [0, 1], $(\sqrt{x^2 + w^2} - \sqrt{(x-1)^2 + w^2} + 1) / 2$, close to x between them.

    Args:
        x: Argument, 1.
        width: Width of the bends w, 1, > 0.
    """
    square = width * width
    return 0.5 * (jnp.sqrt(x * x + square) - jnp.sqrt((x - 1.0) * (x - 1.0) + square) + 1.0)


def step(x: jax.Array) -> jax.Array:
    """Cubic step from 0 at x <= 0 to 1 at x >= 1, with a continuous derivative. Argument: x, 1."""
    inside = jnp.clip(x, 0.0, 1.0)
    return inside * inside * (3.0 - 2.0 * inside)


def power(base: jax.Array, exponent: float | jax.Array) -> jax.Array:
    r"""$x^p$ as $e^{p \ln x}$ for x >= 0, several times faster than `**`; arguments below 1e-30 count as 1e-30.

    Args:
        base: Base x, any unit; negative values count as zero.
        exponent: Exponent p, 1.

    Returns:
        The power, with zero derivative where `base` is not above 1e-30.
    """
    return jnp.exp(exponent * jnp.log(jnp.where(base > TINY, base, TINY)))


def safe_sqrt(x: jax.Array, floor: float = 1e-30) -> jax.Array:
    """Square root whose argument `x` is kept at or above `floor`, so that the derivative stays finite."""
    return jnp.sqrt(jnp.where(x > floor, x, floor))


def safe_divide(numerator: jax.Array, denominator: jax.Array, otherwise: float = 0.0) -> jax.Array:
    """`numerator` over `denominator` where that is above 1e-30 in size, `otherwise` elsewhere; derivatives are finite.

    A store that decays exponentially never gets to zero, and the square of what is left underflows long before.
    """
    valid = jnp.abs(denominator) > TINY
    return jnp.where(valid, numerator / jnp.where(valid, denominator, 1.0), otherwise)
