import jax
import jax.numpy as jnp
import numpy as np
import pytest
from waters import random_downstream, tree_system

from chase_jax.checks import InputError
from chase_jax.numerics import tree


def dense(downstream, diagonal, up, low):
    matrix = np.diag(np.asarray(diagonal))
    for cell, parent in enumerate(downstream):
        if parent >= 0:
            matrix[cell, parent] -= up[cell]
            matrix[parent, cell] -= low[cell]
    return matrix


FORESTS = {
    "random": random_downstream(200, 1, roots=0.05),
    "chain": np.append(np.arange(1, 64), -1),
    "reversed chain": np.arange(-1, 63),
    "star": np.append(np.full(40, 40), -1),
    "lone cells": np.full(5, -1),
    "one cell": np.array([-1]),
}


@pytest.mark.parametrize("name", FORESTS)
def test_solution_is_that_of_the_dense_system(name):
    downstream = FORESTS[name]
    diagonal, up, low, right = tree_system(downstream)
    expected = np.linalg.solve(dense(downstream, diagonal, up, low), right)
    found = tree.solve(tree.forest(downstream), diagonal, up, low, right)
    np.testing.assert_allclose(found, expected, rtol=1e-10, atol=1e-12)


def test_rounds_grow_with_the_logarithm_of_a_chain():
    assert len(tree.forest(np.append(np.arange(1, 4096), -1)).rounds) <= 14


def test_no_round_removes_two_neighbours():
    downstream = random_downstream(500, 3)
    network = tree.forest(downstream)
    parent, order, start = downstream.copy(), np.asarray(network.order), 0
    for raked, compressed in network.rounds:
        gone = order[start : start + raked + compressed]
        assert not np.isin(parent[gone], gone).any()
        for cell in gone[raked:]:
            parent[np.flatnonzero(parent == cell)] = parent[cell]
        parent[gone] = -1
        start += raked + compressed
    assert start == 500


def test_derivatives_are_those_of_the_dense_solution():
    downstream = FORESTS["random"]
    arguments = tree_system(downstream, 2)
    network = tree.forest(downstream)
    weight = jnp.cos(jnp.arange(200.0))
    parent = jnp.asarray(np.where(downstream >= 0, downstream, 0))
    linked = jnp.asarray(downstream >= 0)

    def by_matrix(diagonal, up, low, right):
        cell = jnp.arange(200)
        matrix = jnp.diag(diagonal)
        matrix = matrix.at[cell, parent].add(-jnp.where(linked, up, 0.0))
        matrix = matrix.at[parent, cell].add(-jnp.where(linked, low, 0.0))
        return weight @ jnp.linalg.solve(matrix, right)

    def by_tree(*a):
        return weight @ tree.solve(network, *a)

    each = (0, 1, 2, 3)
    for ours, theirs in zip(jax.grad(by_tree, each)(*arguments), jax.grad(by_matrix, each)(*arguments), strict=True):
        np.testing.assert_allclose(ours, theirs, rtol=1e-8, atol=1e-10)
    _, ours = jax.jvp(by_tree, arguments, arguments[::-1])
    _, theirs = jax.jvp(by_matrix, arguments, arguments[::-1])
    np.testing.assert_allclose(ours, theirs, rtol=1e-8)


def test_empty_forest_is_solved():
    nothing = jnp.zeros(0)
    assert tree.solve(tree.forest(np.zeros(0, dtype=int)), nothing, nothing, nothing, nothing).shape == (0,)


@pytest.mark.parametrize("downstream", [[1, 2, 0], [1, 0, -1], [0]])
def test_loop_is_refused(downstream):
    with pytest.raises(InputError, match="loop"):
        tree.forest(np.array(downstream))


def test_index_out_of_range_is_refused():
    with pytest.raises(InputError, match="downstream"):
        tree.forest(np.array([1, 5]))
