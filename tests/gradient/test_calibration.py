"""Derivatives of signatures by the unknowns of a cell, through a run-in and a period, against differences."""

from __future__ import annotations

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
