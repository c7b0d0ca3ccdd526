"""The target of a calibration on discharge, its derivatives, and the search."""

import equinox as eqx
import jax.numpy as jnp
import numpy as np
import pytest
import reservoir
import valley

from chase_jax.calibration import free, hydrographs, losses, routing, trial
from chase_jax.checks import InputError
from chase_jax.evaluation import metrics
from chase_jax.model import adjustable, defaults
from chase_jax.model.chase import Chase
from chase_jax.model.initial import initial_state

DAYS = 200
TRUTH = reservoir.unknowns_of(reservoir.RECESSION, reservoir.YIELD)


def observed():
    flow = reservoir.discharge(TRUTH, DAYS)[0]
    flow[10:20, 0] = np.nan
    return flow


def goal(kind="flow", prior=0.0, start=(-0.5, 0.3)):
    return hydrographs.Goal(observed(), kind, np.array(start), prior)


def test_target_is_the_sum_of_one_less_skill():
    at = np.array([-1.0, 0.2])
    simulated = reservoir.discharge(at, DAYS)[0]
    skill = np.asarray(metrics.nse(simulated, observed()))
    np.testing.assert_allclose((goal().residuals(simulated, at) ** 2).sum(), (1.0 - skill).sum(), rtol=1e-12)


@pytest.mark.parametrize("kind", losses.FLOWS)
def test_derivatives_of_residuals(kind):
    target, at, step = goal(kind, prior=0.3), np.array([-1.0, 0.2]), 1e-6
    exact = target.jacobian(*reservoir.discharge(at, DAYS))
    for column, direction in enumerate(np.eye(2)):
        up, down = (at + sign * step * direction for sign in (1.0, -1.0))
        pair = [target.residuals(reservoir.discharge(u, DAYS)[0], u) for u in (up, down)]
        np.testing.assert_allclose(exact[:, column], (pair[0] - pair[1]) / (2.0 * step), rtol=1e-6, atol=1e-9)


@pytest.mark.parametrize("kind", losses.FLOWS)
def test_search_finds_hidden_parameters_with_few_derivatives(kind):
    runs = []

    def run(unknowns, slopes):
        runs.append(slopes)
        flow, along = reservoir.discharge(unknowns, DAYS)
        return flow, along if slopes else None

    found, covariance = hydrographs.fit(run, goal(kind), 20)
    np.testing.assert_allclose(reservoir.parameters(found), (reservoir.RECESSION, reservoir.YIELD), rtol=1e-3)
    assert len(runs) <= 20
    assert sum(runs) <= 4
    assert (np.diag(covariance) >= 0.0).all()


def test_spread_of_parameters_is_that_of_their_estimates():
    """Fits of records with independent errors scatter as one fit of them tells."""
    draw, found, told = np.random.default_rng(5), [], []
    for _ in range(30):
        seen = observed() + draw.normal(0.0, 1.0, (DAYS, 2))

        def run(unknowns, slopes):
            flow, along = reservoir.discharge(unknowns, DAYS)
            return flow, along if slopes else None

        best, covariance = hydrographs.fit(run, hydrographs.Goal(seen, "flow", TRUTH + 0.1, 0.0), 15)
        found.append(best)
        told.append(np.sqrt(np.diag(covariance)))
    ratio = np.std(found, axis=0) / np.mean(told, axis=0)
    assert (ratio > 0.5).all(), ratio
    assert (ratio < 2.0).all(), ratio


def test_a_strong_prior_keeps_parameters_where_they_are():
    def run(unknowns, slopes):
        flow, along = reservoir.discharge(unknowns, DAYS)
        return flow, along if slopes else None

    free_fit, held = (hydrographs.fit(run, goal(prior=prior), 20)[0] for prior in (0.0, 1e6))
    assert np.abs(held - [-0.5, 0.3]).max() < 1e-3 < np.abs(free_fit - [-0.5, 0.3]).max()


@pytest.mark.parametrize("name", losses.OF_FLOW)
@pytest.mark.parametrize("kind", ["flow", "root"])
def test_derivatives_of_every_loss(name, kind):
    weights, days = {name: 0.7, "nse": 0.1}, np.array([3, 7])
    target = hydrographs.Goal(observed(), kind, np.zeros(2), 0.1, weights, None, np.array([1.0, 2.5]), days)
    at, step = np.array([-1.0, 0.2]), 1e-6
    exact = target.jacobian(*reservoir.discharge(at, DAYS))
    assert np.abs(exact[0]).min() > 0.0
    for column, direction in enumerate(np.eye(2)):
        up, down = (at + sign * step * direction for sign in (1.0, -1.0))
        pair = [target.residuals(reservoir.discharge(u, DAYS)[0], u) for u in (up, down)]
        np.testing.assert_allclose(exact[:, column], (pair[0] - pair[1]) / (2.0 * step), rtol=1e-5, atol=1e-8)


@pytest.mark.parametrize("name", ["kge", "pcc"])
def test_search_finds_hidden_parameters_by_other_losses(name):
    def run(unknowns, slopes):
        flow, along = reservoir.discharge(unknowns, DAYS)
        return flow, along if slopes else None

    target = hydrographs.Goal(observed(), "flow", np.array([-0.5, 0.3]), 0.0, {name: 1.0})
    found, covariance = hydrographs.fit(run, target, 25)
    # correlation does not see how much rain arrives
    np.testing.assert_allclose(reservoir.parameters(found)[0], reservoir.RECESSION, rtol=1e-3)
    if name == "kge":
        np.testing.assert_allclose(reservoir.parameters(found)[1], reservoir.YIELD, rtol=1e-3)
    assert np.isfinite(covariance).all() == (name == "pcc")  # three residuals a gauge are no errors of days


def test_levels_count_beside_flow_with_weights_of_their_own():
    """A level that is a line of the flow tells the same; its weight decides between two records that disagree."""
    flow = reservoir.discharge(TRUTH, DAYS)[0]
    other = reservoir.discharge(TRUTH + np.array([0.8, 0.0]), DAYS)[0]

    def run(unknowns, slopes):
        made, along = reservoir.discharge(unknowns, DAYS)
        series = np.concatenate([made, 100.0 + 0.1 * made[:, :1]], axis=1)
        return series, np.concatenate([along, 0.1 * along[..., :1]], axis=2) if slopes else None

    found = []
    for weight in (1e-4, 1e4):
        weights = {"nse": 1.0, "lake_level": weight}
        levels = 100.0 + 0.1 * other[:, :1]
        target = hydrographs.Goal(flow, "flow", np.array([-0.5, 0.3]), 0.0, weights, levels)
        assert target.shape == (DAYS, 3)
        found.append(reservoir.parameters(hydrographs.fit(run, target, 25)[0])[0])
    hidden = [reservoir.parameters(TRUTH + np.array([more, 0.0]))[0] for more in (0.0, 0.8)]
    np.testing.assert_allclose(found, hidden, rtol=1e-2)


def test_a_record_that_does_not_vary_is_refused():
    flow = observed()
    flow[:, 1] = 2.0
    with pytest.raises(InputError, match="must vary, but is the same on every day at place"):
        hydrographs.Goal(flow, "flow", np.zeros(2), 0.0)


def test_a_gauge_without_values_is_refused():
    flow = observed()
    flow[:, 1] = np.nan
    with pytest.raises(InputError, match="must have values at every place"):
        hydrographs.Goal(flow, "flow", np.zeros(2), 0.0)


def test_a_factor_multiplies_what_is_there():
    place = valley.valley()
    before = defaults.parameters(place)
    groups = jnp.asarray(np.arange(place.cells) % 2 - 1)  # half of the cells stay as they are
    one = free.named("soil_conductivity_factor", support="class", group=groups)
    np.testing.assert_allclose(one.transform.decode(one.encode(before)), 1.0, rtol=1e-12)
    unknown = one.transform.encode(jnp.array([3.0]))
    values = np.asarray(one.values(unknown, before))
    np.testing.assert_allclose(values, np.where(groups == 0, 3.0, 1.0), rtol=1e-12)
    after = one.decode(unknown, before)
    ratio = np.asarray(after.land.soil.saturated_conductivity / before.land.soil.saturated_conductivity)
    np.testing.assert_allclose(ratio, np.broadcast_to(values, ratio.shape), rtol=1e-12)
    again = adjustable.adjusted(before, {"soil_conductivity_factor": values})
    np.testing.assert_array_equal(again.land.soil.saturated_conductivity, after.land.soil.saturated_conductivity)


@pytest.mark.parametrize("name", [*adjustable.VALUES, *adjustable.FACTORS])
def test_every_parameter_is_found_again_within_its_bounds(name):
    before = defaults.parameters(valley.valley())
    one = free.named(name, support="domain")
    assert one.groups(before) == 1
    after = one.decode(one.encode(before) + 0.3, before)
    where = (adjustable.VALUES | adjustable.FACTORS)[name]
    assert where(after).shape == where(before).shape
    assert (np.asarray(where(after)) > np.asarray(where(before))).all()


def test_derivatives_by_a_places_own_basin_need_basins_apart():
    model = Chase.default(valley.valley())
    cells = np.array([3, int(model.domain.cells) - 1])
    group = jnp.asarray(routing.basins(model.domain, cells).group)
    sought = {"dcor": free.named("dcor", support="basin", group=group)}
    simulator = hydrographs.Simulator(model, sought, cells, initial_state(model), None, trial.Span(None, 0, 0))
    assert simulator.tangents == 2  # what is changed in the upper one is felt in the lower one
    with pytest.raises(InputError, match="2 places in basins apart"):
        simulator.run_with_own_slopes(simulator.encode())


def test_a_map_that_is_given_runs_as_it_is_and_its_mean_begins_the_search():
    model = Chase.default(valley.valley())
    given = np.linspace(0.1, 0.9, model.domain.cells)
    model = eqx.tree_at(lambda m: m.parameters.land.runoff.dcor, model, jnp.asarray(given))
    sought = {"dcor": free.named("dcor", support="domain")}
    day = trial.Span(lambda k: (None, 1), 1, 1)
    simulator = hydrographs.Simulator(model, sought, np.arange(given.size), initial_state(model), None, day)
    simulator._plain = lambda model, state, weather, count: (state + 1, model.parameters.land.runoff.dcor[None])
    simulator.start = 0
    np.testing.assert_array_equal(simulator.run_as_given(), given[None])
    np.testing.assert_allclose(simulator.run(simulator.encode()), 0.5, rtol=1e-6)
    assert simulator.repeated(3) == 3
