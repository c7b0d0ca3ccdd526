"""Years of columns in five climates, on three soils, under forest and grass: how runoff answers to its parameters."""

from __future__ import annotations

import equinox as eqx
import helpers
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from chase_jax.model import land

RUN_IN, YEAR = 365, 365  # d
PARAMETERS = {
    "dcor": lambda p: p.runoff.dcor,
    "baseflow_factor": lambda p: p.exchange.baseflow_factor,
}
STEPS = (1e-3, 1e-4, 1e-5, 1e-6, 1e-7)  # of the parameter
TOLERANCE = 1e-5


@pytest.fixture(scope="module")
def case():
    experiment = helpers.experiment("substeps")
    parameters, state, setting = experiment.build()
    weather = jax.tree.map(lambda x: x[: RUN_IN + YEAR], experiment.weather())
    options = land.Options()

    def flows(dcor, baseflow_factor):
        """Direct runoff, recharge and evapotranspiration of the second year (3, column), m."""
        values = {"dcor": dcor, "baseflow_factor": baseflow_factor}
        changed = eqx.tree_at(lambda p: [where(p) for where in PARAMETERS.values()], parameters, list(values.values()))

        def day(state, today):
            result = land.day(changed, state, today, setting, options)
            flow = result.fluxes
            return result.state, jnp.stack([flow.surface_runoff, flow.recharge, flow.evaporation])

        return 86.4 * jax.lax.scan(day, state, weather)[1][RUN_IN:].sum(0)

    default = [where(parameters) * jnp.ones(len(experiment.columns())) for where in PARAMETERS.values()]
    run = jax.jit(flows)
    slopes = jax.jit(lambda at, along: jax.jvp(flows, at, along)[1])
    found = {}
    for k, name in enumerate(PARAMETERS):
        along = [jnp.ones_like(v) if i == k else jnp.zeros_like(v) for i, v in enumerate(default)]
        found[name] = np.asarray(slopes(tuple(default), tuple(along)))
    return experiment.columns(), run, default, np.asarray(run(*default)), found


@pytest.mark.slow
@pytest.mark.parametrize("name", PARAMETERS)
def test_a_year_agrees_with_differences(case, name):
    places, run, default, _, slopes = case
    k = list(PARAMETERS).index(name)
    scale = np.abs(slopes[name]).max(axis=0)
    error = np.full((len(STEPS), len(places)), np.inf)
    for number, step in enumerate(STEPS):
        up, down = (
            run(*(v * (1.0 + sign * step) if i == k else v for i, v in enumerate(default))) for sign in (1.0, -1.0)
        )
        difference = np.asarray(up - down) / np.asarray(2.0 * step * default[k])
        error[number] = np.abs(difference - slopes[name]).max(axis=0) / scale
    best = error.min(axis=0)
    print(name, "largest error", best.max(), "median", np.median(best))
    bad = {" ".join(places[c]): error[:, c] for c in np.flatnonzero(best > TOLERANCE)}
    assert not bad, bad


@pytest.mark.slow
def test_runoff_rises_with_dcor_and_the_share_of_recharge_with_the_baseflow_factor(case):
    """In the long run runoff is what does not evaporate; within a year soils that freeze deep still fill or drain."""
    _, _, _, (direct, recharge, _), slopes = case
    runoff = -slopes["dcor"][2]
    gains = recharge > 0.01 * direct  # elsewhere the held water table feeds the soil, and more so with a larger factor
    share = (slopes["baseflow_factor"][1] * direct - slopes["baseflow_factor"][0] * recharge)[gains]
    print("slopes of runoff by dcor", runoff.min(), "of the share", share.min(), "in", gains.sum(), "columns")
    assert (runoff > 0.0).mean() >= 0.95
    assert gains.mean() >= 0.5
    assert (share >= 0.0).mean() >= 0.95
