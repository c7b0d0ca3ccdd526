"""The job of `chase calibrate target=discharge`, with a reservoir in place of the whole model."""

from __future__ import annotations

import shutil

import numpy as np
import pandas as pd
import pytest
import reservoir
import small_case
import xarray as xr
from helpers import refused

from chase_jax import calibrate_discharge, cli
from chase_jax.calibration import free, hydrographs
from chase_jax.io import domain_store, inputs, parameter_store, restart, store

DAYS = 64
HIDDEN = {"dcor": -0.6, "soil_conductivity_factor": 0.4}  # unknowns
NAMES = f"fit.parameters=[{','.join(HIDDEN)}]"


def hidden_parameters():
    """Names and hidden values."""
    for name, unknown in HIDDEN.items():
        yield name, float(free.named(name, support="domain").transform.decode(np.array(unknown)))


@pytest.fixture
def words(tmp_path, monkeypatch):
    base = small_case.write(tmp_path)
    lines = [
        {"gauge_id": "up", "x": 3500, "y": 2500, "area_km2": 8, "name": "Upper"},
        {"gauge_id": "low", "x": 3500, "y": 500, "area_km2": 16, "name": "Corner"},
        {"gauge_id": "silent", "x": 2500, "y": 500, "area_km2": 3, "name": "No record"},
    ]
    inputs.write_gauges(tmp_path / "gauges.csv", lines)
    hidden = np.array(list(HIDDEN.values()))
    flow = np.full((3, DAYS), np.nan)
    flow[:2] = reservoir.discharge(hidden, DAYS)[0].T
    time = pd.date_range("1990-01-05", periods=DAYS)
    names = [line["gauge_id"] for line in lines]
    store.write_dataset(inputs.observations(names, time, flow), tmp_path / "observations.nc", "A test")
    days = lambda simulator: simulator._spans[-1].days  # noqa: E731
    simulator = hydrographs.Simulator
    monkeypatch.setattr(simulator, "run", lambda self, u: reservoir.discharge(u, days(self))[0])
    monkeypatch.setattr(simulator, "run_with_slopes", lambda self, u: reservoir.discharge(u, days(self)))
    monkeypatch.setattr(simulator, "run_as_given", lambda self: self.run(self.encode()))
    monkeypatch.setattr(simulator, "repeated", lambda self, cycles: self.start)
    return [*base, "target=discharge", "period.end=1990-03-09", "fit.prior=0", "fit.trials=20", NAMES]


def test_hidden_parameters_are_found_judged_and_written(tmp_path, words, capsys):
    assert cli.main(["calibrate", *words]) == 0
    told = capsys.readouterr().out
    assert "in the days fitted" in told
    scores = pd.read_csv(tmp_path / "run" / "discharge.csv").set_index("gauge_id")
    assert list(scores.index) == ["up", "low"]
    assert (scores["nse_after_fitted"] > 0.9999).all()
    assert (scores["nse_after_later"] > scores["nse_before_later"]).all()
    place = domain_store.open_domain(tmp_path / "domain.nc")
    found = parameter_store.read_parameters(tmp_path / "run" / "parameters.nc", place.grid, "D5")
    table = pd.read_csv(tmp_path / "run" / "parameters.csv").set_index("parameter")
    for name, hidden in hidden_parameters():
        np.testing.assert_allclose(found[name], hidden, rtol=1e-3)
        assert table.loc[name, "low"] <= table.loc[name, "after"] <= table.loc[name, "high"]
        np.testing.assert_allclose(table.loc[name, "after"], hidden, rtol=1e-3)
    trials = pd.read_csv(tmp_path / "run" / "trials.csv")
    assert trials["target"].min() < 1e-6 < trials["target"].iloc[0]


@pytest.mark.parametrize(("share", "judged"), [(0.5, True), (0.9, False)])
def test_later_days_are_told_only_if_enough_are_left(words, capsys, share, judged):
    assert cli.main(["calibrate", *words, f"fit.share={share}"]) == 0
    told = capsys.readouterr().out
    assert (" later" in told) == judged
    assert "nan" not in told


def test_scores_before_are_of_the_maps_given_and_tables_tell_factors_with_the_one_given(tmp_path, words, monkeypatch):
    hidden, given = np.array(list(HIDDEN.values())), np.linspace(2.0, 6.0, 16)
    monkeypatch.setattr(hydrographs.Simulator, "run_as_given", lambda self: 0.0 * self.run(hidden) + 7.0)
    place = domain_store.open_domain(tmp_path / "domain.nc")
    parameter_store.write_parameters(tmp_path / "given.nc", {"soil_conductivity_factor": given}, place.grid, "D5")
    assert cli.main(["calibrate", *words, f"parameters.path={tmp_path}/given.nc"]) == 0
    scores = pd.read_csv(tmp_path / "run" / "discharge.csv")
    flow = reservoir.discharge(hidden, DAYS)[0][: DAYS // 2]
    np.testing.assert_allclose(scores.nse_before_fitted, 1.0 - ((flow - 7.0) ** 2).mean(0) / flow.var(0), rtol=1e-4)
    factor = dict(hidden_parameters())["soil_conductivity_factor"]
    written = parameter_store.read_parameters(tmp_path / "run" / "parameters.nc", place.grid, "D5")
    np.testing.assert_allclose(written["soil_conductivity_factor"], factor * given, rtol=1e-3)
    typical = np.exp(np.log(given).mean())
    row = pd.read_csv(tmp_path / "run" / "parameters.csv").set_index("parameter").loc["soil_conductivity_factor"]
    np.testing.assert_allclose(row.before, typical, rtol=1e-3)
    np.testing.assert_allclose([row.low, row.after, row.high], factor * typical, rtol=1e-3)
    first = pd.read_csv(tmp_path / "run" / "trials.csv").soil_conductivity_factor[0]
    np.testing.assert_allclose(first, typical, rtol=1e-3)


def test_a_factor_on_one_given_is_written_within_what_is_read_again(tmp_path, words, monkeypatch, capsys):
    """A thousandfold conductivity is what files may hold at most, so a factor above 1 on top of it is not written."""
    flow = lambda self, u: np.ones((self._spans[-1].days, 2))  # noqa: E731
    monkeypatch.setattr(hydrographs.Simulator, "run", flow)
    raised = lambda run, goal, trials: (goal.start + 1.0, np.full((2, 2), np.nan))  # noqa: E731
    monkeypatch.setattr(hydrographs, "fit", raised)
    conductivity = lambda self: np.asarray(self.model.parameters.land.soil.saturated_conductivity).mean()  # noqa: E731
    rising = lambda self: np.arange(DAYS)[:, None] * conductivity(self) * np.ones(2)  # noqa: E731
    monkeypatch.setattr(hydrographs.Simulator, "run_as_given", rising)
    assert cli.main(["calibrate", *words, "parameters.soil_conductivity_factor=900"]) == 0
    assert "soil_conductivity_factor: beyond 0.001 to 1000 in 16 cells, where the nearest" in capsys.readouterr().out
    place = domain_store.open_domain(tmp_path / "domain.nc")
    written = parameter_store.read_parameters(tmp_path / "run" / "parameters.nc", place.grid, "D5")
    np.testing.assert_array_equal(written["soil_conductivity_factor"], 1000.0)
    table = pd.read_csv(tmp_path / "run" / "parameters.csv").set_index("parameter")
    assert table.loc["soil_conductivity_factor", "after"] == 1000.0
    judged = pd.read_csv(tmp_path / "run" / "discharge.csv")
    assert np.isfinite(judged.nse_after_fitted).all()
    assert (judged.nse_after_fitted != judged.nse_before_fitted).all()  # of what was given: 900
    flow = 1.0 + judged[["pbias_before_fitted", "pbias_after_fitted"]] / 100.0  # over what was observed
    np.testing.assert_allclose(flow.pbias_after_fitted / flow.pbias_before_fitted, 1000.0 / 900.0, rtol=1e-3)


@pytest.mark.parametrize("losses", [["kge"], ["kge", "baseflow_index", "runoff_depth"], ["nse", "pcc"]])
def test_other_losses_lead_to_the_same_parameters(tmp_path, words, losses):
    assert cli.main(["calibrate", *words, f"fit.losses=[{','.join(losses)}]"]) == 0
    table = pd.read_csv(tmp_path / "run" / "parameters.csv").set_index("parameter")
    for name, hidden in hidden_parameters():
        np.testing.assert_allclose(table.loc[name, "after"], hidden, rtol=2e-3)


def test_a_gauge_of_weight_zero_takes_no_part(tmp_path, words, capsys):
    lines = (tmp_path / "gauges.csv").read_text().splitlines()
    (tmp_path / "gauges.csv").write_text(
        "\n".join([f"{lines[0]},weight", f"{lines[1]},0", *(f"{x}," for x in lines[2:])])
    )
    assert cli.main(["calibrate", *words]) == 0
    assert list(pd.read_csv(tmp_path / "run" / "discharge.csv").gauge_id) == ["low"]
    (tmp_path / "gauges.csv").write_text("\n".join([f"{lines[0]},weight", *(f"{line},-2" for line in lines[1:])]))
    capsys.readouterr()
    assert cli.main(["calibrate", *words, "output.overwrite=true"]) == 2
    assert "line 2: weight is -2; it must be at least 0" in capsys.readouterr().err


def test_a_record_that_never_changes_takes_no_part(tmp_path, words):
    with xr.open_dataset(tmp_path / "observations.nc") as kept:
        seen = kept.load()
    seen["discharge"][0] = 3.0
    store.write_dataset(seen, tmp_path / "observations.nc", "A test")
    assert cli.main(["calibrate", *words]) == 0
    assert list(pd.read_csv(tmp_path / "run" / "discharge.csv").gauge_id) == ["low"]


def test_supports_may_differ_among_the_parameters(tmp_path, words, monkeypatch):
    sought, seen = calibrate_discharge._sought, []

    def noted(*given):
        seen.append({name: one.support for name, one in sought(*given).items()})
        return sought(*given)

    monkeypatch.setattr(calibrate_discharge, "_sought", noted)
    given = [word for word in words if word != NAMES]
    assert (
        cli.main(["calibrate", *given, "fit.parameters=[dcor,soil_conductivity_factor:domain]", "fit.support=domain"])
        == 0
    )
    monkeypatch.setattr(hydrographs, "fit", lambda run, goal, trials: (goal.start, np.zeros((goal.start.size,) * 2)))
    flow = lambda self, u: np.ones((self._spans[-1].days, 2))  # noqa: E731
    monkeypatch.setattr(hydrographs.Simulator, "run", flow)
    more = ["fit.parameters=[dcor,manning_roughness:basin]", "output.overwrite=true"]
    assert cli.main(["calibrate", *given, *more]) == 0
    assert seen == [dict.fromkeys(HIDDEN, "domain"), {"dcor": "domain", "manning_roughness": "basin"}]
    table = pd.read_csv(tmp_path / "run" / "parameters.csv")
    assert list(table.parameter) == ["dcor", "manning_roughness", "manning_roughness"]


@pytest.fixture
def lake(tmp_path, monkeypatch):
    """A lake around the lower gauge whose level follows its flow, and the words that fit nothing but the level."""
    fields = small_case.domain_fields()
    inside = np.zeros((small_case.SIZE, small_case.SIZE))
    inside[2:, 2:] = 1.0
    fields["surface_altitude"] = np.where(
        inside > 0, fields["surface_altitude"][inside > 0].min(), fields["surface_altitude"]
    )
    axis = np.arange(small_case.SIZE) * 1000.0 + 500.0
    raster = inputs.raster({**fields, "lake_patch": inside, "lake_index": inside}, axis, axis[::-1], small_case.CRS)
    store.write_dataset(raster, tmp_path / "domain.nc", "A test")
    hidden = np.array(list(HIDDEN.values()))
    level = np.full((3, DAYS), np.nan)
    level[1] = 100.0 + 0.01 * reservoir.discharge(hidden, DAYS)[0][:, 1]
    time = pd.date_range("1990-01-05", periods=DAYS)
    seen = inputs.observations(["up", "low", "silent"], time, np.full((3, DAYS), np.nan), level)
    store.write_dataset(seen.drop_vars("discharge"), tmp_path / "observations.nc", "A test")

    def levels(self, unknowns):
        assert len(self._gauges) == 0
        assert self._places.size == 1
        flow, slopes = reservoir.discharge(unknowns, self._spans[-1].days)
        return 100.0 + 0.01 * flow[:, 1:], 0.01 * slopes[..., 1:]

    monkeypatch.setattr(hydrographs.Simulator, "run", lambda self, u: levels(self, u)[0])
    monkeypatch.setattr(hydrographs.Simulator, "run_with_slopes", levels)
    return ["fit.losses=[lake_level]"]


def test_levels_of_a_lake_alone_are_fitted_and_judged(tmp_path, words, lake, capsys):
    assert cli.main(["calibrate", *words, *lake]) == 0
    assert "low, lake level: NSE" in capsys.readouterr().out
    scores = pd.read_csv(tmp_path / "run" / "discharge.csv")
    assert list(scores.variable) == ["lake_level"]
    assert scores.nse_after_fitted[0] > 0.9999 > scores.nse_before_fitted[0]
    assert scores.kge_after_fitted.isna().all()
    table = pd.read_csv(tmp_path / "run" / "parameters.csv").set_index("parameter")
    for name, hidden in hidden_parameters():
        np.testing.assert_allclose(table.loc[name, "after"], hidden, rtol=1e-3)


def test_a_lake_may_be_fitted_by_basin_and_beside_flow_with_weights(tmp_path, words, lake, monkeypatch, capsys):
    """Places are gauges, then lakes; each loss and each gauge weighs as it is told."""
    hidden = np.array(list(HIDDEN.values()))
    with xr.open_dataset(tmp_path / "observations.nc") as kept:
        seen = kept.load()
    flow = np.full((3, DAYS), np.nan)
    flow[0] = reservoir.discharge(hidden, DAYS)[0][:, 0]
    seen["discharge"] = (seen.lake_level.dims, flow)
    store.write_dataset(seen, tmp_path / "observations.nc", "A test")
    lines = (tmp_path / "gauges.csv").read_text().splitlines()
    weighed = [f"{lines[0]},weight", f"{lines[1]},2", f"{lines[2]},3", f"{lines[3]},1"]
    (tmp_path / "gauges.csv").write_text("\n".join(weighed))

    def both(self, unknowns):
        made, slopes = reservoir.discharge(unknowns[:2], self._spans[-1].days)
        pair = [np.concatenate([a[..., :1], 0.01 * a[..., 1:]], axis=-1) for a in (made, slopes)]
        more = np.zeros((unknowns.size - 2, *pair[1].shape[1:]))
        return pair[0] + np.array([0.0, 100.0]), np.concatenate([pair[1], more])

    monkeypatch.setattr(hydrographs.Simulator, "run", lambda self, u: both(self, u)[0])
    monkeypatch.setattr(hydrographs.Simulator, "run_with_slopes", both)
    given = [word for word in words if word != NAMES]
    more = ["fit.losses=[nse,lake_level]", "fit.weights=[0.5,4]", "fit.parameters=[dcor:basin]", "fit.share=1"]
    assert cli.main(["calibrate", *given, *more]) == 0
    assert "later" not in capsys.readouterr().out  # every day is fitted
    table = pd.read_csv(tmp_path / "run" / "parameters.csv")
    assert list(table.parameter) == ["dcor", "dcor"]  # above the gauge, and between it and the lake
    scores = pd.read_csv(tmp_path / "run" / "discharge.csv")
    assert list(scores.gauge_id + scores.variable) == ["updischarge", "lowlake_level"]
    first = pd.read_csv(tmp_path / "run" / "trials.csv").target[0]
    expected = 0.5 * 2.0 * (1.0 - scores.nse_before_fitted[0]) + 4.0 * 3.0 * (1.0 - scores.nse_before_fitted[1])
    np.testing.assert_allclose(first, expected, rtol=1e-4)


def test_a_killed_search_ends_with_the_same_numbers(tmp_path, words, monkeypatch):
    assert cli.main(["calibrate", *words]) == 0
    whole = (tmp_path / "run" / "parameters.csv").read_bytes()
    record, seen = calibrate_discharge._Trials._record, []

    def killed(self, *given):
        record(self, *given)
        seen.append(given[0])
        if len(seen) == 3:
            raise KeyboardInterrupt

    monkeypatch.setattr(calibrate_discharge._Trials, "_record", killed)
    with pytest.raises(KeyboardInterrupt):
        cli.main(["calibrate", *words, "output.overwrite=true"])
    monkeypatch.setattr(calibrate_discharge._Trials, "_record", record)
    assert cli.main(["calibrate", *words, "gauges.path=null", "output.overwrite=true"]) == 2
    damaged = tmp_path / "run" / "trials" / "00001.nc"  # what is refused has taken nothing away
    damaged.write_bytes(damaged.read_bytes()[:200])
    assert cli.main(["calibrate", *words, "resume=true"]) == 0
    assert (tmp_path / "run" / "parameters.csv").read_bytes() == whole


@pytest.mark.parametrize(
    ("more", "told"),
    [
        (["fit.parameters=[dcor,colour]"], "fit.parameters: colour; allowed are dcor"),
        (["fit.parameters=[]"], "fit.parameters: none; allowed are dcor"),
        (["fit.parameters=[dcor,dcor:basin]"], "fit.parameters: dcor is there more than once"),
        (["fit.parameters=[dcor:cell]"], "fit.parameters: dcor:cell; a support is one of domain, basin"),
        (["fit.losses=[kge,kge]"], "fit.losses: kge, kge; allowed are nse"),
        (["fit.losses=[nse,luck]"], "fit.losses: luck; allowed are nse, pcc, kge"),
        (["fit.losses=[]"], "fit.losses: none; allowed are nse"),
        (["fit.losses=[kge]", "fit.weights=[1,2]"], "fit.weights: 1, 2; give one number above 0 for each of the 1"),
        (["fit.losses=[kge]", "fit.weights=[-1]"], "fit.weights: -1; give one number above 0"),
        (["fit.losses=[nse,lake_level]"], "variable lake_level: is missing"),
        (["fit.losses=[kge]", "fit.flow=logarithm"], "fit.losses holds kge and fit.flow is logarithm"),
        (["period.end=1990-01-20"], "no gauge has 30 days of discharge"),
        (["period.end=1990-01-05"], "no gauge has 30 days of discharge"),
        (["gauges.path=null"], "gauges.path is empty"),
        (["observations.path=null"], "observations.path is empty"),
    ],
)
def test_what_cannot_be_fitted_is_refused_in_one_line(tmp_path, words, capsys, more, told):
    assert told in refused(capsys, [*words, *more], tmp_path / "run")


def test_derivatives_that_are_no_numbers_end_the_search_in_one_line(words, monkeypatch, capsys):
    exact = hydrographs.Simulator.run_with_slopes

    def broken(self, unknowns):
        discharge, slopes = exact(self, unknowns)
        slopes = np.array(slopes)
        slopes[1, 3] = np.nan
        return discharge, slopes

    monkeypatch.setattr(hydrographs.Simulator, "run_with_slopes", broken)
    assert cli.main(["calibrate", *words]) == 2
    error = capsys.readouterr().err
    assert "derivatives by soil_conductivity_factor are no finite numbers in trial 0; try precision=float64" in error
    assert error.count("\n") == 1


@pytest.fixture
def wide(tmp_path):
    folder = tmp_path / "wide"
    folder.mkdir()
    for name in calibrate_discharge.COARSE.values():
        shutil.copy(tmp_path / name, folder / name)
    return folder


def test_derivatives_of_wider_cells_lead_to_the_parameters_of_narrow_ones(tmp_path, words, wide, monkeypatch):
    other = lambda self, u: (np.full((DAYS // 2, 2), np.nan), 1.3 * reservoir.discharge(u - 0.2, DAYS // 2)[1])  # noqa: E731
    monkeypatch.setattr(hydrographs.Simulator, "run_with_slopes", other)
    plain, seen = hydrographs.Simulator.run, []

    def counted(self, unknowns):
        seen.append((self._spans[-1].days, unknowns.tobytes()))
        return plain(self, unknowns)

    monkeypatch.setattr(hydrographs.Simulator, "run", counted)
    assert cli.main(["calibrate", *words, f"fit.coarse={wide}"]) == 0
    assert len(seen) == len(set(seen))  # derivatives ask for no run a second time
    table = pd.read_csv(tmp_path / "run" / "parameters.csv").set_index("parameter")
    for name, hidden in hidden_parameters():
        np.testing.assert_allclose(table.loc[name, "after"], hidden, rtol=1e-3)


def test_a_search_does_not_go_on_with_wider_cells_that_changed(words, wide, monkeypatch, capsys):
    def killed(self, *given):
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(calibrate_discharge._Trials, "_record", killed)
        with pytest.raises(KeyboardInterrupt):
            cli.main(["calibrate", *words, f"fit.coarse={wide}"])
    lines = (wide / "gauges.csv").read_text().replace("Upper", "Uppermost")
    (wide / "gauges.csv").write_text(lines)
    assert cli.main(["calibrate", *words, f"fit.coarse={wide}", "resume=true"]) == 2
    assert "another configuration: coarse.input.gauges" in capsys.readouterr().err


def test_wider_cells_without_a_gauge_or_a_file_are_refused_in_one_line(words, wide, capsys, monkeypatch):
    def long_work(self, cycles):
        raise AssertionError("work was begun before the input was checked")

    monkeypatch.setattr(hydrographs.Simulator, "repeated", long_work)
    lines = (wide / "gauges.csv").read_text().splitlines()
    (wide / "gauges.csv").write_text("\n".join(line for line in lines if not line.startswith("up,")) + "\n")
    assert cli.main(["calibrate", *words, f"fit.coarse={wide}"]) == 2
    assert "has no gauge up; fit.coarse needs every gauge that is fitted" in capsys.readouterr().err
    assert cli.main(["calibrate", *words, f"fit.coarse={wide}", "fit.support=vegetation_class"]) == 2
    assert (
        "dcor, soil_conductivity_factor by vegetation_class, but wider cells need not have the same classes"
        in capsys.readouterr().err
    )
    (wide / "domain.nc").unlink()
    assert cli.main(["calibrate", *words, f"fit.coarse={wide}"]) == 2
    error = capsys.readouterr().err
    assert "fit.coarse" in error
    assert error.count("\n") == 1


def test_stores_of_another_domain_are_refused_before_anything_is_kept(tmp_path, words, capsys):
    restart.write_restart(tmp_path / "start.nc", {"state": {"water": np.zeros(9)}}, {})
    given = [*words, f"initial.path={tmp_path / 'start.nc'}"]
    assert "initial.path: " in refused(capsys, given, tmp_path / "run")
