"""Pixels in squares give what all pixels at once give: network, lengths, terrain, areas; loops are told."""

import numpy as np
import pytest

from chase_jax.checks import InputError
from data_prep import hydrography, merit, pixels, rasters, relief, squares

rasterio = pytest.importorskip("rasterio")
pytest.importorskip("pyflwdir")

STEP, ROWS, COLUMNS = 0.005, 90, 130  # degree; pixels of 550 by 450 m
NORTH, WEST = 34.0, 96.0
RESOLUTION = 2500.0  # m


def land_and_terrain():
    """Altitude and land: a rough slope to a sea on two sides, an island, a basin without an outlet."""
    row, column = np.indices((ROWS, COLUMNS))
    noise = np.random.default_rng(11).random((ROWS, COLUMNS))
    smooth = sum(
        np.kron(np.random.default_rng(n).random((ROWS // n + 1, COLUMNS // n + 1)), np.ones((n, n)))[:ROWS, :COLUMNS]
        * n
        for n in (5, 10, 20)
    )
    height = 900.0 - 3.0 * column - 1.5 * row + 6.0 * smooth + 9.0 * noise
    land = (column < COLUMNS - 9 + 3 * np.sin(row / 7)) & (row < ROWS - 4)
    land[40:52, 124:128] = True
    return height, land


def write(folder, codes, height, land, upstream):
    """Six tiles in the form of MERIT Hydro."""
    folder.mkdir()
    for part, values, kind, missing in (
        ("dir", np.where(land, codes, -9), "int16", -9), ("elv", np.where(land, height, -9999), "float32", -9999),
        ("upa", np.where(land, upstream, -9999), "float32", -9999),
        ("wth", np.where(land & (upstream > 30), 20.0 + upstream, np.where(land, 0.0, -9999)), "float32", -9999),
    ):  # fmt: skip
        for number, (top, left) in enumerate((t, k) for t in (0, 45) for k in (0, 50, 100)):
            box = values[top : top + 45, left : left + 50].astype(kind)
            place = rasterio.Affine(STEP, 0, WEST + STEP * left, 0, -STEP, NORTH - STEP * top)
            layout = {"driver": "GTiff", "height": 45, "width": box.shape[1], "count": 1, "dtype": kind}
            with rasterio.open(
                folder / f"t{number}_{part}.tif", "w", crs="EPSG:4326", transform=place, nodata=missing, **layout
            ) as file:
                file.write(box, 1)
    return folder


@pytest.fixture(scope="module")
def drainage():
    """D8 codes, altitude, land and upstream area, km2."""
    height, land = land_and_terrain()
    direction, filled = relief.drainage(height, land)
    sink = (60, 20)
    direction[sink] = hydrography.SINK
    area = np.where(land, 0.25, 0.0)
    upstream = hydrography.accumulate(hydrography.receivers(direction), area.ravel()).reshape(land.shape)
    return np.where(direction == hydrography.SINK, -1, direction), filled, land, upstream


@pytest.fixture(scope="module")
def mosaic(drainage, tmp_path_factory):
    folder = tmp_path_factory.mktemp("tiles") / "merit_hydro"
    return merit.Mosaic.of(write(folder, *drainage))


def survey(mosaic, side, resolution=RESOLUTION):
    """What squares of a size give."""
    log = hydrography.Corrections()
    grid = squares.Grid.of(mosaic, resolution, side)
    return grid, pixels.survey(grid, log), log


def at_once(mosaic, resolution=RESOLUTION):
    """The same by the functions that hold all pixels in memory."""
    grid = squares.Grid.of(mosaic, resolution)
    every = slice(0, ROWS), slice(0, COLUMNS)
    codes, dry = mosaic.directions(*every)
    hydro = {"altitude": mosaic.elevation(*every, dry)}
    hydro |= {name: mosaic.values(part, *every) for name, part in (("width", "wth"), ("upstream", "upa"))}
    whole = grid.load(every, 0)
    area = rasters.pixel_area(mosaic.y, mosaic.x)
    held = np.bincount(whole.block, area.ravel(), grid.cells) >= 0.5 * resolution**2
    land = dry & held[whole.block].reshape(dry.shape)
    mean = float(area[land].mean()) / 1e6
    log = hydrography.Corrections(grid=hydrography.SOURCE)
    direction = hydrography.repair(hydrography.open_ends(codes, land), land, hydro["altitude"], log, mean)
    log = hydrography.Corrections(log.rows)
    place = whole.northing, whole.easting
    coarse = hydrography.upscale_to(direction, land, whole.block, grid.shape, log, mean, place)
    receiver = np.where(land.ravel(), hydrography.receivers(direction), -1)
    coarse = hydrography.reconnect(coarse, receiver, log, mean)
    return grid, coarse, land, hydro, whole.block, area, receiver, log


@pytest.mark.parametrize("side", [200, 64, 37, 16])
@pytest.mark.parametrize("resolution", [2500.0, 6000.0])
def test_squares_give_what_all_pixels_give(mosaic, side, resolution):
    grid, coarse, land, hydro, block, area, receiver, log = at_once(mosaic, resolution)
    _, found, own = survey(mosaic, side, resolution)
    made = found.drainage
    for name in ("direction", "active", "exit", "upstream"):
        np.testing.assert_array_equal(getattr(made, name), getattr(coarse, name), err_msg=name)
    np.testing.assert_allclose(made.length, coarse.length, rtol=1e-12)
    assert [tuple(row.values())[:6] for row in own.rows] == [tuple(row.values())[:6] for row in log.rows]
    areas = [[row["upstream_area_km2"] for row in rows] for rows in (own.rows, log.rows)]
    np.testing.assert_allclose(areas[0], areas[1], rtol=1e-12)
    kinds = {row["kind"] for row in own.rows}
    assert {"broken link", "crossing path"} <= kinds
    assert {row["grid"] for row in own.rows if row["kind"] in ("broken link", "crossing path")} == {"domain"}
    assert made.active.sum() > 60

    def mean(values):
        return rasters.means_of(np.where(land, values, np.nan), block, grid.cells).reshape(grid.shape)

    np.testing.assert_allclose(found.altitude, mean(hydro["altitude"]), rtol=1e-12)
    filled = rasters.fill_nearest(hydro["altitude"])
    metre = np.deg2rad(STEP) * rasters.EARTH_RADIUS
    down, right = np.gradient(filled)
    slope = np.hypot(down / metre, right / (metre * np.cos(np.deg2rad(mosaic.y))[:, None]))
    np.testing.assert_allclose(found.slope, mean(slope), rtol=1e-9)
    on = made.active
    np.testing.assert_array_equal(found.pixels.ravel(), np.bincount(block, land.ravel(), grid.cells))
    own_area = hydrography.accumulate(receiver, np.where(land, area, 0.0).ravel())[coarse.exit[on]]
    np.testing.assert_allclose(found.exit_area[on], own_area, rtol=1e-12)
    for name, values in hydro.items():
        np.testing.assert_array_equal(getattr(found, f"exit_{name}")[on], values.ravel()[coarse.exit[on]], err_msg=name)


def test_altitudes_around_points_do_not_depend_on_squares(mosaic):
    lat, lon = NORTH - 0.1 * np.arange(5), WEST + 0.1 * np.arange(7)
    every = slice(0, ROWS), slice(0, COLUMNS)
    land = mosaic.directions(*every)[1]
    parts = [pixels.mean_altitude(squares.Grid.of(mosaic, RESOLUTION, side), lat, lon) for side in (200, 23)]
    np.testing.assert_allclose(parts[0], parts[1], rtol=1e-12)
    near = (np.abs(mosaic.y - lat[2]) < 0.05)[:, None] & (np.abs(mosaic.x - lon[3]) < 0.05) & land
    np.testing.assert_allclose(parts[0][2, 3], mosaic.elevation(*every, land)[near].mean(), rtol=1e-6)


def test_a_loop_is_opened_and_one_over_the_rim_is_refused(drainage, tmp_path):
    codes, height, land, upstream = drainage
    wrong = codes.copy()
    wrong[30, 30:32] = 1, 16  # two pixels that drain to each other
    looped = merit.Mosaic.of(write(tmp_path / "a", wrong, height, land, upstream))
    coarse, log = at_once(looped)[1], at_once(looped)[-1]
    _, found, own = survey(looped, 200)
    np.testing.assert_array_equal(found.drainage.direction, coarse.direction)
    opened = [row for row in own.rows if row["kind"] == "loop" and row["row"] == 30]
    assert {row["grid"] for row in opened} == {"source"}
    assert opened == [row for row in log.rows if row["kind"] == "loop" and row["row"] == 30]
    _, found, own = survey(looped, 40)  # 30 and 31 lie in one square
    np.testing.assert_array_equal(found.drainage.direction, coarse.direction)
    with pytest.raises(InputError, match=r"directions run in a loop by 33\.8\d+ N, 96\.1\d+ E; mend it"):
        survey(looped, 31)


def test_a_window_of_the_tiles_is_what_lies_there(mosaic, drainage):
    codes, height, land, _ = drainage
    window = slice(40, 60), slice(45, 120)
    direction, dry = mosaic.directions(*window)
    np.testing.assert_array_equal(dry, land[window])
    np.testing.assert_allclose(mosaic.elevation(*window, dry)[dry], height[window][dry], rtol=1e-6)
    whole = mosaic.directions(slice(0, ROWS), slice(0, COLUMNS))[0]
    np.testing.assert_array_equal(direction, whole[window])
    flows = dry & (codes[window] > 0)
    np.testing.assert_array_equal(direction[flows], codes[window][flows])
