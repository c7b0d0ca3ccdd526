import jax
import jax.numpy as jnp
import numpy as np
import pytest

from chase_jax.numerics.graph import EdgeList
from chase_jax.numerics.krylov import ConjugateGradient


def problem(seed=0, size=8):
    """A raster with conductances over several orders of magnitude, and a dense copy of its matrix."""
    rng = np.random.default_rng(seed)
    index = np.arange(size * size).reshape(size, size)
    tail = np.concatenate([index[:, :-1].ravel(), index[:-1].ravel()])
    head = np.concatenate([index[:, 1:].ravel(), index[1:].ravel()])
    edges = EdgeList(jnp.asarray(tail), jnp.asarray(head), size * size)
    diagonal = jnp.asarray(np.exp(rng.normal(-2.0, 2.0, size * size)))
    conductance = jnp.asarray(np.exp(rng.normal(0.0, 2.0, tail.size)))
    return edges, diagonal, conductance, jnp.asarray(rng.normal(size=size * size))


def dense(edges, diagonal, conductance, right):
    columns = jax.vmap(lambda unit: edges.laplacian(conductance, unit))(jnp.eye(edges.cells))
    return jnp.linalg.solve(jnp.diag(diagonal) + columns, right)


@pytest.mark.parametrize("unit", [1e-12, 1.0, 1e9])
def test_the_solution_is_that_of_the_dense_matrix_in_any_unit(unit):
    edges, diagonal, conductance, right = problem()
    value, report = ConjugateGradient()(edges, diagonal * unit, conductance * unit, right)
    expected = dense(edges, diagonal, conductance, right) / unit
    np.testing.assert_allclose(value, expected, rtol=0, atol=1e-10 * float(jnp.abs(expected).max()))
    assert float(report.residual) < 1e-10
    assert 0 < int(report.steps) < 200


def test_the_matrix_is_symmetric_and_positive():
    edges, diagonal, conductance, right = problem(1)
    other = jnp.roll(right, 3)
    solver = ConjugateGradient(tolerance=1e-13)
    one = jnp.vdot(other, solver(edges, diagonal, conductance, right)[0])
    two = jnp.vdot(right, solver(edges, diagonal, conductance, other)[0])
    np.testing.assert_allclose(one, two, rtol=1e-10)
    assert float(jnp.vdot(right, solver(edges, diagonal, conductance, right)[0])) > 0.0


def test_derivatives_are_those_of_the_dense_solve_in_both_modes():
    edges, *arguments = problem(2)

    def loss(solve):
        return lambda *given: jnp.sum(jnp.sin(solve(*given)))

    ours = loss(lambda *given: ConjugateGradient()(edges, *given)[0])
    reference = loss(lambda *given: dense(edges, *given))
    for found, expected in zip(
        jax.grad(ours, (0, 1, 2))(*arguments), jax.grad(reference, (0, 1, 2))(*arguments), strict=True
    ):
        np.testing.assert_allclose(found, expected, atol=1e-8 * float(jnp.abs(expected).max()))
    tangents = tuple(jnp.cos(jnp.arange(a.size)) for a in arguments)
    np.testing.assert_allclose(
        jax.jvp(ours, tuple(arguments), tangents)[1], jax.jvp(reference, tuple(arguments), tangents)[1], rtol=1e-7
    )


def test_an_unfinished_solve_reports_itself_and_does_not_raise():
    edges, diagonal, conductance, right = problem(3)
    solver = ConjugateGradient(max_steps=3)
    _, report = solver(edges, diagonal, conductance, right)
    assert int(report.steps) == 3
    assert float(report.residual) > 1e-6
    gradient = jax.jit(jax.grad(lambda c: jnp.sum(solver(edges, diagonal, c, right)[0])))(conductance)
    assert bool(jnp.all(jnp.isfinite(gradient)))


def test_nothing_to_solve_gives_nothing():
    edges, diagonal, conductance, right = problem(4)
    zero = jnp.zeros_like(right)
    value, report = ConjugateGradient()(edges, diagonal, conductance, zero)
    assert int(report.steps) == 0
    assert float(jnp.abs(value).max()) == 0.0
    gradient = jax.grad(lambda b: jnp.sum(ConjugateGradient()(edges, diagonal, conductance, b)[0]))(zero)
    np.testing.assert_allclose(gradient, dense(edges, diagonal, conductance, jnp.ones_like(zero)), rtol=1e-7)
    none = jnp.zeros(0)
    value, _ = ConjugateGradient()(EdgeList(jnp.zeros(0, int), jnp.zeros(0, int), 0), none, none, none)
    assert value.shape == (0,)


def test_single_precision_stops_at_its_own_rounding():
    edges, *arguments = problem(5)
    value, report = ConjugateGradient()(edges, *(a.astype(jnp.float32) for a in arguments))
    assert value.dtype == jnp.float32
    assert int(report.steps) < 200
    np.testing.assert_allclose(value, dense(edges, *arguments), rtol=2e-3, atol=1e-4)
