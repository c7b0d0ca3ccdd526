"""Residuals whose squares add up to the losses of the metrics."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from chase_jax.calibration import losses
from chase_jax.evaluation import metrics
from chase_jax.signatures import baseflow

DAYS, INTERVALS = 150, np.array([5, 9])


def pair(gaps=True):
    """Simulated and observed flow at two gauges."""
    draw = np.random.default_rng(2)
    observed = 5.0 * draw.gamma(1.5, 2.0, (DAYS, 2)) * np.array([1.0, 30.0])
    simulated = 0.8 * observed + draw.gamma(2.0, 3.0, observed.shape)
    if gaps:
        observed[40:48, 0] = observed[-3:, 1] = np.nan
    return simulated, observed


def loss(name, kind="flow", gaps=True):
    """Sum of squares (gauge,) of a loss."""
    simulated, observed = pair(gaps)
    found, there = losses.residuals(name, jnp.asarray(simulated), observed, kind, INTERVALS)
    assert found.shape == there.shape
    return np.where(there, np.asarray(found) ** 2, 0.0).sum(axis=0)


EXPECTED = {
    "nse": lambda s, o: 1.0 - metrics.nse(s, o),
    "lake_level": lambda s, o: 1.0 - metrics.nse(s, o),
    "kge": lambda s, o: (1.0 - metrics.kge(s, o)) ** 2,
    "pcc": lambda s, o: 1.0 - metrics.pcc(s, o),
    "runoff_depth": lambda s, o: (metrics.pbias(s, o) / 100.0) ** 2,
}


@pytest.mark.parametrize("name", EXPECTED)
def test_squares_add_up_to_the_loss(name):
    np.testing.assert_allclose(loss(name), EXPECTED[name](*pair()), rtol=1e-10)


def test_squares_add_up_to_the_skill_of_the_logarithm():
    simulated, observed = pair()
    shift = losses.OFFSET * np.nanmean(observed, axis=0)
    skill = metrics.nse(np.log(simulated + shift), np.log(observed + shift))
    np.testing.assert_allclose(loss("nse", "logarithm"), 1.0 - np.asarray(skill), rtol=1e-10)


def test_index_is_that_of_the_separation_of_observed_flow():
    simulated, observed = pair(gaps=False)
    expected = []
    for gauge, days in enumerate(INTERVALS):
        index = [
            baseflow.baseflow_index(flow[:, gauge], baseflow.sliding_interval(flow[:, gauge], int(days)))
            for flow in (simulated, observed)
        ]
        expected.append((index[0] - index[1]) ** 2)
    np.testing.assert_allclose(loss("baseflow_index", gaps=False), expected, rtol=1e-10)


def test_gaps_take_no_part_in_the_index():
    """What is simulated where nothing was observed does not matter, and no derivative is lost there."""
    simulated, observed = pair()
    other = np.where(np.isfinite(observed), simulated, 1e-3)
    found = [
        losses.residuals("baseflow_index", jnp.asarray(s), observed, "flow", INTERVALS)[0] for s in (simulated, other)
    ]
    np.testing.assert_array_equal(*found)

    def total(flow):
        return jnp.sum(losses.baseflow_index(flow, observed, INTERVALS))

    slope = np.asarray(jax.grad(total)(jnp.asarray(simulated)))
    assert np.isfinite(slope).all()
    assert (slope[~np.isfinite(observed)] == 0.0).all()
    assert (slope != 0.0).sum() > DAYS


@pytest.mark.parametrize("name", losses.OF_FLOW)
def test_a_river_that_does_not_flow_has_a_loss_and_a_derivative(name):
    _, observed = pair()

    def total(flow):
        return jnp.sum(losses.residuals(name, flow, observed, "flow", INTERVALS)[0] ** 2)

    value, slope = jax.value_and_grad(total)(jnp.zeros(observed.shape))
    assert np.isfinite(value)
    assert np.abs(np.asarray(slope)).max() < 10.0


def test_a_series_that_does_not_vary_correlates_with_nothing():
    _, observed = pair()
    found, there = losses.residuals("pcc", jnp.full(observed.shape, 4.0), observed, "flow", INTERVALS)
    np.testing.assert_allclose((np.where(there, found, 0.0) ** 2).sum(axis=0), 1.0, rtol=1e-10)
