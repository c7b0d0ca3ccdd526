"""Restart files: every array of a tree of containers, by its path in the tree, to the last bit.

The file is a plain netCDF-4 file of flat arrays that any tool opens. Reading needs the same tree with the same shapes,
which the caller builds from the same configuration; nothing in the file is executed.
"""

from __future__ import annotations

import json
import os
import pathlib
from typing import Any, TypeVar

import jax
import netCDF4
import numpy as np

from chase_jax.checks import InputError, require
from chase_jax.io import store

Tree = TypeVar("Tree")
FORMAT = "chase_jax restart 1"
NO_RESTART = "{file}: is not a restart file of this version; give a file of the folder restart of a run."


def _leaves(tree: Any) -> tuple[dict[str, Any], Any]:
    """The arrays of a tree by their paths, and its structure."""
    pairs, structure = jax.tree_util.tree_flatten_with_path(tree)
    return {jax.tree_util.keystr(path, simple=True, separator="."): leaf for path, leaf in pairs}, structure


def write_restart(path: str | os.PathLike[str], tree: Any, facts: dict[str, Any]) -> None:
    """Write the arrays of a tree.

    Args:
        path: The file.
        tree: Containers of arrays: the state and whatever else a run carries on.
        facts: What identifies the run, as JSON values; `read_restart` returns them.
    """
    leaves, _ = _leaves(tree)
    with store.committed(pathlib.Path(path)) as temporary, netCDF4.Dataset(temporary, "w", format="NETCDF4") as file:
        file.setncattr("Conventions", store.CONVENTIONS)
        file.setncattr("format", FORMAT)
        file.setncattr("facts", json.dumps(facts, sort_keys=True))
        for name, leaf in leaves.items():
            values = np.asarray(leaf)
            stored = values.astype(np.int8) if values.dtype == bool else values
            axis = f"size_{stored.size}"
            if axis not in file.dimensions:
                file.createDimension(axis, stored.size or None)
            variable = file.createVariable(name, stored.dtype, (axis,), fill_value=False, fletcher32=True)
            variable.setncattr("array_shape", json.dumps(list(values.shape)))
            if stored.size:
                variable[:] = stored.ravel()


def read_restart(path: str | os.PathLike[str], like: Tree, partly: bool = False) -> tuple[Tree, dict[str, Any]]:
    """Read the arrays of a tree.

    Args:
        path: The file.
        like: A tree of the structure, shapes and types to expect; its values do not matter.
        partly: The file may hold more than the tree, which is left unread.

    Returns:
        The tree with the stored values, and the facts stored with it.

    Raises:
        InputError: If the file is damaged or belongs to another domain or configuration.
    """
    file = pathlib.Path(path)
    expected, structure = _leaves(like)
    try:
        with netCDF4.Dataset(file, "r") as stored:
            stored.set_auto_maskandscale(False)
            require(getattr(stored, "format", "") == FORMAT, NO_RESTART.format(file=file))
            facts = json.loads(stored.facts)
            found = {
                name: np.array(variable[...]).reshape(json.loads(variable.getncattr("array_shape")))
                for name, variable in stored.variables.items()
            }
    except (OSError, RuntimeError, ValueError, AttributeError) as error:
        if isinstance(error, InputError):
            raise
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise InputError(f"{file}: the restart cannot be read ({reason}); use another one.") from None
    lost = sorted(expected.keys() - found.keys())
    new = [] if partly else sorted(found.keys() - expected.keys())
    require(
        not lost and not new,
        f"{file}: the restart does not fit this configuration: it lacks {', '.join(lost[:3]) or 'nothing'} and has "
        f"{', '.join(new[:3]) or 'nothing'} too many; use the configuration of its run.",
    )
    for name, leaf in expected.items():
        require(
            found[name].shape == np.shape(leaf),
            f"{file}: variable {name}: has the shape {found[name].shape}, but this domain needs {np.shape(leaf)}; "
            "use the domain of the run that wrote it.",
        )
    leaves = [jax.numpy.asarray(found[name].astype(np.asarray(leaf).dtype)) for name, leaf in expected.items()]
    return jax.tree_util.tree_unflatten(structure, leaves), facts


def read_initial(path: str | os.PathLike[str], state: Tree) -> Tree:
    """Read the state that a run of the same domain ended with.

    Args:
        path: What the key `initial.path` holds.
        state: A state of the domain; its values do not matter.

    Raises:
        InputError: If the file is none, is damaged, or belongs to another domain or configuration.
    """
    file = store.local_path(path, "initial.path")
    try:
        return read_restart(file, {"state": state}, partly=True)[0]["state"]
    except InputError as error:
        raise InputError(f"initial.path: {error}") from None
