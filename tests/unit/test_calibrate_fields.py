"""The job of fields and networks with a stand-in for the model's runs: files, holes of the map, restart."""

from __future__ import annotations

import csv
import os
import signal

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from helpers import refused
from stand_in_trials import HIDDEN, StandIn, maps, read

from chase_jax import calibrate_case, calibrate_fields, cli
from chase_jax.calibration import columns
from chase_jax.calibration.adjoint import Gradient
from chase_jax.calibration.targets import Signatures


class Back:
    """Runs forth and back of the stand-in."""

    calls = 0

    def __init__(self, model, free, run_in, period, interval_days):
        self.model, self.free = model, tuple(free)

    def gradient(self, unknowns, state, target):
        Back.calls += 1
        group = self.free[0].group

        def found(u):
            dcor, factor = (one.transform.decode(row) for one, row in zip(self.free, u, strict=True))
            runoff, index = StandIn.values(dcor, factor)
            at = jnp.maximum(jnp.asarray(group), 0)
            return Signatures(runoff[at], index[at])

        value, along = jax.value_and_grad(lambda u: target(found(u)))(jnp.asarray(unknowns))
        return Gradient(value, along, found(jnp.asarray(unknowns)))


@pytest.fixture(autouse=True)
def _stand_in(monkeypatch):
    monkeypatch.setattr(calibrate_case, "Simulator", StandIn)
    monkeypatch.setattr(calibrate_fields, "Simulator", StandIn)
    monkeypatch.setattr(calibrate_fields, "Adjoint", Back)


def with_hole(data):
    data["runoff_depth"][1, 1] = np.nan
    data["baseflow_index"][1, 1] = np.nan
    return data


@pytest.mark.parametrize("variant", ["field", "network"])
def test_it_finds_parameters_also_where_the_map_has_a_hole(tmp_path, capsys, variant):
    words = [*maps(tmp_path, with_hole), f"variant={variant}", "fit.trials=20"]
    assert cli.main(["calibrate", *words]) == 0
    told = capsys.readouterr().out
    assert "1 cells: no target on the map, parameters from the other cells" in told
    assert "forward-run equivalents" in told
    place, found = read(tmp_path)
    sought = columns.calibrated_cells(place)
    np.testing.assert_allclose(found["dcor"][sought], HIDDEN[0], rtol=0.1)
    rows = list(csv.DictReader((tmp_path / "run" / "trials.csv").open()))
    assert float(rows[-1]["target"]) < 0.01 * float(rows[0]["target"]) + 1e-3


def test_spin_ups_and_the_verdict_are_a_part_of_the_cost(tmp_path, capsys):
    keys = ["fit.trials=2", "fit.rounds=2", "fit.optimiser=adam", "fit.spinup_cycles=7", "fit.renewal_cycles=4"]
    assert cli.main(["calibrate", *maps(tmp_path), "variant=field", *keys]) == 0
    rows = list(csv.DictReader((tmp_path / "run" / "trials.csv").open()))
    assert [float(row["forward_run_equivalents"]) for row in rows] == [7 + 10, 10, 4 + 10, 10]
    assert "51.0 forward-run equivalents of the search, 5.0 of the verdict" in capsys.readouterr().out


def test_quantiles_of_another_shape_are_refused_before_anything_is_written(tmp_path, capsys):
    def monthly(data):
        for part in ("low", "high"):
            data[f"runoff_depth_{part}"] = data["runoff_depth"].expand_dims(month=12)
        return data

    assert "runoff_depth_low" in refused(capsys, [*maps(tmp_path, monthly), "variant=field"], tmp_path / "run")


def test_adam_goes_on_from_where_it_was_killed_and_ends_the_same(tmp_path, monkeypatch):
    words = [*maps(tmp_path), "variant=field", "fit.optimiser=adam", "fit.trials=12"]
    began = Back.calls
    assert cli.main(["calibrate", *words]) == 0
    again, before = [*words, f"output.directory={tmp_path}/again"], Back.calls

    told = []

    class Dying(Back):
        def gradient(self, *given):
            if Back.calls == before + 7:
                raise KeyboardInterrupt
            if Back.calls == before + 3 and not told:
                told.append(True)
                os.kill(os.getpid(), signal.SIGTERM)
            return super().gradient(*given)

    monkeypatch.setattr(calibrate_fields, "Adjoint", Dying)
    assert cli.main(["calibrate", *again]) == 75
    with pytest.raises(KeyboardInterrupt):
        cli.main(["calibrate", *again, "resume=true"])
    monkeypatch.setattr(calibrate_fields, "Adjoint", Back)
    assert cli.main(["calibrate", *again, "resume=true"]) == 0
    _, one = read(tmp_path)
    (tmp_path / "run").rename(tmp_path / "first")
    (tmp_path / "again").rename(tmp_path / "run")
    _, other = read(tmp_path)
    for name, value in one.items():
        np.testing.assert_array_equal(value, other[name])
    assert Back.calls - before == before - began == 12
