"""`chase signatures`: what it writes, killed and resumed, in parts, with wrong tables, with maps."""

from __future__ import annotations

import dataclasses
import os
import signal
import subprocess
import sys
import time

import basin_case
import numpy as np
import pandas as pd
import pytest
import small_case
import xarray as xr

from chase_jax import cli, config, signature_study
from chase_jax.io import inputs, predictor_store, store
from chase_jax.signatures import attributes
from chase_jax.variables import PREDICTORS

OUTPUTS = ["signatures.csv", "scores.csv", "importance.csv", "correlation.csv", "study.json"]


@pytest.fixture(scope="module")
def given(tmp_path_factory):
    """Words that name generated basins, some of them upstream of others."""
    downstream = np.full(basin_case.COUNT, -1)
    downstream[[1, 2]] = 0
    downstream[5] = 2
    return basin_case.write(tmp_path_factory.mktemp("basins"), basin_case.basins(downstream=downstream))


def study(*words) -> int:
    return cli.main(["signatures", *basin_case.QUICK, *words])


def scores(folder) -> str:
    return (folder / "scores.csv").read_text() + (folder / "signatures.csv").read_text()


@pytest.fixture(scope="module")
def whole(given, tmp_path_factory):
    folder = tmp_path_factory.mktemp("whole") / "study"
    assert study(*given, f"output.directory={folder}") == 0
    return folder


def test_a_study_writes_tables_and_models(whole):
    for name in OUTPUTS:
        assert (whole / name).is_file()
    table = pd.read_csv(whole / "signatures.csv", index_col="gauge_id")
    assert len(table) == basin_case.COUNT
    assert table[["runoff_depth_svr", "baseflow_index_knn"]].notna().all().all()
    found = pd.read_csv(whole / "scores.csv")
    assert list(found.target) == ["runoff_depth"] * 2 + ["baseflow_index"] * 2
    assert (found.r2_low < found.r2).all()
    assert (found.r2 < found.r2_high).all()
    assert found.best.sum() == 2
    assert not list(whole.rglob(".tmp-*"))
    assert sorted(p.stem for p in (whole / "models").iterdir()) == [
        "baseflow_index", "baseflow_index_rf", "runoff_depth", "runoff_depth_rf",
    ]  # fmt: skip


def test_sites_hold_out_their_upstream_gauges(whole):
    held = signature_study._read(whole / "sites" / "g00.json")["held_out"]
    assert held == ["g00", "g01", "g02", "g05"]


def test_a_finished_folder_is_not_overwritten_unasked(whole, given, capsys):
    assert study(*given, f"output.directory={whole}") == 2
    assert "resume=true" in capsys.readouterr().err
    assert study(*given, f"output.directory={whole}", "resume=true", "search.seed=5") == 2
    assert "search.seed (0 -> 5)" in capsys.readouterr().err


def test_resumed_after_losing_sites_gives_the_same_scores(whole, given, tmp_path):
    before = scores(whole)
    for name in ("g03", "g17", "g39"):
        (whole / "sites" / f"{name}.json").unlink()
    (whole / "scores.csv").unlink()
    assert study(*given, f"output.directory={whole}", "resume=true") == 0
    assert scores(whole) == before


def test_parts_on_several_machines_give_the_same_scores(whole, given, tmp_path):
    folder = tmp_path / "parts"
    for part in ("2/3", "1/3", "3/3"):
        assert study(*given, f"output.directory={folder}", f"part={part}") == 0
        assert not (folder / "scores.csv").exists()
    assert study(*given, f"output.directory={folder}", "resume=true") == 0
    assert scores(folder) == scores(whole)


def test_two_workers_give_the_same_scores(given, whole, tmp_path):
    assert study(*given, f"output.directory={tmp_path / 'two'}", "workers=2") == 0
    assert scores(tmp_path / "two") == scores(whole)


FULL = [*basin_case.QUICK[:3], "regressors=[rf]", "design=full", "sites=8"]


@pytest.fixture(scope="module")
def calm(given, tmp_path_factory):
    """A full design on a few sites that was left alone."""
    folder = tmp_path_factory.mktemp("calm") / "study"
    assert cli.main(["signatures", *FULL, *given, f"output.directory={folder}"]) == 0
    return folder


@pytest.mark.parametrize("how", ["SIGTERM", "SIGKILL"])
def test_stopped_or_killed_and_resumed_gives_the_same_scores(given, calm, tmp_path, how):
    """The full design on a few sites: killed in the middle, gone on with, against one that was left alone."""
    words, folder = [*FULL, *given], tmp_path / "killed"
    command = [sys.executable, "-m", "chase_jax", "signatures", *words, f"output.directory={folder}"]
    process = subprocess.Popen(command, stderr=subprocess.PIPE, stdout=subprocess.DEVNULL, env=dict(os.environ))
    try:
        while len(list((folder / "sites").glob("g*.json"))) < 2:
            assert process.poll() is None
            time.sleep(0.02)
        process.send_signal(getattr(signal, how))
        told = process.communicate(timeout=120)[1].decode()
    finally:
        process.kill()
    done = len(list((folder / "sites").glob("g*.json")))
    assert 2 <= done < 8
    assert not (folder / "scores.csv").exists()
    if how == "SIGTERM":
        assert process.returncode == 75
        assert "go on with resume=true" in told
        assert "min left" in told
    assert cli.main(["signatures", *words, f"output.directory={folder}", "resume=true"]) == 0
    assert scores(folder) == scores(calm)


COLUMNS = {
    "duplicate": ({"gauge_id": ["g00", "g00", *[f"g{i:02d}" for i in range(2, 40)]]}, "line 3: gauge_id 'g00' is"),
    "text": ({"mean_slope": ["steep", *["0.1"] * 39]}, "line 2: mean_slope is 'steep'; it must be a number"),
    "no predictor": ({"aridity_index": None}, "the columns aridity_index are missing"),
    "discharge": ({"q_mean": [1.0] * 40}, "predictor q_mean: comes from discharge"),
    "no area": ({"area_km2": [0.0, *[1.0] * 39]}, "line 2: area_km2 is 0"),
    "unknown below": ({"downstream_id": ["x", *[""] * 39]}, "downstream_id 'x' is no gauge"),
    "circle": ({"downstream_id": ["g01", "g00", *[""] * 38]}, "run in a circle"),
    "celsius": ({"mean_air_temperature": [9.5] * 40}, "is 9.5 at gauge g00; allowed is 220 to 320 K"),
    "other gauge": ({"gauge_id": [f"h{i:02d}" for i in range(40)]}, "of the table is missing"),
    "missing values": ({"mean_slope": [""] * 40}, "0 of 40 gauges are fit for use, needed are 30; for"),
}  # fmt: skip


@pytest.mark.parametrize("case", list(COLUMNS))
def test_wrong_tables_are_refused_in_one_line(case, tmp_path, capsys):
    columns, told = COLUMNS[case]
    words = basin_case.write(tmp_path, **columns)
    assert study(*words, f"output.directory={tmp_path / 'out'}") == 2
    shown = capsys.readouterr()
    assert told in shown.err
    assert shown.err.count("\n") == 1
    assert "Traceback" not in shown.err
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["recipe=nowhere"], "allowed are camels_us"),
        ([], "recipe is 'empty'"),
        (["design=fast"], "allowed are full, grouped"),
        (["basins.path=no.csv", "observations.path=no.nc"], "no such file"),
        (["basins.path=no.csv", "recipe=camels_us"], "are both given"),
    ],
)
def test_wrong_words_are_refused_in_one_line(words, told, capsys):
    assert cli.main(["signatures", *words]) == 2
    shown = capsys.readouterr().err
    assert told in shown
    assert shown.count("\n") == 1


@pytest.mark.parametrize(("word", "told"), [("part=4/3", "write it as i/n"), ("regressors=[rf,mlp]", "mlp; allowed")])
def test_wrong_parts_and_regressors_are_refused(given, tmp_path, capsys, word, told):
    assert study(*given, f"output.directory={tmp_path / 'out'}", word) == 2
    assert told in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


def test_a_part_does_not_overwrite_what_the_others_did(given, whole, capsys):
    before = scores(whole)
    assert study(*given, f"output.directory={whole}", "part=1/2", "output.overwrite=true") == 2
    told = capsys.readouterr().err
    assert "output.overwrite=true is given with part, but the parts of a study share its folder" in told
    assert told.count("\n") == 1
    assert scores(whole) == before


@pytest.mark.parametrize(("design", "most"), [("grouped", 26), ("full", 36)])
def test_more_folds_than_gauges_of_a_search_are_refused(given, tmp_path, capsys, design, most):
    """Of 40 gauges the largest group of sites leaves 26, and the site with four gauges of its own leaves 36."""
    words = [*given, f"output.directory={tmp_path / 'out'}", f"design={design}", f"search.folds={most + 1}"]
    assert study(*words) == 2
    told = capsys.readouterr().err
    assert f"search.folds is {most + 1}, but one of the searches has {most} gauges" in told
    assert told.count("\n") == 1
    assert not (tmp_path / "out").exists()


def test_a_code_for_missing_records_is_refused(tmp_path, capsys):
    flow = basin_case.basins().flow.copy()
    flow[3, 5:8] = np.nan
    words = basin_case.write(tmp_path, dataclasses.replace(basin_case.basins(), flow=flow))
    file = tmp_path / "records.nc"
    with xr.open_dataset(file) as stored:
        plain = stored.load()
    plain["discharge"] = plain["discharge"].fillna(-9999.0)
    store.write_dataset(plain, file, "A test")
    assert study(*words, f"output.directory={tmp_path / 'out'}") == 2
    told = capsys.readouterr().err
    assert "records.nc: variable discharge: is -9999 at gauge g03" in told
    assert "(and at 2 more)" in told
    assert not (tmp_path / "out").exists()


def test_units_of_records_are_converted_and_a_missing_unit_is_refused(tmp_path, capsys, given):
    words = basin_case.write(tmp_path)
    file = tmp_path / "records.nc"
    with xr.open_dataset(file, decode_cf=False) as stored:
        plain = stored.load()
    daily = plain.copy(deep=True)
    daily["discharge"] = daily["discharge"] * 86400.0
    daily["discharge"].attrs["units"] = "m3 day-1"
    daily.to_netcdf(file)
    assert study(*words, f"output.directory={tmp_path / 'out'}", "sites=3") == 0
    table = pd.read_csv(tmp_path / "out" / "signatures.csv")
    expected = attributes.signatures(basin_case.basins(), attributes.Limits())
    np.testing.assert_allclose(table["runoff_depth"], expected["runoff_depth"], rtol=1e-9)
    del plain["discharge"].attrs["units"]
    plain.to_netcdf(file)
    assert study(*words, f"output.directory={tmp_path / 'none'}") == 2
    assert "has no `units` attribute" in capsys.readouterr().err


@pytest.fixture
def mapped(tmp_path):
    """A domain with the nine predictors, and two gauges of the table in it, one above the other."""
    made = small_case.domain_dataset()
    generator = np.random.default_rng(0)
    rows = basin_case.predictors().to_numpy()[generator.integers(0, 40, (4, 4))]
    for number, name in enumerate(basin_case.predictors().columns):
        made[name] = (("y", "x"), rows[..., number])
    store.write_dataset(made, tmp_path / "domain.nc", "Generated")
    gauges = [
        {"gauge_id": "g00", "x": 3500, "y": 500, "area_km2": 16, "name": ""},
        {"gauge_id": "g01", "x": 3500, "y": 2500, "area_km2": 8, "name": ""},
    ]
    inputs.write_gauges(tmp_path / "gauges.csv", gauges)
    return [f"domain.path={tmp_path / 'domain.nc'}", f"gauges.path={tmp_path / 'gauges.csv'}"]


def interval_of_kept(folder):
    table = pd.read_csv(folder / "signatures.csv")
    return sorted(table.interval_days[table.kept])[(table.kept.sum() - 1) // 2]


def test_maps_and_maps_without_a_gauge(given, mapped, tmp_path):
    folder = tmp_path / "study"
    words = [word for word in basin_case.QUICK if not word.startswith("regressors")]
    words += ["regressors=[rf,knn]", *given, *mapped, f"output.directory={folder}"]
    assert cli.main(["signatures", *words]) == 0
    with xr.open_dataset(folder / "maps.nc") as found:
        for name, unit in (("runoff_depth", "kg m-2 year-1"), ("baseflow_index", "1")):
            assert np.isfinite(found[name].values).all()
            assert found[name].values.min() >= 0.0
            assert found[name].attrs["units"] == found[f"{name}_low"].attrs["units"] == unit
            applicable = found[f"{name}_applicable"]
            assert set(np.unique(applicable.values)) <= {0.0, 1.0}
            assert applicable.attrs["flag_meanings"] == "no yes"
            assert applicable.attrs["flag_values"].dtype == applicable.dtype
        assert found["baseflow_index"].values.max() <= 1.0
        assert found["baseflow_index"].attrs["interval_days"] == interval_of_kept(folder)
        assert "interval_days" not in found["runoff_depth"].attrs
        assert "crs" in found
        everywhere = found["runoff_depth"].values
    means = {}
    for identifier, rows in (("g00", slice(None)), ("g01", slice(0, 2))):
        with xr.open_dataset(folder / "maps_without" / f"{identifier}.nc") as part:
            values = part["runoff_depth"].values
            low, high = (part[f"runoff_depth_{end}"] for end in ("low", "high"))
            assert (low <= high).values[np.isfinite(values)].all()
            assert (low < high).any()
            assert low.attrs["units"] == part["runoff_depth"].attrs["units"]
            assert part["baseflow_index"].attrs["interval_days"] == interval_of_kept(folder)
        inside = np.zeros((4, 4), bool)
        inside[rows] = True
        np.testing.assert_array_equal(np.isfinite(values), inside)
        assert not np.array_equal(values[inside], everywhere[inside])  # made by other models
        means[identifier] = values[inside].mean()
    table = pd.read_csv(folder / "aggregated.csv")
    assert list(table.gauge_id) == ["g00", "g00", "g01", "g01"]
    runoff = table[table.target == "runoff_depth"].set_index("gauge_id")
    np.testing.assert_allclose(runoff.aggregated, pd.Series(means), rtol=1e-6)
    np.testing.assert_allclose(runoff.area_km2, [16, 8])


def test_terrain_soil_and_plants_come_from_the_maps_of_a_domain(mapped, tmp_path):
    with xr.open_dataset(tmp_path / "domain.nc") as stored:
        less = stored.load().drop_vars(["mean_altitude", "mean_slope", "mean_clay_fraction", "mean_leaf_area_index"])
    less["clay_fraction"] = (("y", "x"), np.full((4, 4), 25.0), {"units": "%"})
    less["leaf_area_index"] = (("month", "y", "x"), np.full((12, 4, 4), 2.0), {"units": "1"})
    less.to_netcdf(tmp_path / "less.nc")
    with predictor_store.opened(tmp_path / "less.nc", PREDICTORS) as source:
        block = source.read(slice(0, 4))
    np.testing.assert_allclose(block[..., 6], np.hypot(0.01, 0.01), rtol=1e-9)
    np.testing.assert_allclose(block[..., 7], 0.25)
    np.testing.assert_allclose(block[..., 8], 2.0)


def test_maps_need_the_predictors_of_climate_and_say_so_before_all_work(given, mapped, tmp_path, capsys):
    with xr.open_dataset(tmp_path / "domain.nc") as stored:
        less = stored.load().drop_vars(["mean_precipitation"])
    less.to_netcdf(tmp_path / "less.nc")
    assert study(*given, f"domain.path={tmp_path / 'less.nc'}", f"output.directory={tmp_path / 'study'}") == 2
    assert "variable mean_precipitation: is missing; a map of signatures needs" in capsys.readouterr().err
    assert not (tmp_path / "study").exists()


def test_the_configuration_composes_with_defaults():
    settings = config.check(config.compose({}, "signatures", ["recipe=camels_us"]))
    assert settings.output.directory == "signatures/camels_us_grouped_paper"
    assert dataclasses.asdict(settings.search)["draws"] == 30
