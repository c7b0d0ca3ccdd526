"""Elimination by hand against a dense solve of all nine unknowns."""

from __future__ import annotations

import jax.numpy as jnp
import numpy as np
import pytest

from chase_jax import constants as const
from chase_jax.numerics import two_level

LEVELS = (0, 0, 1, 1, 1)


@pytest.mark.parametrize("seed", range(5))
def test_elimination_is_the_dense_solution(seed):
    draw = np.random.default_rng(seed)
    surplus, warmth = draw.normal(0.0, 100.0, 5), draw.normal(0.0, 5.0, 5)
    stiffness, heat, vapor = draw.uniform(1.0, 30.0, 5), draw.uniform(0.0, 0.1, 5), draw.uniform(0.0, 0.05, 5)
    humidity, slope = draw.normal(0.0, 5e-3, 5), draw.uniform(1e-4, 1e-3, 5)
    latent = 2.5e6 * vapor
    above, between = 0.03, 0.02
    # unknowns: changes of the five surfaces, warmth and humidity of the upper, then of the lower level
    matrix, right = np.zeros((9, 9)), np.zeros(9)
    for j, level in enumerate(LEVELS):
        t, q = 5 + 2 * level, 6 + 2 * level
        sensible = const.SPECIFIC_HEAT_AIR * heat[j]
        matrix[j, j] = stiffness[j] + sensible + latent[j] * slope[j]
        matrix[j, t], matrix[j, q] = -sensible, -latent[j]
        right[j] = surplus[j] - sensible * warmth[j] - latent[j] * humidity[j]
        matrix[t, t] += heat[j]
        matrix[t, j] -= heat[j]
        right[t] += heat[j] * warmth[j]
        matrix[q, q] += vapor[j]
        matrix[q, j] -= vapor[j] * slope[j]
        right[q] += vapor[j] * humidity[j]
    for upper, lower in ((5, 7), (6, 8)):
        matrix[upper, upper] += above + between
        matrix[lower, lower] += between
        matrix[upper, lower] -= between
        matrix[lower, upper] -= between
    expected = np.linalg.solve(matrix, right)
    columns = (surplus, stiffness, heat, vapor, latent, warmth, humidity, slope)
    rows = [two_level.row(*(jnp.array([column[j]]) for column in columns)) for j in range(5)]
    levels = two_level.solve_air(jnp.array([above]), jnp.array([between]), rows[:2], rows[2:])
    changes = [row.change(*levels[level]) for row, level in zip(rows, LEVELS, strict=True)]
    np.testing.assert_allclose(np.ravel(changes), expected[:5], rtol=1e-10, atol=1e-10)
    np.testing.assert_allclose(np.ravel(levels), expected[5:], rtol=1e-10, atol=1e-12)
