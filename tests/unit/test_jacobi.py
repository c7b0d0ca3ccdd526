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
    np.testing.assert_allclose(jacobi.solve(FOREST.links, *ARGUMENTS, sweeps), reference(sweeps), rtol=1e-12)


def test_many_sweeps_reach_the_exact_solution():
    found = jacobi.solve(FOREST.links, *ARGUMENTS, 4000)
    np.testing.assert_allclose(found, tree.solve(FOREST, *ARGUMENTS), rtol=1e-8, atol=1e-10)


def test_sweeps_that_finish_are_kept_and_others_handed_over():
    diagonal, up, low, right = ARGUMENTS
    exact = tree.solve(FOREST, *ARGUMENTS)
    swept = jacobi.solve(FOREST.links, *ARGUMENTS, 8)
    assert jnp.max(jnp.abs(swept - exact)) > 0.1  # a stiff system
    np.testing.assert_allclose(
        jacobi.Jacobi(sweeps=8, tolerance=1e-3).solve(FOREST, *ARGUMENTS), exact, rtol=1e-11, atol=1e-13
    )
    np.testing.assert_allclose(jacobi.Jacobi(sweeps=8, tolerance=np.inf).solve(FOREST, *ARGUMENTS), swept, rtol=1e-12)
    up, low = 1e-3 * up, 1e-3 * low
    diagonal = 1.0 + low + FOREST.links.sum_children(jnp.where(FOREST.links.linked, up, 0.0))
    soft = diagonal, up, low, right
    found = jacobi.Jacobi(sweeps=8, tolerance=1e-3).solve(FOREST, *soft)
    np.testing.assert_allclose(found, jacobi.solve(FOREST.links, *soft, 8), rtol=1e-12)
    assert 0.0 < jnp.max(jnp.abs(found - tree.solve(FOREST, *soft))) < 1e-3


def test_few_enough_cells_may_be_left_undone():
    swept = jacobi.solve(FOREST.links, *ARGUMENTS, 8)
    solver = jacobi.Jacobi(sweeps=8, tolerance=1e-3)
    left = float(jnp.mean(solver.unfinished(FOREST, *ARGUMENTS, swept)))
    assert 0.0 < left < 1.0
    sparing, strict = (jacobi.Jacobi(sweeps=8, tolerance=1e-3, spared=left * share) for share in (1.01, 0.99))
    np.testing.assert_allclose(sparing.solve(FOREST, *ARGUMENTS), swept, rtol=1e-12)
    np.testing.assert_allclose(strict.solve(FOREST, *ARGUMENTS), tree.solve(FOREST, *ARGUMENTS), rtol=1e-11, atol=1e-13)


def stiff_and_soft(member):
    """A system that is stiff between the marked cells only."""
    _, up, low, right = ARGUMENTS
    links = FOREST.links
    both = links.linked & member & member[links.parent]
    up, low = (weight * jnp.where(both, 1.0, 1e-3) for weight in (up, low))
    held = links.sum_children(jnp.where(links.linked, up, 0.0))
    return 1.0 + low + held, up, low, right


def test_stiff_reaches_are_eliminated_among_the_sweeps():
    member = jnp.asarray((np.arange(120) > 60) & (np.arange(120) < 100))
    system = stiff_and_soft(member)
    exact = tree.solve(FOREST, *system)
    stiff = jacobi.Stiff.of(FOREST.links, member)
    assert int(stiff.within.sum()) > 10
    alone, helped = (jacobi.Jacobi(sweeps=6, tolerance=1e-3, stiff=s) for s in (None, stiff))
    left = alone.unfinished(FOREST, *system, alone.sweep(FOREST, *system))
    assert bool(jnp.any(left & member))
    found = helped.sweep(FOREST, *system)
    assert not bool(jnp.any(helped.unfinished(FOREST, *system, found)))
    assert float(jnp.abs(found - exact).max()) < 1e-3
    np.testing.assert_array_equal(helped.solve(FOREST, *system), found)
    up, low = (jnp.where(FOREST.links.linked, weight, 0.0) for weight in system[1:3])
    rows = system[3] - tree.product(FOREST, system[0], up, low, found)
    assert float(jnp.abs(rows[member]).max()) < 1e-12 < float(jnp.abs(rows).max())


def test_elimination_of_every_reach_is_the_exact_solution():
    every = jacobi.Stiff.of(FOREST.links, np.ones(120, dtype=bool))
    found = jacobi.solve(FOREST.links, *ARGUMENTS, 2, every)
    np.testing.assert_allclose(found, tree.solve(FOREST, *ARGUMENTS), rtol=1e-12)
    assert jacobi.Stiff.of(FOREST.links, np.zeros(120, dtype=bool)) is None


def test_what_sweeps_leave_undone_stays_below_the_tolerance():
    diagonal, up, low, right = ARGUMENTS
    up, low = 3e-2 * up, 3e-2 * low
    diagonal = 1.0 + low + FOREST.links.sum_children(jnp.where(FOREST.links.linked, up, 0.0))
    for sweeps in (1, 4, 16, 64):
        found = jacobi.Jacobi(sweeps=sweeps, tolerance=1e-3).solve(FOREST, diagonal, up, low, right)
        left = right - tree.product(
            FOREST, diagonal, *(jnp.where(FOREST.links.linked, weight, 0.0) for weight in (up, low)), found
        )
        assert jnp.max(jnp.abs(left)) <= 1e-3


def test_memory_of_the_gradient_does_not_grow_with_the_sweeps_of_other_steps():
    def needed(sweeps):
        def run(x):
            def step(x, _):
                return jacobi.solve(FOREST.links, *ARGUMENTS[:3], x, sweeps), None

            return jax.lax.scan(jax.checkpoint(step), x, None, length=64)[0].sum()

        return jax.jit(jax.grad(run)).lower(ARGUMENTS[3]).compile().memory_analysis().temp_size_in_bytes

    assert needed(64) < 1.5 * needed(8)
