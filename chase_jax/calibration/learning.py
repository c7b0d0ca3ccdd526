r"""Fields of parameters that are not found cell by cell: regularised by their neighbors, or drawn from attributes.

Both minimise, in the coupled model,

$$ \Phi = \sum_s \frac{1}{n_s} \sum_i \left(\frac{f_s(y_{s,i}) - f_s(y^*_{s,i})}{\sigma_{s,i}}\right)^2 + R , $$

y the simulated and y* the mapped signature s of cell i, f the logarithm of the runoff depth and the baseflow index
itself, $\sigma$ the uncertainty of the map in that scale. `Field` has an unknown in every cell and

$$ R = \frac{w}{m} \sum_{(i,j)} (u_i - u_j)^2 + \frac{w_0}{n} \sum_i (u_i - u_{0,i})^2 $$

over the m faces between cells, so that a cell without a target takes on what its neighbors have. `Network` has the
weights of a small network from the attributes of a cell to its unknowns, and no R but a small one on the weights.

Source:
    kingma2015 (Adam); liu1989 (limited-memory BFGS); both of optax. feng2022 (parameters learned through a model).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import optax

from chase_jax.calibration.damped import LIMIT
from chase_jax.calibration.targets import Signatures
from chase_jax.checks import require_choice
from chase_jax.numerics.graph import EdgeList

OPTIMISERS = ("adam", "lbfgs")
LEAST_RUNOFF = 1.0  # kg m-2 year-1, added to runoff depths so that a dry cell has a logarithm
KEPT_WEIGHT = 1e-3  # 1, weight of staying near the first unknowns
HELD_WEIGHT = 1e-4  # 1, weight of the squares of a network's weights
LONGEST_STEP = 1.0  # 1, of an unknown in a step of L-BFGS
SHORTEST = 1e-3  # 1, part of a step of L-BFGS below which it is given up


def logarithm(runoff_depth: jax.Array) -> jax.Array:
    """Logarithm of a runoff depth, 1, with which a dry cell has one, too. Argument: runoff depth, kg m-2 year-1."""
    return jnp.log(jnp.maximum(runoff_depth, 0.0) + LEAST_RUNOFF)


class Misfit(eqx.Module):
    """What is to be met.

    Attributes:
        values (signature, cell): Mapped runoff depth, kg m-2 year-1, and baseflow index, 1; NaN where not used.
        spread (signature, cell): Their uncertainty: relative for runoff depth, absolute for the index, 1, > 0.
        names: Which signatures the rows are.
    """

    values: jax.Array
    spread: jax.Array
    names: tuple[str, ...] = eqx.field(static=True)

    def __call__(self, found: Signatures) -> jax.Array:
        """Mean square of the misfit, summed over the signatures (), 1. Argument: simulated signatures."""
        total = jnp.zeros(())
        for row, name in enumerate(self.names):
            known = jnp.isfinite(self.values[row])
            goal = jnp.where(known, self.values[row], 1.0)
            is_runoff = name == "runoff_depth"
            scaled = logarithm if is_runoff else _itself
            error = (scaled(getattr(found, name)) - scaled(goal)) / self.spread[row]
            total = total + jnp.sum(jnp.where(known, error, 0.0) ** 2) / jnp.maximum(known.sum(), 1)
        return total


class Field(eqx.Module):
    """One unknown in every cell.

    Attributes:
        first (parameter, cell): Unknowns near which the field is held, 1.
        edges: Faces between neighboring cells.
        smoothness: Weight w of the differences between neighbors, 1.
    """

    first: jax.Array
    edges: EdgeList
    smoothness: float = eqx.field(static=True)

    def start(self) -> jax.Array:
        """Trained values to begin with: the unknowns (parameter, cell), 1."""
        return self.first

    def unknowns(self, trained: jax.Array) -> jax.Array:
        """Unknowns (parameter, cell), 1. Argument: trained values."""
        return trained

    def prior(self, trained: jax.Array) -> jax.Array:
        """The term R (), 1. Argument: trained values."""
        away = KEPT_WEIGHT * jnp.mean((trained - self.first) ** 2)
        if self.edges.size == 0:
            return away
        steps = trained[:, self.edges.tail] - trained[:, self.edges.head]
        return away + self.smoothness * jnp.mean(steps**2)


class Scale(eqx.Module):
    """Mean and deviation (quantity,) of some quantities, in their units."""

    mean: Any
    deviation: Any

    @classmethod
    def of(cls, values: np.ndarray) -> Scale:
        """Those of values (sample, quantity), any units; as NumPy arrays."""
        deviation = values.std(axis=0)
        return cls(values.mean(axis=0), np.where(deviation > 0.0, deviation, 1.0))

    def __call__(self, values: Any) -> Any:
        """Values (..., quantity) in deviations from the mean, 1."""
        return (values - self.mean) / self.deviation

    def back(self, scaled: jax.Array) -> jax.Array:
        """Values (..., quantity) in their units. Argument: deviations from the mean, 1."""
        return self.mean + self.deviation * scaled


class Network(eqx.Module):
    """A network with two hidden layers from attributes to unknowns, the same for all cells.

    Attributes:
        attributes (cell, attribute): Of every cell, scaled to mean 0 and deviation 1.
        first (parameter,): Unknowns that an untrained network is near, 1.
        network: The network before training.
    """

    attributes: jax.Array
    first: jax.Array
    network: eqx.nn.MLP

    @classmethod
    def of(cls, attributes: np.ndarray, first: np.ndarray, width: int, seed: int) -> Network:
        """A network of random weights.

        Args:
            attributes (cell, attribute): Attributes, any units.
            first (parameter,): Unknowns to begin near, 1.
            width: Neurons of a hidden layer.
            seed: Seed of the weights.
        """
        scaled = Scale.of(attributes)(attributes)
        key = jax.random.key(seed)
        network = eqx.nn.MLP(scaled.shape[1], first.size, width, depth=2, activation=jnp.tanh, key=key)
        return cls(jnp.asarray(scaled), jnp.asarray(first), network)

    def start(self) -> eqx.nn.MLP:
        """Trained values to begin with: the weights."""
        return eqx.filter(self.network, eqx.is_inexact_array)

    def unknowns(self, trained: eqx.nn.MLP) -> jax.Array:
        """Unknowns (parameter, cell), 1, within the bounds that count as reached. Argument: trained values."""
        network = eqx.combine(trained, self.network)
        return LIMIT * jnp.tanh((self.first[:, None] + jax.vmap(network)(self.attributes).T) / LIMIT)

    def prior(self, trained: eqx.nn.MLP) -> jax.Array:
        """The term R (), 1. Argument: trained values."""
        return HELD_WEIGHT * jax.tree.reduce(jnp.add, jax.tree.map(lambda leaf: jnp.sum(leaf**2), trained))


Source = Field | Network


class Progress(NamedTuple):
    """All that an optimiser carries from step to step.

    Attributes:
        trained: Trained values, a pytree.
        optimiser: State of the optimiser.
        best: Trained values of the smallest target so far.
        least (): That target, 1.
        value (): Target of `trained` if it is known, else infinite.
        slope: Its gradient by the trained values.
    """

    trained: Any
    optimiser: Any
    best: Any
    least: Any
    value: Any
    slope: Any


Run = Callable[[jax.Array], tuple[Any, Any]]  # unknowns -> target without prior, derivatives by the unknowns


class Optimiser:
    """Steps of Adam, or of limited-memory BFGS with a step length that is halved until the target falls."""

    def __init__(self, source: Source, kind: str, rate: float) -> None:
        """An optimiser.

        Args:
            source: Where the unknowns come from.
            kind: One of `OPTIMISERS`.
            rate: Learning rate of Adam, 1.
        """
        require_choice(kind, "kind", OPTIMISERS)
        self.source, self.kind = source, kind
        self._rule = optax.adam(rate) if kind == "adam" else optax.scale_by_lbfgs(memory_size=8)
        self._update = eqx.filter_jit(self._rule.update)
        self._prior = eqx.filter_jit(jax.value_and_grad(lambda trained: source.prior(trained)))

    def begin(self) -> Progress:
        """Progress before the first step."""
        trained = self.source.start()
        nothing = jax.tree.map(jnp.zeros_like, trained)
        endless = jnp.full((), jnp.inf)
        return Progress(trained, self._rule.init(trained), trained, endless, endless, nothing)

    def judged(self, run: Run, trained: Any) -> tuple[Any, Any]:
        """The target with the prior, and its gradient by the trained values.

        Args:
            run: Runs the model.
            trained: Trained values.
        """
        unknowns, back = jax.vjp(self.source.unknowns, trained)
        value, along = run(unknowns)
        prior, held = self._prior(trained)
        return value + prior, jax.tree.map(jnp.add, back(jnp.asarray(along))[0], held)

    def step(self, progress: Progress, run: Run) -> Progress:
        """Progress after one step. Arguments: progress before it, and what runs the model."""
        if self.kind == "adam" or not np.isfinite(progress.value):
            value, slope = self.judged(run, progress.trained)
        else:
            value, slope = progress.value, progress.slope
        better = bool(value < progress.least)
        best, least = (progress.trained, value) if better else (progress.best, progress.least)
        moved, optimiser = self._update(slope, progress.optimiser, progress.trained)
        if self.kind == "adam":
            after = optax.apply_updates(progress.trained, moved)
            return Progress(after, optimiser, best, least, jnp.full((), jnp.inf), slope)
        longest = max(float(jnp.max(jnp.abs(leaf))) for leaf in jax.tree.leaves(moved))
        part = min(1.0, LONGEST_STEP / max(longest, 1e-300))
        while part > SHORTEST * min(1.0, LONGEST_STEP / max(longest, 1e-300)):
            tried = jax.tree.map(lambda a, b, part=part: a - part * b, progress.trained, moved)
            found, along = self.judged(run, tried)
            if found < value:
                return Progress(tried, optimiser, tried, found, found, along)
            part = 0.25 * part
        return Progress(progress.trained, optimiser, best, least, value, slope)


def _itself(index: jax.Array) -> jax.Array:
    return index
