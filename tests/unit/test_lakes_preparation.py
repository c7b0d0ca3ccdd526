"""Lakes on the grid: one body, one way out, a bed of the right volume, patches by size."""

import numpy as np
import pytest

from chase_jax.checks import InputError
from data_prep import hydrography, lakes


def test_only_the_largest_part_of_a_lake_stays():
    index = np.array([[7, 7, 0, 7], [0, 0, 0, 7], [3, 0, 0, 7]])
    kept, dropped = lakes.connected(index, np.ones((3, 4), bool))
    np.testing.assert_array_equal(kept, [[0, 0, 0, 7], [0, 0, 0, 7], [3, 0, 0, 7]])
    assert dropped == 2
    active = np.ones((3, 4), bool)
    active[2, 0] = False
    assert lakes.connected(index, active)[0][2, 0] == 0


def test_a_lake_with_two_ways_out_gets_one():
    """A lake of 2 x 2 cells: its left column drains south, its right one south as well, joined by a river."""
    direction = np.array([[1, 4, 4, 16], [1, 4, 4, 16], [1, 4, 4, 16], [1, 1, 4, 16], [1, 1, 0, 16]])
    index = np.zeros((5, 4), int)
    index[1:3, 1:3] = 5
    log = hydrography.Corrections()
    fixed, exits = lakes.drain(direction, index, log, 2.0)
    receiver = hydrography.receivers(fixed)
    assert not hydrography.drainage_fronts(receiver)[1].any()
    inside = np.flatnonzero(index.ravel() == 5)
    leaving = [cell for cell in inside if index.flat[receiver[cell]] != 5]
    assert leaving == [exits[5][0] * 4 + exits[5][1]]
    assert log.counts() == {"second way out of a lake": 1}
    np.testing.assert_array_equal(fixed[index == 0], direction[index == 0])
    assert hydrography.accumulate(receiver, np.ones(20))[18] == 20


@pytest.mark.parametrize("seed", range(4))
def test_lakes_of_a_random_network_never_close_a_loop(seed):
    draw = np.random.default_rng(seed)
    row, column = np.indices((30, 30))
    rough = np.hypot(row, column) + draw.random((30, 30))
    pytest.importorskip("pyflwdir")
    from data_prep import relief

    direction, _ = relief.drainage(rough, np.ones((30, 30), bool))
    index = np.zeros((30, 30), int)
    for number in range(1, 9):
        r, c = draw.integers(1, 24, 2)
        index[r : r + 5, c : c + draw.integers(1, 6)] = number
    index, _ = lakes.connected(index, np.ones((30, 30), bool))
    fixed, exits = lakes.drain(direction, index, hydrography.Corrections(), 1.0)
    receiver = hydrography.receivers(fixed)
    assert not hydrography.drainage_fronts(receiver)[1].any()
    for number, (r, c) in exits.items():
        inside = np.flatnonzero(index.ravel() == number)
        target = receiver[inside]
        out = inside[(target < 0) | (index.ravel()[np.maximum(target, 0)] != number)]
        assert list(out) == [r * 30 + c]


def test_a_lake_of_two_bodies_is_refused():
    with pytest.raises(InputError, match="lake 4"):
        lakes.drain(np.full((1, 3), 1), np.array([[4, 0, 4]]), hydrography.Corrections(), 1.0)


def test_sinks_at_the_shore_drain_into_the_lake():
    direction = np.array([[255, 1, 255], [1, 255, 4], [255, 1, 1]])
    index = np.array([[0, 0, 0], [0, 6, 0], [0, 0, 0]])
    found = lakes.shore(direction, index)
    np.testing.assert_array_equal(found, [[2, 1, 8], [1, 255, 4], [128, 1, 1]])


def test_bed_has_the_mean_depth_and_is_deepest_amid():
    index = np.zeros((9, 9), int)
    index[1:8, 1:8] = 2
    level = np.where(index > 0, 100.0, np.nan)
    bed = lakes.bed(index, level, np.full((9, 9), 12.0), 1000.0)
    np.testing.assert_allclose(np.nanmean(level - bed), 12.0)
    assert np.nanargmin(bed) == 4 * 9 + 4
    assert np.isnan(bed[index == 0]).all()
    assert bed[1, 1] > bed[2, 2] > bed[3, 3]


def test_patches_by_area():
    index = np.array([[1, 1, 0, 2], [1, 1, 0, 0], [3, 3, 0, 0]])
    area = np.full((3, 4), 1e6)
    np.testing.assert_array_equal(lakes.patches(index, area, 3e6), index == 1)
    np.testing.assert_array_equal(lakes.patches(index, area, 0.0), (index == 1) | (index == 3))  # never one cell
    with pytest.raises(InputError, match="smallest"):
        lakes.patches(index, area, -1.0)
