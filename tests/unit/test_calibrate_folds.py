"""Calibrations on a folder of maps, each without a gauge: at once, in parts by two processes, one refused."""

from __future__ import annotations

import csv
import os
import subprocess
import sys

import numpy as np
import pytest
import xarray as xr
from stand_in_trials import HIDDEN, StandIn, maps

from chase_jax import calibrate_case, cli
from chase_jax.io import domain_store, parameter_store

SCRIPT = """
import sys
sys.path.insert(0, sys.argv[1])
from stand_in_trials import StandIn
from chase_jax import calibrate_case, cli
calibrate_case.Simulator = StandIn
sys.exit(cli.main(["calibrate", *sys.argv[2:]]))
"""


def folds(folder, empty=False):
    """Maps of two catchments, a row of cells each, and the words that name them."""
    words = [word for word in maps(folder) if not word.startswith("maps.path")]
    (folder / "maps_without").mkdir()
    for number, name in enumerate(("01", "02")):

        def edit(data, number=number, name=name):
            for variable in ("runoff_depth", "baseflow_index"):
                values = data[variable].values
                values[np.arange(4) != number] = np.nan
                if empty and name == "02":
                    values[:] = np.nan
            return data

        maps(folder, edit)
        (folder / "maps.nc").rename(folder / "maps_without" / f"{name}.nc")
    return [*words, f"maps.folder={folder}/maps_without"]


def found(folder, name):
    place = domain_store.open_domain(folder / "domain.nc")
    values = parameter_store.read_parameters(folder / "run" / name / "parameters.nc", place.grid, "D5")
    return place.grid.unpack(values["dcor"])


@pytest.fixture
def _stand_in(monkeypatch):
    monkeypatch.setattr(calibrate_case, "Simulator", StandIn)


@pytest.mark.usefixtures("_stand_in")
def test_every_file_is_a_calibration_of_its_own_cells(tmp_path, capsys):
    words = folds(tmp_path)
    assert cli.main(["calibrate", *words]) == 0
    assert "all of 2 are done" in capsys.readouterr().out
    for number, name in enumerate(("01", "02")):
        dcor = found(tmp_path, name)
        np.testing.assert_allclose(dcor[number], HIDDEN[0], rtol=0.02)
        np.testing.assert_array_equal(np.delete(dcor, number, axis=0), 0.5)
    rows = list(csv.DictReader((tmp_path / "run" / "folds.csv").open()))
    assert [row["gauge_id"] for row in rows] == ["01", "02"]
    calls = StandIn.calls
    assert cli.main(["calibrate", *words]) == 0
    assert StandIn.calls == calls


@pytest.mark.usefixtures("_stand_in")
def test_a_map_that_is_refused_does_not_lose_the_others(tmp_path, capsys):
    assert cli.main(["calibrate", *folds(tmp_path, empty=True)]) == 0
    told = capsys.readouterr().out
    assert "02: left out" in told
    assert "has no value in any cell" in told
    np.testing.assert_allclose(found(tmp_path, "01")[0], HIDDEN[0], rtol=0.02)


def test_two_processes_do_a_part_each_and_the_last_joins_them(tmp_path):
    words = folds(tmp_path)
    tests = os.path.dirname(os.path.dirname(__file__))
    jobs = [
        subprocess.Popen(
            [sys.executable, "-c", SCRIPT, tests, *words, f"part={k}/2"], stdout=subprocess.PIPE, text=True
        )
        for k in (1, 2)
    ]
    told = [job.communicate()[0] for job in jobs]
    assert [job.returncode for job in jobs] == [0, 0]
    assert sorted(line.split(":")[0] for text in told for line in text.splitlines() if line.endswith(": done")) == [
        "01",
        "02",
    ]
    assert any("are done" in text for text in told)
    again = subprocess.run([sys.executable, "-c", SCRIPT, tests, *words], capture_output=True, text=True, check=False)
    assert "all of 2 are done" in again.stdout, again.stderr
    assert (tmp_path / "run" / "folds.csv").exists()


@pytest.mark.usefixtures("_stand_in")
@pytest.mark.parametrize(
    ("more", "told"),
    [
        (["part=3/2"], "write it as i/n"),
        (["maps.path=maps.nc"], "both given"),
        (["maps.folder=nowhere"], "holds no file"),
    ],
)
def test_wrong_folders_and_parts_are_refused(tmp_path, capsys, more, told):
    words = folds(tmp_path)
    assert cli.main(["calibrate", *words, *more]) == 2
    error = capsys.readouterr().err
    assert told in error
    assert error.count("\n") == 1


@pytest.mark.usefixtures("_stand_in")
def test_other_maps_or_keys_are_not_taken_for_what_was_done(tmp_path, capsys):
    words = folds(tmp_path)
    assert cli.main(["calibrate", *words]) == 0
    capsys.readouterr()
    before = (tmp_path / "run" / "folds.csv").read_text()
    assert cli.main(["calibrate", *words, "part=1/2", "output.overwrite=true", "fit.trials=9"]) == 0
    assert "1 of 2 are done" in capsys.readouterr().out
    assert (tmp_path / "run" / "folds.csv").read_text() == before
    assert cli.main(["calibrate", *words]) == 2  # one is of nine trials now
    error = capsys.readouterr().err
    assert "fit.trials (9 -> 12)" in error
    assert error.count("\n") == 1
    assert cli.main(["calibrate", *words, "output.overwrite=true"]) == 0
    file = tmp_path / "maps_without" / "01.nc"
    with xr.open_dataset(file) as data:
        wetter = data.load()
    wetter["runoff_depth"] = wetter["runoff_depth"] * 1.3
    wetter.to_netcdf(file)
    capsys.readouterr()
    assert cli.main(["calibrate", *words]) == 2
    assert "input.maps" in capsys.readouterr().err
