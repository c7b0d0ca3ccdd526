import jax
import jax.numpy as jnp
import numpy as np
import pytest

from chase_jax.numerics import coarse
from chase_jax.numerics.graph import EdgeList
from chase_jax.numerics.krylov import ConjugateGradient

MOST = 9


def lakes(sizes=((12, 15), (1, 7), (3, 3), (1, 1)), seed=0, stiffness=1e4):
    """Rectangles of cells side by side as lakes at one step: places, squares and the system."""
    rng = np.random.default_rng(seed)
    rows, columns, parts, tails, heads, first = [], [], [], [], [], 0
    for part, (height, width) in enumerate(sizes):
        number = first + np.arange(height * width).reshape(height, width)
        row, column = np.divmod(np.arange(height * width), width)
        rows.append(row), columns.append(100 * part + column), parts.append(np.full(row.size, part))
        tails += [number[:, :-1].ravel(), number[:-1].ravel()]
        heads += [number[:, 1:].ravel(), number[1:].ravel()]
        first += height * width
    row, column, part, tail, head = (np.concatenate(x) for x in (rows, columns, parts, tails, heads))
    edges = EdgeList(jnp.asarray(tail), jnp.asarray(head), first)
    diagonal = jnp.asarray(rng.uniform(0.5, 1.5, first))
    conductance = jnp.asarray(stiffness * rng.uniform(0.1, 1.0, tail.size))
    squares = coarse.squares(row, column, part, edges, MOST)
    return part, edges, squares, (diagonal, conductance, jnp.asarray(rng.normal(size=first)))


def matrix(edges, diagonal, conductance):
    return jnp.diag(diagonal) + jax.vmap(lambda unit: edges.laplacian(conductance, unit))(jnp.eye(edges.cells))


def test_no_lake_has_more_squares_than_asked_for_and_none_shares_one():
    part, _, squares, _ = lakes()
    slot = np.asarray(squares.slot)
    for one in range(part.max() + 1):
        own = np.unique(slot[part == one])
        assert own.size <= MOST
        assert np.unique(own // squares.size).size == 1  # in one block
        assert not np.isin(own, slot[part != one]).any()
    assert slot.max() < squares.blocks * squares.size


def test_the_coarse_matrix_is_that_of_values_constant_on_squares():
    _, edges, squares, (diagonal, conductance, right) = lakes()
    number = squares.blocks * squares.size
    constant = jnp.zeros((edges.cells, number)).at[jnp.arange(edges.cells), squares.slot].set(1.0)
    inverse = squares.inverse(edges, diagonal, conductance)
    whole = constant.T @ matrix(edges, diagonal, conductance) @ constant
    used = np.unique(np.asarray(squares.slot))
    expected = constant[:, used] @ jnp.linalg.solve(whole[np.ix_(used, used)], (constant.T @ right)[used])
    np.testing.assert_allclose(squares.spread(inverse, right), expected, rtol=1e-8, atol=1e-12)
    np.testing.assert_array_equal(inverse, jnp.swapaxes(inverse, 1, 2))


def test_lakes_that_fit_are_solved_at_once():
    _, edges, squares, (diagonal, conductance, right) = lakes(((1, 7), (3, 3), (2, 4)))
    found, report = ConjugateGradient()(edges, diagonal, conductance, right, squares)
    assert int(report.steps) < 20
    np.testing.assert_allclose(found, jnp.linalg.solve(matrix(edges, diagonal, conductance), right), rtol=1e-8)


@pytest.mark.parametrize("stiffness", [1e-2, 1.0, 1e4])
def test_the_solution_is_the_same_and_found_in_fewer_steps(stiffness):
    _, edges, squares, (diagonal, conductance, right) = lakes(stiffness=stiffness)
    solver = ConjugateGradient(tolerance=1e-12)
    plain, slow = solver(edges, diagonal, conductance, right)
    found, fast = solver(edges, diagonal, conductance, right, squares)
    expected = jnp.linalg.solve(matrix(edges, diagonal, conductance), right)
    for value in (plain, found):
        np.testing.assert_allclose(value, expected, atol=1e-10 * float(jnp.abs(expected).max()))
    assert float(fast.residual) < 1e-10
    if stiffness > 100.0:
        assert int(fast.steps) < 0.6 * int(slow.steps)


def test_derivatives_are_those_of_the_dense_solve():
    _, edges, squares, arguments = lakes(stiffness=10.0)

    def ours(diagonal, conductance, right):
        return jnp.sum(jnp.sin(ConjugateGradient()(edges, diagonal, conductance, right, squares)[0]))

    def reference(diagonal, conductance, right):
        return jnp.sum(jnp.sin(jnp.linalg.solve(matrix(edges, diagonal, conductance), right)))

    pairs = zip(jax.grad(ours, (0, 1, 2))(*arguments), jax.grad(reference, (0, 1, 2))(*arguments), strict=True)
    for found, expected in pairs:
        np.testing.assert_allclose(found, expected, atol=1e-8 * float(jnp.abs(expected).max()))
    tangents = tuple(jnp.cos(jnp.arange(a.size)) for a in arguments)
    np.testing.assert_allclose(jax.jvp(ours, arguments, tangents)[1], jax.jvp(reference, arguments, tangents)[1], 1e-7)


def test_no_lake_is_no_trouble():
    none = np.zeros(0, dtype=int)
    edges = EdgeList(jnp.zeros(0, int), jnp.zeros(0, int), 0)
    squares = coarse.squares(none, none, none, edges)
    empty = jnp.zeros(0)
    assert ConjugateGradient()(edges, empty, empty, empty, squares)[0].shape == (0,)
