"""Roughness of nested basins by correlation, on rivers alone; and its transfer to where there is no gauge."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import valley

from chase_jax.calibration import free, regionalize, roughness, routing
from chase_jax.calibration.damped import LIMIT
from chase_jax.checks import InputError
from chase_jax.evaluation import metrics
from chase_jax.model.chase import Chase
from chase_jax.model.surface_water import State

DAYS = 60


@pytest.fixture(scope="module")
def rivers():
    domain = valley.valley(lake=False)
    model = Chase.default(domain)
    area = np.asarray(domain.drainage.upstream_area)
    outlet = int(np.argmax(area * np.asarray(domain.drainage.outlet)))
    way = [outlet]
    while len(way) < 8:  # up the main stem
        above = np.flatnonzero(np.asarray(domain.drainage.downstream) == way[-1])
        way.append(int(above[np.argmax(area[above])]))
    return model, np.array([way[0], way[3], way[6]])


def test_basins_end_at_the_next_gauge_and_upstream_ones_come_first(rivers):
    model, gauges = rivers
    parts = routing.basins(model.domain, gauges)
    first = np.asarray(model.domain.drainage.first)
    np.testing.assert_array_equal([level.tolist() for level in parts.levels], [[2], [1], [0]])
    assert (parts.group[first[gauges[2]] : gauges[2] + 1] == 2).all()
    assert parts.group[gauges[0]] == 0
    outside = np.ones(model.domain.cells, bool)
    outside[first[gauges[0]] : gauges[0] + 1] = False
    assert (parts.group[outside] == -1).all()
    assert (parts.group[~outside] >= 0).all()


def test_gauges_side_by_side_are_one_level(rivers):
    model, _ = rivers
    roots = np.flatnonzero(np.asarray(model.domain.drainage.downstream) < 0)
    assert [level.size for level in routing.basins(model.domain, roots).levels] == [roots.size]


@pytest.fixture(scope="module")
def case(rivers):
    model, gauges = rivers
    draw = np.random.default_rng(4)
    storms = (draw.random((DAYS, 1)) < 0.25) * draw.gamma(1.0, 2.0, (DAYS, model.domain.cells))
    inflow, water = jnp.asarray(storms + 0.05), State(jnp.full(model.domain.cells, 1e3))
    parts = routing.basins(model.domain, gauges)
    one = free.manning_roughness(jnp.asarray(parts.group))
    hidden = jnp.asarray([0.3, -0.9, 0.8])

    @jax.jit
    def flow(unknowns):
        channels = one.decode(unknowns, model.parameters).channel
        return routing.replay(model, channels, water, inflow, jnp.asarray(gauges))

    observed = flow(hidden)

    @jax.jit
    def correlation(unknowns):
        return metrics.pcc(flow(unknowns), observed)

    return parts, np.asarray(hidden), correlation


def test_every_trial_of_a_level_changes_its_own_basins_only(case):
    _, hidden, correlation = case
    moved = hidden.copy()
    moved[0] += 1.0  # the lowest basin
    found = np.asarray(correlation(jnp.asarray(moved)))
    np.testing.assert_allclose(found[1:], 1.0, atol=1e-5)  # but for some backwater
    assert found[0] < 1.0 - 1e-4


@pytest.mark.parametrize("method", ["standard", "gradient"])
def test_hidden_roughness_is_found_from_upstream_to_downstream(case, method):
    parts, hidden, correlation = case
    count = roughness.Count()
    if method == "standard":
        found = roughness.standard(lambda u: np.asarray(correlation(jnp.asarray(u))), np.zeros(3), parts, count)
        assert count.with_slope == 0
    else:
        slope = jax.jit(lambda u, d: jax.jvp(correlation, (u,), (d,)))
        found = roughness.gradient(
            lambda u, d: tuple(map(np.asarray, slope(jnp.asarray(u), jnp.asarray(d)))), np.zeros(3), parts, count
        )
        assert count.plain == 0
    np.testing.assert_allclose(found, hidden, atol=0.06)


def test_an_optimum_beyond_the_bounds_ends_at_the_bound():
    parts = routing.Basins(np.zeros(1, int), (np.array([0]),))
    found = roughness.standard(lambda u: u, np.zeros(1), parts, roughness.Count())
    assert found[0] > LIMIT - 0.1
    found = roughness.gradient(lambda u, d: (u, d), np.zeros(1), parts, roughness.Count())
    assert found[0] == pytest.approx(LIMIT)


def test_transfer_takes_the_most_similar_and_one_left_out_is_foretold_by_its_like():
    draw = np.random.default_rng(6)
    attributes = draw.normal(size=(40, 3)) * (1.0, 100.0, 1e-3)
    values = np.exp(-3.0 + 0.3 * attributes[:, 0])
    np.testing.assert_allclose(regionalize.transfer(attributes, values, attributes, 3), values, rtol=1e-6)
    foretold = regionalize.leave_one_out(attributes, values, 3)
    assert np.corrcoef(np.log(foretold), np.log(values))[0, 1] > 0.6
    assert foretold.min() > values.min() * 0.999
    assert foretold.max() < values.max() * 1.001
    alone = regionalize.transfer(attributes[:1], values[:1], attributes, 3)
    np.testing.assert_allclose(alone, values[0])
    with pytest.raises(InputError, match="two donors or more"):
        regionalize.leave_one_out(attributes[:1], values[:1])
