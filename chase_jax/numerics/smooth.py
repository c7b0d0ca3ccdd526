"""Smooth building blocks whose value and derivative are finite everywhere.

Each function guards the argument that is singular, not the result, because reverse mode multiplies the derivative of
the branch not taken by zero, and zero times infinity is NaN.
"""

from __future__ import annotations

import jax
import jax.numpy as jnp

TINY = {4: 1e-18, 8: 1e-30}  # any unit, by the bytes of a number; derivatives of quotients divide by its square
SHORT = 1e-2  # 1, interval below which a mean over it is that of its ends, corrected; error 2e-12


def tiny(x: jax.Array) -> float:
    """Size below which a number of the precision of `x` counts as zero where it divides."""
    return TINY[jnp.result_type(x).itemsize]


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

    Where both are zero it is homogeneous and has no derivative; there it counts as `b`. A demand a on an empty store b
    then has no slope: with that of the demand, a pack without snow would feel a sublimation of which it has nothing,
    and reverse mode would amplify that from step to step.

    Args:
        a: First argument, >= 0, any unit.
        b: Second argument, >= 0, same unit; of a demand and a store, the store.

    Returns:
        Values between 0 and min(a, b): 8 % below it where both are equal, 0.05 % where one is twice the other.
    """
    second = b <= a
    lower, upper = jnp.where(second, b, a), jnp.where(second, a, b)
    ratio = lower / jnp.maximum(upper, tiny(upper))
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
    r"""$x^p$ as $e^{p \ln x}$ for x >= 0, several times faster than `**`; arguments below :func:`tiny` count as that.

    Args:
        base: Base x, any unit; negative values count as zero.
        exponent: Exponent p, 1.

    Returns:
        The power, with zero derivative where `base` is not above that.
    """
    least = tiny(base)
    return jnp.exp(exponent * jnp.log(jnp.where(base > least, base, least)))


@jax.custom_jvp
def mean_sigmoid(upper: jax.Array, span: jax.Array) -> tuple[jax.Array, jax.Array, jax.Array]:
    r"""Mean of the sigmoid over an interval, and its values at the ends.

    $$ \frac{1}{x} \int_{a-x}^{a} \sigma = \frac{1}{x}\Big[\mathrm{clip}(a, 0, x)
       + \ln\frac{1 + e^{-|a|}}{1 + e^{-|a-x|}}\Big] $$

    where the logarithm is a series in $(e_1 - e_2)/(2 + e_1 + e_2) \le 1/3$; over short intervals the trapezoid with
    its first correction. Unlike a difference of two softplus functions it keeps its digits however short or far from
    zero the interval is, and it costs far less.

    Args:
        upper: Upper end of the interval a, 1.
        span: Its length x, 1, >= 0.

    Returns:
        The mean, between 0 and 1, and the sigmoid at the upper and at the lower end, 1.
    """
    lower = upper - span
    at_upper, at_lower = jnp.exp(-jnp.abs(upper)), jnp.exp(-jnp.abs(lower))
    inverse_upper, inverse_lower = 1.0 / (1.0 + at_upper), 1.0 / (1.0 + at_lower)
    high = jnp.where(upper >= 0.0, inverse_upper, at_upper * inverse_upper)
    low = jnp.where(lower >= 0.0, inverse_lower, at_lower * inverse_lower)
    ratio = (at_upper - at_lower) / (2.0 + at_upper + at_lower)
    integral = jnp.minimum(jnp.maximum(upper, 0.0), span) + 2.0 * ratio * _atanh_over(ratio * ratio)
    wide = span > SHORT
    trapezoid = 0.5 * (high + low) - span * (1.0 / 12.0) * (high * (1.0 - high) - low * (1.0 - low))
    return jnp.where(wide, integral / jnp.where(wide, span, 1.0), trapezoid), high, low


@mean_sigmoid.defjvp
def _mean_sigmoid_jvp(primals, tangents):
    """The derivative needs no further exponential."""
    span = primals[1]
    mean, high, low = mean_sigmoid(*primals)
    d_upper, d_span = tangents
    d_lower = d_upper - d_span
    high_slope, low_slope = high * (1.0 - high), low * (1.0 - low)
    d_high, d_low = high_slope * d_upper, low_slope * d_lower
    wide = span > SHORT
    regular = (high * d_upper - low * d_lower - mean * d_span) / jnp.where(wide, span, 1.0)
    bend = (1.0 - 2.0 * high) * d_high - (1.0 - 2.0 * low) * d_low
    short = 0.5 * (d_high + d_low) - (1.0 / 12.0) * ((high_slope - low_slope) * d_span + span * bend)
    return (mean, high, low), (jnp.where(wide, regular, short), d_high, d_low)


def _atanh_over(square: jax.Array) -> jax.Array:
    """The series of artanh(s) / s in the square of s, to rounding for s within 1/3. Argument: square, 1."""
    total = jnp.full_like(square, 1.0 / 31.0)
    for odd in range(29, 0, -2):
        total = total * square + 1.0 / odd
    return total


def safe_sqrt(x: jax.Array, floor: float = 1e-30) -> jax.Array:
    """Square root whose argument `x` is kept at or above `floor`, so that the derivative stays finite."""
    return jnp.sqrt(jnp.where(x > floor, x, floor))


def safe_divide(numerator: jax.Array, denominator: jax.Array, otherwise: float = 0.0) -> jax.Array:
    """`numerator` over `denominator` where that is above :func:`tiny`, `otherwise` elsewhere; derivatives are finite.

    A store that decays exponentially never gets to zero, and the square of what is left underflows long before.
    """
    valid = jnp.abs(denominator) > tiny(denominator)
    return jnp.where(valid, numerator / jnp.where(valid, denominator, 1.0), otherwise)
