"""The gradient of a month's discharge of the whole demo, with respect to every parameter, against differences.

The month is March 2001 after a winter: snow and frost on the heights, a dry basin, a lake on the way. For glaciers it
is July, when they melt: in March their stream carries so little of them that differences drown in rounding.
"""

from __future__ import annotations

import collections

import coupled
import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from chase_jax.demo import terrain
from chase_jax.io import gauge_store
from chase_jax.model import chase, program
from chase_jax.model.containers import Solvers
from chase_jax.numerics.krylov import ConjugateGradient
from chase_jax.physics import groundwater

DAYS = 30
BEGINNING = {"river": 165, "glacier stream": 273}  # days from 1 October 2000
CELLS = 20  # perturbed together, of every leaf
STEPS = (1e-5, 1e-4, 1e-3, 1e-6)  # relative, tried in turn; in kelvin for temperatures, whose zero means nothing here
TEMPERATURES = ("land.atmosphere.rain_snow_threshold", "glacier.ice.deep_temperature")
TOLERANCE = 1e-5
LEAK = 1e-2  # 1, largest effect of a cell beyond the divide over the largest within
# Of the glacier stream and the valley outlet. The lake between them, solved by iteration, hides what glaciers do.
WEIGHTS = {"river": jnp.array([1.0, 1.0]), "glacier stream": jnp.array([1.0, 0.0])}
EXACT = ConjugateGradient(tolerance=1e-13)

NEGLIGIBLE = 1e-11  # 1, effect of the most sensitive entry over the discharge: differences drown in rounding
PARTS = (
    "land.atmosphere", "land.vegetation", "land.leaf_area_index", "land.canopy", "land.snow", "land.soil",
    "land.runoff", "land.exchange", "land.open_water", "glacier", "aquifer", "seepage", "channel",
)  # fmt: skip
WITHOUT_EFFECT = {  # leaves below that in this month, and why
    "land.vegetation.lower_leaf_area_maximum": "only the default heat capacity of leaves is made from it",
    "channel.bank_depth": "no river leaves its banks",
    "channel.floodplain_fraction": "no river leaves its banks",
}

Case = collections.namedtuple("Case", "model states catchment gradient loss")


@pytest.fixture(scope="module")
def case(tmp_path_factory):
    folder = tmp_path_factory.mktemp("demo")
    model, state, weather = coupled.demo_model(folder, "2000-10-01", max(BEGINNING.values()) + DAYS)
    solvers = Solvers(model.solvers.reach, groundwater.Implicit(linear=EXACT), EXACT)
    model = chase.Chase(model.domain, model.parameters, solvers, model.options)
    ready = program.Program(model, np.zeros(1, int), (), (), "")
    totals, day, states, months = ready.totals(), 0, {}, {}
    for name, beginning in BEGINNING.items():
        while day < beginning:
            count = min(program.LONGEST, beginning - day)
            state, totals, _ = ready.advance(state, totals, coupled.chunk(weather, day, count), count)
            day += count
        states[name] = jax.tree.map(jnp.copy, state)  # the next chunk takes over the memory
        months[name] = jax.tree.map(lambda leaf, day=day: leaf[day : day + DAYS], weather)
    outlet = int(np.flatnonzero(np.asarray(model.domain.drainage.outlet))[0])
    first = int(model.domain.drainage.first[outlet])

    # the glacier stream is a hundredth of the river: its share would be lost in rounding if it counted less
    gauges = chase.at_gauges(gauge_store.read_gauges(folder / "gauges.csv", model.domain.grid).cell[[0, 4]])

    @jax.jit
    def mean_discharge(parameters, state, forcing):
        changed = eqx.tree_at(lambda m: m.parameters, model, parameters)
        return jnp.mean(chase.run(changed, state, forcing, record=gauges).record, axis=0)

    usual = {name: mean_discharge(model.parameters, states[name], months[name]) for name in BEGINNING}

    def loss(parameters, name):
        return jnp.vdot(WEIGHTS[name], mean_discharge(parameters, states[name], months[name]) / usual[name])

    def weighted(parameters, state, forcing, weight):
        return jnp.vdot(weight, mean_discharge(parameters, state, forcing))

    slopes = jax.jit(jax.grad(weighted))
    gradient = {
        name: slopes(model.parameters, states[name], months[name], WEIGHTS[name] / usual[name]) for name in BEGINNING
    }
    return Case(model, states, (first, outlet + 1), gradient, loss)


def named(tree):
    return {
        jax.tree_util.keystr(path, simple=True, separator="."): leaf
        for path, leaf in jax.tree_util.tree_flatten_with_path(tree)[0]
    }


def inside(case, leaf):
    """Mask of the last axis of a leaf: cells, or glaciers, that drain to the gauge."""
    domain, (first, stop) = case.model.domain, case.catchment
    at = np.arange(domain.cells) if leaf.shape[-1] == domain.cells else np.asarray(domain.glacier_cell)
    return (at >= first) & (at < stop)


@pytest.mark.slow
def test_the_month_has_what_it_should(case):
    state, domain = case.states["river"], case.model.domain
    index = np.asarray(domain.lakes.lake_index) == terrain.LAKE
    assert index.any()
    assert (np.asarray(state.land.snow.water) > 50.0).sum() > 100
    assert (np.asarray(state.land.soil.enthalpy[0]) < -1e6).sum() > 100  # frozen
    assert (np.asarray(state.land.snow.water) < 1.0).sum() > 100
    assert (np.asarray(state.land.soil.water[0]) < 0.5 * np.asarray(state.land.soil.water[0]).max()).sum() > 100  # dry
    assert domain.glacier_cell.size > 20
    assert float(case.loss(case.model.parameters, "river")) == pytest.approx(2.0)


@pytest.mark.slow
def test_gradients_are_finite_and_zero_outside_the_catchment(case):
    for name, leaf in named(case.gradient["river"]).items():
        leaf = np.asarray(leaf)
        assert np.isfinite(leaf).all(), name
        # ground water crosses the divide, whatever feeds it, but little of it in a month
        outside = ~inside(case, leaf)
        ratio = np.abs(leaf[..., outside]).max(initial=0.0) / max(np.abs(leaf).max(), 1e-300)
        print(f"{name:50s} outside over inside {ratio:.1e}", flush=True)
        assert ratio <= LEAK, (name, ratio)


@pytest.mark.slow
def test_no_leaf_is_left_out(case):
    for name in named(case.model.parameters):
        assert sum(name.startswith(part) for part in PARTS) == 1, name


@pytest.mark.slow
@pytest.mark.parametrize("part", PARTS)
def test_every_leaf_agrees_with_differences(case, part):
    gauges = "glacier stream" if part == "glacier" else "river"
    generator = np.random.default_rng(5)
    leaves, structure = jax.tree.flatten(case.model.parameters)
    failed, without = {}, []
    for k, (name, slope) in enumerate(named(case.gradient[gauges]).items()):
        if not name.startswith(part):
            continue
        slope, leaf = np.asarray(slope), np.asarray(leaves[k])
        absent = not leaf.any()  # a fraction of zero is a bound, with a slope to one side only
        size = np.ones_like(leaf) if absent or name in TEMPERATURES else np.abs(leaf)
        effect = np.abs(slope * size).ravel()
        if effect.max() < NEGLIGIBLE:
            without.append(name)
            continue
        where = np.flatnonzero(effect > 1e-2 * effect.max())
        where = where if where.size >= CELLS else np.argsort(effect)[-CELLS:]
        chosen = generator.permutation(where)[:CELLS]
        direction = np.zeros(leaf.size)
        sign = 1.0 if absent else np.sign(slope.ravel()[chosen])
        direction[chosen] = sign * size.ravel()[chosen]
        direction = direction.reshape(leaf.shape)
        expected = float(np.vdot(slope, direction))

        def at(amount, k=k, leaf=leaf, direction=direction):
            changed = [*leaves[:k], jnp.asarray(leaf + amount * direction), *leaves[k + 1 :]]
            return float(case.loss(jax.tree.unflatten(structure, changed), gauges))

        def difference(step, at=at, absent=absent):
            if absent:
                return (4.0 * at(step) - 3.0 * at(0.0) - at(2.0 * step)) / (2.0 * step)
            return (at(step) - at(-step)) / (2.0 * step)

        errors = []
        for step in STEPS:  # of second order where that suffices, of fourth order where the slope is lost in rounding
            plain = difference(step)
            errors.append(abs(plain / expected - 1.0))
            if errors[-1] >= TOLERANCE:
                errors.append(abs((4.0 * plain - difference(2.0 * step)) / 3.0 / expected - 1.0))
            if errors[-1] < TOLERANCE:
                break
        told = " ".join(f"{error:.1e}" for error in errors)
        print(f"{name:50s} {where.size:6d} entries, slope {expected:10.3e}, errors {told}", flush=True)
        if min(errors) >= TOLERANCE:
            failed[name] = errors
    assert not failed, failed
    assert set(without) <= set(WITHOUT_EFFECT), without
