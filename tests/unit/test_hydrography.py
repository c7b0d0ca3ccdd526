"""Drainage repair and upscaling: every fault is found, named, and mended without making another."""

import numpy as np
import pytest

from chase_jax.checks import InputError
from data_prep import fidelity
from data_prep import hydrography as hydro


def random_network(seed, shape=(24, 24)):
    """Steepest-descent directions of a noisy slope whose lowest point is the corner."""
    generator = np.random.default_rng(seed)
    row, column = np.indices(shape)
    altitude = np.hypot(row, column) + 0.9 * generator.random(shape)
    direction = np.zeros(shape, int)
    for r, c in np.ndindex(shape):
        slopes = {
            code: (altitude[r, c] - altitude[r + dr, c + dc]) / np.hypot(dr, dc)
            for code, (dr, dc) in hydro.STEPS.items()
            if 0 <= r + dr < shape[0] and 0 <= c + dc < shape[1]
        }
        code = max(slopes, key=slopes.get)
        direction[r, c] = code if slopes[code] > 0 else (hydro.OUTLET if (r, c) == (0, 0) else hydro.SINK)
    return direction, altitude


def test_receivers_and_accumulation_of_a_small_river():
    direction = np.array([[1, 1, 4], [64, 16, 4], [1, 1, 0]])
    receiver = hydro.receivers(direction)
    np.testing.assert_array_equal(receiver, [1, 2, 5, 0, 3, 8, 7, 8, -1])
    np.testing.assert_array_equal(hydro.accumulate(receiver, np.ones(9)), [3, 4, 5, 2, 1, 6, 1, 2, 9])
    np.testing.assert_array_equal(np.flatnonzero(hydro.catchment(receiver, 2)), [0, 1, 2, 3, 4])


def test_a_clean_network_is_left_alone():
    direction, altitude = random_network(1)
    log = hydro.Corrections()
    fixed = hydro.repair(direction, np.ones_like(direction, bool), altitude, log)
    np.testing.assert_array_equal(fixed, direction)
    assert log.text() == "no corrections"


@pytest.mark.parametrize("seed", range(5))
def test_faults_are_mended_and_reported(seed):
    direction, altitude = random_network(seed)
    active = np.ones(direction.shape, bool)
    active[20:, :6] = False
    direction[19, 3] = 4  # into inactive cells
    direction[10, 10] = 3  # no such code
    direction[5, 5], direction[5, 6] = 1, 16  # two cells that feed each other
    log = hydro.Corrections()
    fixed = hydro.repair(direction, active, altitude, log, cell_area=0.25)
    assert {"flow to inactive cell", "invalid code", "loop"} <= set(log.counts())
    receiver = hydro.receivers(fixed)
    assert not hydro.drainage_fronts(receiver)[1].any()
    assert np.isin(fixed, [0, 255, *hydro.STEPS]).all()
    inside = np.flatnonzero((receiver >= 0) & active.ravel())
    assert active.ravel()[receiver[inside]].all()
    again = hydro.Corrections()
    np.testing.assert_array_equal(hydro.repair(fixed, active, altitude, again), fixed)
    assert not again.rows


@pytest.mark.parametrize(("seed", "factor"), [(1, 2), (2, 3), (3, 4)])
def test_upscaling_keeps_the_catchment(seed, factor):
    direction, _ = random_network(seed)
    receiver = hydro.receivers(direction)
    active = hydro.catchment(receiver, 0).reshape(direction.shape)
    log = hydro.Corrections()
    coarse = hydro.upscale(direction, active, factor, log, cell_area=1.0)
    target = hydro.receivers(coarse.direction)
    assert not hydro.drainage_fronts(target)[1].any()
    reached = hydro.catchment(target, 0)
    assert (reached | ~coarse.active.ravel()).all(), "all active cells drain to the outlet"
    assert coarse.exit[0, 0] == 0
    assert coarse.upstream[0, 0] == active.sum()
    assert abs(coarse.active.sum() * factor**2 / active.sum() - 1) < 0.3
    assert np.nanmin(coarse.length) >= 1


def test_a_path_that_clips_a_corner_does_not_join_that_river():
    """Cells of 2 x 2: the upper left one drains past the corner of the upper right one into the lower right one."""
    direction = np.array(
        [
            [4, 4, 1, 4, 4, 8],
            [1, 1, 4, 4, 16, 16],  # the exit (1, 1) goes east to (1, 2), past the exit (1, 3), then south
            [1, 1, 4, 4, 16, 16],
            [1, 1, 1, 0, 16, 16],
        ]
    )
    log = hydro.Corrections()
    coarse = hydro.upscale(direction, np.ones((4, 6), bool), 2, log, 1.0)
    np.testing.assert_array_equal(coarse.direction, [[2, 4, 16], [1, 0, 16]])
    crossing = [row for row in log.rows if row["kind"] == "crossing path"]
    assert [(row["row"], row["column"], row["before"], row["after"]) for row in crossing] == [(0, 0, 1, 2)]


def test_river_profile_falls_and_cuts_bumps():
    receiver = np.array([1, 2, 3, 4, -1])
    bumpy = np.array([50.0, 80.0, 20.0, 20.0, 20.0])  # a bump, then a flat
    area, length = np.array([1.0, 2.0, 3.0, 4.0, 5.0]), np.full(5, 1000.0)
    profile = hydro.river_profile(receiver, bumpy, area, length)
    assert (np.diff(profile) < 0).all()
    assert profile[-1] == 20.0
    assert profile[1] <= 50.0
    smooth = np.array([500.0, 400.0, 300.0, 200.0, 100.0])
    np.testing.assert_array_equal(hydro.river_profile(receiver, smooth, area, length), smooth)


def test_a_repair_never_sends_a_cell_to_its_own_donor():
    direction, altitude = np.array([[1, 3, 0]]), np.array([[1.0, 10.0, 5.0]])  # the steepest way leads to the donor
    log = hydro.Corrections()
    np.testing.assert_array_equal(hydro.repair(direction, np.ones((1, 3), bool), altitude, log), [[1, 1, 0]])
    assert log.rows[0]["upstream_area_km2"] == 2.0


def test_codes_of_pcraster():
    """Keys of a number pad; a pit amid the domain is a sink, at its edge an outlet."""
    ldd = np.array([[3, 2, 1, 0], [6, 5, 4, 4], [9, 8, 7, 5], [6, 6, 6, 6]])
    active = ldd > 0
    found = hydro.from_pcraster(ldd, active)
    np.testing.assert_array_equal(found, [[2, 4, 8, 0], [1, 255, 16, 16], [128, 64, 32, 0], [1, 1, 1, 1]])
    assert (hydro.from_pcraster(np.full((1, 2), 10), np.ones((1, 2), bool)) == 3).all()  # for repair to find
    ends = hydro.open_ends(found, active)
    np.testing.assert_array_equal(ends[3], [1, 1, 1, 0])
    np.testing.assert_array_equal(ends[:3], found[:3])


@pytest.mark.parametrize(("seed", "factor"), [(4, 2), (5, 3)])
def test_upscaling_onto_any_raster_is_that_onto_blocks(seed, factor):
    direction, _ = random_network(seed)
    active = hydro.catchment(hydro.receivers(direction), 0).reshape(direction.shape)
    one, other = hydro.Corrections(), hydro.Corrections()
    blocks = hydro.upscale(direction, active, factor, one, 1.0)
    row, column = np.indices(direction.shape)
    shape = blocks.direction.shape
    number = (row // factor * shape[1] + column // factor).ravel()
    place = 10.0 * row.ravel(), 10.0 * column.ravel()
    free = hydro.upscale_to(direction, active, number, shape, other, 1.0, place)
    np.testing.assert_array_equal(free.direction, blocks.direction)
    np.testing.assert_allclose(free.length, 10.0 * blocks.length)
    assert one.rows == other.rows


@pytest.mark.parametrize("seed", range(6))
def test_unit_catchments_and_detours_keep_areas(seed):
    """No area is lost and no loop arises; upstream areas come nearer to those of the fine network."""
    direction, _ = random_network(seed, (40, 40))
    receiver = hydro.receivers(direction)
    active = hydro.catchment(receiver, 0).reshape(direction.shape)
    receiver = np.where(active.ravel(), receiver, -1)
    first = hydro.upscale(direction, active, 4, hydro.Corrections(), 1.0)
    log = hydro.Corrections()
    mended = hydro.reconnect(first, receiver, log, 1.0)

    def deviation(network):
        unit = hydro.unit_catchments(receiver, network.exit.ravel())
        area = np.bincount(unit[unit >= 0], minlength=network.exit.size).astype(float)
        target = hydro.receivers(network.direction)
        assert not hydro.drainage_fronts(target)[1].any()
        coarse = hydro.accumulate(target, np.where(network.active.ravel(), area, 0.0))
        assert coarse[0] == active.sum()  # nothing is lost
        large = (network.upstream > 40).ravel()
        return np.abs(coarse / network.upstream.ravel() - 1.0)[large]

    before, after = deviation(first), deviation(mended)
    assert (after < 0.03).mean() > (before < 0.03).mean()
    assert after.mean() < before.mean()
    assert len(log.rows) == (mended.direction != first.direction).sum()


def test_unit_catchments_by_hand():
    receiver = np.array([1, 2, 3, 4, -1, 3])
    np.testing.assert_array_equal(hydro.unit_catchments(receiver, np.array([1, -1, 3])), [0, 0, 2, 2, -1, 2])


def test_carving_lowers_what_lies_below_a_bump():
    receiver = np.array([1, 2, 3, -1, 2])
    carved = hydro.carve(receiver, np.array([50.0, 80.0, 20.0, 30.0, 10.0]))
    np.testing.assert_array_equal(carved, [50.0, 50.0, 10.0, 10.0, 10.0])


def test_a_gauge_is_snapped_to_its_river():
    upstream = np.array([[1.0, 50.0, 2.0], [3.0, 1.0, 900.0], [0.0, np.nan, 5.0]])
    assert hydro.snap(upstream, 1, 1, 1000.0) == (1, 2)
    assert hydro.snap(upstream, 1, 1, 40.0) == (0, 1)
    assert hydro.snap(upstream, 0, 0, 1000.0) == (0, 1)  # the large river is out of reach
    assert hydro.snap(upstream, 0, 0, 1000.0, reach=2) == (1, 2)
    with pytest.raises(InputError, match="area"):
        hydro.snap(upstream, 1, 1, 0.0)
    with pytest.raises(InputError, match="No cell"):
        hydro.snap(np.zeros((3, 3)), 1, 1, 10.0)


@pytest.mark.parametrize(("seed", "factor"), [(1, 2), (2, 3), (3, 4)])
def test_upscaling_by_iteration_keeps_the_catchment(seed, factor):
    pytest.importorskip("pyflwdir")
    direction, _ = random_network(seed)
    active = hydro.catchment(hydro.receivers(direction), 0).reshape(direction.shape)
    coarse = hydro.upscale(direction, active, factor, hydro.Corrections(), 1.0, "iterative")
    target = np.where(coarse.active.ravel(), hydro.receivers(coarse.direction), -1)
    assert not hydro.drainage_fronts(target)[1].any()
    assert (hydro.catchment(target, 0) | ~coarse.active.ravel()).all(), "all active cells drain to the outlet"
    assert coarse.upstream[0, 0] == active.sum()
    assert coarse.direction[0, 0] == hydro.OUTLET
    assert abs(coarse.active.sum() * factor**2 / active.sum() - 1) < 0.3
    receiver = np.where(active.ravel(), hydro.receivers(direction), -1)
    found = fidelity.measure(direction, active, coarse, factor, 500.0)
    assert found["loops"] == 0
    own = fidelity.measure(direction, active, hydro.upscale(direction, active, factor, hydro.Corrections(), 1.0),
                           factor, 500.0)  # fmt: skip
    assert found["straight_ratio"] <= own["straight_ratio"] + 0.05
    assert np.bincount(hydro.unit_catchments(receiver, coarse.exit.ravel())[active.ravel()]).sum() == active.sum()
    with pytest.raises(InputError, match="`method` must be one of largest, iterative"):
        hydro.upscale(direction, active, factor, hydro.Corrections(), 1.0, "dmm")


def test_sinks_and_outlets_stay_what_they_are_by_iteration():
    pytest.importorskip("pyflwdir")
    direction = np.full((6, 12), 1)
    direction[:, 5], direction[:, 6:] = 4, 1
    direction[5, 5], direction[:, 11] = hydro.SINK, hydro.OUTLET
    coarse = hydro.upscale(direction, np.ones((6, 12), bool), 3, hydro.Corrections(), 1.0, "iterative")
    assert coarse.direction[1, 1] == hydro.SINK
    assert set(coarse.direction[:, 3]) == {hydro.OUTLET}
    assert (coarse.direction == hydro.SINK).sum() == 1


def test_the_way_along_a_river_by_hand():
    receiver = np.array([1, 2, -1, 1])
    np.testing.assert_array_equal(fidelity.way(receiver, np.array([1.0, 2.0, 9.0, 4.0])), [3.0, 2.0, 0.0, 6.0])
