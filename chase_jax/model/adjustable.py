"""Parameters that a file, a key or a calibration may set, and where each lies among the parameters of the model.

A *value* takes the place of the default. A *factor* multiplies it, so that differences between classes of soil or
vegetation stay as they are.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np

from chase_jax.model.containers import Parameters

VALUES: dict[str, Callable[[Parameters], jax.Array]] = {
    "dcor": lambda p: p.land.runoff.dcor,
    "baseflow_factor": lambda p: p.land.exchange.baseflow_factor,
    "manning_roughness": lambda p: p.channel.manning_roughness,
    "bypass_fraction": lambda p: p.land.exchange.bypass_fraction,
    "contributing_depth": lambda p: p.land.runoff.contributing_depth,
    "contributing_threshold": lambda p: p.land.runoff.contributing_threshold,
}
FACTORS: dict[str, Callable[[Parameters], jax.Array]] = {
    "stomatal_resistance_factor": lambda p: p.land.vegetation.minimum_stomatal_resistance,
    "interception_capacity_factor": lambda p: p.land.canopy.capacity_factor,
    "soil_conductivity_factor": lambda p: p.land.soil.saturated_conductivity,
    "bed_conductance_factor": lambda p: p.seepage.bed_conductance,
    "doubling_storage_factor": lambda p: p.seepage.doubling_storage,
    "leaf_area_factor": lambda p: p.land.leaf_area_index,
}


def adjusted(parameters: Parameters, given: Mapping[str, np.ndarray]) -> Parameters:
    """Parameters with some of them set or multiplied.

    Args:
        parameters: Parameters of the model, as they are by default.
        given: (cell,) values and factors by name, of `VALUES` and `FACTORS`.
    """
    for name, value in given.items():
        where, cells = VALUES.get(name) or FACTORS[name], jnp.asarray(value, dtype=float)
        parameters = eqx.tree_at(where, parameters, where(parameters) * cells if name in FACTORS else cells)
    return parameters
