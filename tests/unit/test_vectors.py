"""Polygons from files of the usual formats, in another projection, and what part of a cell they cover."""

import numpy as np
import pytest

from chase_jax.checks import InputError
from data_prep import vectors

pyogrio = pytest.importorskip("pyogrio")
shapely = pytest.importorskip("shapely")
pytest.importorskip("rasterio")

LAKE = shapely.Polygon([(1000, 0), (3000, 0), (3000, 2000), (1000, 2000)], [[(1500, 500), (2000, 500), (2000, 1000)]])
POND = shapely.Polygon([(3500, 2500), (4000, 2500), (4000, 3000), (3500, 3000)])


def write(path, shapes, crs="EPSG:3035", kind="Polygon"):
    """A file of shapes with a number and a name each."""
    names = np.array([f"Lake {k}" for k in range(len(shapes))], dtype=object)
    fields = {"geometry_type": kind, "fields": ["Hylak_id", "Lake_name"], "crs": crs}
    pyogrio.raw.write(path, shapely.to_wkb(shapes), [np.arange(len(shapes)) + 10, names], **fields)
    return path


@pytest.mark.parametrize("name", ["lakes.shp", "lakes.gpkg"])
def test_polygons_and_attributes_come_back(tmp_path, name):
    shapes, table = vectors.read_polygons(write(tmp_path / name, [LAKE, POND]))
    assert len(shapes) == 2
    np.testing.assert_allclose([shape.area for shape in shapes], [LAKE.area, POND.area])
    assert len(shapes[0].interiors) == 1
    assert table.Hylak_id.tolist() == [10, 11]
    assert table.Lake_name.tolist() == ["Lake 0", "Lake 1"]


def test_other_projection(tmp_path):
    """A square of a tenth of a degree at 50 N, 10 E covers 11.1 by 7.2 km in an equal-area projection."""
    square = shapely.box(10.0, 50.0, 10.1, 50.1)
    shapes, _ = vectors.read_polygons(write(tmp_path / "square.gpkg", [square], "EPSG:4326"), "EPSG:3035")
    np.testing.assert_allclose(shapes[0].area / 1e6, 11.13 * 7.16, rtol=0.01)


def test_coverage_of_cells(tmp_path):
    x, y = np.array([500.0, 1500.0, 2500.0, 3500.0]), np.array([2500.0, 1500.0, 500.0])
    share = vectors.coverage([LAKE, POND], x, y, parts=20)
    np.testing.assert_allclose(share.sum() * 1e6, LAKE.area + POND.area, rtol=0.02)
    np.testing.assert_allclose(share[0], [0.0, 0.0, 0.0, 0.25])
    np.testing.assert_allclose(share[1], [0.0, 1.0, 1.0, 0.0])
    assert share[2, 2] == 1.0
    np.testing.assert_allclose(share[2, 1], 1.0 - 0.125, atol=0.02)


def test_what_is_no_polygon_is_refused(tmp_path):
    with pytest.raises(InputError, match=r"data\.root"):
        vectors.read_polygons(tmp_path / "missing.shp")
    broken = tmp_path / "broken.gpkg"
    broken.write_bytes(b"not a file of polygons")
    with pytest.raises(InputError, match="cannot be read as polygons"):
        vectors.read_polygons(broken)
    line = write(tmp_path / "line.gpkg", [shapely.LineString([(0, 0), (1, 1)])], kind="LineString")
    with pytest.raises(InputError, match="but holds LineString"):
        vectors.read_polygons(line)
    cut = write(tmp_path / "cut.shp", [LAKE, POND])
    cut.write_bytes(cut.read_bytes()[:150])
    with pytest.raises(InputError, match=r"cut\.shp"):
        vectors.read_polygons(cut)
    nowhere = write(tmp_path / "nowhere.shp", [LAKE])
    nowhere.with_suffix(".prj").unlink()
    with pytest.raises(InputError, match=r"\.prj"):
        vectors.read_polygons(nowhere, "EPSG:4326")
