"""Derivatives of the signatures of simulated flow are those of differences."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from helpers import directional_check

from chase_jax.signatures import baseflow

FLOW = np.exp(np.random.default_rng(3).standard_normal(120)) + 0.05


@pytest.mark.parametrize("sharpness", [None, baseflow.SHARPNESS, 50.0])
@pytest.mark.parametrize("days", [3, 5, 11])
def test_derivative_of_the_baseflow_index(sharpness, days):
    error = directional_check(
        lambda q: baseflow.sliding_baseflow_index(q, days, sharpness), jnp.asarray(FLOW), steps=(1e-5, 1e-6, 1e-7)
    )
    assert error < 1e-6


def test_derivative_of_the_runoff_depth():
    assert directional_check(lambda q: baseflow.mean_runoff_depth(q), jnp.asarray(FLOW)) < 1e-6


def test_equal_flows_share_the_derivative_of_a_minimum():
    gradient = np.asarray(jax.grad(lambda q: baseflow.sliding_minimum(q, 3).sum())(jnp.full(30, 2.0)))
    assert gradient.min() > 0.0
    assert gradient.sum() == pytest.approx(30.0)  # a sub-gradient: raising all flows by one raises all minima by one


@pytest.mark.parametrize("sharpness", [None, baseflow.SHARPNESS])
def test_derivative_is_finite_when_the_river_is_dry(sharpness):
    for flow in (jnp.zeros(30), jnp.asarray(np.r_[np.zeros(15), np.ones(15)])):
        gradient = jax.grad(lambda q: baseflow.sliding_baseflow_index(q, 5, sharpness))(flow)
        assert bool(jnp.all(jnp.isfinite(gradient)))
