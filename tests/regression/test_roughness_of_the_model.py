"""Roughness through the whole model: its inflow replayed gives nearly its discharge, and the job ends with both."""

from __future__ import annotations

import csv

import numpy as np
import pandas as pd
import pytest
import twin_case

from chase_jax import cli
from chase_jax.io import inputs, store


@pytest.mark.slow
def test_the_whole_model_makes_the_inflow_and_verifies_what_was_found(tmp_path):
    twin_case.write_inputs(tmp_path)
    draw = np.random.default_rng(1)
    time = pd.date_range(twin_case.FIRST, periods=90)
    record = inputs.observations(["01"], time, draw.gamma(1.0, 1.0, (1, 90)))
    store.write_dataset(record, tmp_path / "observations.nc", "A test")
    words = [f"{key}.path={tmp_path}/{key}.nc" for key in ("domain", "forcing", "observations")]
    words += [f"gauges.path={tmp_path}/gauges.csv", f"output.directory={tmp_path}/run", "target=hydrograph"]
    words += [f"period.start={twin_case.FIRST}", "period.end=1990-03-31", "method=standard"]
    assert cli.main(["calibrate", *words]) == 0
    (row,) = csv.DictReader((tmp_path / "run" / "roughness.csv").open())
    whole, alone = (float(row[f"{name}pcc_after_second_half"]) for name in ("", "replayed_"))
    assert whole == pytest.approx(alone, abs=0.05)
    assert float(row["pcc_after_first_half"]) >= float(row["pcc_before_first_half"]) - 0.02
