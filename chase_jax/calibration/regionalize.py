r"""Transfer of a parameter to where it is not known, by physical similarity.

$$ \ln p = \sum_d w_d \ln p_d, \qquad w_d \propto 1 / \delta_d^2 $$

over the k donors most alike, with $\delta$ the distance in the space of attributes, each divided by its standard
deviation over the donors.

Source:
    beck2016 (transfer from the donors most alike); the weights are this project's.
"""

from __future__ import annotations

import numpy as np

from chase_jax.checks import require

NEAREST = 1e-6  # 1, distance below which a donor counts as the same place


def transfer(attributes: np.ndarray, values: np.ndarray, wanted: np.ndarray, donors: int = 3) -> np.ndarray:
    """Values (place,) of a positive parameter at places without one, in its unit.

    Args:
        attributes (donor, attribute): Attributes of the donors, any units.
        values (donor,): The parameter there, > 0.
        wanted (place, attribute): Attributes of the places.
        donors: How many donors are taken, at most.
    """
    require(values.size > 0, "Argument `values` must hold at least one donor, but holds none.")
    spread = attributes.std(axis=0)
    scale = np.where(spread > 0.0, spread, 1.0)
    result = np.empty(len(wanted))
    for begin in range(0, len(wanted), 10_000):  # in parts, so that memory does not grow with the domain
        part = wanted[begin : begin + 10_000]
        distance = np.sqrt((((part[:, None, :] - attributes[None]) / scale) ** 2).sum(axis=2))
        nearest = np.argsort(distance, axis=1)[:, :donors]
        weight = 1.0 / np.maximum(np.take_along_axis(distance, nearest, axis=1), NEAREST) ** 2
        weight = weight / weight.sum(axis=1, keepdims=True)
        result[begin : begin + 10_000] = np.exp((weight * np.log(values)[nearest]).sum(axis=1))
    return result


def leave_one_out(attributes: np.ndarray, values: np.ndarray, donors: int = 3) -> np.ndarray:
    """What the transfer gives each donor (donor,) from the others, in the unit of the parameter.

    Args:
        attributes (donor, attribute): Attributes of the donors, any units.
        values (donor,): The parameter there, > 0.
        donors: How many donors are taken, at most.
    """
    require(values.size > 1, f"Argument `values` must hold two donors or more, but holds {values.size}.")
    others = [np.arange(values.size) != k for k in range(values.size)]
    return np.concatenate([transfer(attributes[keep], values[keep], attributes[~keep], donors) for keep in others])
