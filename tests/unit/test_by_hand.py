"""Directions mended by hand: applied where they are meant, reported with their reason, refused where they are wrong."""

import numpy as np
import pytest

from chase_jax import cli
from chase_jax.checks import InputError
from data_prep import by_hand, hydrography

CRS = "+proj=laea +lat_0=30.5 +lon_0=100.5 +datum=WGS84 +units=m"
X, Y = np.array([-1500.0, -500.0, 500.0, 1500.0]), np.array([1000.0, 0.0, -1000.0])
DIRECTION = np.array([[1, 1, 4, 0], [1, 1, 4, 0], [1, 1, 0, 0]])
ACTIVE = np.array([[True] * 3 + [False]] * 3)


def table(tmp_path, *lines, header="row,column,direction,reason"):
    path = tmp_path / "mended.csv"
    path.write_text("\n".join([header, *lines]) + "\n")
    return path


def apply(path):
    log = hydrography.Corrections()
    return by_hand.apply(path, DIRECTION, ACTIVE, X, Y, CRS, log, 1.0), log


@pytest.mark.parametrize(
    ("header", "place"),
    [
        ("row,column,direction,reason", "1,1"),
        ("x,y,direction,reason", "-120,-480"),
        ("lon,lat,direction,reason", "100.495,30.4995"),
    ],
)
def test_a_cell_is_found_by_any_kind_of_place_and_reported(tmp_path, header, place):
    fixed, log = apply(table(tmp_path, f'{place},4,"canal, dug in 1962"', header=header))
    wanted = DIRECTION.copy()
    wanted[1, 1] = 4
    np.testing.assert_array_equal(fixed, wanted)
    (row,) = log.rows
    assert row == {
        "kind": "by hand", "grid": "domain", "row": 1, "column": 1, "before": 1, "after": 4,
        "upstream_area_km2": 2.0, "reason": "canal, dug in 1962",
    }  # fmt: skip


def test_without_a_table_nothing_changes():
    fixed, log = apply(None)
    assert fixed is DIRECTION
    assert not log.rows


def test_changes_count_together_and_a_mended_link_is_straight(tmp_path):
    """Two cells turned about, which one after the other would feed each other."""
    path = table(tmp_path, "0,0,4,a", "0,1,16,b")
    length = np.where(DIRECTION > 0, 1.3, np.nan)
    coarse = hydrography.Upscaled(DIRECTION, ACTIVE, np.arange(12).reshape(3, 4), length, np.ones((3, 4)))
    log = hydrography.Corrections()
    fixed = by_hand.apply_to(path, coarse, X, Y, CRS, log, 1.0)
    assert fixed.direction[0, :2].tolist() == [4, 16]
    assert np.isnan(fixed.length[0, :2]).all()
    assert fixed.length[1, 0] == 1.3
    assert log.counts() == {"by hand": 2}
    assert np.array_equal(coarse.direction, DIRECTION)


@pytest.mark.parametrize(
    ("lines", "header", "told"),
    [
        (["9,0,4,x"], None, "line 2: lies outside the grid of 3 rows and 4 columns"),
        (["100,10,4,x"], "lon,lat,direction,reason", "line 2: lies outside the grid"),
        (["0,3,4,x"], None, "line 2: the cell in row 0, column 3 is no cell of the domain"),
        (["0,0,4,x", "0,1,5,x"], None, "line 3: direction is 5; allowed are 0, 1, 2, 4"),
        (["0,0,east,x"], None, "line 2: direction is 'east'; write a whole number"),
        (["0.5,0,1,x"], None, "line 2: row is '0.5'; write a whole number"),
        (["0,0,4,"], None, "line 2: reason is empty"),
        (["0,0,4,x", "0,0,2,y"], None, "row 0, column 0 stands twice"),
        (["0,2,1,x"], None, "direction 1, which leaves the domain; use 0 for an outlet"),
        (["0,0,64,x"], None, "direction 64, which leaves the domain"),
        (["0,1,16,x"], None, "line 2: direction 16 of the cell in row 0, column 1 makes a loop"),
        (["1,2,32,x"], None, "makes a loop"),
        (["0,0,4"], "row,column,direction", "needed are x,y,direction,reason"),
        ([], None, "holds no correction"),
    ],
)
def test_what_is_wrong_is_told(tmp_path, lines, header, told):
    with pytest.raises(InputError) as error:
        apply(table(tmp_path, *lines, **({"header": header} if header else {})))
    assert told in str(error.value)
    assert "\n" not in str(error.value)


def test_a_generated_domain_is_not_mended(tmp_path, capsys):
    words = ["recipe=china_like", f"output.directory={tmp_path}/out"]
    assert cli.main(["prepare", *words, f"corrections.path={tmp_path}/none.csv"]) == 2
    assert "corrections.path is given, but recipe china_like does not take it" in capsys.readouterr().err
    assert cli.main(["prepare", *words, "hydrography=iterative"]) == 2
    assert "hydrography is given, but recipe china_like" in capsys.readouterr().err
