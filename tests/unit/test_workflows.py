"""The machinery of a run, with a stand-in for the model: files, chunks, restart, stopping."""

from __future__ import annotations

import csv
import json
import os
import signal

import jax.numpy as jnp
import numpy as np
import pytest
import small_case
import xarray as xr

from chase_jax import build, cli, workflows
from chase_jax.checks import InputError
from chase_jax.io import calendar
from chase_jax.model import equilibrium


@pytest.fixture
def words(tmp_path, monkeypatch) -> list[str]:
    monkeypatch.setattr(build, "program", small_case.StandIn)
    return small_case.write(tmp_path)


def results(folder) -> dict[str, bytes]:
    """Every file of a finished run that its numbers decide."""
    skipped = ("run.log", "manifest.json", "config.yaml")
    files = [p for p in sorted(folder.rglob("*")) if p.is_file() and p.name not in skipped and "restart" not in p.parts]
    return {str(p.relative_to(folder)): p.read_bytes() for p in files}


def dying(stand_in):
    """A stand-in that dies in its third chunk."""
    calls = []

    class Dying(stand_in):
        def advance(self, *given):
            calls.append(1)
            if len(calls) == 3:
                raise KeyboardInterrupt
            return super().advance(*given)

    return Dying


def test_chunks_cover_every_day_once_and_never_cross_a_month():
    days = np.arange(np.datetime64("1991-12-20"), np.datetime64("1992-03-05"))
    for longest in (None, 1, 7, 31):
        plan = calendar.chunks(days, days[:12], 2, longest)
        covered = np.concatenate([c.first + np.arange(c.count) for c in plan if c.written])
        np.testing.assert_array_equal(covered, days)
        assert all(c.first.astype("M8[M]") == (c.end - calendar.DAY).astype("M8[M]") for c in plan)
        assert sum(c.closes for c in plan if c.written) == sum(c.opens for c in plan if c.written) == 4
        assert sum(c.count for c in plan if not c.written) == 24


def test_run_writes_the_files_of_the_contract(tmp_path, words, capsys):
    assert cli.main(["simulate", *words, "output.daily_grids=[runoff]"]) == 0
    folder = tmp_path / "run"
    with xr.open_dataset(folder / "gauges.nc") as gauges:
        assert gauges["discharge"].dims == ("gauge", "time")
        assert gauges.sizes["time"] == 65
        assert gauges.attrs["featureType"] == "timeSeries"
        assert gauges["gauge_id"].values.tolist() == ["01"]
        assert str(gauges["time"].values[0])[:10] == "1990-01-05"
        assert np.isfinite(gauges["discharge"]).all()
    with xr.open_dataset(folder / "lakes.nc") as lakes:
        assert lakes["lake"].values.tolist() == [7]
        assert set(workflows.LAKE_SERIES) <= set(lakes.data_vars)
    names = sorted(p.name for p in (folder / "grids").iterdir() if not p.name.startswith("daily"))
    assert names == ["1990-01.nc", "1990-02.nc", "1990-03.nc"]
    with xr.open_dataset(folder / "grids" / "1990-01.nc") as maps:
        assert maps["runoff"].dims == ("time", "y", "x")
        assert maps["runoff"].attrs["cell_methods"] == "time: mean"
        assert str(maps["time_bnds"].values[0, 0])[:10] == "1990-01-05"
    rows = list(csv.DictReader((folder / "budget.csv").open()))
    assert [row["month"] for row in rows] == ["1990-01", "1990-02", "1990-03"]
    assert [float(row["days"]) for row in rows] == [27, 28, 10]
    manifest = json.loads((folder / "manifest.json").read_text())
    assert manifest["status"] == "finished"
    listed = set(manifest["files"])
    there = {str(p.relative_to(folder)) for p in folder.rglob("*") if p.is_file()}
    assert there == listed | {"manifest.json", "run.log"}
    assert manifest["versions"]["chase_jax"]
    assert "domain.nc" in (folder / "config.yaml").read_text()


@pytest.mark.parametrize("number", ["SIGTERM", "SIGINT", "SIGUSR1"])
def test_stopped_run_resumes_to_the_same_files(tmp_path, words, monkeypatch, number, capsys):
    assert cli.main(["simulate", *words]) == 0
    whole = results(tmp_path / "run")
    again = [*words, f"output.directory={tmp_path}/again"]

    class Interrupted(small_case.StandIn):
        def advance(self, *given):
            os.kill(os.getpid(), getattr(signal, number))
            return super().advance(*given)

    monkeypatch.setattr(build, "program", Interrupted)
    assert cli.main(["simulate", *again]) == 75
    assert f"stopped on {number} after 1990-01-31" in capsys.readouterr().err
    assert not (tmp_path / "again" / "gauges.nc").exists()
    monkeypatch.setattr(build, "program", small_case.StandIn)
    assert cli.main(["simulate", *again]) == 2
    assert "unfinished run" in capsys.readouterr().err
    assert cli.main(["simulate", *again, "resume=true"]) == 0
    assert results(tmp_path / "again") == whole
    assert cli.main(["simulate", *again, "resume=true"]) == 0


def test_killed_run_resumes_from_an_undamaged_restart(tmp_path, words, monkeypatch, capsys):
    assert cli.main(["simulate", *words]) == 0
    whole = results(tmp_path / "run")
    again = [*words, f"output.directory={tmp_path}/again"]
    monkeypatch.setattr(build, "program", dying(small_case.StandIn))
    with pytest.raises(KeyboardInterrupt):
        cli.main(["simulate", *again])
    (tmp_path / "again" / "restart" / "00001_1990-02-28.nc").write_bytes(b"bad")
    monkeypatch.setattr(build, "program", small_case.StandIn)
    assert cli.main(["simulate", *again, "resume=true"]) == 0
    assert "going back by one chunk" in (tmp_path / "again" / "run.log").read_text()
    assert results(tmp_path / "again") == whole


def test_length_of_chunks_does_not_change_the_results(tmp_path, words):
    assert cli.main(["simulate", *words]) == 0
    assert cli.main(["simulate", *words, f"output.directory={tmp_path}/short", "output.restart_days=4"]) == 0
    assert results(tmp_path / "short") == results(tmp_path / "run")


def test_run_in_changes_the_start_and_is_not_written(tmp_path, words):
    run_in = ["period.warmup_start=1990-01-01", "period.warmup_cycles=3", f"output.directory={tmp_path}/warm"]
    assert cli.main(["simulate", *words]) == 0
    assert cli.main(["simulate", *words, *run_in]) == 0
    with xr.open_dataset(tmp_path / "run/gauges.nc") as cold, xr.open_dataset(tmp_path / "warm/gauges.nc") as warm:
        assert warm.sizes == cold.sizes
        assert float(warm["discharge"][0, 0]) > float(cold["discharge"][0, 0])


class Draining(small_case.StandIn):
    """A stand-in whose drift halves from one repetition of the run-in to the next."""

    def history(self, state):
        return equilibrium.History(jnp.zeros((3, 1)), jnp.ones((), int), jnp.zeros((), int), jnp.full((), jnp.inf))

    def end_of_repetition(self, state, history, years, largest_drift):
        drift = jnp.asarray(8.0 * 0.5 ** float(history.repetitions))
        return state, equilibrium.History(history.storage, history.ends + 1, history.repetitions + 1, drift)


def test_run_in_ends_in_balance_and_resumes_in_the_middle(tmp_path, words, monkeypatch, capsys):
    monkeypatch.setattr(build, "program", Draining)
    run_in = ["period.warmup_start=1990-01-01", "period.warmup_cycles=9", "period.warmup_drift=1.0"]
    assert cli.main(["simulate", *words, *run_in]) == 0
    told = [line.split("Z ", 1)[1] for line in (tmp_path / "run/run.log").read_text().splitlines() if "run-in" in line]
    assert told == [
        "run-in 1: the aquifer changes by 8 mm per year (goes on)",
        "run-in 2: the aquifer changes by 4 mm per year (goes on)",
        "run-in 3: the aquifer changes by 2 mm per year (goes on)",
        "run-in 4: the aquifer changes by 1 mm per year (in balance)",
    ]
    plain = ["period.warmup_start=1990-01-01", "period.warmup_cycles=4", f"output.directory={tmp_path}/plain"]
    assert cli.main(["simulate", *words, *plain]) == 0
    with xr.open_dataset(tmp_path / "run/gauges.nc") as found, xr.open_dataset(tmp_path / "plain/gauges.nc") as known:
        np.testing.assert_array_equal(found["discharge"], known["discharge"])

    monkeypatch.setattr(build, "program", dying(Draining))
    again = [*words, *run_in, f"output.directory={tmp_path}/again"]
    with pytest.raises(KeyboardInterrupt):
        cli.main(["simulate", *again])
    monkeypatch.setattr(build, "program", Draining)
    assert cli.main(["simulate", *again, "resume=true"]) == 0
    assert results(tmp_path / "again") == results(tmp_path / "run")

    few = [*run_in, f"output.directory={tmp_path}/few", "period.warmup_cycles=2"]
    assert cli.main(["simulate", *words, *few]) == 0
    assert (
        "run-in 2: the aquifer changes by 4 mm per year (not in balance, which is 1;"
        in (tmp_path / "few/run.log").read_text()
    )
    capsys.readouterr()
    assert cli.main(["simulate", *words, "period.warmup_drift=1.0"]) == 2
    assert "there is no run-in; give its first day as period.warmup_start" in capsys.readouterr().err


def test_state_of_one_run_starts_another(tmp_path, words):
    half = [*words, "period.end=1990-01-31", f"output.directory={tmp_path}/half"]
    assert cli.main(["simulate", *words]) == 0
    assert cli.main(["simulate", *half]) == 0
    start = next((tmp_path / "half" / "restart").glob("*_1990-01-31.nc"))
    rest = ["period.start=1990-02-01", f"initial.path={start}", f"output.directory={tmp_path}/rest"]
    assert cli.main(["simulate", *words, *rest]) == 0
    with xr.open_dataset(tmp_path / "run/gauges.nc") as whole, xr.open_dataset(tmp_path / "rest/gauges.nc") as part:
        np.testing.assert_array_equal(part["discharge"], whole["discharge"][:, 27:])


def test_numbers_that_are_none_stop_the_run_as_a_defect(tmp_path, words, monkeypatch, capsys):
    class Broken(small_case.StandIn):
        def advance(self, *given):
            state, totals, series = super().advance(*given)
            series["discharge"][3] = np.nan
            return state, totals, series

    monkeypatch.setattr(build, "program", Broken)
    assert cli.main(["simulate", *words]) == 1
    assert "discharge is not a finite number on 1990-01-08" in capsys.readouterr().err


def test_sums_that_are_no_numbers_stop_the_run_as_a_defect(tmp_path, words, monkeypatch, capsys):
    class Broken(small_case.StandIn):
        def advance(self, *given):
            state, totals, series = super().advance(*given)
            return state, totals | {"runoff": totals["runoff"].at[3].set(np.nan)}, series

    monkeypatch.setattr(build, "program", Broken)
    assert cli.main(["simulate", *words]) == 1
    assert "a flux is not a finite number between 1990-01-05 and 1990-01-31" in capsys.readouterr().err


def test_function_does_the_same_as_the_verb(tmp_path, words):
    values: dict[str, dict] = {}
    for word in words:
        name, value = word.split("=")
        section, own = name.split(".")
        values.setdefault(section, {})[own] = value
    series = workflows.simulate(values, output={**values["output"], "directory": str(tmp_path / "function")})
    assert cli.main(["simulate", *words]) == 0
    with xr.open_dataset(tmp_path / "run" / "gauges.nc") as expected:
        np.testing.assert_array_equal(series["discharge"], expected["discharge"])
    assert series.attrs["directory"] == str(tmp_path / "function")
    with pytest.raises(InputError, match=r"did you mean domain\.path"):
        workflows.simulate(domain={"pth": "x"})


def test_several_runs_at_once_have_a_folder_each(tmp_path, words, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert cli.main(["simulate", "-m", *words, "physics.storm=duration,flat"]) == 0
    assert {p.name for p in (tmp_path / "run").iterdir()} == {"0", "1", "multirun.yaml"}
    assert "storm: flat" in (tmp_path / "run" / "1" / "config.yaml").read_text()
    left = {p.name for p in tmp_path.iterdir()}
    assert left == {"run", "domain.nc", "forcing.nc", "gauges.csv", "observations.nc"}
