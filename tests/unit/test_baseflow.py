"""Baseflow: bounds that hold for any record, gaps, and the smoothed minimum within its stated error."""

from __future__ import annotations

import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from chase_jax.signatures import baseflow

SEPARATIONS = {
    "fixed": lambda q: baseflow.fixed_interval(q, 5),
    "sliding": lambda q: baseflow.sliding_interval(q, 5),
    "local": lambda q: baseflow.local_minimum(q, 5),
    "lyne_hollick": baseflow.lyne_hollick,
    "eckhardt": baseflow.eckhardt,
}


def record(days=200, seed=0):
    generator = np.random.default_rng(seed)
    return np.exp(np.cumsum(0.3 * generator.standard_normal(days)) * 0.5) + 0.1


@pytest.mark.parametrize(
    ("square_miles", "days"), [(0.1, 3), (1.0, 3), (100.0, 5), (221.468, 5), (1000.0, 7), (5790.0, 11), (1e5, 11)]
)
def test_interval_is_the_odd_number_nearest_to_twice_the_duration(square_miles, days):
    assert baseflow.interval(square_miles * baseflow.SQUARE_MILE) == days


@pytest.mark.parametrize("name", list(SEPARATIONS))
def test_baseflow_lies_between_nothing_and_flow(name):
    flow = record()
    base = SEPARATIONS[name](flow)
    assert np.all(base <= flow * (1 + 1e-12))
    assert base.min() >= 0.0
    assert 0.05 < baseflow.baseflow_index(flow, base) < 1.0


@pytest.mark.parametrize("name", ["fixed", "sliding", "local", "lyne_hollick"])
def test_steady_flow_is_all_baseflow(name):
    assert np.allclose(SEPARATIONS[name](np.full(100, 3.0)), 3.0)


def test_eckhardt_filter_of_steady_flow_tends_to_its_largest_index():
    base = baseflow.eckhardt(np.full(500, 2.0), largest_index=0.8)
    assert np.allclose(base, 1.6)


@pytest.mark.parametrize("name", list(SEPARATIONS))
def test_each_run_between_gaps_is_separated_by_itself(name):
    flow = record(300)
    holed = flow.copy()
    holed[120:131] = np.nan
    base = SEPARATIONS[name](holed)
    assert np.isnan(base[120:131]).all()
    np.testing.assert_array_equal(base[:120], SEPARATIONS[name](flow[:120]))
    np.testing.assert_array_equal(base[131:], SEPARATIONS[name](flow[131:]))


def test_runs_shorter_than_the_interval_have_no_baseflow_and_do_not_count():
    flow = np.r_[np.full(10, 2.0), np.nan, 50.0, 60.0, np.nan, np.full(10, 2.0)]
    base = baseflow.sliding_interval(flow, 5)
    assert np.isnan(base[10:14]).all()
    assert baseflow.baseflow_index(flow, base) == 1.0


def test_days_without_flow_are_no_trouble():
    flow = np.r_[np.zeros(20), 1.0, 5.0, 2.0, np.zeros(20)]
    for separate in SEPARATIONS.values():
        base = separate(flow)
        assert np.isfinite(base).all()
        assert np.all(base <= flow)
    assert np.isnan(baseflow.baseflow_index(np.zeros(20), np.zeros(20)))


def test_runoff_depth_is_the_mean_of_the_days_that_are_there():
    assert baseflow.runoff_depth(np.array([1.0, np.nan, 3.0])) == pytest.approx(2.0 * 365.25)


@given(st.integers(0, 10_000), st.sampled_from([3, 5, 7, 9, 11]))
@settings(max_examples=40, deadline=None)
def test_differentiable_sliding_minimum_is_the_reference(seed, days):
    flow = record(64, seed)
    found = np.asarray(baseflow.sliding_minimum(jnp.asarray(flow), days))
    np.testing.assert_array_equal(found, baseflow.sliding_interval(flow, days))


@given(st.integers(0, 10_000), st.sampled_from([3, 5, 7, 9, 11]))
@settings(max_examples=40, deadline=None)
def test_soft_minimum_is_within_its_stated_error(seed, days):
    flow = record(64, seed)
    exact = baseflow.sliding_interval(flow, days)
    soft = np.asarray(baseflow.soft_sliding_minimum(jnp.asarray(flow), days))
    assert np.max(np.abs(soft / exact - 1.0)) <= np.log(days) / (2 * baseflow.SHARPNESS) * 1.02


def test_many_series_go_side_by_side():
    flow = jnp.asarray(np.stack([record(50, 1), record(50, 2)], axis=1))
    both = baseflow.sliding_baseflow_index(flow, 5)
    alone = [float(baseflow.sliding_baseflow_index(flow[:, k], 5)) for k in (0, 1)]
    np.testing.assert_allclose(np.asarray(both), alone, rtol=1e-15)
    assert float(baseflow.sliding_baseflow_index(jnp.zeros(20), 5)) == 0.0


def test_index_of_the_days_that_count_by_the_interval_of_every_series():
    """Backward flow is none; the lowest flow around a day is that of the days that count."""
    draw = np.random.default_rng(4)
    flow, known = draw.gamma(0.5, 2.0, (80, 2)) - 0.2, draw.random((80, 2)) < 0.8
    found = baseflow.sliding_baseflow_index(jnp.asarray(flow), np.array([3, 7]), known=known)
    for series, half in ((0, 1), (1, 3)):
        seen = np.where(known[:, series], np.maximum(flow[:, series], 0.0), np.inf)
        middle = np.clip(np.arange(80), half, 79 - half)
        base = np.array([seen[k - half : k + half + 1].min() for k in middle])
        there = known[:, series]
        np.testing.assert_allclose(found[series], base[there].sum() / seen[there].sum(), rtol=1e-12)
    faint = baseflow.sliding_baseflow_index(jnp.full((20, 1), 0.5), 5, least=2.0)
    np.testing.assert_allclose(faint, 0.25)
