"""A small coupled model for tests: a rough valley with a lake, a glacier and an inland sink."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np

from chase_jax import demo
from chase_jax.io import domain_store, forcing_store
from chase_jax.model import initial, program
from chase_jax.model.chase import Chase


def demo_model(folder, start="2001-06-15", days=30):
    """The demo's model, its cold start and `days` of its weather."""
    paths = demo.write(folder)
    domain = domain_store.open_domain(paths["domain"])
    end = str(np.datetime64(start) + np.timedelta64(days - 1, "D"))
    reader = forcing_store.open_forcing(
        paths["forcing"], domain.grid, np.asarray(domain.surface_altitude), start, end, 0.0065
    )
    model = Chase.default(domain)
    return model, initial.initial_state(model), reader.read(0, days)


def chunk(forcing, day, count, longest=program.LONGEST):
    """Some days of a forcing, filled up to the longest chunk as a reader does."""
    position = np.minimum(np.arange(day, day + longest), day + count - 1)
    return jax.tree.map(lambda leaf: leaf[position], forcing)


def day(forcing, k):
    """One day of a forcing."""
    return jax.tree.map(lambda leaf: leaf[k], forcing)


def disturbed(state, seed):
    """A state with snow, puddles, wet leaves, frozen and thawed soil, full and empty rivers at random."""
    generator = np.random.default_rng(seed)

    def random(shape, low, high):
        return jnp.asarray(generator.uniform(low, high, shape))

    import equinox as eqx

    cells = state.aquifer.storage.shape
    layers = state.land.snow.layer_water.shape
    snow = random(layers, 0.0, 100.0) * (random(cells, 0.0, 1.0) > 0.5)
    state = eqx.tree_at(
        lambda s: (
            s.land.snow.layer_water,
            s.land.snow.layer_enthalpy,
            s.land.snow.layer_thickness,
            s.land.canopy.water,
            s.land.soil.puddle,
            s.land.soil.enthalpy,
            s.water.volume,
            s.aquifer.storage,
        ),
        state,
        (
            snow,
            -snow * random(layers, 2e5, 3.6e5),
            snow / 250.0,
            random(state.land.canopy.water.shape, 0.0, 0.3),
            random(cells, 0.0, 5.0),
            state.land.soil.enthalpy + random(state.land.soil.enthalpy.shape, -2e7, 5e6) * (random(cells, 0, 1) > 0.5),
            state.water.volume * random(cells, 0.0, 2.0) * (random(cells, 0.0, 1.0) > 0.2),
            state.aquifer.storage * random(cells, 0.2, 1.0),
        ),
    )
    return state
