"""Layers of a column, one array each, into one array.

XLA's CPU backend computes what is stacked inside of the stacking, element by element with a branch for every layer, and
without vectors. Stacking arrays that are there already is a copy.
"""

from __future__ import annotations

from collections.abc import Sequence

import jax
import jax.numpy as jnp

from chase_jax.numerics.fence import fenced


@fenced()
def stack(layers: Sequence[jax.Array]) -> jax.Array:
    """`jnp.stack` of layers (cell,) to (layer, cell), none of which is computed in it.

    Args:
        layers: An array per layer, of one shape, any unit.
    """
    return jnp.stack(layers)
