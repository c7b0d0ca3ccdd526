"""A year of the whole model on a thousand cells of every soil and plant, ice and rock, in weather that no place has."""

from __future__ import annotations

import dataclasses

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest
import valley

from chase_jax.domain.domain import build
from chase_jax.model import chase, initial
from chase_jax.model.chase import Chase
from chase_jax.physics import canopy, glacier, open_water, snow, soil_hydraulics, soil_water
from chase_jax.physics.atmosphere import Forcing
from chase_jax.physics.thermodynamics import saturation_humidity

SIZE, DAYS = 34, 365
WATER = {"float64": 1e-10, "mixed": 1e-5}  # 1, as the documentation promises
ENERGY = 1e-6  # W m-2, in float64
OVERFILLED = {"float64": 1e-9, "mixed": 1e-5}  # 1, of the pores
COLDEST, WARMEST = 180.0, 360.0  # K, that any store may take on


def domain():
    """The valley with random soils, vegetation of every class and glaciers."""
    draw = np.random.default_rng(7)
    fields, grid = valley.valley_fields(SIZE)
    shape = fields["active"].shape
    fields["sand_fraction"] = draw.uniform(0.0, 1.0, shape)
    fields["clay_fraction"] = (1.0 - fields["sand_fraction"]) * draw.uniform(0.0, 1.0, shape)
    fields["vegetation_class"] = draw.integers(1, 25, shape).astype(float)
    ice = draw.uniform(0.1, 1.0, shape) * (draw.random(shape) < 0.1)
    fields["glacier_fraction"] = np.where(fields["lake_patch"] > 0.0, 0.0, ice)
    fields["aquifer_thickness"] = 10.0 ** draw.uniform(0.0, 2.5, shape)
    fields["specific_yield"] = draw.uniform(0.01, 0.3, shape)
    return build(fields, grid)


def weather(cells):
    """A year of -60 to 50 degrees Celsius and up to 500 mm a day, dry and wet, calm and stormy, dark and bright."""
    draw = np.random.default_rng(8)
    mean, swing = draw.uniform(-50.0, 45.0, cells), draw.uniform(0.0, 40.0, cells)
    season = np.cos(2.0 * np.pi * (np.arange(DAYS)[:, None] - draw.uniform(0, DAYS, cells)) / DAYS)
    celsius = np.clip(mean + swing * season + draw.normal(0.0, 6.0, (DAYS, cells)), -60.0, 50.0)
    wet = draw.random((DAYS, cells)) < draw.uniform(0.0, 0.8, cells)
    rain = np.where(wet, np.minimum(500.0, draw.exponential(10.0 ** draw.uniform(-1.0, 2.2, cells), wet.shape)), 0.0)
    pressure = np.broadcast_to(draw.uniform(4.5e4, 1.06e5, cells), wet.shape)
    saturated = saturation_humidity(jnp.asarray(celsius + 273.15), jnp.asarray(pressure)).humidity
    return Forcing(
        precipitation=jnp.asarray(rain / 86400.0),
        air_temperature=jnp.asarray(celsius + 273.15),
        shortwave_down=jnp.asarray(draw.uniform(0.0, 420.0, wet.shape) * (draw.random(cells) < 0.9)),
        specific_humidity=jnp.asarray(draw.uniform(0.02, 1.0, wet.shape)) * jnp.minimum(saturated, 0.06),
        air_pressure=jnp.asarray(pressure),
        wind_speed=jnp.asarray(draw.weibull(1.2, wet.shape) * draw.uniform(0.1, 15.0, cells)),
        longwave_down=jnp.zeros(wet.shape),
        diurnal_range=jnp.asarray(draw.uniform(0.0, 30.0, wet.shape)),
        day_of_year=jnp.arange(1.0, DAYS + 1.0),
    )


def model(precision):
    made = Chase.default(domain())
    options = dataclasses.replace(made.options, precision=precision)
    return eqx.tree_at(lambda m: m.options, made, options, is_leaf=lambda leaf: leaf is made.options)


def temperatures(made, state, fluxes):
    """Of every store of heat and of the ground's skin, K."""
    p, s = made.parameters.land, state.land
    stores = canopy.diagnose(p.canopy, s.canopy), snow.diagnose(s.snow), soil_water.diagnose(p.soil, s.soil)
    stores += open_water.diagnose(p.open_water, s.open_water), snow.diagnose(state.glacier.snow)
    stores += (glacier.diagnose(state.glacier.ice),)
    return [*(store.temperature for store in stores), fluxes.land.surface_temperature]


@pytest.mark.slow
@pytest.mark.parametrize("precision", ["float64", "mixed"])
def test_a_year_stays_within_bounds_and_closes(precision):
    made = model(precision)
    p, forcing = made.parameters, weather(made.domain.cells)
    assert made.domain.cells > 1000
    assert made.domain.glacier_cell.size > 80
    full = soil_hydraulics.pore_capacity(p.land.soil)

    def watch(state, fluxes):
        residuals = jax.tree.map(jnp.max, fluxes.residuals)
        stores = jax.tree.leaves((state.land.canopy.water, state.land.snow.layer_water, state.land.soil.water))
        stores += [state.land.soil.puddle, state.aquifer.storage, state.water.volume, state.glacier.snow.layer_water]
        return {
            "residuals": residuals,
            "least": jnp.min(jnp.stack([jnp.min(store) for store in stores])),
            "filling": jnp.max(jnp.sum(state.land.soil.water, axis=0) / jnp.sum(full, axis=0)),
            "coldest": jnp.min(jnp.stack([jnp.min(t) for t in temperatures(made, state, fluxes)])),
            "warmest": jnp.max(jnp.stack([jnp.max(t) for t in temperatures(made, state, fluxes)])),
        }

    result = jax.jit(lambda s, f: chase.run(made, s, f, record=watch))(initial.initial_state(made), forcing)
    seen = result.record
    assert all(bool(jnp.isfinite(leaf).all()) for leaf in jax.tree.leaves(result))
    for name in ("land", "glacier", "aquifer", "rivers", "total"):
        largest = np.asarray(getattr(seen["residuals"], name))
        assert largest.max() < WATER[precision], (name, largest.max(), largest.argmax())
    if precision == "float64":
        assert seen["residuals"].energy.max() < ENERGY
    assert seen["least"].min() >= 0.0
    assert seen["filling"].max() <= 1.0 + OVERFILLED[precision]
    assert seen["coldest"].min() > COLDEST
    assert seen["warmest"].max() < WARMEST


@pytest.mark.slow
def test_the_gradient_of_a_year_is_finite():
    made = model("float64")
    forcing, state = weather(made.domain.cells), initial.initial_state(made)
    outlets = np.flatnonzero(np.asarray(made.domain.drainage.downstream) < 0)

    def loss(parameters):
        changed = eqx.tree_at(lambda m: m.parameters, made, parameters)
        flow = chase.run(changed, state, forcing, record=chase.at_gauges(outlets), block=20).record
        return jnp.mean(jnp.log(jnp.abs(flow) + 1e-3))

    value, slope = jax.jit(jax.value_and_grad(loss))(made.parameters)
    assert np.isfinite(value)
    for path, leaf in jax.tree_util.tree_flatten_with_path(slope)[0]:
        assert bool(jnp.isfinite(leaf).all()), jax.tree_util.keystr(path)
        name = jax.tree_util.keystr(path, simple=True, separator=".")
        assert bool((jnp.abs(leaf) < 1e6).all()), name


@pytest.mark.slow
def test_derivatives_of_a_year_are_finite_in_single_precision():
    """Squares of what is left of a store are zero there; forward mode carries both calibrated parameters."""
    made = model("mixed")
    forcing, state = weather(made.domain.cells), initial.initial_state(made)
    outlets = np.flatnonzero(np.asarray(made.domain.drainage.downstream) < 0)

    def flow(share, exponent):
        values = jnp.full(made.domain.cells, share), jnp.full(made.domain.cells, 10.0**exponent)
        places = lambda m: (m.parameters.land.runoff.dcor, m.parameters.land.exchange.baseflow_factor)  # noqa: E731
        changed = eqx.tree_at(places, made, values)
        result = chase.run(changed, state, forcing, record=chase.at_gauges(outlets))
        return result.record, result.state

    along = jnp.eye(2)
    tangents = jax.jit(jax.vmap(lambda a: jax.jvp(flow, (0.5, -1.0), (a[0], a[1]))[1]))(along)
    for path, leaf in jax.tree_util.tree_flatten_with_path(tangents)[0]:
        assert bool(jnp.isfinite(leaf).all()), jax.tree_util.keystr(path)
    assert bool((jnp.abs(tangents[0]).max(axis=(1, 2)) > 0.0).all())
