"""Restart files: exact, complete, and refused when they do not fit."""

from __future__ import annotations

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from chase_jax.checks import InputError
from chase_jax.io import restart


class Store(eqx.Module):
    water: jax.Array
    name: str = eqx.field(static=True, default="soil")


def tree(seed=0):
    generator = np.random.default_rng(seed)
    return {
        "land": Store(jnp.asarray(generator.standard_normal((6, 6)))),
        "empty": jnp.zeros((0,)),
        "count": jnp.array(3),
        "wet": jnp.array([True, False]),
        "odd": jnp.array([np.nan, -0.0, 5e-324, np.inf]),
        "single": jnp.array([1.1], dtype=jnp.float32),
    }


def test_every_leaf_comes_back_to_the_last_bit(tmp_path):
    restart.write_restart(tmp_path / "r.nc", tree(), {"next_day": "1990-02-01"})
    back, facts = restart.read_restart(tmp_path / "r.nc", tree(seed=1))
    assert facts == {"next_day": "1990-02-01"}
    assert jax.tree.structure(back) == jax.tree.structure(tree())
    for one, two in zip(jax.tree.leaves(back), jax.tree.leaves(tree()), strict=True):
        assert one.dtype == two.dtype
        assert np.asarray(one).tobytes() == np.asarray(two).tobytes()


def test_other_shape_and_other_tree_are_refused(tmp_path):
    restart.write_restart(tmp_path / "r.nc", tree(), {})
    with pytest.raises(InputError, match=r"land.water: has the shape \(6, 6\), but this domain needs \(6, 7\)"):
        restart.read_restart(tmp_path / "r.nc", tree() | {"land": Store(jnp.zeros((6, 7)))})
    with pytest.raises(InputError, match="lacks more"):
        restart.read_restart(tmp_path / "r.nc", tree() | {"more": jnp.zeros(1)})


def test_part_of_a_tree_can_be_read(tmp_path):
    restart.write_restart(tmp_path / "r.nc", {"state": tree(), "sums": jnp.zeros(2)}, {})
    back, _ = restart.read_restart(tmp_path / "r.nc", {"state": tree(seed=1)}, partly=True)
    np.testing.assert_array_equal(back["state"]["land"].water, tree()["land"].water)
    with pytest.raises(InputError, match="has sums too many"):
        restart.read_restart(tmp_path / "r.nc", {"state": tree()})


@pytest.mark.parametrize("share", [0.0, 0.1, 0.5, 0.99])
def test_cut_file_is_refused(tmp_path, share):
    file = tmp_path / "r.nc"
    restart.write_restart(file, tree(), {})
    whole = file.read_bytes()
    file.write_bytes(whole[: int(share * len(whole))])
    with pytest.raises(InputError, match="cannot be read"):
        restart.read_restart(file, tree())
