"""The level of a lake from the water in its cells."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest
import valley

from chase_jax.model import surface_water
from chase_jax.model.chase import Chase
from chase_jax.model.initial import initial_state
from chase_jax.model.lake_record import FILM, LakeRecord


@pytest.fixture(scope="module")
def lake():
    """A model, its stores, the cells of its lake, and the record."""
    model = Chase.default(valley.valley())
    return model, initial_state(model), np.asarray(model.domain.lakes.cell), LakeRecord(model.domain)


def filled(lake, depth):
    """Stores with a depth of water, m, in every cell of the lake."""
    model, state, cells, _ = lake
    area = np.asarray(model.domain.lakes.area)
    return eqx.tree_at(lambda s: s.water.volume, state, state.water.volume.at[cells].set(depth * area))


def test_level_is_the_mean_of_wet_cells(lake):
    model, _, cells, record = lake
    assert record.numbers == (1,)
    depth = np.linspace(0.0, 4.0, cells.size)  # the first cell is dry and has no say
    state = filled(lake, depth)
    seen = np.asarray(surface_water.depth(model.parameters.channel, model.geometry, state.water))[cells]
    np.testing.assert_allclose(seen, depth, atol=1e-9)
    bed = np.asarray(model.domain.surface_altitude - model.domain.bed_depth)[cells]
    wet = np.asarray(model.domain.lakes.area) * depth / (depth + FILM)
    np.testing.assert_allclose(record.levels(model, state), [np.average(bed + depth, weights=wet)], rtol=1e-8)


def test_level_has_the_derivative_of_differences(lake):
    model, _, cells, record = lake
    state = filled(lake, 2.0)

    @jax.jit
    def level(volume):
        return record.levels(model, eqx.tree_at(lambda s: s.water.volume, state, volume))[0]

    volume = state.water.volume
    slope = np.asarray(jax.grad(level)(volume))
    assert (slope[cells] > 0.0).all()
    assert np.abs(slope).sum() == np.abs(slope[cells]).sum()
    step = 1.0
    up, down = (level(volume.at[cells[3]].add(sign * step)) for sign in (1.0, -1.0))
    np.testing.assert_allclose((up - down) / (2.0 * step), slope[cells[3]], rtol=1e-5)


def test_a_dry_lake_has_the_level_of_its_bed_and_a_derivative(lake):
    model, _, cells, record = lake
    bed = np.asarray(model.domain.surface_altitude - model.domain.bed_depth)[cells]
    np.testing.assert_allclose(record.levels(model, filled(lake, 0.0)), [bed.mean()], rtol=1e-12)
    np.testing.assert_allclose(record.levels(model, filled(lake, 1e-10)), [bed.mean()], rtol=1e-9)
    level = lambda depth: record.levels(model, filled(lake, depth))[0]  # noqa: E731
    np.testing.assert_allclose(jax.grad(level)(0.0), 1.0, rtol=1e-3)  # rounding of equal beds


def test_land_without_a_lake_has_no_level():
    model = Chase.default(valley.valley(lake=False))
    record = LakeRecord(model.domain)
    assert record.numbers == ()
    assert record.levels(model, initial_state(model)).shape == (0,)
    assert jnp.zeros(0).shape == record.series(model, initial_state(model), None)["lake_area"].shape
