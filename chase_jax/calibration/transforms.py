r"""Ways between a parameter with bounds and an unknown that may be any number.

An optimiser moves the unknown u; the model sees the parameter p. Both directions are smooth and monotone, so bounds
hold by construction. At a bound the unknown would be infinite; a parameter that stands there is moved off it by
`MARGIN` of the range, which leaves the optimiser a slope to come back on.
"""

from __future__ import annotations

import math

import equinox as eqx
import jax
import jax.numpy as jnp

MARGIN = 1e-3  # 1, of the range, beyond which a bound counts as reached


class Bounded(eqx.Module):
    r"""A parameter between two bounds, $p = l + (h - l)/(1 + e^{-u})$.

    Attributes:
        low: Smallest value l, in the unit of the parameter.
        high: Largest value h, in the unit of the parameter.
    """

    low: float = eqx.field(static=True)
    high: float = eqx.field(static=True)

    def decode(self, unknown: jax.Array) -> jax.Array:
        """Parameter, in its unit. Argument: unknown, 1."""
        return self.low + (self.high - self.low) * jax.nn.sigmoid(unknown)

    def encode(self, parameter: jax.Array) -> jax.Array:
        """Unknown, 1. Argument: parameter, in its unit; values beyond the bounds count as close to them."""
        share = jnp.clip((parameter - self.low) / (self.high - self.low), MARGIN, 1.0 - MARGIN)
        return jnp.log(share) - jnp.log1p(-share)


class Positive(eqx.Module):
    """A positive parameter without an upper bound, p = exp(u)."""

    def decode(self, unknown: jax.Array) -> jax.Array:
        """Parameter, in its unit. Argument: unknown, 1."""
        return jnp.exp(unknown)

    def encode(self, parameter: jax.Array) -> jax.Array:
        """Unknown, 1. Argument: parameter, in its unit, > 0."""
        return jnp.log(parameter)


class Log(eqx.Module):
    """A positive parameter between two bounds whose logarithm is the natural scale.

    Attributes:
        low: Smallest value, > 0, in the unit of the parameter.
        high: Largest value, in the unit of the parameter.
    """

    low: float = eqx.field(static=True)
    high: float = eqx.field(static=True)

    @property
    def _exponent(self) -> Bounded:
        """Bounds of the logarithm."""
        return Bounded(math.log(self.low), math.log(self.high))

    def decode(self, unknown: jax.Array) -> jax.Array:
        """Parameter, in its unit. Argument: unknown, 1."""
        return jnp.exp(self._exponent.decode(unknown))

    def encode(self, parameter: jax.Array) -> jax.Array:
        """Unknown, 1. Argument: parameter, in its unit; values beyond the bounds count as close to them."""
        return self._exponent.encode(jnp.log(jnp.maximum(parameter, 1e-300)))


Transform = Bounded | Positive | Log
