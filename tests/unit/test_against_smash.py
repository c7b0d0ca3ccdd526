"""The rivers that the experiment beside a peer makes of that peer's maps."""

from __future__ import annotations

import helpers
import numpy as np


def test_rivers_are_those_above_the_outlet_and_rise_by_the_slope_of_their_cells():
    """Two cells in a row and one aslant drain to the outlet; a cell beyond and one that is not active do not count."""
    kept = {
        "active": np.array([[1, 1, 1], [1, 1, 0]]),
        "direction": np.array([[3, 3, 3], [2, 1, 3]]),  # clockwise from north, 3 to the east
        "slope": np.array([[2.0, 1.0, 1.0], [3.0, 0.0, 1.0]]),  # %
        "gauges": np.array([[0, 0], [0, 1]]),
        "area": np.array([1.0, 4.0]),
        "step": np.array(3600.0),
    }
    model, gauges = helpers.experiment("against_smash").network(kept)
    domain = model.domain
    assert domain.cells == 4
    height = np.full((2, 3), np.nan)
    height[domain.grid.row, domain.grid.column] = domain.surface_altitude
    np.testing.assert_allclose(height[0], [120.0, 100.0, np.nan])
    np.testing.assert_allclose(height[1], [100.0 + 30.0 * np.sqrt(2.0), 102.0, np.nan])  # no less than 0.2 %
    assert np.flatnonzero(np.asarray(domain.drainage.downstream) < 0) == gauges[1]
    assert domain.drainage.upstream_area[gauges[1]] == 4e6
    assert model.solvers.reach.time_step == 3600.0
