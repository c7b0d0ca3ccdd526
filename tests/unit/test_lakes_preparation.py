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


def test_floodplains_join_the_lake_they_touch_most():
    lake = np.zeros((6, 9), int)
    lake[1:3, 1:3], lake[1, 7] = 4, 9
    flooded = np.zeros((6, 9), bool)
    flooded[0:4, 3] = True  # beside lake 4
    flooded[3, 6:9] = True  # touches nothing
    flooded[2, 2] = True  # water already
    found = lakes.with_floodplains(lake, flooded)
    wanted = lake.copy()
    wanted[0:4, 3], wanted[3, 6:9] = 4, 10
    np.testing.assert_array_equal(found, wanted)
    flooded[2, 3:8] = True  # now one body that touches both lakes, the larger one more
    assert (lakes.with_floodplains(lake, flooded)[flooded & (lake == 0)] == 4).all()


def test_lakes_may_be_listed_and_lowered():
    lake = np.zeros((4, 6), int)
    lake[0, :2], lake[2:4, :3], lake[0, 5] = 1, 2, 3
    area = np.full(lake.shape, 1e6)
    np.testing.assert_array_equal(lakes.patches(lake, area, 5e6), lake == 2)
    np.testing.assert_array_equal(lakes.patches(lake, area, 5e6, {1: True, 2: False, 3: True, 8: True}), lake == 1)
    terrain = np.arange(24.0).reshape(4, 6)
    deep = lakes.lowered(lake, terrain, {2: 7.5})
    np.testing.assert_allclose(deep[lake == 2], terrain[lake == 2] - 7.5)
    assert np.isnan(deep[lake != 2]).all()


def test_a_table_of_lakes(tmp_path):
    path = tmp_path / "lakes.csv"
    path.write_text("lake,patch,offset\n12,1,\n7,0,3.5\n8,,0\n")
    told = lakes.read_told(path)
    assert told.patch == {12: True, 7: False}
    assert told.offset == {7: 3.5, 8: 0.0}
    path.write_text("lake\n12\n")
    assert lakes.read_told(path) == lakes.Told()
    for text, message in (
        ("number,patch\n1,1\n", "line 1: the columns are number, patch; needed is lake"),
        ("lake,patch\n1,1\nx,0\n", "line 3: lake is 'x'; write the number of a lake"),
        ("lake,patch\n1.5,1\n", "line 2: lake is '1.5'"),
        ("lake,patch\n1,2\n", "line 2: patch is '2'; write 1, 0 or nothing"),
        ("lake,offset\n1,-2\n", "line 2: offset is '-2'; write m below the terrain"),
        ("lake,offset\n1,deep\n", "line 2: offset is 'deep'"),
    ):
        path.write_text(text)
        with pytest.raises(InputError, match=message):
            lakes.read_told(path)
