"""Checkpointed scans and blocks of cells change memory, not results."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax import lax

from chase_jax.numerics.scan import checkpointed_scan, from_blocks, to_blocks


def step(carry, x):
    carry = jnp.sin(carry) + x
    return carry, carry * x


@pytest.mark.parametrize("block", [None, 1, 4, 5, 17, 40])
def test_checkpointing_changes_neither_values_nor_gradients(block):
    inputs = jnp.linspace(0.1, 1.0, 17 * 3).reshape(17, 3)
    start = jnp.asarray([0.3, 0.2, 0.1])
    plain, plain_out = lax.scan(step, start, inputs)
    carry, out = checkpointed_scan(step, start, inputs, block)
    np.testing.assert_array_equal(carry, plain)
    np.testing.assert_array_equal(out, plain_out)

    def loss(x, scan):
        carry, out = scan(x)
        return jnp.sum(carry**2) + jnp.sum(jnp.cos(out))

    expected = jax.grad(lambda x: loss(x, lambda y: lax.scan(step, start, y)))(inputs)
    found = jax.grad(lambda x: loss(x, lambda y: checkpointed_scan(step, start, y, block)))(inputs)
    np.testing.assert_allclose(found, expected, rtol=1e-13)


@pytest.mark.parametrize(("cells", "size"), [(10, 4), (8, 4), (3, 7), (1, 1)])
def test_blocks_and_back(cells, size):
    tree = {"a": jnp.arange(cells, dtype=float), "b": jnp.arange(6 * cells, dtype=float).reshape(6, cells)}
    blocks = to_blocks(tree, size)
    assert blocks["b"].shape == (-(-cells // size), 6, min(size, cells))
    for name, leaf in from_blocks(blocks, cells).items():
        np.testing.assert_array_equal(leaf, tree[name])
