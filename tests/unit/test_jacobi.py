import jax
import jax.numpy as jnp
import numpy as np
import pytest
from waters import random_downstream, tree_system

from chase_jax.numerics import jacobi, tree

DOWNSTREAM = random_downstream(120, 4, roots=0.03)
ARGUMENTS = tree_system(DOWNSTREAM, 5)
FOREST = tree.forest(DOWNSTREAM)


def reference(sweeps, downstream=DOWNSTREAM):
    diagonal, up, low, right = (np.asarray(a) for a in ARGUMENTS)
    x = previous = np.zeros_like(right)
    for _ in range(sweeps):
        previous, inflow = x, right.copy()
        for cell, parent in enumerate(downstream):
            if parent >= 0:
                inflow[cell] += up[cell] * previous[parent]
                inflow[parent] += low[cell] * previous[cell]
        x = inflow / diagonal
    return 0.5 * (x + previous)


@pytest.mark.parametrize("sweeps", [1, 2, 3, 10, 17])
def test_sweeps_are_those_written_in_the_docstring(sweeps):
    np.testing.assert_allclose(jacobi.solve(FOREST.links, *ARGUMENTS, sweeps, None), reference(sweeps), rtol=1e-12)


def test_many_sweeps_reach_the_exact_solution():
    found = jacobi.solve(FOREST.links, *ARGUMENTS, 4000, None)
    np.testing.assert_allclose(found, tree.solve(FOREST, *ARGUMENTS), rtol=1e-8, atol=1e-10)


def test_two_sweeps_are_exact_where_everything_is_one_block():
    everything = jacobi.block(DOWNSTREAM, np.ones(120, dtype=bool))
    found = jacobi.solve(FOREST.links, *ARGUMENTS, 2, everything)
    np.testing.assert_allclose(found, tree.solve(FOREST, *ARGUMENTS), rtol=1e-10, atol=1e-12)


def test_block_on_stiff_rows_saves_sweeps():
    diagonal, up, low, right = ARGUMENTS
    soft = np.arange(120) < 80
    up, low = jnp.where(soft, 0.01 * up, up), jnp.where(soft, 0.01 * low, low)
    diagonal = 1.0 + low + FOREST.links.sum_children(jnp.where(FOREST.links.linked, up, 0.0))
    exact = tree.solve(FOREST, diagonal, up, low, right)
    stiff = jacobi.block(DOWNSTREAM, ~soft)
    with_block = jacobi.solve(FOREST.links, diagonal, up, low, right, 8, stiff)
    without = jacobi.solve(FOREST.links, diagonal, up, low, right, 8, None)
    assert jnp.max(jnp.abs(with_block - exact)) < 0.02 * jnp.max(jnp.abs(without - exact))


def test_no_member_is_no_block():
    assert jacobi.block(DOWNSTREAM, np.zeros(120, dtype=bool)) is None


def test_memory_of_the_gradient_does_not_grow_with_the_sweeps_of_other_steps():
    def needed(sweeps):
        def run(x):
            def step(x, _):
                return jacobi.solve(FOREST.links, *ARGUMENTS[:3], x, sweeps, None), None

            return jax.lax.scan(jax.checkpoint(step), x, None, length=64)[0].sum()

        return jax.jit(jax.grad(run)).lower(ARGUMENTS[3]).compile().memory_analysis().temp_size_in_bytes

    assert needed(64) < 1.5 * needed(8)
