"""The balance of the aquifer: where geometric series tend to, and what a run-in does with it."""

from __future__ import annotations

import equinox as eqx
import jax.numpy as jnp
import numpy as np
import pytest
import valley

from chase_jax.model import equilibrium, initial
from chase_jax.model.chase import Chase


def test_a_geometric_series_ends_where_its_sum_says():
    end, ratio = np.array([3.0, 1.0, 2.0]), np.array([0.8, 0.5, 0.0])
    storage = jnp.stack([jnp.asarray(end - ratio**k * np.array([1.0, -0.5, 0.3])) for k in range(3)])
    np.testing.assert_allclose(equilibrium.limit(storage, jnp.full(3, 10.0)), end, rtol=1e-12)


def test_what_does_not_converge_is_not_carried_away():
    storage = jnp.array([[1.0, 1.0, 1.0, 2.0], [1.1, 1.1, 1.0, 1.0], [1.3, 1.05, 1.0, 0.1]])
    found = np.asarray(equilibrium.limit(storage, jnp.full(4, 2.0)))
    assert found[0] == 2.0  # growing gains: at most to the top
    assert found[1] == pytest.approx(1.05)  # swinging: stands
    assert found[2] == 1.0  # at rest
    assert found[3] == 0.0  # nothing below empty
    full = equilibrium.limit(jnp.array([[1.0], [1.5], [2.5]]), jnp.ones(1))
    assert full[0] == 2.5  # what stands above the surface is not cut


def test_history_counts_measures_and_begins_again():
    model = Chase.default(valley.valley())
    state = initial.initial_state(model)
    history = equilibrium.History.start(state)
    assert equilibrium.extrapolated(model, state, history)[0] is state
    storage = state.aquifer.storage
    for k in (1, 2):
        state = eqx.tree_at(lambda s: s.aquifer.storage, state, storage - 0.02 * (1.0 - 0.5**k))
        history = history.with_end(model, state, years=2.0)
    assert float(history.drift) == pytest.approx(1000.0 * 0.005 / 2.0)
    moved, begun = equilibrium.extrapolated(model, state, history)
    np.testing.assert_allclose(moved.aquifer.storage, jnp.maximum(storage - 0.02, 0.0), atol=1e-12)
    assert (int(begun.ends), int(begun.repetitions)) == (1, 2)
    np.testing.assert_array_equal(begun.storage[-1], moved.aquifer.storage)
