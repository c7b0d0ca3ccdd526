"""Rivers and lakes alone, driven by what land and aquifer gave them in a run of the whole model.

Roughness decides on how water travels, and hardly on how much of it there is. So the whole model runs once, its daily
inflow into the channels is kept, and trials of roughness replay it at a small part of the cost. What that leaves out is
the course of the inflow within the day and the answer of seepage to a changed river; a run of the whole model with the
roughness found tells how much that is.
"""

from __future__ import annotations

import equinox as eqx
import jax
import numpy as np

from chase_jax import constants as const
from chase_jax.domain.domain import Domain
from chase_jax.model import surface_water
from chase_jax.model.chase import Chase
from chase_jax.physics import channel


def channel_inflow(
    domain: Domain, runoff: np.ndarray, precipitation: np.ndarray, open_water_evaporation: np.ndarray
) -> np.ndarray:
    """What rivers and lakes receive (day, cell), m3 s-1.

    Args:
        domain: The domain.
        runoff (day, cell): From land, glacier and aquifer, kg m-2 s-1.
        precipitation (day, cell): On the whole cell, kg m-2 s-1.
        open_water_evaporation (day, cell): From rivers and lakes, kg m-2 s-1.
    """
    net = runoff + precipitation * np.asarray(domain.water_fraction) - open_water_evaporation
    return net * np.asarray(domain.cell_area) / const.WATER_DENSITY


def replay(
    model: Chase, parameters: channel.Parameters, water: surface_water.State, inflow: jax.Array, gauges: jax.Array
) -> jax.Array:
    """Daily discharge (day, gauge), m3 s-1, that a stored inflow makes; pure, with derivatives both ways.

    Args:
        model: The model, for its geometry and solvers.
        parameters: Channels.
        water: Water in rivers and lakes at the start.
        inflow (day, cell): What they receive, m3 s-1.
        gauges (gauge,): Cells of the gauges.
    """

    def day(water: surface_water.State, lateral: jax.Array):
        water, flow = surface_water.step(
            parameters,
            model.geometry,
            water,
            lateral,
            const.SECONDS_PER_DAY,
            model.solvers.reach,
            model.solvers.lake,
        )
        return water, flow.discharge[gauges]

    return jax.lax.scan(jax.checkpoint(day, prevent_cse=False), water, inflow)[1]


class Basins(eqx.Module):
    """Gauges and the cells between each and those upstream of it.

    Attributes:
        group (cell,): Number of the first gauge downstream of every cell, -1 where there is none.
        levels: Gauges (gauge,) that may be treated at a time, upstream ones first: none of them lies upstream of
            another of its level, and all that lie upstream of it stand in earlier levels.
    """

    group: np.ndarray
    levels: tuple[np.ndarray, ...]


def basins(domain: Domain, gauges: np.ndarray) -> Basins:
    """Divide a domain between its gauges.

    Args:
        domain: The domain.
        gauges (gauge,): Cells of the gauges, all different.
    """
    gauges = np.asarray(gauges)
    first = np.asarray(domain.drainage.first)
    group = np.full(domain.cells, -1, np.int32)
    for number in np.argsort(-gauges, kind="stable"):  # downstream ones first, so that upstream ones overwrite
        group[first[gauges[number]] : gauges[number] + 1] = number
    upstream = (first[gauges][None, :] <= gauges[:, None]) & (gauges[:, None] < gauges[None, :])  # of column by row
    depth = np.zeros(gauges.size, int)
    for number in np.argsort(gauges, kind="stable"):
        depth[number] = max((depth[k] + 1 for k in np.flatnonzero(upstream[:, number])), default=0)
    return Basins(group, tuple(np.flatnonzero(depth == level) for level in range(depth.max(initial=-1) + 1)))
