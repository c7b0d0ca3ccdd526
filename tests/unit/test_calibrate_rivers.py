"""The job of `chase calibrate target=hydrograph`, with a made inflow in place of a run of the whole model."""

from __future__ import annotations

import csv
import os
import signal

import jax.numpy as jnp
import numpy as np
import pandas as pd
import pytest
import small_case
import xarray as xr
from helpers import refused

from chase_jax import calibrate_rivers, cli
from chase_jax.calibration import free, routing
from chase_jax.io import domain_store, gauge_store, inputs, parameter_store, restart, store
from chase_jax.model.chase import Chase
from chase_jax.model.surface_water import State

DAYS = 64
HIDDEN = (-1.0, 0.6)  # unknowns of roughness above the upper gauge, and between the two


def storms(cells):
    draw = np.random.default_rng(8)
    return (draw.random((DAYS, 1)) < 0.3) * draw.gamma(1.0, 1.0, (DAYS, cells)) + 0.02


@pytest.fixture
def words(tmp_path, monkeypatch):
    base = small_case.write(tmp_path)
    lines = [
        {"gauge_id": "up", "x": 3500, "y": 2500, "area_km2": 8, "name": "Upper"},
        {"gauge_id": "low", "x": 3500, "y": 500, "area_km2": 16, "name": "Corner"},
        {"gauge_id": "silent", "x": 2500, "y": 500, "area_km2": 3, "name": "No record"},
    ]
    inputs.write_gauges(tmp_path / "gauges.csv", lines)
    place = domain_store.open_domain(tmp_path / "domain.nc")
    cells = gauge_store.read_gauges(tmp_path / "gauges.csv", place.grid).cell
    model = Chase.default(place)
    one = free.manning_roughness(jnp.asarray(routing.basins(place, cells[:2]).group))
    inflow, volume = storms(place.cells), np.full(place.cells, 1e3)

    def flow(parameters):
        channels = parameters.channel
        return np.asarray(routing.replay(model, channels, State(jnp.asarray(volume)), jnp.asarray(inflow), cells))

    observed = np.array(flow(one.decode(jnp.asarray(HIDDEN), model.parameters)).T)
    observed[2] = np.nan
    observed[0, 5] = np.nan
    time = pd.date_range("1990-01-05", periods=DAYS)
    names = [line["gauge_id"] for line in lines]
    store.write_dataset(inputs.observations(names, time, observed), tmp_path / "observations.nc", "A test")

    def reference(program, given, settings, first):
        return {"volume": volume, "inflow": inflow, "discharge": flow(program.model.parameters)}

    monkeypatch.setattr(calibrate_rivers, "_reference", reference)
    return [*base, "target=hydrograph", "period.end=1990-03-09"]


@pytest.mark.parametrize("method", ["standard", "gradient"])
def test_hidden_roughness_is_found_and_told(tmp_path, words, capsys, method):
    assert cli.main(["calibrate", *words, f"method={method}", "fit.donors=1"]) == 0
    told = capsys.readouterr().out
    assert "left out: silent" in told
    place = domain_store.open_domain(tmp_path / "domain.nc")
    found = parameter_store.read_parameters(tmp_path / "run" / "parameters.nc", place.grid, "D5")
    rows = {row["gauge_id"]: row for row in csv.DictReader((tmp_path / "run" / "roughness.csv").open())}
    assert set(rows) == {"up", "low"}
    cells = gauge_store.read_gauges(tmp_path / "gauges.csv", place.grid).cell
    group = routing.basins(place, cells[:2]).group
    one = free.manning_roughness(jnp.asarray(group))
    hidden = np.asarray(one.transform.decode(jnp.asarray(HIDDEN)))
    for number, name in enumerate(("up", "low")):
        np.testing.assert_allclose(float(rows[name]["manning_roughness"]), hidden[number], rtol=0.1)
        assert float(rows[name]["pcc_after_second_half"]) > 0.9999
        assert float(rows[name]["pcc_after_second_half"]) > float(rows[name]["pcc_before_second_half"])
        own = found["manning_roughness"][group == number]
        np.testing.assert_allclose(own, float(rows[name]["manning_roughness"]), rtol=1e-4)
    assert float(rows["up"]["from_other_basins"]) == pytest.approx(float(rows["low"]["manning_roughness"]), rel=1e-5)


def test_a_stopped_search_goes_on_from_the_stored_inflow(tmp_path, words, monkeypatch, capsys):
    def never(*given):
        raise KeyboardInterrupt

    monkeypatch.setattr(calibrate_rivers.roughness, "gradient", never)
    with pytest.raises(KeyboardInterrupt):
        cli.main(["calibrate", *words])
    monkeypatch.undo()
    kept = (tmp_path / "run" / "trials" / "inflow.nc").read_bytes()
    assert cli.main(["calibrate", *words, "resume=true", "parameters.dcor=0.7"]) == 2  # whose inflow is another
    assert "parameters.dcor (None -> 0.7)" in capsys.readouterr().err
    runs = []

    def again(program, given, settings, first):
        runs.append(1)
        return {"volume": np.zeros(16), "inflow": np.zeros((DAYS, 16)), "discharge": np.ones((DAYS, 3))}

    monkeypatch.setattr(calibrate_rivers, "_reference", again)
    assert cli.main(["calibrate", *words, "resume=true"]) == 0
    assert len(runs) == 1  # only the one that verifies
    assert (tmp_path / "run" / "trials" / "inflow.nc").read_bytes() == kept


@pytest.mark.parametrize("method", ["standard", "gradient"])
def test_a_search_that_is_asked_to_stop_ends_after_the_replay_it_is_at(tmp_path, words, monkeypatch, capsys, method):
    search = getattr(calibrate_rivers.roughness, method)

    def interrupted(replay, *given):
        def third(*tried):
            if given[2].plain + given[2].with_slope == 3:
                os.kill(os.getpid(), signal.SIGTERM)
            return replay(*tried)

        return search(third, *given)

    monkeypatch.setattr(calibrate_rivers.roughness, method, interrupted)
    assert cli.main(["calibrate", *words, f"method={method}"]) == 75
    assert "stopped on SIGTERM after replay 3; continue with resume=true" in capsys.readouterr().err
    assert not (tmp_path / "run" / "parameters.nc").exists()
    monkeypatch.setattr(calibrate_rivers.roughness, method, search)
    assert cli.main(["calibrate", *words, f"method={method}", "resume=true"]) == 0


@pytest.mark.parametrize(
    ("more", "told"),
    [
        (["period.start=1990-01-05", "period.end=1990-01-30"], "no gauge has 30 days of discharge in each half"),
        (["gauges.path=null"], "gauges.path is empty"),
        (["observations.path=null"], "observations.path is empty"),
    ],
)
def test_missing_records_are_refused_in_one_line(tmp_path, words, capsys, more, told):
    assert told in refused(capsys, [*words, *more], tmp_path / "run")


def test_stores_of_another_domain_are_refused_before_anything_is_kept(tmp_path, words, capsys):
    restart.write_restart(tmp_path / "start.nc", {"state": {"water": np.zeros(9)}}, {})
    given = [*words, f"initial.path={tmp_path / 'start.nc'}"]
    assert "initial.path: " in refused(capsys, given, tmp_path / "run")


def test_a_record_that_never_changes_teaches_nothing(tmp_path, words, capsys):
    with xr.open_dataset(tmp_path / "observations.nc") as data:
        stuck = data.load()
    stuck["discharge"][1] = 3.0
    stuck.to_netcdf(tmp_path / "observations.nc")
    assert cli.main(["calibrate", *words]) == 0
    assert "left out: low, silent" in capsys.readouterr().out
    rows = list(csv.DictReader((tmp_path / "run" / "roughness.csv").open()))
    assert [row["gauge_id"] for row in rows] == ["up"]
    place = domain_store.open_domain(tmp_path / "domain.nc")
    found = parameter_store.read_parameters(tmp_path / "run" / "parameters.nc", place.grid, "D5")["manning_roughness"]
    np.testing.assert_allclose(found, float(rows[0]["manning_roughness"]), rtol=1e-4)  # also where no gauge lies below
    assert np.isnan(float(rows[0]["from_other_basins"] or "nan"))


def test_each_half_is_judged_by_its_own_days(tmp_path, words):
    with xr.open_dataset(tmp_path / "observations.nc") as data:
        spoiled = data.load()
    spoiled["discharge"][0, DAYS // 2 :] = np.random.default_rng(5).gamma(1.0, 1.0, DAYS - DAYS // 2)
    spoiled.to_netcdf(tmp_path / "observations.nc")
    assert cli.main(["calibrate", *words]) == 0
    rows = {row["gauge_id"]: row for row in csv.DictReader((tmp_path / "run" / "roughness.csv").open())}
    for kind in ("pcc_before", "pcc_after"):
        assert float(rows["up"][f"{kind}_first_half"]) > 0.999
        assert float(rows["up"][f"{kind}_second_half"]) < 0.7
        assert float(rows["low"][f"{kind}_second_half"]) > 0.999
    for when in ("before", "after", "transferred"):
        assert float(rows["up"][f"replayed_pcc_{when}_second_half"]) < 0.7
