import jax
import jax.numpy as jnp
import numpy as np
import pytest
from helpers import directional_check
from waters import random_river, valley

from chase_jax.model import surface_water
from chase_jax.numerics.jacobi import Jacobi, Stiff
from chase_jax.numerics.krylov import ConjugateGradient
from chase_jax.numerics.tree import Tree

EXACT = ConjugateGradient(tolerance=1e-13)


def loss_of(geometry, solver):
    """A smooth number that every volume and every discharge of six steps enters."""

    def loss(arguments):
        parameters, volume, source = arguments
        state, fluxes = surface_water.step(
            parameters, geometry, surface_water.State(volume), source, 6 * solver.time_step, solver, EXACT
        )
        weight = 1.0 + 0.5 * jnp.sin(jnp.arange(volume.shape[0]))
        return jnp.vdot(weight, fluxes.discharge) + 1e-4 * jnp.vdot(weight, state.volume)

    return jax.jit(loss)


RIVER_SOLVERS = {
    "tree": Tree(),
    "iterated": Tree(900.0, 3),
    "sweeps": Jacobi(sweeps=5, tolerance=np.inf),
    "handed over": Jacobi(sweeps=5, tolerance=1e-3),
    "stiff reaches": None,
}


def solver_of(name, geometry):
    if name != "stiff reaches":
        return RIVER_SOLVERS[name]
    links = geometry.network.links
    return Jacobi(sweeps=5, tolerance=np.inf, stiff=Stiff.of(links, np.arange(links.linked.size) // 5 % 3 == 0))


@pytest.mark.parametrize("sea", [np.nan, 2.0])
@pytest.mark.parametrize("name", RIVER_SOLVERS)
def test_river_gradient_equals_differences(name, sea):
    geometry, parameters = random_river(40, seed=5, steep=0.3, sea=sea)
    generator = np.random.default_rng(1)
    volume = jnp.asarray(1e5 * generator.uniform(0.3, 3.0, 40))
    source = jnp.asarray(generator.uniform(1.0, 5.0, 40))
    loss = loss_of(geometry, solver_of(name, geometry))
    directional_check(loss, (parameters, volume, source), steps=(1e-5, 1e-6, 1e-7))


@pytest.mark.parametrize("solver", [Tree(), Jacobi(sweeps=5, tolerance=np.inf)])
def test_lake_gradient_equals_differences(solver):
    geometry, parameters, bed, lake = valley(seed=2)
    level = bed[-6] + 0.7
    volume = jnp.asarray(np.where(lake, 1e6 * np.maximum(level - bed, 0.1), 6e4 * 1.3))
    source = jnp.asarray(np.where(lake, 3.0, 1.0)).at[0].set(80.0)
    directional_check(loss_of(geometry, solver), (parameters, volume, source), steps=(1e-5, 1e-6, 1e-7))


@pytest.mark.parametrize("solver", [Tree(), Jacobi(sweeps=3), Jacobi(sweeps=3, tolerance=np.inf)])
@pytest.mark.parametrize("place", ["river", "coast", "lake"])
def test_gradient_is_finite_when_dry_or_flat(place, solver):
    if place != "lake":
        geometry, parameters = random_river(40, seed=6, steep=0.0, sea=1.0 if place == "coast" else np.nan)
        area = np.full(40, 1e5)
    else:
        geometry, parameters, _, lake = valley(seed=3, slope=0.0, roughness_of_bed=0.0)
        area = np.where(lake, 1e6, 6e4)
    gradient = jax.grad(loss_of(geometry, solver))
    for depth in (0.0, 1e-9, 1.0):
        for rain in (0.0, 2.0, -1.0):
            found = gradient((parameters, jnp.asarray(area * depth), jnp.full(len(area), rain)))
            assert all(jnp.isfinite(leaf).all() for leaf in jax.tree.leaves(found)), (depth, rain)
