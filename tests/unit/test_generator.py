"""Days that fit the months: sums and means are kept, the days have the statistics they were asked for."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from chase_jax.checks import InputError
from data_prep import generator

YEARS = 200


def monthly_mean(values, days):
    return pd.DataFrame(values.reshape(len(days), -1), index=days).resample("MS").mean().to_numpy()


@pytest.fixture(scope="module")
def century():
    """Two hundred years of 100 mm and 10 degrees Celsius every month."""
    months = 12 * YEARS
    return generator.daily_from_monthly(np.full(months, 100.0), np.full(months, 283.15), "1801-01", 7)


def test_sums_and_means_are_kept():
    draw = np.random.default_rng(1)
    rain = draw.gamma(1.0, 80.0, (60, 2, 3)) * (draw.random((60, 2, 3)) < 0.9)
    rain[5], rain[6] = 0.0, 0.01
    warmth = draw.uniform(240.0, 305.0, (60, 2, 3))
    days, fallen, temperature = generator.daily_from_monthly(rain, warmth, "1999-10", 0)
    assert fallen.shape == (len(days), 2, 3)
    assert (days[0], days[-1]) == (pd.Timestamp("1999-10-01"), pd.Timestamp("2004-09-30"))
    length = days.to_period("M").value_counts(sort=False).to_numpy()
    first = np.concatenate([[0], np.cumsum(length)[:-1]])
    sums = np.add.reduceat(fallen * 86400.0, first, axis=0)
    np.testing.assert_allclose(sums, rain, rtol=1e-12, atol=0.0)
    np.testing.assert_allclose(monthly_mean(temperature, days), warmth.reshape(60, -1), rtol=1e-13)
    assert (fallen >= 0.0).all()
    assert (fallen[days.to_period("M") == "2000-03"] == 0.0).all()


def test_the_seed_decides():
    arguments = (np.full(24, 60.0), np.full(24, 280.0), "2000-01")
    one, same, other = (generator.daily_from_monthly(*arguments, seed) for seed in (4, 4, 5))
    for a, b in zip(one[1:], same[1:], strict=True):
        np.testing.assert_array_equal(a, b)
    assert np.abs(one[1] - other[1]).max() > 0.0
    assert np.abs(one[2] - other[2]).max() > 0.0


def test_wet_days_form_the_chain(century):
    """Share f of wet days; rain after a dry day has the chance .75 f, after a wet one .25 + .75 f."""
    wet = century[1] > 0.0
    share = generator.wet_day_share(np.array(100.0), np.array(365.25 / 12))
    np.testing.assert_allclose(wet.mean(), share, atol=0.01)
    np.testing.assert_allclose(wet[1:][~wet[:-1]].mean(), 0.75 * share, atol=0.01)
    np.testing.assert_allclose(wet[1:][wet[:-1]].mean(), 0.25 + 0.75 * share, atol=0.01)


def test_amounts_are_skewed_as_a_gamma_distribution(century):
    """Coefficient of variation 1 / sqrt(.75) = 1.155, changed by the scaling to sums by less than a tenth."""
    amount = century[1][century[1] > 0.0]
    np.testing.assert_allclose(amount.std() / amount.mean(), 0.75**-0.5, rtol=0.1)
    deciles = np.quantile(amount / amount.mean(), [0.1, 0.5, 0.9])
    draws = np.random.default_rng(0).gamma(0.75, 1 / 0.75, 200000)
    np.testing.assert_allclose(deciles, np.quantile(draws, [0.1, 0.5, 0.9]), atol=0.08)


def test_temperature_remembers_yesterday(century):
    """Spread and memory, both a little less than asked for because monthly means are held."""
    anomaly = century[2] - 283.15
    assert 0.85 * 3.5 < anomaly.std() < 3.5
    assert 0.60 < np.corrcoef(anomaly[1:], anomaly[:-1])[0, 1] < 0.70
    assert abs((anomaly**3).mean() / anomaly.std() ** 3) < 0.1


def test_wet_share_can_be_prescribed():
    share = np.full(12 * 50, 0.2)
    _, rain, _ = generator.daily_from_monthly(np.full(600, 100.0), np.full(600, 283.0), "1950-01", 1, wet_share=share)
    np.testing.assert_allclose((rain > 0).mean(), 0.2, atol=0.02)


def test_a_month_with_rain_has_a_wet_day():
    days, rain, _ = generator.daily_from_monthly(np.full(120, 0.02), np.full(120, 300.0), "1990-01", 2)
    assert (monthly_mean(rain, days) > 0.0).all()
    assert (rain > 0).mean() < 0.05


def test_neighbours_are_wet_on_the_same_days():
    rain = np.stack([np.full(240, 100.0), np.full(240, 80.0)], axis=-1)
    _, fallen, temperature = generator.daily_from_monthly(rain, np.full((240, 2), 283.0), "1990-01", 2)
    wet = fallen > 0.0
    assert (wet[:, 0] == wet[:, 1]).mean() > 0.93
    np.testing.assert_allclose(temperature[:, 0], temperature[:, 1], rtol=1e-13)


def test_the_course_of_the_year_runs_straight_between_months():
    """A steady rise is given back where no end is near; every mean is kept."""
    length = np.full(24, 30)
    straight = generator.course_of_the_year(np.arange(24.0), length)
    np.testing.assert_allclose(np.diff(straight)[240:480], 1 / 30.0, rtol=1e-3)
    means = 10.0 * np.cos(np.arange(24) * np.pi / 6)
    wave = generator.course_of_the_year(means, length)
    np.testing.assert_allclose(wave.reshape(24, 30).mean(1), means, atol=1e-12)
    assert np.abs(np.diff(wave)).max() < 0.25


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"temperature": np.full(11, 280.0)}, "shape"),
        ({"precipitation": np.full(12, -1.0)}, "precipitation"),
        ({"temperature": np.full(12, 10.0)}, "temperature"),
        ({"wet_share": np.full(12, 1.5)}, "wet_share"),
        ({"precipitation": np.ones(1), "temperature": np.full(1, 280.0)}, "two months"),
    ],
)
def test_wrong_input_is_named(change, message):
    arguments = {"precipitation": np.ones(12), "temperature": np.full(12, 280.0), "start": "2000-01", "seed": 0}
    with pytest.raises(InputError, match=message):
        generator.daily_from_monthly(**(arguments | change))
