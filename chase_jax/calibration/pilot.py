r"""What trials of a few cells teach about all: where each is likely to meet its targets, and how it answers there.

A trial of all cells is dear, one of a few hundred is not. Those few are run under parameters that fill the space
between the bounds, every cell under others and from its own equilibrium, and small networks learn from them

$$ (\ln(R + R_0),\, B) = f(a, R_1, B_1, u) , $$

runoff depth R and baseflow index B that follow from the unknowns u in a cell with attributes a, which yielded $R_1$ and
$B_1$ in a first trial of all cells. That yield tells more of a cell than its attributes do: what differs from cell to
cell has acted on it. The search of `cellwise.py` then goes through the networks, which costs no run, and the model
begins where it ended, with the derivatives of the networks.

Source:
    razavi2012 (models that stand for a model); mckay1979 (Latin hypercubes); kingma2015 (Adam, of optax).
"""

from __future__ import annotations

import dataclasses
import itertools

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import optax
from scipy.special import logit
from scipy.stats import qmc

from chase_jax.calibration import cellwise, columns, partial
from chase_jax.calibration.cellwise import Goal
from chase_jax.calibration.learning import LEAST_RUNOFF, Scale, logarithm
from chase_jax.calibration.trial import Outcome, Simulator
from chase_jax.model.containers import State

TRIALS = 8  # of every cell of the pilot
SMALLEST = 32  # cells; fewer teach too little
SHARE = 8  # the pilot is at most one in so many cells
EDGE = 0.01  # 1, share of the range next to the bounds that the pilot leaves out
NETWORKS, WIDTH, DEPTH = 8, 32, 2  # each network leaves out one in so many cells of the pilot, which judge it
STEPS, BATCH, RATE, DECAY = 4000, 256, 1e-2, 1e-3
ROUND = 0.03  # 1, of the deviation: errors smaller than this count by their squares, larger ones as they are
FURTHEST = 3.0  # 1, deviations from the mean beyond which an attribute says no more
GRID = np.linspace(0.06, 0.94, 12)  # 1, shares of the range from which the search through the networks may begin
SEARCH = 30  # steps of it
BLOCK = 4096  # cells that go through the networks at once


def size(cells: int, most: int) -> int:
    """Number of cells of a pilot: half of a half ... of all, so that it shares a program with trials of fewer cells.

    Args:
        cells: Number of all cells.
        most: Most cells of a pilot.

    Returns:
        The number, 0 if so few cells teach too little.
    """
    number = cells
    while number > min(most, cells // SHARE):
        number //= 2
    return number if number >= SMALLEST else 0


def taught(
    closed: Simulator,
    stores: State,
    attributes: np.ndarray,
    first: Outcome,
    goal: Goal,
    number: int,
    cycles: int,
    seed: int,
) -> tuple[np.ndarray, Outcome, str]:
    """Run a pilot, learn from it, and say where all cells are likely to meet their targets.

    Args:
        closed: Trials of closed columns.
        stores: Their stores, near the equilibrium of the first trial.
        attributes (cell, attribute): Of all cells, any units.
        first: A trial of all cells.
        goal: The targets.
        number: Number of cells of the pilot.
        cycles: Most repetitions of the run-in that lead to the equilibrium of a trial.
        seed: Seed of all draws.

    Returns:
        Unknowns (parameter, cell), 1; what is expected of them, with derivatives and with what the pilot cost; and how
        well the networks know cells that they have not seen.
    """
    total = goal.values.shape[1]
    cells = chosen(total, number, seed)
    tried = design(number, len(closed.free), seed)
    few, begin = partial.Partial(closed.of(cells)), columns.taken(stores, cells, total)
    outcomes = [few.run(unknowns, begin, cycles) for unknowns in tried]
    spent = sum(float(outcome.cost) for outcome in outcomes) * number / total
    surrogate = learn(attributes, first, cells, tried, outcomes, seed)
    unknowns = guess(surrogate, goal, len(closed.free))
    expected = dataclasses.replace(surrogate.trial(unknowns, True), cost=np.array(spent))
    depth, index = np.asarray(surrogate.missed)
    met = np.mean(np.abs(goal.residuals(expected)) <= 1.0, axis=1)
    share = " and ".join(f"{100.0 * part:.0f} % of {name}" for part, name in zip(met, goal.names, strict=True))
    told = (
        f"a pilot of {number} cells: networks miss the runoff depth of cells they have not seen by {100.0 * depth:.2g} "
        f"% and the index by {index:.2g}, in the median; they expect that {share} can be met"
    )
    return unknowns, expected, told


def chosen(cells: int, number: int, seed: int) -> np.ndarray:
    """Cells of the pilot (chosen,), increasing, drawn at random. Arguments: all cells, how many, seed of the draw."""
    return np.sort(np.random.default_rng(seed).choice(cells, number, replace=False))


def design(number: int, parameters: int, seed: int) -> np.ndarray:
    """Unknowns to try (trial, parameter, cell), 1: of each cell a Latin hypercube of shares of the range.

    Args:
        number: Number of cells.
        parameters: Number of free parameters.
        seed: Seed of the draw.
    """
    draw = np.random.default_rng(seed)
    shares = np.stack([qmc.LatinHypercube(parameters, rng=draw).random(TRIALS) for _ in range(number)], axis=-1)
    return logit(EDGE + (1.0 - 2.0 * EDGE) * shares)


class Surrogate(eqx.Module):
    """Networks that stand for the model; their mean is what they say.

    Attributes:
        networks: One network whose leaves (network, ...) hold the weights of all.
        known (cell, attribute): What is known of every cell, scaled, 1.
        scale: Of the logarithm of the runoff depth and the baseflow index.
        missed (signature,): Median error in cells that a network has not seen: of the logarithm of the runoff depth,
            and of the index, 1.
    """

    networks: eqx.nn.MLP
    known: jax.Array
    scale: Scale
    missed: jax.Array

    def __call__(self, unknowns: jax.Array, known: jax.Array) -> jax.Array:
        """Runoff depth, kg m-2 year-1, and baseflow index, 1 (signature,). Arguments: as (parameter,), (attribute,)."""
        heard = jnp.concatenate([known, _centered(unknowns)])
        said = jnp.mean(eqx.filter_vmap(lambda network: network(heard))(self.networks), axis=0)
        logarithm, index = self.scale.back(said)
        return jnp.stack([jnp.exp(logarithm) - LEAST_RUNOFF, index])

    def trial(self, unknowns: np.ndarray, slopes: bool) -> Outcome:
        """What the networks expect of a trial of all cells.

        Args:
            unknowns (parameter, cell): Unknowns, 1.
            slopes: Whether derivatives are asked for.
        """
        given = (jnp.asarray(unknowns.T), self.known)
        depth, index = np.asarray(_answers(self, given)).T
        found = np.moveaxis(np.asarray(_derivatives(self, given)), 0, 2).swapaxes(0, 1) if slopes else None
        return Outcome(depth, index, np.zeros(depth.shape), np.zeros(()), found)


@eqx.filter_jit
def _answers(surrogate: Surrogate, given: tuple[jax.Array, jax.Array]) -> jax.Array:
    """Signatures (cell, signature). Argument: unknowns (cell, parameter) and what is known (cell, attribute)."""
    return jax.lax.map(lambda one: surrogate(*one), given, batch_size=BLOCK)


@eqx.filter_jit
def _derivatives(surrogate: Surrogate, given: tuple[jax.Array, jax.Array]) -> jax.Array:
    """Their derivatives (cell, signature, parameter)."""
    return jax.lax.map(lambda one: jax.jacfwd(surrogate)(*one), given, batch_size=BLOCK)


def learn(
    attributes: np.ndarray, first: Outcome, cells: np.ndarray, unknowns: np.ndarray, outcomes: list[Outcome], seed: int
) -> Surrogate:
    """Networks that learned from a pilot.

    Args:
        attributes (cell, attribute): Of all cells, any units.
        first: A trial of all cells.
        cells (pilot,): Cells of the pilot.
        unknowns (trial, parameter, pilot): What was tried there, 1.
        outcomes: What it yielded, one for every trial.
        seed: Seed of the weights and of the order of learning.
    """
    known = np.concatenate([attributes, _scaled(first)], axis=1)
    known = np.clip(np.asarray(Scale.of(known[cells])(jnp.asarray(known))), -FURTHEST, FURTHEST)
    yields = np.stack([_scaled(outcome) for outcome in outcomes])
    scale = jax.tree.map(jnp.asarray, Scale.of(yields.reshape(-1, yields.shape[-1])))
    heard = np.concatenate(
        [np.broadcast_to(known[cells], (len(outcomes), *known[cells].shape)), _centered(unknowns).swapaxes(1, 2)],
        axis=2,
    )
    answers = np.asarray(scale(jnp.asarray(yields)))
    fold = np.random.default_rng(seed).permutation(cells.size // NETWORKS * NETWORKS).reshape(NETWORKS, -1)
    kept = np.stack([np.setdiff1d(np.arange(cells.size), out) for out in fold])
    keys = jax.random.split(jax.random.key(seed), NETWORKS)
    networks, said = _taught(keys, jnp.asarray(kept), jnp.asarray(heard), jnp.asarray(answers))
    errors = [np.abs(said[k][:, fold[k]] - answers[:, fold[k]]) for k in range(NETWORKS)]
    missed = np.median(np.concatenate(errors, axis=1), axis=(0, 1)) * np.asarray(scale.deviation)
    return Surrogate(networks, jnp.asarray(known), scale, jnp.asarray(missed))


def guess(surrogate: Surrogate, goal: Goal, parameters: int) -> np.ndarray:
    """Unknowns (parameter, cell), 1, with which all cells are likely to meet their targets.

    Args:
        surrogate: Networks that learned from a pilot.
        goal: The targets.
        parameters: Number of free parameters.
    """
    best = np.zeros((parameters, goal.values.shape[1]))
    least = np.full(goal.values.shape[1], np.inf)
    for shares in itertools.product(GRID, repeat=parameters):
        tried = np.broadcast_to(logit(np.array(shares))[:, None], best.shape)
        found = (goal.residuals(surrogate.trial(tried, False)) ** 2).sum(axis=0)
        found = found + (goal.departures(tried) ** 2).sum(axis=0)
        best, least = np.where(found < least, tried, best), np.minimum(found, least)
    return cellwise.gauss_newton(surrogate.trial, best, goal, "always", SEARCH).unknowns


def _scaled(outcome: Outcome) -> np.ndarray:
    """Logarithm of the runoff depth, and baseflow index (cell, signature), 1."""
    return np.stack([np.asarray(logarithm(jnp.asarray(outcome.runoff_depth))), outcome.baseflow_index], axis=1)


def _centered(unknowns):
    """Shares of the range, of mean 0 and deviation 1 if all are as likely. Argument: unknowns, 1."""
    return (jax.nn.sigmoid(unknowns) - 0.5) * np.sqrt(12.0)


@eqx.filter_jit
def _taught(keys: jax.Array, kept: jax.Array, heard: jax.Array, answers: jax.Array) -> tuple[eqx.nn.MLP, jax.Array]:
    """Networks after learning, leaves (network, ...), and what each says to all (network, trial, cell, signature).

    Args:
        keys (network,): Keys of the weights and of the order of learning.
        kept (network, kept): Cells of the pilot that a network sees.
        heard (trial, cell, input): What is told to a network, 1.
        answers (trial, cell, signature): What it is to answer, 1.
    """
    rule = optax.adamw(optax.cosine_decay_schedule(RATE, STEPS), weight_decay=DECAY)

    def one(key: jax.Array, kept: jax.Array) -> tuple[eqx.nn.MLP, jax.Array]:
        first, order = jax.random.split(key)
        network = eqx.nn.MLP(heard.shape[2], answers.shape[2], WIDTH, DEPTH, activation=jnp.tanh, key=first)
        weights, fixed = eqx.partition(network, eqx.is_inexact_array)

        def loss(weights: eqx.nn.MLP, trials: jax.Array, cells: jax.Array) -> jax.Array:
            error = jax.vmap(eqx.combine(weights, fixed))(heard[trials, cells]) - answers[trials, cells]
            return jnp.mean(jnp.sqrt(ROUND**2 + error**2))

        def step(carry, key):
            weights, state = carry
            one, other = jax.random.split(key)
            trials = jax.random.randint(one, (BATCH,), 0, heard.shape[0])
            cells = kept[jax.random.randint(other, (BATCH,), 0, kept.size)]
            moved, state = rule.update(jax.grad(loss)(weights, trials, cells), state, weights)
            return (optax.apply_updates(weights, moved), state), None

        (weights, _), _ = jax.lax.scan(step, (weights, rule.init(weights)), jax.random.split(order, STEPS))
        network = eqx.combine(weights, fixed)
        return network, jax.vmap(jax.vmap(network))(heard)

    return eqx.filter_vmap(one)(keys, kept)
