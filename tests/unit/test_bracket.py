"""Roots of many functions sought from near."""

from __future__ import annotations

import numpy as np
import pytest

from chase_jax.calibration import bracket

ROOT = np.array([0.3, 0.31, 0.7, 0.05, 0.9, 0.30001])
GUESS = np.full(ROOT.size, 0.3)


@pytest.mark.parametrize("way", [1.0, -1.0], ids=["growing", "falling"])
@pytest.mark.parametrize("power", [1.0, 3.0])
def test_roots_are_found_on_either_side_of_the_guess(way, power):
    calls = []

    def function(x):
        calls.append(x)
        return way * 100.0 * (np.sign(x - ROOT) * np.abs(x - ROOT) ** (1.0 / power))

    found, value, _ = bracket.roots(
        function, GUESS, function(GUESS), ROOT > 0.0, np.full(6, 0.02), (0.0, 1.0), 20.0, 20
    )
    assert (np.abs(value) <= 20.0).all()
    np.testing.assert_array_equal(value, function(found))
    assert all((x >= 0.0).all() and (x <= 1.0).all() for x in calls)


def test_cells_that_are_done_or_not_sought_are_asked_where_they_are():
    calls = []

    def function(x):
        calls.append(x)
        return 100.0 * (x - ROOT)

    seek = np.array([True, True, True, False, True, True])
    found, _, _ = bracket.roots(function, GUESS, 100.0 * (GUESS - ROOT), seek, np.full(6, 0.02), (0.0, 1.0), 0.5, 20)
    assert (found[[0, 3, 5]] == GUESS[[0, 3, 5]]).all()
    assert all((x[[0, 3, 5]] == GUESS[[0, 3, 5]]).all() for x in calls)
    assert all(x[1] == found[1] for x in calls[4:])


def test_without_a_root_the_nearest_point_is_taken_and_the_bounds_are_kept():
    found, value, _ = bracket.roots(
        lambda x: 100.0 * (x + 1.0),
        np.array([0.3]),
        np.array([130.0]),
        np.array([True]),
        np.array([-0.02]),
        (0.1, 1.0),
        0.5,
        20,
    )
    assert found == 0.1
    assert value == pytest.approx(110.0)


def test_a_function_that_grows_in_the_wrong_direction_is_followed_to_the_other_side():
    def function(x):
        return 100.0 * (0.9 - x) * (x + 0.2)

    guess = np.array([0.2])
    found, value, _ = bracket.roots(
        function, guess, function(guess), np.array([True]), np.array([-0.02]), (0.0, 1.0), 0.5, 30
    )
    assert found == pytest.approx(0.9, abs=0.01)
    assert abs(value) <= 0.5
