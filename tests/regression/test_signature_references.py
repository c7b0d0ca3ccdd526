"""Separations against the reference of HYSEP and the attribute table of CAMELS, on real records."""

from __future__ import annotations

import jax.numpy as jnp
import numpy as np
import pandas as pd
import pytest

from chase_jax.signatures import baseflow
from data_prep import camels_us

pytestmark = pytest.mark.real_data


@pytest.fixture(scope="module")
def reference(real_data):
    folder = real_data / "hysep_reference"
    summary = pd.read_csv(folder / "summary.csv", dtype={"gauge": str}).set_index("gauge")
    return {g: (summary.loc[g], pd.read_csv(folder / f"hysep_{g}.csv.gz")) for g in summary.index}


@pytest.fixture(scope="module")
def records(real_data):
    return camels_us.basins(real_data)


def test_hysep_equals_its_reference(reference):
    assert len(reference) == 5
    for facts, series in reference.values():
        flow = series["q"].to_numpy()
        days = baseflow.interval(facts["da_mi2"] * baseflow.SQUARE_MILE)
        assert days == facts["N2star"]
        methods = {"fixed": baseflow.fixed_interval, "sliding": baseflow.sliding_interval,
                   "locmin": baseflow.local_minimum}  # fmt: skip
        for name, method in methods.items():
            found = method(flow, days)
            np.testing.assert_allclose(found, series[name], rtol=0, atol=1e-9)
            assert baseflow.baseflow_index(flow, found) == pytest.approx(facts[f"bfi_{name}"], abs=1e-9)


def test_differentiable_index_on_the_reference(reference):
    for facts, series in reference.values():
        flow, days = jnp.asarray(series["q"].to_numpy()), int(facts["N2star"])
        exact = float(baseflow.sliding_baseflow_index(flow, days))
        soft = float(baseflow.sliding_baseflow_index(flow, days, baseflow.SHARPNESS))
        assert exact == pytest.approx(facts["bfi_sliding"], abs=1e-12)
        assert soft == pytest.approx(facts["bfi_sliding"], rel=0.01)


def test_differentiable_index_on_every_long_run_of_camels(records):
    worst = 0.0
    for flow, area in zip(records.flow, records.area, strict=True):
        run = max(baseflow.runs(flow), key=lambda r: r.stop - r.start)
        piece = flow[run][:730]  # one shape per interval, so that little is compiled
        if piece.size < 730 or piece.sum() == 0.0:
            continue
        days = baseflow.interval(area)
        expected = baseflow.baseflow_index(piece, baseflow.sliding_interval(piece, days))
        exact = float(baseflow.sliding_baseflow_index(jnp.asarray(piece), days))
        soft = float(baseflow.sliding_baseflow_index(jnp.asarray(piece), days, baseflow.SHARPNESS))
        assert exact == pytest.approx(expected, rel=1e-12)
        worst = max(worst, abs(soft / expected - 1.0))
    assert worst < 0.01


def test_recursive_filter_reproduces_the_index_of_the_attribute_table(records, real_data):
    table = camels_us.read_attributes(real_data / "camels_us" / "attributes.csv")
    days = (records.time >= np.datetime64("1989-10-01")) & (records.time <= np.datetime64("2009-09-30"))
    found = []
    for flow in records.flow[:, days]:
        found.append(baseflow.baseflow_index(flow, baseflow.lyne_hollick(flow)))
    published = table.loc[list(records.gauge_id), "baseflow_index"].astype(float)
    assert np.corrcoef(found, published)[0, 1] >= 0.999
