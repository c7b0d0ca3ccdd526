"""A linear reservoir with two parameters, its exact discharge and derivatives: a stand-in for the whole model."""

from __future__ import annotations

import numpy as np

RECESSION, YIELD = 0.15, 0.6  # hidden: outflow share per day, share of rain that arrives


def rain(days: int) -> np.ndarray:
    """Rain of the first days of a year."""
    draw = np.random.default_rng(11)
    return ((draw.random(366) < 0.3) * draw.gamma(1.0, 10.0, 366))[:days]


def parameters(unknowns: np.ndarray) -> tuple[float, float]:
    """Outflow share and share of rain of two unknowns."""
    return float(1.0 / (1.0 + np.exp(-unknowns[0]))), float(np.exp(unknowns[1]))


def unknowns_of(recession: float, share: float) -> np.ndarray:
    """Unknowns of both parameters."""
    return np.array([np.log(recession / (1.0 - recession)), np.log(share)])


def discharge(unknowns: np.ndarray, days: int) -> tuple[np.ndarray, np.ndarray]:
    """Discharge (day, gauge) at two gauges and its derivatives (unknown, day, gauge)."""
    k, share = parameters(unknowns)
    store, moving = 20.0, np.zeros(2)
    flow, slopes = np.zeros((days, 2)), np.zeros((2, days, 2))
    for day, amount in enumerate(rain(days)):
        store += share * amount
        moving = moving + np.array([0.0, share * amount])
        out = k * store
        slope = k * moving + np.array([k * (1.0 - k) * store, 0.0])
        store, moving = store - out, moving - slope
        flow[day], slopes[:, day] = out * np.array([1.0, 3.0]), slope[:, None] * np.array([1.0, 3.0])
    return flow, slopes
