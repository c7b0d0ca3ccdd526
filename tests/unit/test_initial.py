"""A cold start is plausible and of the types that a step returns."""

from __future__ import annotations

import jax
import numpy as np
import pytest
import valley

from chase_jax.model import chase, initial


@pytest.fixture(scope="module")
def model():
    return chase.Chase.default(valley.valley())


def test_no_leaf_has_a_weak_type(model):
    """A weakly typed leaf comes back strongly typed from the first chunk, and the second compiles the model again."""
    for path, leaf in jax.tree_util.tree_flatten_with_path(initial.initial_state(model))[0]:
        assert not leaf.weak_type, jax.tree_util.keystr(path)


def test_the_water_table_stands_at_the_rivers(model):
    state, domain = initial.initial_state(model), model.domain
    drained = chase.drainage_depth(domain.bed_depth, domain.aquifer_thickness)
    capacity = domain.specific_yield * domain.aquifer_thickness
    below = np.asarray(drained) > 2.5
    expected = np.asarray(capacity - domain.specific_yield * (drained - 2.5))
    found = np.asarray(state.aquifer.storage)
    rise = np.asarray(domain.specific_yield * initial.RIVER_FILLING * domain.channel_depth)
    np.testing.assert_allclose(found[below], (expected + rise)[below], rtol=0.05, atol=0.05)
    assert np.all(np.asarray(state.water.volume) >= 0.0)
    assert np.all(np.asarray(state.land.snow.water) == 0.0)


def test_a_bed_below_the_aquifer_drains_it_to_its_bottom():
    np.testing.assert_allclose(chase.drainage_depth(np.array([0.5, 30.0, 90.0]), np.full(3, 50.0)), [0.5, 30.0, 52.5])
