"""Random but possible days and land covers for tests of air and light."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np

from chase_jax.physics import atmosphere, radiation
from chase_jax.physics.thermodynamics import saturation_humidity

prepare_day = jax.jit(atmosphere.prepare_day, static_argnames=("substeps", "storm"))


def random_forcing(seed, n, day_of_year=None, longwave_given=False):
    """Days from -35 to 35 C, dry to drenched, dark to bright, with air from bone-dry to supersaturated."""
    draw = np.random.default_rng(seed)
    temperature, pressure = draw.uniform(238.0, 308.0, n), draw.uniform(5e4, 1.03e5, n)
    saturation = np.asarray(saturation_humidity(jnp.asarray(temperature), jnp.asarray(pressure)).humidity)
    columns = (
        1e-3 * draw.random(n) ** 4 * (draw.random(n) < 0.7),
        temperature,
        draw.uniform(0.0, 380.0, n) * (draw.random(n) < 0.9),
        saturation * draw.uniform(0.0, 1.1, n),
        pressure,
        draw.uniform(0.0, 15.0, n),
        draw.uniform(120.0, 450.0, n) if longwave_given else np.full(n, np.nan),
        draw.uniform(0.0, 22.0, n) * (draw.random(n) < 0.9),
    )
    day = draw.uniform(1.0, 366.0) if day_of_year is None else day_of_year
    return atmosphere.Forcing(*map(jnp.asarray, columns), jnp.asarray(day), longwave_given)


def random_latitude(seed, n):
    """Latitudes from pole to pole, both included."""
    latitude = np.random.default_rng(seed).uniform(-90.0, 90.0, n)
    latitude[:3] = 90.0, -90.0, 0.0
    return jnp.asarray(latitude)


@jax.jit
def airs_of(day):
    """The air of every sub-step, with leaves (substep, cell)."""
    return jax.vmap(lambda interval: atmosphere.air(day.shared, interval))(day.intervals)


def random_cover(seed, n):
    """Arguments of `canopy_optics` and those of `absorb` after the air; a third of each is zero or full."""
    draw = np.random.default_rng(seed)

    def unit():
        return np.clip(draw.uniform(-0.5, 1.5, n), 0.0, 1.0)

    areas = 6.0 * unit(), unit(), 5.0 * unit(), 0.3 * unit()
    snow_on_leaves, temperatures = (unit(), unit()), (draw.uniform(262.0, 283.0, n), draw.uniform(262.0, 283.0, n))
    snow_fraction = unit()
    covers = unit(), unit() * (1.0 - snow_fraction), snow_fraction
    sand = draw.uniform(0.0, 1.0, n)
    soil = radiation.soil_albedo(*map(jnp.asarray, (sand, (1.0 - sand) * unit(), unit())))
    snow = radiation.Albedo(*map(jnp.asarray, (draw.uniform(0.5, 0.95, n), draw.uniform(0.3, 0.7, n))))
    return tuple(map(jnp.asarray, areas + snow_on_leaves + temperatures)), (*map(jnp.asarray, covers), soil, snow)
