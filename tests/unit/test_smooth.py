"""Guards of singular arguments hold where stores have decayed to almost nothing."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from chase_jax.numerics import smooth


@pytest.mark.parametrize("left", [0.0, 1e-306, 1e-191, 1e-31, 1e-29, 1.0])
def test_a_share_of_almost_nothing_has_a_finite_derivative(left):
    def share(part, rest):
        return smooth.safe_divide(part, part + rest)

    for value in (share(left, left), *jax.grad(share, argnums=(0, 1))(left, left)):
        assert np.isfinite(value)
    assert smooth.safe_divide(jnp.asarray(left), jnp.asarray(2.0)) == left / 2.0


def test_a_quotient_of_nothing_is_what_it_is_told():
    assert smooth.safe_divide(jnp.asarray(3.0), jnp.asarray(0.0), 7.0) == 7.0
    assert smooth.safe_divide(jnp.asarray(3.0), jnp.asarray(-1e-40), 7.0) == 7.0
    assert smooth.safe_divide(jnp.asarray(3.0), jnp.asarray(-1.5)) == -2.0
