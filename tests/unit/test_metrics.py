"""Metrics: known values, masks, and derivatives that stay finite."""

import helpers
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from chase_jax.evaluation import metrics


@pytest.fixture
def pair():
    generator = np.random.default_rng(3)
    observed = generator.gamma(2.0, 10.0, (400, 3))
    return observed * generator.lognormal(0.05, 0.2, observed.shape), observed


def test_perfect_simulation_scores_perfectly(pair):
    _, observed = pair
    perfect = {"nse": 1.0, "kge": 1.0, "pcc": 1.0, "pbias": 0.0, "r1": 0.0, "r10": 0.0}
    for name, best in perfect.items():
        np.testing.assert_allclose(metrics.METRICS[name](jnp.asarray(observed), observed), best, atol=1e-12)


def test_observed_mean_has_no_nash_sutcliffe_skill(pair):
    _, observed = pair
    mean = np.broadcast_to(observed.mean(0), observed.shape)
    np.testing.assert_allclose(metrics.nse(jnp.asarray(mean), observed), 0.0, atol=1e-12)
    np.testing.assert_allclose(metrics.kge(jnp.asarray(mean), observed), 1 - np.sqrt(2), atol=1e-12)  # knoben2019


def test_values_agree_with_numpy(pair):
    simulated, observed = pair
    s, o = simulated[:, 0], observed[:, 0]
    r = np.corrcoef(s, o)[0, 1]
    terms = np.array([r, s.std() / o.std(), s.mean() / o.mean()])
    parts = metrics.kge_components(jnp.asarray(s), o)
    np.testing.assert_allclose([parts.correlation, parts.variability, parts.bias], terms, rtol=1e-12)
    np.testing.assert_allclose(parts.efficiency, 1 - np.linalg.norm(terms - 1), rtol=1e-12)
    np.testing.assert_allclose(metrics.nse(jnp.asarray(s), o), 1 - np.sum((s - o) ** 2) / np.sum((o - o.mean()) ** 2))
    top = [np.sort(x)[-4:].mean() for x in (s, o)]  # 1 % of 400
    np.testing.assert_allclose(metrics.r1(jnp.asarray(s), o), 100 * (top[0] / top[1] - 1), rtol=1e-12)
    top = [np.sort(x)[-40:].mean() for x in (s, o)]
    np.testing.assert_allclose(metrics.r10(jnp.asarray(s), o), 100 * (top[0] / top[1] - 1), rtol=1e-12)


def test_too_much_water_is_a_positive_bias(pair):
    _, observed = pair
    for name in ("pbias", "r1", "r10"):
        np.testing.assert_allclose(metrics.METRICS[name](jnp.asarray(1.25 * observed), observed), 25.0, rtol=1e-10)


@pytest.mark.parametrize("name", list(metrics.METRICS))
def test_missing_observations_are_as_if_never_there(name, pair):
    simulated, observed = pair
    holed = observed.copy()
    holed[::3] = np.nan
    kept = np.isfinite(holed[:, 0])
    function = metrics.METRICS[name]
    np.testing.assert_allclose(
        function(jnp.asarray(simulated), holed), function(jnp.asarray(simulated[kept]), observed[kept]), rtol=1e-12
    )


@pytest.mark.parametrize("name", list(metrics.METRICS))
def test_derivative_agrees_with_differences_in_spite_of_gaps(name, pair):
    simulated, observed = pair
    holed = observed[:, 0].copy()
    holed[5:40] = np.nan
    helpers.directional_check(lambda s: metrics.METRICS[name](s, holed), jnp.asarray(simulated[:, 0]))


@pytest.mark.parametrize("name", list(metrics.METRICS))
@pytest.mark.parametrize("case", ["nothing observed", "constant", "zero", "perfect"])
def test_derivative_is_finite_in_degenerate_cases(name, case):
    rising = jnp.arange(12.0)
    simulated, observed = {
        "nothing observed": (rising, jnp.full(12, jnp.nan)),
        "constant": (jnp.ones(12), rising),
        "zero": (jnp.zeros(12), jnp.zeros(12)),
        "perfect": (rising, rising),
    }[case]
    assert np.isfinite(jax.grad(lambda s: metrics.METRICS[name](s, observed))(simulated)).all()


def test_annual_maximum_takes_the_median_year():
    year = np.repeat([2001, 2002, 2003], 365)
    observed = np.ones(year.size)
    simulated = np.ones(year.size)
    for k, factor in enumerate((0.5, 0.9, 2.0)):
        observed[365 * k + 100 : 365 * k + 103] = 10.0
        simulated[365 * k + 100 : 365 * k + 103] = 10.0 * factor
    np.testing.assert_allclose(metrics.annual_maximum_error(jnp.asarray(simulated), observed, year), -10.0)
    observed[:300] = np.nan  # too little of the first year is left
    np.testing.assert_allclose(metrics.annual_maximum_error(jnp.asarray(simulated), observed, year), 45.0)
