import numpy as np
import pyproj
import pytest
from valley import LAEA_EUROPE

from chase_jax.checks import InputError
from chase_jax.domain.grid import STEPS_D8, Grid


@pytest.fixture
def grid():
    rng = np.random.default_rng(1)
    row, column = np.nonzero(rng.random((5, 7)) < 0.6)
    order = rng.permutation(row.size)
    return Grid(4e6 + 1000.0 * np.arange(7), 3e6 - 1000.0 * np.arange(5), LAEA_EUROPE, row[order], column[order])


def test_pack_and_unpack_are_inverse(grid):
    values = np.random.default_rng(0).random((3, grid.cells))
    np.testing.assert_array_equal(grid.pack(grid.unpack(values)), values)
    raster = grid.unpack(values)
    assert np.isnan(raster).sum() == 3 * (35 - grid.cells)


def test_unpacked_integers_keep_their_type(grid):
    raster = grid.unpack(np.arange(grid.cells), fill=-1)
    assert raster.dtype.kind == "i"
    assert (raster == -1).sum() == 35 - grid.cells


def test_pack_refuses_another_raster(grid):
    with pytest.raises(InputError, match="raster"):
        grid.pack(np.zeros((7, 5)))


def test_the_cell_of_a_point_is_the_one_whose_square_holds_it(grid):
    for cell in range(grid.cells):
        x, y = grid.x[grid.column[cell]], grid.y[grid.row[cell]]
        assert grid.cell_at(x + 400.0, y - 400.0) == cell
    assert grid.cell_at(0.0, 0.0) == -1


def test_steps_follow_the_compass_whichever_way_the_axes_run():
    code = np.array(list(STEPS_D8))
    for up in (1.0, -1.0):
        for right in (1.0, -1.0):
            x, y = right * np.arange(3.0), up * np.arange(3.0)
            grid = Grid(x, y, LAEA_EUROPE, np.full(8, 1), np.full(8, 1))
            row, column = grid.neighbors_d8(code)
            np.testing.assert_array_equal(y[row] - y[1], [north for north, _ in STEPS_D8.values()])
            np.testing.assert_array_equal(x[column] - x[1], [east for _, east in STEPS_D8.values()])


def test_codes_are_those_of_esri():
    names = {1: (0, 1), 4: (-1, 0), 16: (0, -1), 64: (1, 0), 2: (-1, 1), 8: (-1, -1), 32: (1, -1), 128: (1, 1)}
    assert names == STEPS_D8


def test_latitude_and_longitude_agree_with_epsg_3035(grid):
    latitude, longitude = grid.geographic()
    back = pyproj.Transformer.from_crs(4326, 3035, always_xy=True).transform(longitude, latitude)
    np.testing.assert_allclose(back[0], grid.x[grid.column], atol=1e-3)
    np.testing.assert_allclose(back[1], grid.y[grid.row], atol=1e-3)


def test_grids_are_values(grid):
    same = Grid(grid.x.copy(), grid.y.copy(), dict(grid.projection), grid.row, grid.column)
    assert same == grid
    assert hash(same) == hash(grid)
    assert grid.select(slice(1, None)) != grid


@pytest.mark.parametrize("axis", [[0.0, 1.0, 3.0], [0.0, 0.0, 0.0], [0.0, np.nan, 2.0], [[0.0, 1.0]], []])
def test_uneven_axes_are_refused(axis):
    with pytest.raises(InputError, match="Argument `x`"):
        Grid(np.array(axis), np.arange(3.0))


def test_meters_without_projection_are_refused():
    with pytest.raises(InputError, match="grid_mapping"):
        Grid(np.arange(3.0) * 1000.0, np.arange(3.0) * 1000.0).geographic()
