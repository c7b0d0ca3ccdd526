"""A run of the coupled model gives the same bits however it is cut and stored on the way."""

from __future__ import annotations

import coupled
import jax
import jax.numpy as jnp
import numpy as np
import pytest
import valley

from chase_jax.io import restart
from chase_jax.model import program
from chase_jax.model.chase import Chase
from chase_jax.physics.atmosphere import Forcing

YEAR = 365


def weather(cells, days=YEAR):
    """A year with frost, snow, storms and dry spells, different in every cell."""
    draw = np.random.default_rng(11)
    season = np.cos(2.0 * np.pi * (np.arange(days) - 200.0) / 365.0)[:, None]
    place = draw.standard_normal(cells)
    spell = np.repeat(draw.standard_normal((days // 5 + 1, 1)), 5, axis=0)[:days]
    rain = np.where(spell > 0.3, draw.exponential(2e-4, (days, cells)), 0.0)
    temperature = 276.0 + 12.0 * season + place + 4.0 * spell
    return Forcing(
        precipitation=jnp.asarray(rain),
        air_temperature=jnp.asarray(temperature),
        shortwave_down=jnp.asarray(150.0 + 100.0 * season - 40.0 * (rain > 0.0)),
        specific_humidity=jnp.asarray(0.004 + 0.002 * season + 0.0 * rain),
        air_pressure=jnp.full((days, cells), 9.5e4),
        wind_speed=jnp.asarray(2.5 + draw.random((days, cells))),
        longwave_down=jnp.zeros((days, cells)),
        diurnal_range=jnp.full((days, cells), 9.0),
        day_of_year=jnp.arange(1.0, days + 1.0),
    )


@pytest.fixture(scope="module")
def ready():
    model = Chase.default(valley.valley())
    outlets = np.flatnonzero(np.asarray(model.domain.drainage.downstream) < 0)
    return program.Program(model, outlets, ("runoff", "snow_amount"), (), ""), weather(model.domain.cells)


def run(ready, folder, days, stored_every):
    """Some days; the state goes through a file every `stored_every` of them."""
    model, forcing = ready
    state, totals, day, discharge = model.initial_state(), model.totals(), 0, []
    while day < days:
        until_stored = stored_every - day % stored_every
        count = min(program.LONGEST, until_stored, days - day)
        state, totals, series = model.advance(state, totals, coupled.chunk(forcing, day, count), count)
        discharge.append(np.asarray(series["discharge"])[:count])
        day += count
        if day % stored_every == 0:
            restart.write_restart(folder / "kept.nc", {"state": state, "totals": totals}, {"day": day})
            kept, _ = restart.read_restart(folder / "kept.nc", {"state": state, "totals": totals})
            state, totals = kept["state"], kept["totals"]
    return jax.tree.leaves((state, totals)), np.concatenate(discharge)


@pytest.mark.parametrize("days", [65, pytest.param(YEAR, marks=pytest.mark.slow)])
def test_every_way_to_cut_a_run_gives_the_same_bits(ready, tmp_path, days):
    straight, expected = run(ready, tmp_path, days, days + 1)
    assert expected.shape[0] == days
    assert expected.std() > 1e-3
    for stored_every in (1, 7, 30, days):
        leaves, discharge = run(ready, tmp_path, days, stored_every)
        np.testing.assert_array_equal(discharge, expected)
        for found, leaf in zip(leaves, straight, strict=True):
            np.testing.assert_array_equal(np.asarray(found), np.asarray(leaf))
