"""Derivatives of signatures by the unknowns of a cell, through a run-in and a period, against differences."""

from __future__ import annotations

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest
import twin_case

from chase_jax import cli
from chase_jax.calibration import adjoint, free, learning, trial
from chase_jax.io import domain_store, forcing_store
from chase_jax.model.chase import Chase
from chase_jax.model.initial import initial_state


@pytest.mark.slow
def test_one_tangent_a_parameter_is_the_derivative_of_every_cell(tmp_path, capsys):
    twin_case.write_inputs(tmp_path)
    words = [f"domain.path={tmp_path}/domain.nc", f"forcing.path={tmp_path}/forcing.nc"]
    words += ["period.start=1990-03-01", "period.end=1990-05-31", "parameters.baseflow_factor=0.005"]
    assert cli.main(["calibrate", *words, "check=true"]) == 0
    lines = capsys.readouterr().out.splitlines()
    rows = [line.split() for line in lines[1:5]]
    assert [row[:2] for row in rows] == [
        [parameter, signature]
        for parameter in ("dcor", "baseflow_factor")
        for signature in ("runoff_depth", "baseflow_index")
    ]
    for row in rows:
        assert float(row[2]) > 0.0, row
        assert float(row[3]) < 1e-4, row
    assert lines[5].startswith("0 of 16 cells have a derivative that is no number")


class Rain(eqx.Module):
    """Weather of a reservoir (day, cell)."""

    day_of_year: jax.Array
    depth: jax.Array


class Place(eqx.Module):
    """As much of a domain as a reservoir needs."""

    cells: int = eqx.field(static=True)


class Model(eqx.Module):
    """As much of a model."""

    domain: Place


class Reservoirs(adjoint.Adjoint):
    """Cells that let go a share of what they hold each day; the share is the unknown."""

    def _advance(self, model, unknowns, state, weather, count):
        def day(held, given):
            number, rain = given
            flow = jax.nn.sigmoid(unknowns[0]) * (held + rain)
            live = number < count
            return jnp.where(live, held + rain - flow, held), jnp.where(live, flow, 0.0)

        return jax.lax.scan(day, state, (jnp.arange(weather.depth.shape[0]), weather.depth))


@pytest.mark.parametrize("days", [(25, 25), (12, 25), (None, 25)], ids=["the period itself", "a run-in", "none"])
def test_reverse_mode_goes_through_run_in_and_period(days):
    """Also where the weather of the period is that of the run-in, one and the same object."""
    draw, chunk, cells = np.random.default_rng(0), 10, 3

    def span(number):
        rain = np.concatenate([draw.exponential(1e-4, (number, cells)), np.zeros((chunk, cells))])
        read = lambda day, count: Rain(jnp.arange(chunk), jnp.asarray(rain[day : day + chunk]))  # noqa: E731
        return trial.spans(read, number, chunk)

    period = span(days[1])
    run_in = None if days[0] is None else period if days[0] == days[1] else span(days[0])
    back = Reservoirs(Model(Place(cells)), (), run_in, period, 5)
    goal = jnp.asarray([[900.0, 1500.0, 2000.0], [0.5, 0.4, 0.3]])
    misfit = learning.Misfit(goal, jnp.full((2, cells), 0.1), ("runoff_depth", "baseflow_index"))
    unknowns, state = jnp.asarray(draw.uniform(-1.0, 1.0, (1, cells))), jnp.asarray(draw.exponential(1e-3, cells))
    found = back.gradient(unknowns, state, misfit)
    value = lambda u: float(misfit(back.run(u, state)))  # noqa: E731
    for cell in range(cells):
        step = jnp.zeros((1, cells)).at[0, cell].set(1e-6)
        apart = (value(unknowns + step) - value(unknowns - step)) / 2e-6
        np.testing.assert_allclose(found.by_unknown[0, cell], apart, rtol=1e-5)


@pytest.mark.slow
def test_reverse_mode_through_chunks_is_the_derivative_of_the_coupled_model(tmp_path):
    """Of a target of both signatures by both parameters of every cell, along random directions, against differences."""
    twin_case.write_inputs(tmp_path)
    place = domain_store.open_domain(tmp_path / "domain.nc")
    altitude = np.asarray(place.surface_altitude)

    def span(start, end):
        reader = forcing_store.open_forcing(tmp_path / "forcing.nc", place.grid, altitude, start, end)
        return trial.spans(lambda day, count: reader.read(day, count, padded=10), reader.dates.size, 10)

    model, parameters = Chase.default(place), (free.dcor("D5"), free.baseflow_factor())
    run_in, period = span("1990-03-01", "1990-03-12"), span("1990-03-13", "1990-04-06")
    back = adjoint.Adjoint(model, parameters, run_in, period, 5)
    simulator = trial.Simulator(model, parameters, run_in, period, 5)
    draw = np.random.default_rng(0)
    unknowns = jnp.asarray(draw.uniform(-2.0, -0.5, (2, place.cells)))
    goal = np.stack([np.linspace(200.0, 400.0, place.cells), np.full(place.cells, 0.5)])
    spread = jnp.asarray([[0.1], [0.05]]) * jnp.ones((2, place.cells))
    misfit = learning.Misfit(jnp.asarray(goal), spread, ("runoff_depth", "baseflow_index"))
    state = initial_state(model)
    found = back.gradient(unknowns, state, misfit)
    forward = simulator.run(unknowns, state)[0]
    np.testing.assert_allclose(found.signatures.runoff_depth, forward.runoff_depth, rtol=1e-9)
    assert np.isfinite(found.by_unknown).all()
    assert (np.abs(found.by_unknown).max(axis=1) > 1e-4).all()

    def value(u):
        return float(misfit(back.run(u, state)))

    for _ in range(2):
        way = jnp.asarray(draw.standard_normal(unknowns.shape))
        exact = float(jnp.sum(found.by_unknown * way))
        apart = [abs((value(unknowns + h * way) - value(unknowns - h * way)) / (2.0 * h) - exact) for h in (1e-4, 1e-5)]
        assert min(apart) < 1e-5 * max(abs(exact), 1.0), (exact, apart)
