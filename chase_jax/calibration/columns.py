"""Closed columns: some cells of a model as a model of its own in which no cell sees another.

Every cell keeps its land, its aquifer and its channel, whose water leaves the domain at once. What is missing is what
comes from elsewhere: ground water from neighbors and the water of the river upstream, which raises the river and may
seep. A derivative by a parameter of every cell is then one tangent, because outputs of a cell depend on its own
parameters alone.
"""

from __future__ import annotations

import dataclasses
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from chase_jax import constants as const
from chase_jax.checks import require
from chase_jax.domain import channels, lakes
from chase_jax.domain.domain import Domain, Faces
from chase_jax.domain.drainage import Drainage
from chase_jax.model.chase import Chase
from chase_jax.model.containers import Parameters, Solvers, State
from chase_jax.numerics.graph import EdgeList
from chase_jax.numerics.tree import Tree
from chase_jax.physics import groundwater

LEAST_LAND = 0.1  # 1, part of a cell that must be land for its parameters to be sought


def calibrated_cells(domain: Domain) -> np.ndarray:
    """Cells (calibrated,) whose parameters may be sought: land without glacier, lake or inland sink, 1.

    Args:
        domain: The domain.
    """
    land_share, glacier = np.asarray(domain.land_fraction), np.asarray(domain.glacier_fraction)
    watery = np.asarray(domain.lakes.member) | (np.asarray(domain.lake_index) > 0) | np.asarray(domain.drainage.sink)
    return np.flatnonzero((land_share >= LEAST_LAND) & (glacier == 0.0) & ~watery)


def closed(model: Chase, cells: np.ndarray) -> Chase:
    """The closed columns of some cells of a model, with its parameters and options.

    Args:
        model: The model.
        cells (calibrated,): Its cells, increasing, none of them with a glacier.
    """
    cells = np.asarray(cells)
    require(cells.size > 0, "Argument `cells` must name at least one cell, but names none.")
    domain = _closed_domain(model.domain, cells)
    p = model.parameters
    part = Parameters(
        land=_at(p.land, cells),
        glacier=_at(p.glacier, np.zeros(0, int)),
        aquifer=_at(p.aquifer, cells),
        seepage=_at(p.seepage, cells),
        channel=_at(p.channel, cells),
    )
    # Alone in its cell, water leaves within the interval between exchanges; there is nothing to resolve within it.
    solver = Tree(const.SECONDS_PER_DAY / model.options.land_substeps)
    solvers = Solvers(solver, groundwater.Explicit(), model.solvers.lake)
    return Chase(domain, part, solvers, model.options)


def with_columns(state: State, part: State, cells: np.ndarray) -> State:
    """The stores of a model with land and aquifer of some cells taken from their closed columns.

    Args:
        state: Stores of the model.
        part: Stores of the closed columns.
        cells (calibrated,): Its cells, increasing.
    """
    land_stores, storage = jax.tree.map(
        lambda whole, leaf: whole.at[..., cells].set(leaf),
        (state.land, state.aquifer),
        (part.land, part.aquifer),
    )
    return State(land_stores, state.glacier, storage, state.water)


def _at(tree: Any, cells: np.ndarray) -> Any:
    """Leaves (..., cell) at some cells."""
    return jax.tree.map(lambda leaf: leaf[..., cells] if jnp.ndim(leaf) else leaf, tree)


def _closed_domain(domain: Domain, cells: np.ndarray) -> Domain:
    """The cells as a domain of outlets without neighbors."""
    domain = jax.tree.map(np.asarray, domain)
    grid = domain.grid.select(cells)
    number, tree = cells.size, domain.drainage
    own = np.arange(number)
    alone = np.full(number, -1)
    slope = np.maximum(domain.bed_fall[cells] / domain.channel_length[cells], channels.MINIMUM_SLOPE)
    nowhere = jnp.zeros(0, dtype=jnp.int32)
    no_edges = EdgeList(nowhere, nowhere, number)
    drainage = Drainage(
        downstream=jnp.asarray(alone, dtype=jnp.int32),
        first=jnp.asarray(own, dtype=jnp.int32),
        outlet=jnp.ones(number, bool),
        sink=jnp.zeros(number, bool),
        length=jnp.asarray(tree.length[cells]),
        upstream_area=jnp.asarray(domain.cell_area[cells]),
        strahler_order=jnp.ones(number, dtype=jnp.int32),
        edges=no_edges,
    )
    no_faces = (np.zeros(0, np.int64), np.zeros(0, np.int64))
    unset = np.full(number, np.nan)
    area, nowhere_wet = np.asarray(domain.cell_area[cells]), np.zeros(number, bool)
    no_lakes = lakes.build(grid, no_faces, alone, nowhere_wet, np.zeros(number, int), area, unset, unset)
    others = ("grid", "drainage", "faces", "lakes", "glacier_cell")
    fields = {f.name: getattr(domain, f.name)[..., cells] for f in dataclasses.fields(Domain) if f.name not in others}
    fields |= {
        "bed_fall": slope * domain.channel_length[cells],
        "outlet_slope": slope,
        "lake_index": np.zeros(number, np.int32),
    }
    return Domain(
        grid=grid,
        drainage=drainage,
        faces=Faces(no_edges, jnp.zeros(0)),
        lakes=no_lakes,
        glacier_cell=nowhere,
        **{name: jnp.asarray(value) for name, value in fields.items()},
    )


def taken(tree: Any, cells: np.ndarray, total: int) -> Any:
    """Leaves (..., cell) at some of all columns; other leaves as they are.

    Args:
        tree: Stores, weather or derivatives of all columns.
        cells (chosen,): Numbers of the columns.
        total: Number of all columns.
    """
    return jax.tree.map(lambda leaf: leaf[..., cells] if _per_cell(leaf, total) else leaf, tree)


def placed(tree: Any, part: Any, cells: np.ndarray, total: int) -> Any:
    """Leaves of all columns with those of some replaced.

    Args:
        tree: As of :func:`taken`.
        part: What is to be put in, as :func:`taken` gives it.
        cells (chosen,): Numbers of the columns.
        total: Number of all columns.
    """
    if cells.size == total:
        return part
    put = lambda whole, leaf: whole.at[..., cells].set(leaf) if _per_cell(whole, total) else whole  # noqa: E731
    return jax.tree.map(put, tree, part)


def _per_cell(leaf: jax.Array, total: int) -> bool:
    return bool(leaf.ndim) and leaf.shape[-1] == total
