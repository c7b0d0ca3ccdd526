"""Derivatives of daily discharge by parameters and factors of the whole model against differences."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import skies
import twin_case
import valley
import xarray as xr

from chase_jax.calibration import columns, free, hydrographs, trial
from chase_jax.io import domain_store, forcing_store, store
from chase_jax.model import adjustable
from chase_jax.model.chase import Chase
from chase_jax.model.initial import initial_state
from chase_jax.model.lake_record import LakeRecord

LAKE_STEPS = (1e-2, 1e-3, 1e-4)
STEPS = (1e-3, 1e-4, 1e-5)  # of an unknown; the best one counts


@pytest.mark.slow
def test_discharge_by_every_parameter_and_factor(tmp_path):
    twin_case.write_inputs(tmp_path)
    fields = xr.load_dataset(tmp_path / "domain.nc")
    fields["channel_bed_altitude"] -= 10.0  # deep enough for ground water to seep into the rivers
    store.write_dataset(fields, tmp_path / "incised.nc", "A test")
    place = domain_store.open_domain(tmp_path / "incised.nc")
    model = Chase.default(place)
    altitude = np.asarray(place.surface_altitude)

    def span(first, last):
        reader = forcing_store.open_forcing(tmp_path / "forcing.nc", place.grid, altitude, first, last)
        return trial.spans(lambda day, count: reader.read(day, count, padded=31), reader.dates.size)

    names = (*adjustable.VALUES, *adjustable.FACTORS)
    sought = {name: free.named(name, support="domain") for name in names}
    gauges = np.array([int(place.cells) - 1, 5])
    spans = span("1990-04-01", "1990-04-30"), span("1990-05-01", "1990-06-15")
    simulator = hydrographs.Simulator(model, sought, gauges, initial_state(model), *spans)
    at = simulator.encode()
    at[names.index("bypass_fraction")] = -2.0  # off its bound, where it has an effect
    discharge, slopes = simulator.run_with_slopes(at)
    np.testing.assert_allclose(discharge, simulator.run(at), rtol=1e-12)
    assert slopes.shape == (len(names), 46, 2)
    for row, name in enumerate(names):
        size = np.abs(slopes[row]).max()
        assert size > 0.0, name
        direction = np.eye(len(names))[row]
        off = []
        for step in STEPS:
            up, down = (simulator.run(at + sign * step * direction) for sign in (1.0, -1.0))
            off.append(np.abs((up - down) / (2.0 * step) - slopes[row]).max() / size)
        assert min(off) < 1e-4, (name, off)


@pytest.mark.slow
def test_level_of_a_lake_is_that_of_the_run_and_its_derivative_that_of_differences():
    place = valley.valley()
    model, start = Chase.default(place), initial_state(Chase.default(place))
    days = [skies.random_forcing(seed, place.cells, day_of_year=120 + seed) for seed in range(4)]
    weather = jax.tree.map(lambda *leaves: jnp.stack(leaves), *days)
    lake = int(np.asarray(place.lake_index).max())
    mouth = int(np.flatnonzero(np.asarray(place.lake_index) == lake)[-1])
    sought = {name: free.named(name, support="domain") for name in ("manning_roughness", "dcor")}
    span = trial.Span(lambda k: (weather, len(days)), 1, len(days))
    simulator = hydrographs.Simulator(model, sought, np.array([mouth]), start, None, span, (lake, lake))
    at = simulator.encode()
    series, slopes = simulator.run_with_slopes(at)

    record, state, levels, flow = LakeRecord(place), start, [], []
    assert record.numbers == (lake,)
    for today in days:
        state, fluxes = model.step(state, today)
        levels.append(float(record.series(model, state, fluxes)["lake_level"][0]))
        flow.append(float(fluxes.discharge[mouth]))
    np.testing.assert_allclose(series, np.column_stack([flow, levels, levels]), rtol=1e-9)
    assert np.ptp(levels) > 1e-3
    for row, direction in enumerate(np.eye(2)):
        size, off = np.abs(slopes[row]).max(axis=0), []
        assert (size > 0.0).all()
        for step in LAKE_STEPS:
            up, down = (simulator.run(at + sign * step * direction) for sign in (1.0, -1.0))
            off.append((np.abs((up - down) / (2.0 * step) - slopes[row]).max(axis=0) / size).max())
        assert min(off) < 1e-5, (row, off)


@pytest.mark.slow
def test_catchments_apart_share_tangents_and_keep_their_own_derivatives():
    """Two parameters of each of six closed columns: two tangents, and the derivatives of differences."""
    place = valley.valley()
    cells = columns.calibrated_cells(place)[:6]
    model = columns.closed(Chase.default(place), cells)
    days = [skies.random_forcing(seed, cells.size, day_of_year=120 + seed) for seed in range(6)]
    weather = jax.tree.map(lambda *leaves: jnp.stack(leaves), *days)
    span = trial.Span(lambda k: (weather, len(days)), 1, len(days))
    group = jnp.arange(cells.size, dtype=jnp.int32)
    sought = {name: free.named(name, support="basin", group=group) for name in ("dcor", "bed_conductance_factor")}
    simulator = hydrographs.Simulator(model, sought, np.arange(cells.size), initial_state(model), None, span)
    at = simulator.encode()
    assert simulator.tangents == 2
    slopes, own = simulator.run_with_slopes(at)[1], simulator.run_with_own_slopes(at)[1]
    assert slopes.shape == (12, len(days), cells.size)
    np.testing.assert_array_equal(own[1, :, 2], slopes[8, :, 2])
    for unknown in (1, 4, 6, 11):
        off = []
        for step in STEPS:
            moved = step * np.eye(12)[unknown]
            up, down = (simulator.run(at + sign * moved) for sign in (1.0, -1.0))
            off.append(np.abs((up - down) / (2.0 * step) - slopes[unknown]).max() / np.abs(slopes[unknown]).max())
        assert min(off) < 1e-4, (unknown, off)
