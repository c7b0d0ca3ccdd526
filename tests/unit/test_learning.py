"""Fields and networks of parameters: the misfit, the priors, and optimisers on a function whose solution is known."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from chase_jax.calibration import learning
from chase_jax.calibration.damped import LIMIT
from chase_jax.calibration.targets import Signatures
from chase_jax.checks import InputError
from chase_jax.numerics.graph import EdgeList

CELLS = 30
NAMES = ("runoff_depth", "baseflow_index")


def chain(cells=CELLS):
    return EdgeList(jnp.arange(cells - 1), jnp.arange(1, cells), cells)


def world(unknowns):
    share = jax.nn.sigmoid(unknowns)
    return Signatures(100.0 + 700.0 * share[0], 0.1 + 0.8 * share[1] * (1.0 - 0.5 * share[0]))


@pytest.fixture
def hidden():
    wave = jnp.linspace(0.0, 2.0 * jnp.pi, CELLS)
    return jnp.stack([jnp.sin(wave), jnp.cos(wave) - 0.5])


def misfit(found, holes=()):
    values = np.stack([found.runoff_depth, found.baseflow_index])
    values[:, list(holes)] = np.nan
    spread = jnp.broadcast_to(jnp.asarray([[0.1], [0.05]]), (2, CELLS))
    return learning.Misfit(jnp.asarray(values), spread, NAMES)


def runs_of(goal):
    count, judged = [], jax.jit(jax.value_and_grad(lambda u: goal(world(u))))

    def run(unknowns):
        count.append(1)
        return judged(unknowns)

    return run, count


def test_the_misfit_is_in_units_of_the_spread_and_knows_no_holes(hidden):
    goal = misfit(world(hidden), holes=(3,))
    assert float(goal(world(hidden))) == 0.0
    found = world(hidden)
    moved = Signatures(found.runoff_depth, found.baseflow_index + 0.05)
    assert float(goal(moved)) == pytest.approx(1.0)
    assert np.isfinite(jax.grad(lambda u: goal(world(u)))(hidden)).all()


@pytest.mark.parametrize(("kind", "steps"), [("lbfgs", 40), ("adam", 120)])
def test_a_field_meets_the_maps_and_fills_holes_from_its_neighbors(hidden, kind, steps):
    holes = (10, 11)
    run, _ = runs_of(misfit(world(hidden), holes))
    source = learning.Field(jnp.full((2, CELLS), -1.0), chain(), 3e-2)
    optimiser = learning.Optimiser(source, kind, 0.1)
    progress = optimiser.begin()
    for _ in range(steps):
        progress = optimiser.step(progress, run)
    found = world(source.unknowns(progress.best))
    known = np.setdiff1d(np.arange(CELLS), holes)
    np.testing.assert_allclose(found.runoff_depth[known], world(hidden).runoff_depth[known], rtol=0.03)
    np.testing.assert_allclose(progress.best[:, 10], hidden[:, 10], atol=0.3)
    rough = jnp.abs(jnp.diff(source.unknowns(progress.best)[0])).max()
    assert float(rough) < 0.5


def test_smoothness_holds_a_field_of_noise_together(hidden):
    draw = np.random.default_rng(2)
    noisy = world(hidden + 0.4 * draw.standard_normal(hidden.shape))
    found = {}
    for weight in (1e-4, 30.0):
        run, _ = runs_of(misfit(noisy))
        optimiser = learning.Optimiser(learning.Field(jnp.full((2, CELLS), -0.5), chain(), weight), "lbfgs", 0.1)
        progress = optimiser.begin()
        for _ in range(40):
            progress = optimiser.step(progress, run)
        found[weight] = float(jnp.sqrt(jnp.mean((progress.best[0] - hidden[0]) ** 2)))
    assert found[30.0] < 0.7 * found[1e-4]


def test_a_network_learns_from_some_cells_what_the_others_need(hidden):
    attributes = np.stack([np.asarray(hidden[0]) * 3.0 + 20.0, np.asarray(hidden[1]), np.ones(CELLS)], axis=1)
    left_out = tuple(range(1, CELLS, 2))
    run, count = runs_of(misfit(world(hidden), left_out))
    source = learning.Network.of(attributes, np.array([-1.0, -1.0]), 8, seed=4)
    optimiser = learning.Optimiser(source, "lbfgs", 0.1)
    progress = optimiser.begin()
    before = world(source.unknowns(progress.best)).runoff_depth
    for _ in range(60):
        progress = optimiser.step(progress, run)
    after, truth = world(source.unknowns(progress.best)).runoff_depth, world(hidden).runoff_depth
    others = np.array(left_out)
    error = [float(jnp.median(jnp.abs(one - truth)[others] / truth[others])) for one in (before, after)]
    assert error[1] < 0.02 < error[0]
    assert len(count) <= 120
    assert (jnp.abs(source.unknowns(progress.best)) < LIMIT).all()


def test_the_same_seed_gives_the_same_network(hidden):
    attributes = np.asarray(hidden).T
    one, same, other = (learning.Network.of(attributes, np.zeros(2), 4, seed) for seed in (1, 1, 2))
    unknowns = [source.unknowns(source.start()) for source in (one, same, other)]
    np.testing.assert_array_equal(unknowns[0], unknowns[1])
    assert (unknowns[0] != unknowns[2]).any()


def test_the_target_never_rises_under_lbfgs(hidden):
    run, _ = runs_of(misfit(world(hidden)))
    optimiser = learning.Optimiser(learning.Field(jnp.full((2, CELLS), 4.0), chain(), 1e-3), "lbfgs", 0.1)
    progress, targets = optimiser.begin(), []
    for _ in range(15):
        progress = optimiser.step(progress, run)
        targets.append(float(progress.least))
    assert (np.diff(targets) <= 0.0).all()


def test_an_unknown_optimiser_is_refused():
    with pytest.raises(InputError, match="lbfgs"):
        learning.Optimiser(learning.Field(jnp.zeros((1, 2)), chain(2), 0.1), "newton", 0.1)
