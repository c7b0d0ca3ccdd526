"""Drainage of a terrain: everything leaves, depressions overflow at their lowest rim, sinks keep their water."""

import numpy as np
import pytest

from chase_jax.checks import InputError
from data_prep import hydrography, relief

pytest.importorskip("pyflwdir")


def bowl():
    """A bowl of 9 x 9 cells with a notch of 3 m in its eastern rim of 10 m."""
    row, column = np.indices((9, 9))
    altitude = np.maximum(abs(row - 4), abs(column - 4)).astype(float) * 2.0
    altitude[[0, -1]] = altitude[:, [0, -1]] = 10.0
    altitude[4, 5:] = 3.0
    return altitude


def test_a_bowl_overflows_at_its_notch():
    altitude, active = bowl(), np.ones((9, 9), bool)
    altitude[4, 8] = 2.5
    direction, filled = relief.drainage(altitude, active)
    np.testing.assert_allclose(filled, np.maximum(altitude, np.where(altitude < 3.0, 3.0, altitude))[:, :], atol=0.5)
    assert filled[4, 4] == 3.0
    receiver = hydrography.receivers(direction)
    assert not hydrography.drainage_fronts(receiver)[1].any()
    assert (direction[1:-1, 1:-1] != hydrography.SINK).all()
    assert hydrography.catchment(receiver, 4 * 9 + 8).reshape(9, 9)[1:-1, 1:-1].all()


def test_a_sink_keeps_its_water():
    altitude, active = bowl(), np.ones((9, 9), bool)
    ends = np.zeros((9, 9), bool)
    ends[4, 4] = True
    direction, filled = relief.drainage(altitude, active, ends)
    assert direction[4, 4] == hydrography.SINK
    assert (direction == hydrography.OUTLET).sum() == 0  # the edge is closed where no end is marked
    assert hydrography.accumulate(hydrography.receivers(direction), np.ones(81))[40] == 81
    np.testing.assert_array_equal(filled, altitude)


def test_the_edge_of_the_domain_is_an_outlet():
    altitude, active = bowl(), np.zeros((9, 9), bool)
    active[2:7, 2:7] = True
    direction, filled = relief.drainage(altitude, active)
    np.testing.assert_array_equal(direction[~active], 0)
    np.testing.assert_array_equal(filled[~active], altitude[~active])
    receiver = hydrography.receivers(direction)
    inside = np.flatnonzero((receiver >= 0) & active.ravel())
    assert active.ravel()[receiver[inside]].all()


def test_what_cannot_be_drained_is_refused():
    altitude = bowl()
    with pytest.raises(InputError, match="mark a cell"):
        relief.drainage(altitude, np.zeros((9, 9), bool))
    with pytest.raises(InputError, match="NaN"):
        relief.drainage(np.where(altitude == 3.0, np.nan, altitude), np.ones((9, 9), bool))
    with pytest.raises(InputError, match="ends"):
        relief.drainage(altitude, np.ones((9, 9), bool), np.zeros((9, 9), bool))


def test_slope_of_a_plane():
    row, column = np.indices((5, 6))
    np.testing.assert_allclose(relief.slope(30.0 * row + 40.0 * column, 1000.0), 0.05)


def test_land_stands_above_its_river_by_its_hillsides():
    """A plane that falls to the south, its cells of 2 x 2: the river lies at the lower row."""
    altitude = 800.0 - 100.0 * np.indices((8, 2))[0]
    direction = np.full((8, 2), 4)
    direction[:, 0] = 1
    direction[-1] = [1, 0]
    inside = np.ones((8, 2), bool)
    coarse = hydrography.upscale(direction, inside, 2, hydrography.Corrections(), 1.0)
    land = relief.from_fine(coarse, inside, altitude, np.full((4, 1), 0.2), 2, 500.0)
    np.testing.assert_array_equal(land.river[:, 0], [700.0, 500.0, 300.0, 100.0])
    np.testing.assert_allclose(land.length[:, 0], 1000.0)
    np.testing.assert_allclose(land.surface, land.river + 0.2 * 1000.0 / 4.0)
    np.testing.assert_allclose(land.upstream_area[:, 0], [1e6, 2e6, 3e6, 4e6])


@pytest.mark.parametrize(("size", "length", "distance"), [
    (1000.0, 1000.0, 250.0), (1000.0, 2000.0, 125.0), (1000.0, 100.0, 250.0), (8000.0, 500.0, 250.0),
])  # fmt: skip
def test_hillsides_are_no_longer_than_those_of_cells_of_a_kilometre(size, length, distance):
    """A channel that only touches a wide cell is no reason to pile a mountain on it."""
    coarse = hydrography.upscale(np.array([[4, 4], [1, 0]]), np.ones((2, 2), bool), 2, hydrography.Corrections(), 1.0)
    given = [np.full((1, 1), value) for value in (300.0, 305.0, 0.2, length)]
    land = relief.of_cells(coarse, *given, size)
    np.testing.assert_allclose(land.surface, 300.0 + 0.2 * distance)
    assert f"in 100.0% of the cells, by {0.2 * distance - 5.0:.1f} m" in land.report
    higher = relief.of_cells(coarse, given[0], given[1] + 500.0, *given[2:], size)
    np.testing.assert_allclose(higher.surface, 805.0)  # the mean, where that is higher


def test_ways_over_a_level_fill_join_like_rivers():
    """A basin behind one sill: every cell reaches it, no loop arises, and ways join more than in straight lines."""
    shape = (60, 60)
    altitude = np.full(shape, 90.0)
    altitude[[0, -1]] = altitude[:, [0, -1]] = 100.0
    altitude[30, 59] = 95.0  # the sill
    active = np.ones(shape, bool)
    ends = np.zeros(shape, bool)
    ends[30, 59] = True
    _, filled = relief.drainage(altitude, active, ends)
    resistance = np.exp(np.random.default_rng(0).standard_normal(shape))
    rise = relief.ramps(altitude, filled, active, resistance)
    level = filled > altitude
    assert (rise[level] > 0).all()
    assert (rise[~level] == 0).all()
    np.testing.assert_allclose(rise[30, 58], resistance[30, 58])
    direction, after = relief.drainage(filled + 1e-4 * rise, active, ends)
    np.testing.assert_allclose(after, filled + 1e-4 * rise)  # nothing is left to fill
    receiver = hydrography.receivers(direction)
    assert not hydrography.drainage_fronts(receiver)[1].any()
    size = hydrography.accumulate(receiver, np.ones(active.size)).reshape(shape)
    assert size[30, 59] == active.sum()
    flat = hydrography.receivers(relief.drainage(altitude, active, ends)[0])
    other = hydrography.accumulate(flat, np.ones(active.size)).reshape(shape)
    middle = slice(20, 40)
    assert (size[middle, middle] > 20).sum() < (other[middle, middle] > 20).sum()
    assert (relief.ramps(altitude, altitude, active, resistance) == 0).all()
