"""A small slope is calibrated against the maps that hidden parameters make of it, and the cost is counted."""

from __future__ import annotations

import csv

import numpy as np
import pytest
import twin_case
import xarray as xr

from chase_jax import cli
from chase_jax.io import domain_store, parameter_store

# No closed column yields what a cell with neighbors does: more rounds of them would seek what is not there.
QUICK = ("fit.rounds=2", "fit.corrections=6")


@pytest.fixture(scope="module")
def case(tmp_path_factory):
    folder = tmp_path_factory.mktemp("twin")
    return folder, twin_case.write(folder)


def calibrated(case, name, *words):
    """Parameters found, the report at the cells, and the table of trials."""
    folder, base = case
    assert cli.main(["calibrate", *base, f"output.directory={folder}/{name}", *words]) == 0
    place = domain_store.open_domain(folder / "domain.nc")
    found = parameter_store.read_parameters(folder / name / "parameters.nc", place.grid, "D5")
    with xr.open_dataset(folder / name / "calibration.nc") as report, xr.open_dataset(folder / "maps.nc") as maps:
        at = {key: place.grid.pack(report[key].values) for key in report.data_vars if key != "crs"}
        goal = {key: place.grid.pack(maps[key].values) for key in ("runoff_depth", "baseflow_index")}
    rows = list(csv.DictReader((folder / name / "trials.csv").open()))
    return found, at, goal, rows


def check(at, goal, share=0.9):
    """All but a few cells are near both maps; closer ones are a matter of more corrections."""
    off = np.abs(at["runoff_depth"] / goal["runoff_depth"] - 1.0)
    assert np.mean(off <= 0.01) >= share
    assert off.max() <= 0.05
    assert np.median(np.abs(at["baseflow_index"] - goal["baseflow_index"])) <= 0.012


@pytest.mark.slow
def test_differences_come_near_both_maps_in_the_coupled_model(case):
    _, at, goal, rows = calibrated(case, "secant", *QUICK, "fit.derivatives=never")
    check(at, goal, share=0.85)  # two of 16 cells stay at 1.2 and 1.3 %, where the index is missed as well
    assert np.abs(at["runoff_depth"] / goal["runoff_depth"] - 1.0).max() <= 0.02
    assert sum(float(row["forward_run_equivalents"]) for row in rows if row["kind"] == "columns") < 20.0
    assert float(rows[-1]["in_equilibrium"]) > 0.9


@pytest.mark.slow
def test_derivatives_of_the_first_run_come_near_both_maps_in_the_coupled_model(case):
    _, at, goal, rows = calibrated(case, "gradient", *QUICK)
    check(at, goal)
    assert rows[1]["derivatives"] == "1"
    assert all(row["derivatives"] == "0" for row in rows[2:])


@pytest.mark.slow
def test_the_procedure_of_the_paper_meets_the_maps_in_closed_columns(case):
    maps = f"maps.path={case[0]}/maps_of_columns.nc"
    _, _, _, rows = calibrated(case, "standard", maps, "method=standard", "fit.model=columns")
    assert float(rows[-1]["runoff_depth_met"]) >= 0.9
    assert float(rows[-1]["baseflow_index_met"]) >= 0.9
    assert float(rows[-1]["in_equilibrium"]) >= 0.9
