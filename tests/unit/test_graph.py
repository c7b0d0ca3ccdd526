import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.test_util import check_grads

from chase_jax.numerics.graph import EdgeList, limit_outflow


def random_graph(rng, cells=40, count=120):
    tail = rng.integers(0, cells, count)
    head = (tail + rng.integers(1, cells, count)) % cells
    return EdgeList(jnp.asarray(tail), jnp.asarray(head), cells)


def incidence(edges):
    matrix = np.zeros((edges.size, edges.cells))
    rows = np.arange(edges.size)
    matrix[rows, np.asarray(edges.tail)], matrix[rows, np.asarray(edges.head)] = 1.0, -1.0
    return matrix


def test_difference_and_divergence_are_transposed():
    rng = np.random.default_rng(0)
    edges = random_graph(rng)
    matrix = incidence(edges)
    values, flux = rng.normal(size=edges.cells), np.abs(rng.normal(size=edges.size))
    np.testing.assert_allclose(edges.difference(jnp.asarray(values)), matrix @ values)
    np.testing.assert_allclose(edges.divergence(jnp.asarray(flux)), matrix.T @ flux, atol=1e-14)
    np.testing.assert_allclose(edges.total(jnp.asarray(flux)), np.abs(matrix).T @ flux)
    laplacian = edges.laplacian(jnp.asarray(flux), jnp.asarray(values))
    np.testing.assert_allclose(laplacian, matrix.T @ np.diag(flux) @ matrix @ values, atol=1e-13)
    assert abs(float(laplacian.sum())) < 1e-12


def test_a_subset_keeps_the_edges_with_both_ends_inside():
    edges = EdgeList(jnp.array([0, 1, 3, 4, 2]), jnp.array([1, 2, 2, 0, 5]), 6)
    part, kept = edges.subset(1, 4)
    np.testing.assert_array_equal(kept, [False, True, True, False, False])
    np.testing.assert_array_equal(part.tail, [0, 2])
    np.testing.assert_array_equal(part.head, [1, 1])
    assert part.cells == 3


def random_falls(rng, cells=40, count=120):
    """A graph whose fluxes run down a potential, hence in no circle."""
    edges = random_graph(rng, cells, count)
    return edges, edges.difference(jnp.asarray(rng.normal(size=cells)))


@pytest.mark.parametrize("downhill", [True, False])
@pytest.mark.parametrize("seed", range(8))
def test_the_limiter_keeps_every_store_positive_and_all_water(seed, downhill):
    rng = np.random.default_rng(seed)
    edges, flux = random_falls(rng)
    if not downhill:
        flux = jnp.asarray(rng.normal(size=edges.size))
    volume = jnp.asarray(rng.exponential(size=edges.cells) * (rng.random(edges.cells) < 0.8))
    boundary = jnp.asarray(rng.normal(size=edges.cells) * (rng.random(edges.cells) < 0.2))
    limited, leaving = limit_outflow(edges, flux, volume, boundary)
    after = volume - edges.divergence(limited) - leaving
    assert float(after.min()) >= 0.0
    np.testing.assert_allclose(after.sum(), (volume - leaving).sum(), rtol=1e-13)
    assert bool(jnp.all(limited * flux >= 0.0))
    assert bool(jnp.all(jnp.abs(limited) <= jnp.abs(flux)))
    np.testing.assert_array_equal(leaving[boundary < 0.0], boundary[boundary < 0.0])


@pytest.mark.parametrize("seed", range(4))
def test_a_flux_is_cut_only_where_its_cell_ends_empty(seed):
    rng = np.random.default_rng(seed)
    edges, flux = random_falls(rng)
    volume = jnp.asarray(0.1 * rng.exponential(size=edges.cells))
    limited, _ = limit_outflow(edges, flux, volume)
    after = volume - edges.divergence(limited)
    donor = jnp.where(flux > 0.0, edges.tail, edges.head)
    cut = jnp.abs(limited) < jnp.abs(flux)
    assert bool(cut.any())
    assert not bool(cut.all())
    np.testing.assert_allclose(after[donor][cut], 0.0, atol=1e-13)


def test_a_wave_passes_any_number_of_nearly_empty_cells():
    cells = 200
    edges = EdgeList(jnp.arange(cells - 1), jnp.arange(1, cells), cells)
    volume = jnp.full(cells, 1e-9).at[0].set(10.0)
    flux = jnp.full(cells - 1, 3.0)
    np.testing.assert_array_equal(limit_outflow(edges, flux, volume)[0], flux)
    np.testing.assert_allclose(limit_outflow(edges, 5.0 * flux, volume)[0], 10.0, rtol=1e-7)


def test_a_ring_without_water_stands_still():
    edges = EdgeList(jnp.arange(3), jnp.array([1, 2, 0]), 3)
    limited, _ = limit_outflow(edges, jnp.array([3.0, 2.0, 1.0]), jnp.zeros(3))
    np.testing.assert_array_equal(limited, 0.0)


def test_what_enters_over_the_boundary_can_be_handed_on():
    edges = EdgeList(jnp.array([0]), jnp.array([1]), 2)
    limited, leaving = limit_outflow(edges, jnp.array([3.0]), jnp.zeros(2), jnp.array([-2.0, 5.0]))
    np.testing.assert_allclose(limited, 2.0, rtol=1e-13)
    np.testing.assert_allclose(leaving, [-2.0, 2.0], rtol=1e-13)


def test_fluxes_that_do_not_overdraw_are_untouched():
    edges = EdgeList(jnp.array([0, 1]), jnp.array([1, 2]), 3)
    flux = jnp.array([1.0, -2.0])
    limited, _ = limit_outflow(edges, flux, jnp.array([2.0, 0.0, 3.0]))
    np.testing.assert_array_equal(limited, flux)


@pytest.mark.parametrize("seed", range(4))
def test_the_derivative_is_that_of_the_limited_fluxes(seed):
    rng = np.random.default_rng(seed)
    edges, flux = random_falls(rng, 12, 30)
    volume = jnp.asarray(0.3 * rng.exponential(size=12))
    boundary = jnp.asarray(rng.normal(size=12))
    weights = jnp.asarray(rng.normal(size=30)), jnp.asarray(rng.normal(size=12))

    def value(flux, volume, boundary):
        limited, leaving = limit_outflow(edges, flux, volume, boundary)
        return weights[0] @ limited + weights[1] @ leaving

    assert bool(jnp.any(limit_outflow(edges, flux, volume, boundary)[0] != flux))
    check_grads(value, (flux, volume, boundary), order=1, modes=("fwd", "rev"), rtol=1e-6, atol=1e-8, eps=1e-6)


def test_the_limiter_has_finite_derivatives_when_empty_or_still():
    edges = EdgeList(jnp.array([0, 1]), jnp.array([1, 2]), 3)

    def kept(flux, volume):
        limited, leaving = limit_outflow(edges, flux, volume, jnp.array([0.0, 0.0, 1.0]))
        return jnp.sum(limited**2) + jnp.sum(leaving)

    for flux in (jnp.zeros(2), jnp.array([1.0, -1.0])):
        for volume in (jnp.zeros(3), jnp.array([0.5, 1.0, 0.0])):
            assert all(bool(jnp.all(jnp.isfinite(g))) for g in jax.grad(kept, (0, 1))(flux, volume))
