r"""Shared formulas of a soil whose curves are those of van Genuchten and Mualem. No state, no step.

With $m = 1 - 1/n$ and $S$ the saturation above the residual one, over its range,

$$ \psi = \frac1\alpha (X^{-1} - 1)^{1/n}, \quad X = (S_c S)^{1/m}, \quad
   \frac{K}{K_s} = S^{l} \left[\frac{1 - (1 - X)^m}{1 - (1 - X_c)^m}\right]^2 $$

where $S_c$ and $X_c$ belong to the least suction $\psi_c$, a few centimetres, below which the soil stays saturated:
without it the slope of K at saturation is infinite, and wrong by far in clay. The matric flux potential follows from
$d\Phi/dX \propto X^{a-1} [(1 - X)^{-m} + (1 - X)^m - 2]$ with $a = m(l + 1) - 1$. It has no elementary form; the
binomial series of the bracket in X, integrated term by term, converges fast below X = 1/2, that of $X^{a-1}$ in
$1 - X$ above it.
"""

from __future__ import annotations

import math

import equinox as eqx
import jax
import jax.numpy as jnp

from chase_jax.numerics.fence import fenced
from chase_jax.typing import PerCell

TERMS = 40  # of each series; their ratio is at most 1/2
EFFECTIVE_FLOOR = 0.01  # 1, drier than this the curves are held constant
LEAST_LOGARITHM = -60.0  # 1, of X: keeps single precision from underflow


class Parameters(eqx.Module):
    """Curves of a column, every leaf (cell,).

    Attributes:
        inverse_suction: Scale alpha of suction, m-1.
        shape: Exponent n > 1, 1.
        residual_saturation: Residual water over porosity, 1.
        connectivity: Exponent l of Mualem's model, 1.
        least_suction: Suction psi_c up to which the soil stays saturated, m, > 0.
    """

    inverse_suction: PerCell
    shape: PerCell
    residual_saturation: PerCell
    connectivity: PerCell
    least_suction: PerCell


def effective_saturation(parameters: Parameters, saturation: jax.Array) -> jax.Array:
    """Saturation above the residual one, over its range, 1.

    Args:
        parameters: Curves, leaves (cell,).
        saturation (..., cell): Saturation, 1.
    """
    residual = parameters.residual_saturation
    return jnp.clip((saturation - residual) / (1.0 - residual), EFFECTIVE_FLOOR, 1.0)


def suction(parameters: Parameters, saturation: jax.Array) -> jax.Array:
    """Suction psi, m: the first equation of the module docstring.

    Args:
        parameters: Curves, leaves (cell,).
        saturation (..., cell): Saturation, 1.

    Source:
        vangenuchten1980; vogel2000 (least suction).
    """
    _, logarithm = _argument(parameters, saturation)
    return jnp.exp(jnp.log(jnp.expm1(-logarithm)) / parameters.shape) / parameters.inverse_suction


def saturation_at(parameters: Parameters, height: jax.Array) -> jax.Array:
    """Saturation in equilibrium with a water table, 1 up to the least suction.

    Args:
        parameters: Curves, leaves (cell,).
        height (..., cell): Height above the water table, m.

    Source:
        vangenuchten1980; vogel2000.
    """
    p = parameters
    m = 1.0 - 1.0 / p.shape
    ratio = _log_of_full(p, jnp.maximum(height, p.least_suction)) - _log_of_full(p, p.least_suction)
    return p.residual_saturation + (1.0 - p.residual_saturation) * jnp.exp(m * ratio)


@fenced()
def relative_conductivity(parameters: Parameters, saturation: jax.Array) -> tuple[jax.Array, jax.Array]:
    """K / K_s and its slope by saturation, 1.

    Args:
        parameters: Curves, leaves (cell,).
        saturation (..., cell): Saturation, 1.

    Source:
        mualem1976; vangenuchten1980; vogel2000.
    """
    p = parameters
    m = 1.0 - 1.0 / p.shape
    s, logarithm = _argument(p, saturation)
    x = jnp.exp(logarithm)
    log_rest = _log_of_rest(logarithm)
    filled = -jnp.expm1(m * log_rest)
    ratio = filled / _filled_at_saturation(p)
    relative = jnp.exp(p.connectivity * jnp.log(s)) * ratio * ratio
    by_effective = relative / s * (p.connectivity + 2.0 * jnp.exp((m - 1.0) * log_rest) * x / filled)
    return relative, by_effective / (1.0 - p.residual_saturation)


@fenced()
def relative_potential(parameters: Parameters, saturation: jax.Array) -> tuple[jax.Array, jax.Array]:
    r"""Matric flux potential over saturated conductivity, $\Phi / K_s$, and its slope by saturation, m.

    The tension-saturated part at suctions below the least one is left out, as in the power laws. Each series is cut
    after 40 terms: the relative error is below 1e-9.

    Args:
        parameters: Curves, leaves (cell,).
        saturation (..., cell): Saturation, 1.

    Source:
        The integral of K of mualem1976 over suction; series this project's.
    """
    p = parameters
    m = 1.0 - 1.0 / p.shape
    s, logarithm = _argument(p, saturation)
    x = jnp.exp(logarithm)
    a = m * (p.connectivity + 1.0) - 1.0
    log_full = _log_of_full(p, p.least_suction)
    # K_s S_c^-l / (filled at saturation)^2 (1 - m) / alpha, over K_s
    scale = jnp.exp(-p.connectivity * m * log_full) / _filled_at_saturation(p) ** 2 / (p.shape * p.inverse_suction)
    half = jnp.full_like(x, 0.5)
    low = _from_below(m, a, jnp.minimum(x, 0.5))
    rest = -jnp.expm1(jnp.maximum(logarithm, math.log(0.5)))
    high = _from_below(m, a, half) + _from_above(m, a, half) - _from_above(m, a, rest)
    # 4 sinh^2 is the bracket of the module docstring without its cancellation
    root = jnp.sinh(0.5 * m * _log_of_rest(logarithm)) / x
    slope = scale * 4.0 * root * root * jnp.exp((a + 2.0) * logarithm) / (m * s)
    return scale * jnp.where(x <= 0.5, low, high), slope / (1.0 - p.residual_saturation)


def _log_of_full(p, height):
    """Logarithm of X at a suction."""
    return -jnp.log1p(jnp.exp(p.shape * jnp.log(p.inverse_suction * height)))


def _argument(p, saturation):
    """Effective saturation and log X."""
    s = effective_saturation(p, saturation)
    logarithm = jnp.log(s) / (1.0 - 1.0 / p.shape) + _log_of_full(p, p.least_suction)
    return s, jnp.maximum(logarithm, LEAST_LOGARITHM)


def _log_of_rest(logarithm):
    """Logarithm of 1 - X from that of X, accurate where X is nearly 0 and where it is nearly 1."""
    return jax.nn.log1mexp(-logarithm)


def _filled_at_saturation(p):
    m = 1.0 - 1.0 / p.shape
    return -jnp.expm1(m * _log_of_rest(_log_of_full(p, p.least_suction)))


def _rising(argument, dimensions):
    """(argument)_k / k! of k = 0, 1, ... along a new first axis."""
    k = jnp.arange(TERMS, dtype=argument.dtype).reshape((TERMS,) + (1,) * dimensions)
    factors = (argument + k) / (k + 1.0)
    return jnp.concatenate([jnp.ones_like(factors[:1]), jnp.cumprod(factors, axis=0)]), k


def _powers(x):
    """1, x, x^2, ... along a new first axis."""
    return jnp.cumprod(jnp.concatenate([jnp.ones_like(x)[None], jnp.broadcast_to(x, (TERMS - 1, *x.shape))]), axis=0)


def _from_below(m, a, x):
    """Integral of t^(a-1) [(1-t)^-m + (1-t)^m - 2] from 0 to x <= 1/2."""
    up, k = _rising(m, x.ndim)
    down, _ = _rising(-m, x.ndim)
    coefficient = up + down  # of t^k; the first two vanish
    terms = coefficient[2:] / (k[: TERMS - 1] + 2.0 + a)
    return jnp.exp((a + 2.0) * jnp.log(x)) * jnp.sum(terms * _powers(x)[: TERMS - 1], axis=0)


def _from_above(m, a, y):
    """The same integral from 1 - y to 1, y <= 1/2."""
    coefficient, k = _rising(1.0 - a, y.ndim)
    log_y = jnp.log(y)
    by_power = jnp.exp(-m * log_y) / (k + 1.0 - m) + jnp.exp(m * log_y) / (k + 1.0 + m) - 2.0 / (k + 1.0)
    return y * jnp.sum(coefficient[:TERMS] * by_power * _powers(y), axis=0)
