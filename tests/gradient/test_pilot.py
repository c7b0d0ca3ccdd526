"""Derivatives of what networks that stand for the model say, against differences."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.special import expit

from chase_jax.calibration import pilot
from chase_jax.calibration.trial import Outcome

CELLS, NUMBER = 200, 32


@pytest.fixture(scope="module")
def surrogate():
    rain = np.random.default_rng(2).uniform(500.0, 1500.0, CELLS)

    def run(unknowns, cells):
        share, other = expit(unknowns)
        depth = rain[cells] * (0.1 + 0.5 * share**1.5)
        return Outcome(depth, 0.8 * (1.0 - 0.6 * share) * other, 0.0 * depth, np.zeros(()))

    cells = pilot.chosen(CELLS, NUMBER, 0)
    tried = pilot.design(NUMBER, 2, 0)
    first = run(np.zeros((2, CELLS)), np.arange(CELLS))
    return pilot.learn(rain[:, None], first, cells, tried, [run(one, cells) for one in tried], 0)


@pytest.mark.parametrize("parameter", [0, 1])
def test_slopes_are_those_of_differences(surrogate, parameter):
    at, step = np.random.default_rng(4).normal(0.0, 2.0, (2, CELLS)), 1e-5
    exact = surrogate.trial(at, True).slopes[parameter]
    moved = np.zeros((2, 1))
    moved[parameter] = step
    after, before = (surrogate.trial(at + sign * moved, False) for sign in (1.0, -1.0))
    for row, name in enumerate(("runoff_depth", "baseflow_index")):
        difference = (getattr(after, name) - getattr(before, name)) / (2.0 * step)
        assert np.abs(difference).max() > 0.0
        np.testing.assert_allclose(exact[row], difference, rtol=1e-5, atol=1e-5 * np.abs(difference).max())
