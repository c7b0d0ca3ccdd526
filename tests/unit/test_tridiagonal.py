"""Tridiagonal elimination against dense algebra, value and derivatives."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from chase_jax.numerics import tridiagonal


def system(layers, cells=4, seed=0):
    generator = np.random.default_rng(seed)
    lower, upper, right = (jnp.asarray(generator.standard_normal((layers, cells))) for _ in range(3))
    diagonal = jnp.asarray(4.0 + generator.random((layers, cells)))
    return tuple(tuple(part) for part in (lower, diagonal, upper, right))


def dense_solution(lower, diagonal, upper, right):
    layers = len(diagonal)
    matrix = sum(
        jnp.zeros((diagonal[0].shape[0], layers, layers)).at[:, k, k + d].set(values[k])
        for values, d in ((lower, -1), (diagonal, 0), (upper, 1))
        for k in range(layers)
        if 0 <= k + d < layers
    )
    return tuple(jnp.linalg.solve(matrix, jnp.stack(right, axis=1)[..., None])[..., 0].T)


@pytest.mark.parametrize("layers", [1, 2, 6])
def test_solution_is_that_of_the_dense_system(layers):
    arguments = system(layers)
    np.testing.assert_allclose(tridiagonal.solve(*arguments), dense_solution(*arguments), rtol=1e-12)


def test_derivatives_are_those_of_the_dense_system():
    arguments, tangents, weights = system(6), system(6, seed=1), system(6, seed=2)[0]
    tangents = jax.tree.map(lambda t: t - 3.0, tangents)
    _, ours = jax.jvp(tridiagonal.solve, arguments, tangents)
    _, theirs = jax.jvp(dense_solution, arguments, tangents)
    np.testing.assert_allclose(ours, theirs, rtol=1e-10, atol=1e-12)

    def total(solve):
        return lambda *a: sum(jnp.vdot(w, x) for w, x in zip(weights, solve(*a), strict=True))

    ours = jax.grad(total(tridiagonal.solve), argnums=(0, 1, 2, 3))(*arguments)
    theirs = jax.grad(total(dense_solution), argnums=(0, 1, 2, 3))(*arguments)
    for a, b in zip(jax.tree.leaves(ours), jax.tree.leaves(theirs), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-9, atol=1e-12)


def test_factors_serve_several_right_hand_sides():
    lower, diagonal, upper, right = system(6)
    factors = tridiagonal.factorize(lower, diagonal, upper)
    twice = tridiagonal.substitute(factors, tuple(2.0 * r for r in right))
    np.testing.assert_allclose(twice, 2.0 * jnp.stack(tridiagonal.solve(lower, diagonal, upper, right)), rtol=1e-13)
