"""The job of `chase calibrate` with a stand-in for the model's runs: files, restart, refusals."""

from __future__ import annotations

import csv
import dataclasses
import os
import signal

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import xarray as xr
from helpers import refused
from stand_in_trials import HIDDEN, StandIn, maps, read

from chase_jax import calibrate, calibrate_case, cli, config
from chase_jax.calibration import cellwise, pilot
from chase_jax.calibration.trial import Outcome
from chase_jax.io import domain_store, parameter_store


@pytest.fixture(autouse=True)
def _stand_in(monkeypatch):
    monkeypatch.setattr(calibrate_case, "Simulator", StandIn)


@pytest.mark.parametrize("method", ["standard", "gradient"])
def test_it_writes_what_the_contract_says(tmp_path, capsys, method):
    assert cli.main(["calibrate", *maps(tmp_path), f"method={method}"]) == 0
    assert "target met" in capsys.readouterr().out
    place, found = read(tmp_path)
    sought = np.isin(np.arange(place.cells), cellwise_cells(place))
    np.testing.assert_allclose(found["dcor"][sought], HIDDEN[0], rtol=0.02)
    np.testing.assert_allclose(np.log10(found["baseflow_factor"][sought] / HIDDEN[1]), 0.0, atol=0.05)
    assert "manning_roughness" not in found
    rows = list(csv.DictReader((tmp_path / "run" / "trials.csv").open()))
    assert rows[0]["kind"] == "spin-up of columns"
    assert rows[-1]["kind"] == "coupled"
    assert float(rows[-1]["runoff_depth_met"]) == 1.0
    tried = {}  # no trial from the same stores is run twice
    for row, file in zip(rows, sorted((tmp_path / "run" / "trials").iterdir()), strict=True):
        if row["kind"].startswith("spin-up"):
            tried = {}
            continue
        with xr.open_dataset(file) as kept:
            key = row["kind"], row["derivatives"], kept["unknowns"].values.tobytes()
        assert key not in tried, (row["trial"], tried[key])
        tried[key] = row["trial"]
    with xr.open_dataset(tmp_path / "run" / "calibration.nc") as report:
        status = place.grid.pack(report["calibration_status"].values)
        assert report["runoff_depth"].attrs["units"] == "kg m-2 year-1"
        assert ("runoff_depth_identifiable" in report) == (method == "gradient")
    np.testing.assert_array_equal(status[sought], cellwise.MET)


def test_another_parameter_may_meet_the_index(tmp_path):
    assert cli.main(["calibrate", *maps(tmp_path), "fit.baseflow_index_by=bypass_fraction"]) == 0
    place, found = read(tmp_path)
    sought = np.isin(np.arange(place.cells), cellwise_cells(place))
    assert set(found) == {"dcor", "bypass_fraction"}
    np.testing.assert_allclose(found["bypass_fraction"][sought], HIDDEN[1], rtol=0.1)


def test_one_signature_alone_may_be_met_by_the_parameter_of_the_other():
    words = ["target=baseflow_index", "fit.baseflow_index_by=dcor"]
    settings = config.check(config.compose({}, "calibrate", words))
    assert calibrate_case.parameters_of(settings)["baseflow_index"] == "dcor"


def test_one_parameter_cannot_meet_both(tmp_path, capsys):
    words = [*maps(tmp_path), "fit.baseflow_index_by=dcor"]
    assert cli.main(["calibrate", *words]) == 2
    assert "fit.runoff_depth_by and fit.baseflow_index_by are both dcor" in capsys.readouterr().err
    assert not (tmp_path / "run" / "parameters.nc").exists()


def test_sure_parameters_stay_and_unsure_ones_follow_maps_as_sure_as_they_say(tmp_path):
    """With the quantiles of the index far apart in the upper half, its map moves the factor there by less."""

    def edit(data):
        apart = np.where(np.arange(4) < 2, 0.4, 0.02)[:, None] * np.ones((1, 4))
        for part, sign in (("low", -1.0), ("high", 1.0)):
            data[f"baseflow_index_{part}"] = (data["baseflow_index"] + sign * apart).assign_attrs(units="1")
        return data

    words, moved = maps(tmp_path, edit), {}
    for deviation in (0.01, 1.0):
        run = tmp_path / f"by_{deviation}"
        given = [*words, f"output.directory={run}", "fit.model=columns", f"fit.prior_deviation={deviation}"]
        assert cli.main(["calibrate", *given]) == 0
        place = domain_store.open_domain(tmp_path / "domain.nc")
        found = parameter_store.read_parameters(run / "parameters.nc", place.grid, "D5")
        raster = place.grid.unpack(np.log10(found["baseflow_factor"]))
        moved[deviation] = np.nanmean(np.abs(raster[:2])), np.nanmean(np.abs(raster[2:]))  # 1 is the default
    assert max(moved[0.01]) < 0.02
    assert 0.05 < moved[1.0][0] < 0.9 * moved[1.0][1]


@pytest.mark.parametrize(
    ("words", "unused"),
    [
        (["method=standard", "fit.prior_deviation=1"], "fit.prior_deviation"),
        (["variant=field", "fit.prior_deviation=1"], "fit.prior_deviation"),
        (["variant=field", "method=standard"], "variant"),
        (["method=standard", "fit.corrections=0"], "fit.corrections"),
        (["variant=network", "fit.smoothness=1"], "fit.smoothness"),
        (["fit.losses=[kge]"], "fit.losses"),
        (["fit.donors=1"], "fit.donors"),
        (["target=baseflow_index", "fit.runoff_depth_by=stomatal_resistance_factor"], "fit.runoff_depth_by"),
        (["target=runoff_depth", "maps.interval_days=5"], "maps.interval_days"),
        (["target=hydrograph"], "maps.path"),
        (["target=hydrograph", "maps.path=null", "fit.pilot=0"], "fit.pilot"),
        (["target=hydrograph", "maps.path=null", "method=standard", "fit.trials=9"], "fit.trials"),
        (["target=discharge", "maps.path=null", "method=standard"], "method"),
        (["target=discharge", "maps.path=null", "maps.folder=maps"], "maps.folder"),
    ],
)
def test_a_key_without_effect_is_refused_in_one_line(tmp_path, capsys, words, unused):
    told = refused(capsys, [*maps(tmp_path), *words], tmp_path / "run")
    assert f"error: {unused} is given, but has no effect with target=" in told


def test_every_key_of_the_verb_alone_tells_where_it_has_an_effect():
    own = {name for name, *_ in config.keys(config.Calibrate)} - {name for name, *_ in config.keys(config.Config)}
    assert set(calibrate.EFFECT) == own - {"target", "check"}
    assert all(calibrate.EFFECT.values())


def cellwise_cells(place):
    from chase_jax.calibration import columns

    return columns.calibrated_cells(place)


def test_holes_of_the_map_keep_their_parameters_and_are_told(tmp_path, capsys):
    def edit(data):
        data["runoff_depth"][1, 1] = np.nan
        data["runoff_depth"][2, 2] = 5000.0
        return data

    assert cli.main(["calibrate", *maps(tmp_path, edit)]) == 0
    told = capsys.readouterr().out
    assert "1 cells: no target on the map, parameters as they were" in told
    assert "1 cells: runoff depth and baseflow index out of reach" in told  # all runs off, so nothing is base flow
    place, found = read(tmp_path)
    raster = place.grid.unpack(found["dcor"])
    assert raster[1, 1] == pytest.approx(0.5)
    assert raster[2, 2] > 0.99


@pytest.mark.parametrize("method", ["standard", "gradient"])
def test_a_killed_job_ends_with_the_same_numbers(tmp_path, monkeypatch, capsys, method):
    words = [*maps(tmp_path), f"method={method}"]
    assert cli.main(["calibrate", *words]) == 0
    before = StandIn.calls
    again = [*words, f"output.directory={tmp_path}/again"]

    class Dying(StandIn):
        def run(self, *given, **named):
            if StandIn.calls == before + 4:
                raise KeyboardInterrupt
            if StandIn.calls == before + 2:
                os.kill(os.getpid(), signal.SIGTERM)
            return super().run(*given, **named)

    monkeypatch.setattr(calibrate_case, "Simulator", Dying)
    assert cli.main(["calibrate", *again]) == 75
    assert "continue with resume=true" in capsys.readouterr().err
    with pytest.raises(KeyboardInterrupt):
        cli.main(["calibrate", *again, "resume=true"])
    monkeypatch.setattr(calibrate_case, "Simulator", StandIn)
    assert cli.main(["calibrate", *again]) == 2
    assert "unfinished run" in capsys.readouterr().err
    assert cli.main(["calibrate", *again, "resume=true", "fit.runs=50"]) == 2
    assert "fit.runs" in capsys.readouterr().err
    assert cli.main(["calibrate", *again, "resume=true", "fit.cores=1"]) == 0  # on as many cores as there are now
    place = domain_store.open_domain(tmp_path / "domain.nc")
    one, other = (
        parameter_store.read_parameters(tmp_path / name / "parameters.nc", place.grid, "D5")
        for name in ("run", "again")
    )
    for name, value in one.items():
        np.testing.assert_array_equal(value, other[name])
    tables = [list(csv.DictReader((tmp_path / name / "trials.csv").open())) for name in ("run", "again")]
    for table in tables:
        for row in table:
            row.pop("seconds")
    assert tables[0] == tables[1]
    ran = StandIn.calls
    assert cli.main(["calibrate", *again, "resume=true"]) == 0
    assert StandIn.calls == ran


def test_a_search_ends_when_it_has_cost_what_it_may(tmp_path, monkeypatch):
    """A killed job with a limit ends as one that was not killed."""
    most = 9.0
    words = [*maps(tmp_path), "fit.corrections=0", f"fit.runs={most:g}"]
    assert cli.main(["calibrate", *words[:-1]]) == 0
    unlimited = list(csv.DictReader((tmp_path / "run" / "trials.csv").open()))
    words.append("output.overwrite=true")
    assert cli.main(["calibrate", *words]) == 0
    rows = list(csv.DictReader((tmp_path / "run" / "trials.csv").open()))
    cost = np.array([float(row["forward_run_equivalents"]) for row in rows])
    trials = np.array([row["kind"] == "columns" for row in rows])
    last = np.flatnonzero(trials)[-1]
    assert most <= cost[: last + 1].sum() <= most + 1.0
    assert len(rows) < len(unlimited)
    assert "fit.runs is 9" in (tmp_path / "run" / "run.log").read_text()
    place, _ = read(tmp_path)
    again, before = [*words, f"output.directory={tmp_path}/again"], StandIn.calls

    class Dying(StandIn):
        def run(self, *given, **named):
            if StandIn.calls == before + 3:
                raise KeyboardInterrupt
            return super().run(*given, **named)

    monkeypatch.setattr(calibrate_case, "Simulator", Dying)
    with pytest.raises(KeyboardInterrupt):
        cli.main(["calibrate", *again])
    monkeypatch.setattr(calibrate_case, "Simulator", StandIn)
    assert cli.main(["calibrate", *again, "resume=true"]) == 0
    np.testing.assert_array_equal(
        *(
            parameter_store.read_parameters(tmp_path / name / "parameters.nc", place.grid, "D5")["dcor"]
            for name in ("run", "again")
        )
    )


def test_a_damaged_trial_is_run_again(tmp_path, monkeypatch):
    words = maps(tmp_path)

    class Dying(StandIn):
        def run(self, *given, **named):
            if StandIn.calls == start + 3:
                raise KeyboardInterrupt
            return super().run(*given, **named)

    start = StandIn.calls
    monkeypatch.setattr(calibrate_case, "Simulator", Dying)
    with pytest.raises(KeyboardInterrupt):
        cli.main(["calibrate", *words])
    monkeypatch.setattr(calibrate_case, "Simulator", StandIn)
    newest = sorted((tmp_path / "run" / "trials").iterdir())[-1]
    newest.write_bytes(b"bad")
    assert cli.main(["calibrate", *words, "resume=true"]) == 0
    assert "is damaged or differs" in (tmp_path / "run" / "run.log").read_text()


@pytest.mark.parametrize("lost", [1, 2, 9])
def test_with_the_newest_stores_damaged_a_search_goes_on_from_the_newest_whole_ones(tmp_path, monkeypatch, lost):
    words, start = maps(tmp_path), StandIn.calls
    assert cli.main(["calibrate", *words]) == 0
    needed = StandIn.calls - start

    class Dying(StandIn):
        def run(self, *given, **named):
            if StandIn.calls == before + needed - 1:
                raise KeyboardInterrupt
            return super().run(*given, **named)

    again, before = [*words, f"output.directory={tmp_path}/again"], StandIn.calls
    monkeypatch.setattr(calibrate_case, "Simulator", Dying)
    with pytest.raises(KeyboardInterrupt):
        cli.main(["calibrate", *again])
    monkeypatch.setattr(calibrate_case, "Simulator", StandIn)
    stores = sorted((tmp_path / "again" / "restart").iterdir())
    assert len(stores) == 3  # the first and the last two are kept
    for file in stores[::-1][:lost]:
        file.write_bytes(b"bad")
    before = StandIn.calls
    assert cli.main(["calibrate", *again, "resume=true"]) == 0
    assert (StandIn.calls - before < needed) == (lost < len(stores))
    where = "the beginning" if lost >= len(stores) else f"those of trial {int(stores[-lost - 1].stem)}"
    log = (tmp_path / "again" / "run.log").read_text()
    assert f"are not at hand; going back to {where}" in log
    place = domain_store.open_domain(tmp_path / "domain.nc")
    for name in ("dcor", "baseflow_factor"):
        one, other = (
            parameter_store.read_parameters(tmp_path / run / "parameters.nc", place.grid, "D5")[name]
            for run in ("run", "again")
        )
        np.testing.assert_array_equal(one, other)


class Taught(StandIn):
    """A stand-in of which some cells can be a pilot."""

    pilots = 0

    def of(self, cells):
        Taught.pilots += 1
        return self


def test_a_pilot_tells_where_to_begin(tmp_path, monkeypatch):
    """No derivatives are asked for, the first trial after it is near, and a job killed behind it ends alike."""
    monkeypatch.setattr(pilot, "SHARE", 1)
    monkeypatch.setattr(pilot, "SMALLEST", 8)
    monkeypatch.setattr(calibrate_case, "Simulator", Taught)
    words = maps(tmp_path)
    assert cli.main(["calibrate", *words]) == 0
    rows = list(csv.DictReader((tmp_path / "run" / "trials.csv").open()))
    assert [row["kind"] for row in rows[:5]] == [
        "spin-up of columns", "columns", "pilot", "spin-up of columns", "columns",
    ]  # fmt: skip
    assert [row["derivatives"] for row in rows if row["kind"] == "columns"] == ["0"] * len(
        [row for row in rows if row["kind"] == "columns"]
    )
    assert not rows[2]["runoff_depth_met"]  # what is expected has not been met
    assert float(rows[4]["runoff_depth_error"]) < 0.1 * float(rows[1]["runoff_depth_error"])
    assert float(rows[-1]["runoff_depth_met"]) == 1.0
    assert float(rows[-1]["baseflow_index_met"]) == 1.0
    assert "a pilot of 16 cells" in (tmp_path / "run" / "run.log").read_text()

    class Dying(Taught):
        def run(self, *given, **named):
            if Taught.pilots > ran and given[2:] == (None,):  # a trial, not one of the pilot nor a repetition
                raise KeyboardInterrupt
            return super().run(*given, **named)

    ran, again = Taught.pilots, [*words, f"output.directory={tmp_path}/again"]
    monkeypatch.setattr(calibrate_case, "Simulator", Dying)
    with pytest.raises(KeyboardInterrupt):
        cli.main(["calibrate", *again])
    assert Taught.pilots == ran + 1
    monkeypatch.setattr(calibrate_case, "Simulator", Taught)
    assert cli.main(["calibrate", *again, "resume=true"]) == 0
    assert Taught.pilots == ran + 1  # its guess was read
    place, _ = read(tmp_path)
    for name in ("dcor", "baseflow_factor"):
        one, other = (
            parameter_store.read_parameters(tmp_path / run / "parameters.nc", place.grid, "D5")[name]
            for run in ("run", "again")
        )
        np.testing.assert_array_equal(one, other)


@pytest.mark.parametrize("anew", [True, False])
def test_standard_begins_anew_once_a_round_meets_hardly_any_more(tmp_path, monkeypatch, anew):
    class Twofold(StandIn):
        """Two factors yield the same index, the one that is sought first with too much runoff."""

        @staticmethod
        def values(dcor, factor):
            share = (jnp.log10(factor) + 4.0) / 6.0
            index = 0.1 + 2.8 * share * (1.0 - share) + 0.05 * share
            return 20.0 * (1.0 + 1.5 * dcor) * jnp.exp(5.0 * share), index

    begun = []

    def restarted(fit, number):
        begun.append((number, int((fit.status != cellwise.MET).sum())))
        return real(fit, number) if anew else (fit.unknowns, np.zeros(fit.status.shape, bool))

    real = cellwise.restarted
    monkeypatch.setattr(cellwise, "restarted", restarted)
    monkeypatch.setattr(calibrate_case, "Simulator", Twofold)
    monkeypatch.setattr(StandIn, "values", Twofold.values)
    assert cli.main(["calibrate", *maps(tmp_path), "method=standard", "fit.model=columns"]) == 0
    with xr.open_dataset(tmp_path / "run" / "calibration.nc") as report:
        status = report["calibration_status"].values
    tried = np.isin(status, (cellwise.MET, cellwise.NOT_MET, cellwise.RUNOFF_OUT_OF_REACH))
    assert begun[0] == (1, tried.sum())
    assert ((status == cellwise.MET)[tried] == anew).all()
    assert ("hardly any more" in (tmp_path / "run" / "run.log").read_text()) != anew


def test_no_pilot_where_none_is_wanted(tmp_path, monkeypatch):
    monkeypatch.setattr(pilot, "SHARE", 1)
    monkeypatch.setattr(pilot, "SMALLEST", 8)
    assert cli.main(["calibrate", *maps(tmp_path), "fit.pilot=0"]) == 0
    rows = list(csv.DictReader((tmp_path / "run" / "trials.csv").open()))
    assert "pilot" not in {row["kind"] for row in rows}


def test_a_long_period_begins_with_its_first_year(tmp_path, monkeypatch):
    class Long(StandIn):
        """Five years, the first of them wetter, and a run-in of one."""

        def __init__(self, *given, **named):
            super().__init__(*given, **named)
            self.run_in_days, self.days, self.wetter = 365, 6 * 365, 1.0

        def over(self, period):
            other = Long(self.model, self.free, period, period, 5)
            other.days, other.wetter = 2 * 365, 1.2
            return other

        def run(self, *given, **named):
            found, state = super().run(*given, **named)
            return dataclasses.replace(found, runoff_depth=self.wetter * found.runoff_depth), state

    monkeypatch.setattr(calibrate_case, "Simulator", Long)
    assert cli.main(["calibrate", *maps(tmp_path), "fit.derivatives=never", "fit.model=columns"]) == 0
    rows = list(csv.DictReader((tmp_path / "run" / "trials.csv").open()))
    kinds = [row["kind"] for row in rows]
    assert kinds[:3] == ["spin-up of columns", "columns", "columns, first year"]
    first = [row for row in rows if row["kind"] == "columns, first year"]
    assert float(first[0]["forward_run_equivalents"]) == pytest.approx(1 / 3, abs=1e-3)
    assert float(first[-1]["runoff_depth_met"]) == 0.0  # judged by the whole period
    assert len(first) <= 6 + 2  # half as many trials as of the whole period, and differences
    after = rows[len(first) + 2 :]
    assert float(after[1]["runoff_depth_met"]) == 1.0  # of the first trial of the whole period that follows
    assert float(after[1]["baseflow_index_met"]) == 1.0


def other_grid(data):
    return data.assign_coords(x=data["x"] + 250.0)


def no_overlap(data):
    return data.assign(runoff_depth=data["runoff_depth"] * np.nan)


def beyond_one(data):
    return data.assign(baseflow_index=data["baseflow_index"].copy(data=np.full((4, 4), 1.5)))


def below_nothing(data):
    return data.assign(runoff_depth=data["runoff_depth"].copy(data=np.full((4, 4), -3.0)))


def interval(data, days):
    data["baseflow_index"].attrs["interval_days"] = days
    return data


def without_interval(data):
    del data["baseflow_index"].attrs["interval_days"]
    return data


@pytest.mark.parametrize(
    ("edit", "words", "told"),
    [
        (other_grid, [], "is not that of the domain"),
        (no_overlap, [], "has no value in any cell of the domain"),
        (beyond_one, [], "is 1.5 at row"),
        (below_nothing, [], "is -3 kg m-2 year-1 at row"),
        (without_interval, [], "give the interval of the basins"),
        (lambda data: interval(data, np.inf), [], "interval_days is 'inf'; it must be a whole number"),
        (lambda data: interval(data, -5), [], "interval_days is '-5'; it must be a whole number"),
        (lambda data: data, ["fit.seed=-1"], "fit.seed is -1; it must be at least 0"),
        (lambda data: data, ["fit.prior=inf"], "fit.prior is inf; it must be finite"),
        (lambda data: data, ["fit.weights=[1.0,inf]"], "it must be finite"),
        (without_interval, ["maps.interval_days=4"], "allowed are 3, 5, 7, 9, 11"),
        (lambda data: data.drop_vars("runoff_depth"), [], "variable runoff_depth: is missing"),
        (lambda data: data, ["maps.path=nowhere.nc"], "no such file"),
        (lambda data: data, ["initial.path=start.nc"], "calibration on maps begins with stores in equilibrium"),
        (lambda data: data, ["variant=netwerk"], "variant is 'netwerk'"),
        (lambda data: data, ["target=hydrograf"], "target is 'hydrograf'"),
    ],
)
def test_wrong_input_is_refused_in_one_line(tmp_path, capsys, edit, words, told):
    assert told in refused(capsys, [*maps(tmp_path, edit), *words], tmp_path / "run")


class Alone(StandIn):
    """A stand-in with one parameter, whose runoff grows with it along a line."""

    def run(self, unknowns, state, slopes=False):
        value, along = jax.jvp(
            lambda u: self.free[0].transform.decode(u), (jnp.asarray(unknowns[0]),), (jnp.ones(unknowns.shape[1]),)
        )
        found = np.stack([np.asarray(200.0 + 700.0 * value), np.zeros(value.shape)])
        slope = np.zeros((1, *found.shape))
        slope[0, 0] = 700.0 * np.asarray(along)
        if self.free[0].group is not None:
            found = found[:, np.maximum(self.free[0].group, 0)]
        return Outcome(*found, np.zeros(found.shape[1]), np.array(1.0), slope if slopes else None), state


def test_one_map_is_enough_for_its_own_parameter(tmp_path, monkeypatch):
    monkeypatch.setattr(calibrate_case, "Simulator", Alone)
    edit = lambda data: data.drop_vars("baseflow_index")  # noqa: E731
    assert cli.main(["calibrate", *maps(tmp_path, edit), "target=runoff_depth"]) == 0
    _, found = read(tmp_path)
    assert set(found) == {"dcor"}


def test_a_factor_that_is_found_multiplies_the_one_that_was_given(tmp_path, monkeypatch):
    monkeypatch.setattr(calibrate_case, "Simulator", Alone)
    words = [*maps(tmp_path), "target=runoff_depth", "fit.runoff_depth_by=stomatal_resistance_factor"]
    assert cli.main(["calibrate", *words, "parameters.stomatal_resistance_factor=2.0"]) == 0
    place, found = read(tmp_path)
    sought = np.isin(np.arange(place.cells), cellwise_cells(place))
    hidden = (StandIn.values(*HIDDEN)[0] - 200.0) / 700.0
    np.testing.assert_allclose(found["stomatal_resistance_factor"][sought], 2.0 * hidden, rtol=0.02)
    np.testing.assert_array_equal(found["stomatal_resistance_factor"][~sought], 2.0)


def test_a_factor_on_one_given_is_written_within_what_is_read_again(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(calibrate_case, "Simulator", Alone)
    edit = lambda data: data.assign(runoff_depth=data["runoff_depth"] + 900.0)  # noqa: E731
    words = [*maps(tmp_path, edit), "target=runoff_depth", "fit.runoff_depth_by=stomatal_resistance_factor"]
    assert cli.main(["calibrate", *words, "parameters.stomatal_resistance_factor=90.0"]) == 0
    assert "stomatal_resistance_factor: beyond 0.01 to 100 in" in capsys.readouterr().out
    place, found = read(tmp_path)
    sought = np.isin(np.arange(place.cells), cellwise_cells(place))
    np.testing.assert_array_equal(found["stomatal_resistance_factor"], np.where(sought, 100.0, 90.0))
