"""Derivatives of discharge and lake level through aquifer, rivers and lake together, against differences."""

from __future__ import annotations

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from valley import valley

from chase_jax import constants as const
from chase_jax.model import chase, defaults, initial, surface_water
from chase_jax.model.containers import Solvers
from chase_jax.numerics.jacobi import Jacobi
from chase_jax.numerics.krylov import ConjugateGradient
from chase_jax.numerics.tree import Tree
from chase_jax.physics import groundwater

EXACT = ConjugateGradient(tolerance=1e-13)
DAYS, INTERVALS, RUNOFF = 2, 8, 4e-8  # d, 1, m s-1
DOMAIN = valley()
LAKE = np.asarray(DOMAIN.lakes.cell)
OUTLET = int(np.asarray(DOMAIN.drainage.outlet).nonzero()[0][-1])
OUTPUTS = ("discharge", "level")
INPUTS = ("roughness", "width", "bathymetry", "conductivity", "specific_yield", "initial_head")
STEPS = (1e-3, 3e-4, 1e-4, 3e-5, 1e-5, 1e-6)  # relative; of 10 m for heads and 1 m for beds


def raised(geometry, rise):
    """The geometry with beds higher by `rise` (cell,), m."""
    network, patches = geometry.network, geometry.lake
    fall = network.fall + jnp.where(network.links.linked, rise - network.links.at_parent(rise), 0.0)
    sill = network.crest > jnp.maximum(-network.fall, 0.0)  # a crest of its own stays where it is
    top = jnp.where(sill, network.crest - rise, jnp.maximum(-fall, 0.0))
    places = lambda g: (g.network.fall, g.network.crest, g.lake.fall)  # noqa: E731
    return eqx.tree_at(places, geometry, (fall, top, patches.fall + patches.edges.difference(rise[LAKE])))


def case(solver):
    """The starting point of all inputs, and discharge and lake level after some days as a function of them."""
    solvers = Solvers(solver, groundwater.Implicit(linear=EXACT), EXACT)
    model = chase.Chase.default(DOMAIN, solvers=solvers)
    p, start = model.parameters, initial.initial_state(model)
    time = (jnp.arange(DAYS * INTERVALS) + 0.5) / INTERVALS
    runoff = RUNOFF * (1.0 + jnp.sin(time))[:, None] * DOMAIN.cell_area
    depth = 1.0 + 2.0 * jnp.abs(jnp.sin(jnp.arange(DOMAIN.cells)))
    point = {
        "roughness": p.channel.manning_roughness,
        "width": p.channel.width,
        "bathymetry": 0.3 * jnp.sin(3.0 * jnp.arange(DOMAIN.cells)),  # no water stands just at a crest
        "conductivity": 1e-3 * jnp.ones(DOMAIN.cells),  # gravel, to be seen within days
        "specific_yield": p.aquifer.specific_yield,
        "initial_head": -depth,
    }

    def response(inputs):
        changed = eqx.tree_at(
            lambda m: (
                m.parameters.channel.manning_roughness,
                m.parameters.channel.width,
                m.parameters.aquifer.conductivity,
                m.parameters.aquifer.specific_yield,
                m.geometry,
            ),
            model,
            (
                inputs["roughness"],
                inputs["width"],
                inputs["conductivity"],
                inputs["specific_yield"],
                raised(model.geometry, inputs["bathymetry"]),
            ),
        )
        aquifer = changed.parameters.aquifer
        storage = groundwater.storage_at_depth(aquifer, -inputs["initial_head"])
        none = jnp.zeros(DOMAIN.cells)

        def day(stores, runoff):
            done = changed.waters(*stores, runoff, none, none)
            return (done.aquifer, done.water), done.discharge[OUTLET]

        stores = groundwater.State(storage), start.water
        (_, water), discharge = jax.lax.scan(day, stores, runoff.reshape(DAYS, INTERVALS, -1))
        stage = surface_water.depth(changed.parameters.channel, changed.geometry, water) + inputs["bathymetry"]
        return jnp.stack([discharge.mean(), stage[LAKE].mean()])

    return point, response


def direction(name, value):
    generator = np.random.default_rng(INPUTS.index(name))
    size = {"bathymetry": 0.1, "initial_head": 1.0}.get(name, np.abs(np.asarray(value)))
    return jnp.asarray(generator.uniform(0.5, 1.5, value.shape) * size)


@pytest.mark.slow
def test_discharge_and_lake_level_by_every_input():
    point, response = case(Tree(3600.0))
    values = jax.jit(response)
    weighted = jax.jit(jax.grad(lambda inputs, weights: jnp.vdot(weights, response(inputs))))
    gradients = {out: weighted(point, jnp.eye(2)[k]) for k, out in enumerate(OUTPUTS)}
    for name in INPUTS:
        along = direction(name, point[name])
        moved = {h: [values(point | {name: point[name] + s * h * along}) for s in (1, -1)] for h in STEPS}
        for k, out in enumerate(OUTPUTS):
            gradient = gradients[out][name]
            assert bool(jnp.isfinite(gradient).all())
            slope = float(jnp.vdot(gradient, along))
            errors = [abs(float(up[k] - down[k]) / (2.0 * h) / slope - 1.0) for h, (up, down) in moved.items()]
            print(f"{out:10s} by {name:15s} {slope:10.2e} {min(errors):8.1e}", flush=True)
            assert min(errors) < 1e-6, (name, out, slope, errors)


def test_evaporation_that_finds_no_water():
    """Rivers and a lake that run dry within the day: what the air asks for in vain, by all that gives and takes."""
    model = chase.Chase.default(DOMAIN, solvers=Solvers(Tree(3600.0), groundwater.Implicit(linear=EXACT), EXACT))
    start = initial.initial_state(model)
    deep = groundwater.State(groundwater.storage_at_depth(model.parameters.aquifer, jnp.full(DOMAIN.cells, 8.0)))
    point = {
        "volume": 1e-3 * start.water.volume + 50.0,  # m3
        "runoff": 1e-9 * DOMAIN.cell_area,
        "evaporation": 2e-8 * DOMAIN.cell_area * (1.0 + 0.5 * jnp.sin(jnp.arange(DOMAIN.cells))),
    }

    @jax.jit
    def withheld(inputs):
        runoff = jnp.broadcast_to(inputs["runoff"], (INTERVALS, DOMAIN.cells))
        none, water = jnp.zeros(DOMAIN.cells), surface_water.State(inputs["volume"])
        return model.waters(deep, water, runoff, none, inputs["evaporation"]).withheld

    assert int((withheld(point) > 0.0).sum()) > DOMAIN.cells // 2
    weights = 1.0 + jnp.cos(jnp.arange(DOMAIN.cells)) ** 2
    gradient = jax.jit(jax.grad(lambda inputs: jnp.vdot(weights, withheld(inputs))))(point)
    for name, value in point.items():
        assert bool(jnp.isfinite(gradient[name]).all())
        along, h = value, 1e-5
        up, down = (jnp.vdot(weights, withheld(point | {name: value + s * h * along})) for s in (1, -1))
        slope = float(jnp.vdot(gradient[name], along))
        assert slope != 0.0
        np.testing.assert_allclose(float(up - down) / (2.0 * h), slope, rtol=1e-5)


@pytest.mark.slow
def test_memory_of_the_gradient_grows_neither_with_sweeps_nor_with_conjugate_gradients():
    geometry = surface_water.Geometry.from_domain(DOMAIN)
    parameters = defaults.parameters(DOMAIN).channel
    inflow = RUNOFF * DOMAIN.cell_area

    def needed(solver, lake_solver):
        def total(parameters, volume):
            state = surface_water.State(volume)
            fluxes = surface_water.step(
                parameters, geometry, state, inflow, const.SECONDS_PER_DAY, solver, lake_solver
            )[1]
            return fluxes.discharge.sum()

        slopes = jax.jit(jax.grad(total, (0, 1)))
        return slopes.lower(parameters, 1e4 * jnp.ones(DOMAIN.cells)).compile().memory_analysis().temp_size_in_bytes

    few = needed(Jacobi(1800.0, 4), ConjugateGradient(tolerance=1e-2, max_steps=2))
    many = needed(Jacobi(1800.0, 64), ConjugateGradient(tolerance=1e-12, max_steps=5000))
    assert many < 1.3 * few
