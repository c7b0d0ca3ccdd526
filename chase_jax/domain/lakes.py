"""Lakes solved in two dimensions: their cells, the faces between them, and the mouths where rivers join.

A cell belongs to the drainage tree or to a patch, never to both. Inside a patch water follows its own surface, so the
drainage edges between patch cells carry no flow; those with one end in a patch are its mouths.
"""

from __future__ import annotations

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import scipy.sparse.csgraph

from chase_jax.domain.grid import Grid
from chase_jax.numerics.graph import EdgeList


class Lakes(eqx.Module):
    """All patches of a domain side by side on one packed axis (lake_cell,); every array may be empty.

    Attributes:
        cell (lake_cell,): Domain cell of each patch cell, 1, increasing.
        position (cell,): Packed number of each domain cell on the lake axis, 1; -1 outside patches.
        area (lake_cell,): Area, m2.
        full_depth (lake_cell,): Water depth when the lake stands at its sill, m, >= 0.
        lake_index (lake_cell,): Number of the lake on the map, 1; 0 for floodplain cells.
        patch (lake_cell,): Number of the connected patch, 1, from 0.
        edges: Faces between patch cells; tail and head count on the lake axis.
        edge_fall (lake_edge,): Bed altitude at the tail minus that at the head, m.
        edge_length (lake_edge,): Distance between the cell centers, m.
        edge_width (lake_edge,): Width of the face, m; where patches touch at a corner, that of a cell.
        edge_direction (2, lake_edge): Unit vector from tail to head along the columns and the rows of the grid, 1.
        mouth_tail (mouth,): Upstream domain cell of each mouth, 1.
        mouth_head (mouth,): Downstream domain cell of each mouth, 1.
        mouth_lake (mouth,): Lake end of each mouth, on the lake axis, 1.
        mouth_river (mouth,): River end of each mouth, domain cell, 1.
        inward (mouth,): Whether the mouth leads into the lake (the tail is the river).
        mouth_fall (mouth,): Bed altitude at the tail minus that at the head, m.
        mouth_sill (mouth,): Crest above the bed of the tail, m, >= 0; no water passes below it.
    """

    cell: jax.Array
    position: jax.Array
    area: jax.Array
    full_depth: jax.Array
    lake_index: jax.Array
    patch: jax.Array
    edges: EdgeList
    edge_fall: jax.Array
    edge_length: jax.Array
    edge_width: jax.Array
    edge_direction: jax.Array
    mouth_tail: jax.Array
    mouth_head: jax.Array
    mouth_lake: jax.Array
    mouth_river: jax.Array
    inward: jax.Array
    mouth_fall: jax.Array
    mouth_sill: jax.Array

    @property
    def member(self) -> jax.Array:
        """Whether each domain cell (cell,) belongs to a patch."""
        return self.position >= 0


def build(
    grid: Grid,
    faces: tuple[np.ndarray, np.ndarray],
    downstream: np.ndarray,
    member: np.ndarray,
    lake_index: np.ndarray,
    cell_area: np.ndarray,
    bed_altitude: np.ndarray,
    sill_altitude: np.ndarray,
) -> Lakes:
    """Patches of a domain whose cells are in post-order.

    Args:
        grid: Grid with the cells in post-order.
        faces: Pairs (tail, head) of cells that share a side.
        downstream (cell,): Next cell, -1 at roots.
        member (cell,): Whether the cell belongs to a patch.
        lake_index (cell,): Number of the lake, 1; 0 for none.
        cell_area (cell,): Area, m2.
        bed_altitude (cell,): Altitude of the channel or lake bed, m.
        sill_altitude (cell,): Altitude of the crest below which a patch cell gives no water to a river, m; NaN: none.

    Returns:
        The patches.
    """
    cell = np.flatnonzero(member)
    position = np.full(member.size, -1, dtype=np.int64)
    position[cell] = np.arange(cell.size)
    tail, head = _links(faces, position, downstream, lake_index)
    spacing = grid.spacing[0]
    way = np.stack([grid.column[head] - grid.column[tail], grid.row[head] - grid.row[tail]]).astype(float)
    cells_apart = np.hypot(*way)
    length = spacing * cells_apart
    patch = connected_components(position[tail], position[head], cell.size)

    crossing = (downstream >= 0) & (member != member[downstream])
    mouth_tail = np.flatnonzero(crossing)
    mouth_head = downstream[mouth_tail]
    inward = member[mouth_head]
    lake_end, river_end = np.where(inward, mouth_head, mouth_tail), np.where(inward, mouth_tail, mouth_head)
    # Rivers enter over their own bed; only the way out of the lake has a crest of its own.
    crest = np.fmax(bed_altitude[mouth_tail], bed_altitude[mouth_head])
    crest = np.where(inward, crest, np.fmax(crest, sill_altitude[mouth_tail]))
    level = _full_level(patch, bed_altitude[cell], sill_altitude[cell], position[lake_end[~inward]], crest[~inward])
    return Lakes(
        cell=_index(cell),
        position=_index(position),
        area=jnp.asarray(cell_area[cell]),
        full_depth=jnp.asarray(np.maximum(level - bed_altitude[cell], 0.0)),
        lake_index=_index(lake_index[cell]),
        patch=_index(patch),
        edges=EdgeList(_index(position[tail]), _index(position[head]), cell.size),
        edge_fall=jnp.asarray(bed_altitude[tail] - bed_altitude[head]),
        edge_length=jnp.asarray(length),
        edge_width=jnp.full(length.shape, spacing),
        edge_direction=jnp.asarray(way / cells_apart),
        mouth_tail=_index(mouth_tail),
        mouth_head=_index(mouth_head),
        mouth_lake=_index(position[lake_end]),
        mouth_river=_index(river_end),
        inward=jnp.asarray(inward),
        mouth_fall=jnp.asarray(bed_altitude[mouth_tail] - bed_altitude[mouth_head]),
        mouth_sill=jnp.asarray(crest - bed_altitude[mouth_tail]),
    )


def cut(lakes: Lakes, start: int, stop: int) -> Lakes:
    """The patches of the domain cells `start .. stop - 1`, with what crosses the divide left out."""
    cell = np.asarray(lakes.cell)
    keep = (cell >= start) & (cell < stop)
    position = np.where(keep, np.cumsum(keep) - 1, -1)
    tail, head = position[np.asarray(lakes.edges.tail)], position[np.asarray(lakes.edges.head)]
    edge = (tail >= 0) & (head >= 0)
    ends = np.stack([lakes.mouth_tail, lakes.mouth_head])
    mouth = ((ends >= start) & (ends < stop)).all(axis=0)
    own = np.asarray(lakes.position)[start:stop]
    count = int(keep.sum())
    return Lakes(
        cell=_index(cell[keep] - start),
        position=_index(np.where(own >= 0, position[own] if cell.size else -1, -1)),
        area=lakes.area[keep],
        full_depth=lakes.full_depth[keep],
        lake_index=lakes.lake_index[keep],
        patch=_index(connected_components(tail[edge], head[edge], count)),
        edges=EdgeList(_index(tail[edge]), _index(head[edge]), count),
        edge_fall=lakes.edge_fall[edge],
        edge_length=lakes.edge_length[edge],
        edge_width=lakes.edge_width[edge],
        edge_direction=lakes.edge_direction[:, edge],
        mouth_tail=lakes.mouth_tail[mouth] - start,
        mouth_head=lakes.mouth_head[mouth] - start,
        mouth_lake=_index(position[np.asarray(lakes.mouth_lake)[mouth]]),
        mouth_river=lakes.mouth_river[mouth] - start,
        inward=lakes.inward[mouth],
        mouth_fall=lakes.mouth_fall[mouth],
        mouth_sill=lakes.mouth_sill[mouth],
    )


def raster_faces(grid: Grid) -> tuple[np.ndarray, np.ndarray]:
    """Pairs (tail, head) of packed cells that share a side, each once, ordered by tail."""
    index = grid.index_raster()
    pairs = [(index[:, :-1], index[:, 1:]), (index[:-1], index[1:])]
    one = np.concatenate([a.ravel() for a, _ in pairs])
    other = np.concatenate([b.ravel() for _, b in pairs])
    both = (one >= 0) & (other >= 0)
    tail, head = np.minimum(one, other)[both], np.maximum(one, other)[both]
    order = np.lexsort((head, tail))
    return tail[order], head[order]


def connected_components(tail: np.ndarray, head: np.ndarray, count: int) -> np.ndarray:
    """Number of the connected component of each of `count` cells joined by edges, from 0."""
    graph = scipy.sparse.coo_array((np.ones(tail.size, bool), (tail, head)), shape=(count, count))
    return scipy.sparse.csgraph.connected_components(graph, directed=False)[1]


def _links(faces, position: np.ndarray, downstream: np.ndarray, lake_index: np.ndarray):
    """Pairs of patch cells that exchange water: shared sides within a lake, and drainage from patch to patch."""
    tail, head = faces
    different = (lake_index[tail] > 0) & (lake_index[head] > 0) & (lake_index[tail] != lake_index[head])
    keep = (position[tail] >= 0) & (position[head] >= 0) & ~different
    tail, head = tail[keep], head[keep]
    component = connected_components(position[tail], position[head], int(position.max(initial=-1)) + 1)
    upper = np.flatnonzero((position >= 0) & (downstream >= 0))
    upper = upper[position[downstream[upper]] >= 0]
    lower = downstream[upper]
    # Drainage between patches that touch at a corner only, or between two lakes: without the link it would be lost.
    apart = component[position[upper]] != component[position[lower]]
    return np.concatenate([tail, upper[apart]]), np.concatenate([head, lower[apart]])


def _full_level(patch, bed, sill, mouth_cell, mouth_crest) -> np.ndarray:
    """Level of each patch cell's lake at its lowest crest, m; the sill or the highest bed where it has no way out."""
    level = np.full(patch.max(initial=-1) + 1, np.inf)
    np.minimum.at(level, patch[mouth_cell], mouth_crest)
    closed = np.full(level.size, -np.inf)
    np.maximum.at(closed, patch, np.fmax(bed, sill))
    return np.where(np.isfinite(level), level, closed)[patch]


def _index(values: np.ndarray) -> jax.Array:
    """Indices as 32-bit integers, 1."""
    return jnp.asarray(np.asarray(values), dtype=jnp.int32)
