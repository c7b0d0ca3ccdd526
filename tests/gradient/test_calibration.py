"""Derivatives of signatures by the unknowns of a cell, through a run-in and a period, against differences."""

from __future__ import annotations

import pytest
import twin_case

from chase_jax import cli


@pytest.mark.slow
def test_one_tangent_a_parameter_is_the_derivative_of_every_cell(tmp_path, capsys):
    twin_case.write_inputs(tmp_path)
    words = [f"domain.path={tmp_path}/domain.nc", f"forcing.path={tmp_path}/forcing.nc"]
    words += ["period.start=1990-03-01", "period.end=1990-05-31", "parameters.baseflow_factor=0.005"]
    assert cli.main(["calibrate", *words, "check=true"]) == 0
    lines = capsys.readouterr().out.splitlines()
    rows = [line.split() for line in lines[1:5]]
    assert [row[:2] for row in rows] == [
        [parameter, signature]
        for parameter in ("dcor", "baseflow_factor")
        for signature in ("runoff_depth", "baseflow_index")
    ]
    for row in rows:
        assert float(row[2]) > 0.0, row
        assert float(row[3]) < 1e-4, row
    assert lines[5].startswith("0 of 16 cells have a derivative that is no number")
