"""Both solvers of the rivers, as they come, against short and iterated steps, in floods of the demo and the Moselle."""

from __future__ import annotations

import equinox as eqx
import helpers
import jax
import numpy as np
import pytest

from chase_jax import constants as const
from chase_jax import demo
from chase_jax.io import domain_store, forcing_store, gauge_store
from chase_jax.model import chase, initial, surface_water
from chase_jax.numerics.tree import Tree

LEAST_SKILL, LEAST_PEAK = 0.999, 0.97  # 1, Nash-Sutcliffe efficiency and ratio of peaks
REFERENCE = Tree(300.0, iterations=3)


def compare(paths, start, end):
    """Skill and peak ratio of daily discharge at the gauges (gauge,), by solver."""
    domain = domain_store.open_domain(paths["domain"])
    gauges = gauge_store.read_gauges(paths["gauges"], domain.grid)
    reader = forcing_store.open_forcing(
        paths["forcing"], domain.grid, np.asarray(domain.surface_altitude), start, end, 0.0065
    )
    forcing = reader.read(0, reader.dates.size)
    model = chase.Chase.default(domain)
    state = initial.initial_state(model)
    interval = const.SECONDS_PER_DAY / model.options.land_substeps

    def discharge(solver):
        changed = eqx.tree_at(lambda m: m.solvers.reach, model, solver, is_leaf=lambda x: x is model.solvers.reach)
        record = chase.at_gauges(gauges.cell)
        return np.asarray(jax.jit(lambda s, f: chase.run(changed, s, f, record=record).record)(state, forcing))

    expected = discharge(REFERENCE)
    found = {}
    for reach in ("tree", "jacobi"):
        solver, report = surface_water.choose_solver(model.parameters.channel, model.geometry, reach, interval)
        daily = discharge(solver)
        error, spread = ((daily - expected) ** 2).sum(0), ((expected - expected.mean(0)) ** 2).sum(0)
        found[reach] = 1.0 - error / spread, daily.max(0) / expected.max(0)
        print(report, f"skill {found[reach][0].round(6)}, peaks {found[reach][1].round(4)}", sep="\n")
    return found, expected


def check(found):
    for reach, (skill, peak) in found.items():
        assert (skill >= LEAST_SKILL).all(), (reach, skill)
        assert (peak >= LEAST_PEAK).all(), (reach, peak)
        assert (peak <= 2.0 - LEAST_PEAK).all(), (reach, peak)


@pytest.mark.slow
def test_in_the_flood_of_the_demo(tmp_path):
    found, expected = compare(demo.write(tmp_path), "2001-06-15", "2001-08-13")
    assert (expected.max(0) > 2.0 * expected.mean(0)).any()
    check(found)


@pytest.mark.slow
@pytest.mark.real_data
def test_in_the_flood_of_december_1993_on_the_moselle(real_data, tmp_path):
    from data_prep import moselle

    found, expected = compare(moselle.prepare(real_data, tmp_path), "1993-11-15", "1993-12-31")
    assert expected.max() > 3.0 * np.median(expected)
    check(found)


@pytest.fixture(scope="module")
def experiment():
    return helpers.experiment("reach_solvers")


def judge(experiment, case):
    table = experiment.compare(case, experiment.defaults(case)).iloc[1:]
    assert (1.0 - table["largest 1 - skill"] >= LEAST_SKILL).all(), table
    assert (table["lowest peak"] >= LEAST_PEAK).all(), table
    assert (table["highest peak"] <= 2.0 - LEAST_PEAK).all(), table


@pytest.mark.slow
def test_on_a_flat_main_river_of_2000_km(experiment):
    judge(experiment, experiment.stem(rows=6, days=16))


@pytest.mark.slow
@pytest.mark.real_data
def test_on_otta_with_its_lakes(real_data, experiment, monkeypatch):
    monkeypatch.setenv("CHASE_DATA", str(real_data))
    judge(experiment, experiment.otta(days=6))
