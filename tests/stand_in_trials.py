"""A stand-in for the trials of a calibration on maps: runoff and index are simple functions of both parameters."""

from __future__ import annotations

import jax.numpy as jnp
import numpy as np
import small_case

from chase_jax.calibration.trial import Outcome
from chase_jax.io import domain_store, parameter_store, store

HIDDEN = (0.35, 0.02)  # dcor and baseflow factor that the maps of the stand-in are made of


class StandIn:
    """Runoff and index are functions of the parameters, and of the stores by very little, as in a real trial."""

    calls = 0

    def __init__(self, model, free, run_in, period, interval_days, cycles=4, at_once=1):
        self.model, self.free = model, tuple(free)
        self.run_in_days = self.days = period.days

    def equilibrium(self, unknowns, state, cycles):
        return state

    def settled(self, unknowns, state, cycles):
        found = self.run(unknowns, state)[0]
        StandIn.calls -= 1  # what repeats the run-in is no trial
        return state, found

    @staticmethod
    def values(dcor, factor):
        return 200.0 + 700.0 * dcor**1.2, 0.9 * (1 - dcor) / (1.0 + 0.02 / factor) + 0.02

    def run(self, unknowns, state, cycles=None, slopes=False):
        StandIn.calls += 1
        group = self.free[0].group

        def of(u):
            dcor, factor = (one.transform.decode(row) for one, row in zip(self.free, u, strict=True))
            return jnp.stack(self.values(dcor, factor))

        found = np.asarray(of(jnp.asarray(unknowns)))
        along = None
        if slopes:
            step = 1e-6
            along = np.stack([(np.asarray(of(jnp.asarray(unknowns).at[k].add(step))) - found) / step for k in (0, 1)])
        if group is not None:
            found = found[:, np.maximum(group, 0)]
        cells = found.shape[1]
        return Outcome(*found, np.zeros(cells), np.array(5.5 if slopes else 1.0), along), state

    def run_with_slopes(self, unknowns, state):
        return self.run(unknowns, state, slopes=True)


def maps(folder, edit=lambda data: data):
    """Maps of the hidden parameters, changed by `edit`, and the words that name all inputs."""
    words = small_case.write(folder)
    place = domain_store.open_domain(folder / "domain.nc")
    data = domain_store.frame(place.grid)
    for name, value in zip(("runoff_depth", "baseflow_index"), StandIn.values(*HIDDEN), strict=True):
        data[name] = domain_store.map_of(place.grid, np.full(place.cells, value))
    data["baseflow_index"].attrs["interval_days"] = 5
    store.write_dataset(edit(data), folder / "maps.nc", "A test")
    return [*words, f"maps.path={folder}/maps.nc"]


def read(folder):
    place = domain_store.open_domain(folder / "domain.nc")
    return place, parameter_store.read_parameters(folder / "run" / "parameters.nc", place.grid, "D5")
