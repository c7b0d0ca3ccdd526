"""The column against towers: what the experiment prints holds the bars it is measured against."""

from __future__ import annotations

import importlib.util
import pathlib

import pytest

PATH = pathlib.Path(__file__).parents[2] / "experiments" / "land_sites.py"


@pytest.fixture(scope="module")
def experiment():
    spec = importlib.util.spec_from_file_location("land_sites", PATH)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


# The sensible heat of US-Bi1 is left out: its daily course follows harvests that the satellite's leaf area misses.
@pytest.mark.slow
@pytest.mark.real_data
@pytest.mark.parametrize(
    ("name", "fluxes"), [("US-Hn1", ("latent_heat", "sensible_heat")), ("US-Bi1", ("latent_heat",))]
)
def test_towers_hold_their_bars(real_data, experiment, name, fluxes):
    measurements, simulated = experiment.run_tower(name, real_data)
    scores = experiment.tower_scores(measurements.observed, simulated)
    for flux in fluxes:
        assert scores.loc[flux, "daily correlation"] >= experiment.BARS[flux]
    assert scores.loc["net_radiation", "half-hourly error"] <= experiment.BARS["net_radiation"]
    assert simulated["energy_residual"].abs().max() < 1e-6


@pytest.mark.slow
@pytest.mark.real_data
def test_the_winter_at_col_de_porte_is_simulated(real_data, experiment):
    """Snow within a third of its greatest amount, gone within two weeks of the observed day."""
    series = experiment.run_snow_station(real_data)
    scores = experiment.snow_scores(series)
    assert scores.loc["simulated", "amount"] < series["observed"]["snow_amount"].max() / 3.0
    assert abs(scores.loc["simulated", "melt-out"]) <= 14
    # the reference file is read in the same units
    assert scores.loc["FSM", "amount"] < 40.0
