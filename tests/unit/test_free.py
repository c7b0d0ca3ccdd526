"""Transforms keep bounds and come back; free parameters reach the cells they should."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import valley

from chase_jax.calibration import free
from chase_jax.calibration.transforms import Bounded, Log, Positive
from chase_jax.checks import InputError
from chase_jax.model import defaults

TRANSFORMS = [(Bounded(-1.0, 3.0), -1.0, 3.0), (Log(1e-4, 1e2), 1e-4, 1e2), (Positive(), 0.0, np.inf)]


@pytest.mark.parametrize(("transform", "low", "high"), TRANSFORMS)
def test_unknown_and_parameter_are_inverse_and_bounds_hold(transform, low, high):
    unknown = jnp.linspace(-6.0, 6.0, 25)
    value = transform.decode(unknown)
    np.testing.assert_allclose(transform.encode(value), unknown, rtol=1e-9, atol=1e-9)
    assert bool(jnp.all(jnp.diff(value) > 0.0))
    far = transform.decode(jnp.asarray([-200.0, 200.0]))
    assert float(far[0]) >= low - 1e-12 * abs(low)
    assert float(far[1]) <= high * (1.0 + 1e-12)


@pytest.mark.parametrize(("transform", "low", "high"), TRANSFORMS[:2])
def test_a_value_at_or_beyond_a_bound_is_moved_off_it(transform, low, high):
    unknown = transform.encode(jnp.asarray([low, high, low - 1.0, high + 1.0]))
    assert bool(jnp.all(jnp.isfinite(unknown)))
    slope = jax.vmap(jax.grad(transform.decode))(unknown)
    assert bool(jnp.all(slope > 0.0))


@pytest.fixture(scope="module")
def parameters():
    return defaults.parameters(valley.valley())


def test_a_free_parameter_of_every_cell_replaces_its_leaf_alone(parameters):
    one = free.dcor("D5")
    unknown = one.encode(parameters)
    assert unknown.shape == (one.groups(parameters),) == parameters.land.runoff.dcor.shape
    changed = one.decode(unknown + 1.0, parameters)
    assert bool(jnp.all(changed.land.runoff.dcor > parameters.land.runoff.dcor))
    same = jax.tree.map(lambda a, b: bool(jnp.all(a == b)), changed, parameters)
    assert sum(not leaf for leaf in jax.tree.leaves(same)) == 1


def test_a_basin_is_uniform_and_what_lies_outside_stays(parameters):
    cells = parameters.channel.manning_roughness.shape[0]
    group = np.full(cells, -1)
    group[:5], group[5:9] = 0, 1
    one = free.manning_roughness(jnp.asarray(group))
    assert one.groups(parameters) == 2
    np.testing.assert_allclose(one.decode(one.encode(parameters), parameters).channel.manning_roughness,
                               parameters.channel.manning_roughness, rtol=1e-12)  # fmt: skip
    found = one.decode(jnp.asarray([-3.0, 3.0]), parameters).channel.manning_roughness
    np.testing.assert_array_equal(found[9:], parameters.channel.manning_roughness[9:])
    assert np.ptp(found[:5]) == np.ptp(found[5:9]) == 0.0
    low, high = free.ROUGHNESS_RANGE
    assert low < float(found[0]) < float(found[5]) < high


def test_one_unknown_for_the_domain_and_its_derivative(parameters):
    one = free.Free(lambda p: p.channel.manning_roughness, Positive(), "domain")
    unknown = one.encode(parameters)
    assert unknown.shape == (1,)

    def total(u):
        return jnp.sum(one.decode(u, parameters).channel.manning_roughness)

    cells = parameters.channel.manning_roughness.shape[0]
    np.testing.assert_allclose(jax.grad(total)(unknown), cells * jnp.exp(unknown), rtol=1e-12)


def test_a_basin_needs_its_cells():
    with pytest.raises(InputError, match="must be given for the support basin"):
        free.Free(lambda p: p.channel.manning_roughness, Positive(), "basin")
    with pytest.raises(InputError, match="must be one of cell, class, basin, domain"):
        free.Free(lambda p: p.channel.manning_roughness, Positive(), "country")
