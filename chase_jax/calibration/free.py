"""Free parameters: which leaf of a model's parameters is sought, between which bounds, and over what it is uniform.

This is the single place where bounds, transform and support meet; the model does not know that it is calibrated.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np

from chase_jax.calibration.transforms import Bounded, Log, Transform
from chase_jax.checks import require, require_choice, require_shape
from chase_jax.model import adjustable
from chase_jax.physics import runoff

SUPPORTS = ("cell", "class", "basin", "domain")
BASEFLOW_FACTOR_RANGE = (1e-4, 1e2)  # 1, beyond which nothing changes any more; see physics/exchange.py
ROUGHNESS_RANGE = (0.01, 0.3)  # s m-1/3, from smooth canals to floodplains with dense brush; chow1959
BYPASS_RANGE = (0.0, 1.0)  # 1
DEPTH_RANGE = (0.05, 2.5)  # m, of the soil
THRESHOLD_RANGE = (0.0, 0.8)  # 1, of the filling
# Factors reach as far as what they multiply is uncertain: stomata and leaves by a few times, conductivities by orders
# of magnitude. The ranges are choices of this project.
FACTOR_RANGE = {
    "stomatal_resistance_factor": (0.25, 4.0), "interception_capacity_factor": (0.1, 4.0),
    "soil_conductivity_factor": (1e-3, 100.0), "bed_conductance_factor": (0.05, 50.0),
    "doubling_storage_factor": (0.05, 20.0), "leaf_area_factor": (0.25, 2.0),
}  # fmt: skip


class Free(eqx.Module):
    """A parameter to be found.

    Attributes:
        where: The leaf (..., cell), a function of the parameters (static).
        transform: Bounds and scale.
        support: Over what it is uniform: every cell for itself, a class of cells, a basin, the domain (static).
        group (cell,): Number of the class or basin of every cell from 0 on, -1 where the parameter stays as it is;
            None where the support is the cell or the domain.
        relative: Whether what is sought is a factor on the leaf as it stands (static).
    """

    where: Callable[[Any], jax.Array] = eqx.field(static=True)
    transform: Transform
    support: str = eqx.field(static=True, default="cell")
    group: jax.Array | None = None
    relative: bool = eqx.field(static=True, default=False)

    def __check_init__(self) -> None:
        require_choice(self.support, "support", SUPPORTS)
        grouped = self.support in ("class", "basin")
        require(
            grouped == (self.group is not None),
            f"Argument `group` must {'be given' if grouped else 'not be given'} for the support {self.support}, but is "
            f"{'missing' if grouped else 'there'}.",
        )

    def groups(self, parameters: Any) -> int:
        """Number of unknowns, 1. Argument: parameters of the model."""
        if self.support == "domain":
            return 1
        return (
            self.where(parameters).shape[-1] if self.group is None else int(np.asarray(self.group).max(initial=-1)) + 1
        )

    def encode(self, parameters: Any) -> jax.Array:
        """Unknowns (group,) that stand for the parameters of a model, 1; the mean unknown of a group's cells.

        Args:
            parameters: Parameters of the model; the leaf must be (cell,).
        """
        leaf = self.where(parameters)
        if self.relative:
            leaf = jnp.ones(leaf.shape[-1])
        unknown = self.transform.encode(leaf)
        if self.support == "cell":
            return unknown
        count = self.groups(parameters)
        group = jnp.zeros(leaf.shape, jnp.int32) if self.group is None else self.group
        require_shape(group, "group", leaf.shape)
        inside = (group >= 0).astype(unknown.dtype)
        at = jnp.maximum(group, 0)
        total = jnp.zeros(count, unknown.dtype).at[at].add(unknown * inside)
        return total / jnp.maximum(jnp.zeros(count, unknown.dtype).at[at].add(inside), 1.0)

    def decode(self, unknown: jax.Array, parameters: Any) -> Any:
        """The parameters with the values that the unknowns stand for.

        Args:
            unknown (group,): Unknowns, 1.
            parameters: Parameters of the model.
        """
        leaf = self.where(parameters)
        value = self.values(unknown, parameters)
        return eqx.tree_at(self.where, parameters, leaf * value if self.relative else value)

    def values(self, unknown: jax.Array, parameters: Any) -> jax.Array:
        """What the unknowns stand for (cell,): the parameter in its unit, or the factor on it.

        Args:
            unknown (group,): Unknowns, 1.
            parameters: Parameters of the model, without the factor.
        """
        leaf = self.where(parameters)
        value = self.transform.decode(unknown)
        if self.support == "domain":
            return jnp.broadcast_to(value[0], leaf.shape[-1:])
        if self.group is None:
            return value
        kept = jnp.ones(leaf.shape[-1]) if self.relative else leaf
        return jnp.where(self.group >= 0, value[jnp.maximum(self.group, 0)], kept)


def decode(free: Sequence[Free], unknowns: Sequence[jax.Array], parameters: Any) -> Any:
    """The parameters with several free ones replaced.

    Args:
        free: Free parameters.
        unknowns: Their unknowns (group,), 1, in the same order.
        parameters: Parameters of the model.
    """
    for one, unknown in zip(free, unknowns, strict=True):
        parameters = one.decode(unknown, parameters)
    return parameters


def named(name: str, form: str = "D5", support: str = "cell", group: jax.Array | None = None) -> Free:
    """A free parameter with its usual bounds.

    Args:
        name: One of `adjustable.VALUES` or `adjustable.FACTORS`.
        form: Form of dcor, D1 to D5, which decides on its bounds.
        support: Over what it is uniform.
        group (cell,): See :class:`Free`.
    """
    if name in adjustable.FACTORS:
        return Free(adjustable.FACTORS[name], Log(*FACTOR_RANGE[name]), support, group, relative=True)
    require_choice(name, "name", (*adjustable.VALUES, *adjustable.FACTORS))
    low, high = runoff.RANGE[form]
    transform: Transform = {
        "dcor": Bounded(low, high) if low == 0.0 else Log(low, high),
        "baseflow_factor": Log(*BASEFLOW_FACTOR_RANGE),
        "manning_roughness": Log(*ROUGHNESS_RANGE),
        "bypass_fraction": Bounded(*BYPASS_RANGE),
        "contributing_depth": Log(*DEPTH_RANGE),
        "contributing_threshold": Bounded(*THRESHOLD_RANGE),
    }[name]
    return Free(adjustable.VALUES[name], transform, support, group)


def dcor(form: str) -> Free:
    """The share of fast runoff of every cell between the bounds of its form. Argument: form of dcor, D1 to D5."""
    return named("dcor", form)


def baseflow_factor() -> Free:
    """The factor of the exchange with the aquifer of every cell."""
    return named("baseflow_factor")


def manning_roughness(group: jax.Array) -> Free:
    """The roughness of the rivers of every basin. Argument: group (cell,), number of the basin, -1 outside."""
    return named("manning_roughness", support="basin", group=group)
