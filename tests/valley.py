"""A small generated landscape for tests: raster fields as a domain file holds them."""

from __future__ import annotations

import heapq

import numpy as np

from chase_jax.domain.domain import Domain, build
from chase_jax.domain.grid import STEPS_D8, Grid

LAEA_EUROPE = {
    "grid_mapping_name": "lambert_azimuthal_equal_area",
    "latitude_of_projection_origin": 52.0,
    "longitude_of_projection_origin": 10.0,
    "false_easting": 4321000.0,
    "false_northing": 3210000.0,
    "semi_major_axis": 6378137.0,
    "inverse_flattening": 298.257222101,
}


def flow_directions(altitude, active, seeds):
    """Flow direction of every active cell towards the seed it is flooded from; `seeds` maps (row, column) to a code."""
    code = np.zeros(altitude.shape, dtype=int)
    done = np.zeros(altitude.shape, dtype=bool)
    queue = []
    for place, value in seeds.items():
        code[place], done[place] = value, True
        heapq.heappush(queue, (altitude[place], place))
    while queue:
        _, (row, column) = heapq.heappop(queue)
        for direction, (north, east) in STEPS_D8.items():
            # The neighbor flows back against the step; rows run southward.
            place = (row + north, column - east)
            inside = 0 <= place[0] < altitude.shape[0] and 0 <= place[1] < altitude.shape[1]
            if inside and active[place] and not done[place]:
                code[place], done[place] = direction, True
                heapq.heappush(queue, (altitude[place], place))
    return code


def valley_fields(size=12, seed=0, lake=True):
    """Two rivers to the south, an inland sink in the north-east, and a lake on the larger river."""
    rng = np.random.default_rng(seed)
    row, column = np.indices((size, size))
    altitude = 100.0 + 8.0 * (size - row) + 6.0 * np.abs(column - size // 3) + rng.uniform(0.0, 5.0, row.shape)
    altitude[1, -2] -= 60.0
    active = np.ones(row.shape)
    active[0, 0] = active[-1, -1] = 0
    seeds = {(size - 1, size // 3): 0, (size - 1, size - 3): 0, (1, size - 2): 255}
    code = flow_directions(altitude, active > 0, seeds)
    inside = (np.abs(row - size // 2) <= 1) & (np.abs(column - size // 3) <= 1) & lake
    altitude[inside] = altitude[inside].min(initial=np.inf)
    fields = {
        "active": active,
        "surface_altitude": altitude,
        "flow_direction": code.astype(float),
        "cell_area": np.full(row.shape, 1e6),
        "lake_patch": inside.astype(float),
        "lake_index": inside.astype(float),
        "glacier_fraction": np.where(row < 2, 0.3, 0.0),
    }
    grid = Grid(4.1e6 + 1000.0 * np.arange(size), 2.9e6 - 1000.0 * np.arange(size), LAEA_EUROPE)
    return fields, grid


def valley(size=12, seed=0, lake=True) -> Domain:
    """The landscape as a domain."""
    return build(*valley_fields(size, seed, lake))
