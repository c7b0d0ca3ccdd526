"""The domain: everything about the place that does not change with time, on the packed cell axis.

`build` turns raster fields named as in a domain file into a :class:`Domain` and checks what the model relies on:
flow directions are valid, lead to an outlet or sink without loops, and every field is finite and possible. Altitudes
are differenced here, in double precision; only depths and falls reach the model.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np

from chase_jax.checks import InputError, after_number, require, require_shape
from chase_jax.domain import channels, drainage, lakes
from chase_jax.domain.drainage import Drainage
from chase_jax.domain.grid import Grid
from chase_jax.domain.lakes import Lakes
from chase_jax.numerics.graph import EdgeList
from chase_jax.variables import DOMAIN_OPTIONAL, DOMAIN_REQUIRED, VARIABLES

DEFAULTS = {
    "sand_fraction": 0.4,  # 1, a loam
    "clay_fraction": 0.2,  # 1, a loam
    "vegetation_class": 7.0,  # 1, grassland in the USGS legend
    "leaf_area_index": 1.5,  # 1, all months
    "lake_index": 0.0,  # 1, no lake
    "lake_patch": 0.0,  # 1, no patch
    "glacier_fraction": 0.0,  # 1
    "aquifer_thickness": 50.0,  # m
    "specific_yield": 0.1,  # 1, middle of the usual range of 0.02 to 0.25
    "aquifer_conductivity": 1e-5,  # m s-1, fine sand or fractured rock
}
"""What stands where a domain file is silent; channels and lake beds have defaults of their own."""
MAY_BE_MISSING = (
    *("lake_bed_altitude", "lake_sill_altitude"),
    *("channel_bed_altitude", "channel_width", "channel_depth", "channel_length", "sea_level_altitude"),
)
LAKE_DEPTH = 5.0  # m, of a lake patch below the surface where no bed is given; it spills at the bed of its channel
OTHER_UNIT = 1e3  # 1, factor between area and square of the spacing that only another unit makes
LARGEST_CHANNEL_FRACTION = 0.5  # 1, of a cell; wider water should be a lake or a patch


class Faces(eqx.Module):
    """Sides shared by neighboring cells, across which the aquifer flows.

    Attributes:
        edges: Tail and head cell of every shared side; each side once.
        surface_fall (edge,): Land surface at the tail minus that at the head, m.
    """

    edges: EdgeList
    surface_fall: jax.Array


class Domain(eqx.Module):
    """Geometry and static maps of a region; `cell` runs in post-order of the drainage tree.

    Attributes:
        grid: The raster and the raster position of every cell (static).
        cell_area (cell,): Area, m2.
        latitude (cell,): Degrees north.
        longitude (cell,): Degrees east.
        surface_altitude (cell,): Altitude of the land surface, m; for output only.
        land_fraction (cell,): Part of the cell that is neither glacier nor water, 1.
        glacier_fraction (cell,): Part under glacier ice, 1.
        water_fraction (cell,): Part under open water, 1; 1 in lakes and inland sinks.
        glacier_cell (glacier,): Cells with a glacier, 1, increasing.
        drainage: The drainage tree.
        channel_length (cell,): Length of the channel to the next cell, m.
        channel_width (cell,): Bankfull width, m; width times length is the cell area in lakes and inland sinks.
        channel_depth (cell,): Bankfull depth, m.
        bed_depth (cell,): Depth of the channel or lake bed below the land surface, m; negative if it lies above.
        bed_fall (cell,): Bed altitude minus that of the next cell, m; at outlets the fall along the last reach.
        outlet_slope (cell,): Bed slope for normal depth at outlets, 1; zero elsewhere.
        coast (cell,): Whether the cell borders the sea.
        sea_depth (cell,): Depth of the sea level below the land surface on the coast, m; zero elsewhere.
        faces: Sides between cells, for the aquifer.
        lakes: Patches solved in two dimensions.
        lake_index (cell,): Number of the lake the cell belongs to, 1; 0 for none, patch or not.
        vegetation_class (cell,): Land cover, USGS 24-class legend, 1.
        sand_fraction (cell,): Sand in the soil, 1.
        clay_fraction (cell,): Clay in the soil, 1.
        leaf_area_index (month, cell): Leaf area index of the twelve months, 1.
        aquifer_thickness (cell,): Thickness below the soil column, m.
        specific_yield (cell,): Specific yield, 1.
        aquifer_conductivity (cell,): Lateral saturated conductivity, m s-1.
    """

    grid: Grid = eqx.field(static=True)
    cell_area: jax.Array
    latitude: jax.Array
    longitude: jax.Array
    surface_altitude: jax.Array
    land_fraction: jax.Array
    glacier_fraction: jax.Array
    water_fraction: jax.Array
    glacier_cell: jax.Array
    drainage: Drainage
    channel_length: jax.Array
    channel_width: jax.Array
    channel_depth: jax.Array
    bed_depth: jax.Array
    bed_fall: jax.Array
    outlet_slope: jax.Array
    coast: jax.Array
    sea_depth: jax.Array
    faces: Faces
    lakes: Lakes
    lake_index: jax.Array
    vegetation_class: jax.Array
    sand_fraction: jax.Array
    clay_fraction: jax.Array
    leaf_area_index: jax.Array
    aquifer_thickness: jax.Array
    specific_yield: jax.Array
    aquifer_conductivity: jax.Array

    @property
    def cells(self) -> int:
        """Number of cells, 1."""
        return self.grid.cells

    @property
    def sill(self) -> jax.Array:
        """Crest (cell,) of the way out of a patch above the bed of the cell, m; zero where there is none."""
        crest = jnp.where(self.lakes.inward, 0.0, self.lakes.mouth_sill)
        return jnp.zeros_like(self.bed_fall).at[self.lakes.mouth_tail].set(crest)

    @classmethod
    def build(cls, fields: Mapping[str, np.ndarray], grid: Grid) -> Domain:
        """Build and check a domain from raster fields; see :func:`build`."""
        return build(fields, grid)

    def catchment(self, cell: int) -> Domain:
        """The catchment of `cell` as a domain of its own, with `cell` as its outlet; see :func:`catchment`."""
        return catchment(self, cell)


def build(fields: Mapping[str, np.ndarray], grid: Grid) -> Domain:
    """Build and check a domain from raster fields.

    Args:
        fields: Arrays `(y, x)`, `leaf_area_index` `(12, y, x)`, named and in units as in `variables.py`. Needed are
            `active`, `surface_altitude`, `flow_direction` and `cell_area`; for the others see `DEFAULTS`. Names that
            are not in `variables.py` as domain fields are ignored.
        grid: The raster; which of its cells are packed does not matter.

    Returns:
        The domain.

    Raises:
        InputError: A field is missing, impossible or not finite in an active cell, or the drainage is not a forest.
    """
    for name in DOMAIN_REQUIRED:
        require(name in fields, f"Argument `fields` must hold `{name}`, but holds only {sorted(fields)}.")
    width_x, width_y = grid.spacing
    square = 1 in grid.shape or abs(width_x - width_y) <= 1e-3 * width_x
    require(square, f"The raster must have square cells, but they are {width_x:g} m by {width_y:g} m.")
    require_shape(fields["active"], "active", grid.shape)
    row, column = np.nonzero(np.nan_to_num(np.asarray(fields["active"], dtype=np.float64)) > 0.5)
    require(row.size > 0, "Argument `active` must mark at least one cell, but marks none.")
    grid = Grid(grid.x, grid.y, grid.projection, row, column)
    downstream, outlet, sink = drainage.decode(grid, grid.pack(fields["flow_direction"]))
    number, first = drainage.post_order(grid, downstream)
    order = np.argsort(number)  # old cell at each new number
    grid = grid.select(order)
    downstream = np.where(downstream < 0, -1, number[downstream])[order]
    outlet, sink, first = outlet[order], sink[order], first[order]
    packed = {
        name: _packed(fields, name, grid) for name in (*DOMAIN_REQUIRED[3:], "surface_altitude", *DOMAIN_OPTIONAL)
    }
    return _assemble(grid, drainage.build(grid, downstream, first, outlet, sink, packed["cell_area"]), packed)


def _assemble(grid: Grid, tree: Drainage, packed: dict[str, np.ndarray]) -> Domain:
    """Domain of packed fields (cell,) in post-order."""
    area, surface = packed["cell_area"], packed["surface_altitude"]
    downstream = np.asarray(tree.downstream, dtype=np.int64)
    sink = np.asarray(tree.sink)
    lake_index = packed["lake_index"].astype(np.int64)
    patch = packed["lake_patch"] > 0.5
    soil = packed["sand_fraction"] + packed["clay_fraction"]
    _refuse(grid, soil > 1.0 + 1e-6, "sand_fraction + clay_fraction", soil, "at most 1")

    _refuse_units(grid, area)
    given_bed = packed["channel_bed_altitude"]
    above = given_bed > surface
    if above.sum() > 0.5 * area.size:  # fewer are lowered below the land, but these are of another unit or datum
        _refuse(grid, above, "channel_bed_altitude", given_bed, "below surface_altitude, in m above the same datum")

    standing = patch | (lake_index > 0)
    shape = channels.geometry(area, np.asarray(tree.upstream_area), np.asarray(tree.length), standing | sink, packed)
    channel_bed = np.fmin(given_bed, surface - shape.depth)  # the latter where none is given
    lake_bed, sill = packed["lake_bed_altitude"], packed["lake_sill_altitude"]
    lake = patch & (lake_index > 0)
    lake_bed = np.where(lake & np.isnan(lake_bed), surface - LAKE_DEPTH, lake_bed)
    sill = np.where(lake & np.isnan(sill), channel_bed, sill)
    # Lakes on the tree keep the bed of their channel: what lies below their way out is dead storage.
    bed = np.where(patch & ~np.isnan(lake_bed), lake_bed, channel_bed)
    bed = channels.descending_bed(bed, downstream, shape.length, patch, lake_index)
    slope = channels.outlet_slope(bed, tree, shape.length)
    fall = np.where(downstream >= 0, bed - bed[downstream], slope * shape.length)

    water = np.minimum(shape.width * shape.length / area, LARGEST_CHANNEL_FRACTION)
    water = np.where(standing | sink, 1.0, water)
    glacier = np.minimum(packed["glacier_fraction"], 1.0 - water)
    tail, head = lakes.raster_faces(grid)
    sea = packed["sea_level_altitude"]
    coast = ~np.isnan(sea)
    latitude, longitude = grid.geographic()
    real, index = jnp.asarray, lambda values: jnp.asarray(values, dtype=jnp.int32)
    return Domain(
        grid=grid,
        cell_area=real(area),
        latitude=real(latitude),
        longitude=real(longitude),
        surface_altitude=real(surface),
        land_fraction=real(1.0 - water - glacier),
        glacier_fraction=real(glacier),
        water_fraction=real(water),
        glacier_cell=index(np.flatnonzero(glacier > 0.0)),
        drainage=tree,
        channel_length=real(shape.length),
        channel_width=real(shape.width),
        channel_depth=real(shape.depth),
        bed_depth=real(surface - bed),
        bed_fall=real(fall),
        outlet_slope=real(slope),
        coast=jnp.asarray(coast),
        sea_depth=real(np.where(coast, surface - sea, 0.0)),
        faces=Faces(EdgeList(index(tail), index(head), grid.cells), real(surface[tail] - surface[head])),
        lakes=lakes.build(grid, (tail, head), downstream, patch, lake_index, area, bed, sill),
        lake_index=index(lake_index),
        vegetation_class=index(packed["vegetation_class"]),
        **{
            name: real(packed[name])
            for name in (
                "sand_fraction",
                "clay_fraction",
                "leaf_area_index",
                "aquifer_thickness",
                "specific_yield",
                "aquifer_conductivity",
            )
        },
    )


def catchment(domain: Domain, cell: int) -> Domain:
    """The catchment of a cell as a domain of its own.

    Post-order makes it a slice of every field. The cell becomes an outlet with the slope of its own reach; ground
    water and lakes end at the divide.

    Args:
        domain: The domain to cut from.
        cell: Outlet of the catchment, 1.

    Returns:
        Domain of the cells `first[cell] .. cell`.

    Raises:
        InputError: There is no such cell.
    """
    require(0 <= cell < domain.cells, f"Argument `cell` must lie between 0 and {domain.cells - 1}, but is {cell}.")
    domain = jax.tree.map(np.asarray, domain)  # a cut has a shape of its own; NumPy does not compile for it
    start, stop = int(domain.drainage.first[cell]), cell + 1
    inside = slice(start, stop)
    last = np.arange(start, stop) == cell
    tree, faces = domain.drainage, domain.faces
    leaves = bool(tree.downstream[cell] >= 0 or tree.outlet[cell])
    # A lake bed may rise towards its way out; a cut there falls as gently as the flattest channel.
    length = float(domain.channel_length[cell])
    slope = max(float(domain.bed_fall[cell]) / length, channels.MINIMUM_SLOPE) if leaves else 0.0
    glacier = domain.glacier_cell[(domain.glacier_cell >= start) & (domain.glacier_cell < stop)]
    face_edges, kept = faces.edges.subset(start, stop)
    part = dataclasses.replace(
        domain,
        grid=domain.grid.select(inside),
        glacier_cell=glacier - start,
        drainage=drainage.cut(tree, start, stop, leaves),
        faces=Faces(face_edges, faces.surface_fall[kept]),
        lakes=lakes.cut(domain.lakes, start, stop),
        **{name: getattr(domain, name)[..., inside] for name in _per_cell_fields()},
    )
    part = dataclasses.replace(
        part,
        bed_fall=jnp.asarray(np.where(last, slope * length, part.bed_fall)),
        outlet_slope=jnp.asarray(np.where(last, slope, part.outlet_slope)),
    )
    return jax.tree.map(jnp.asarray, part)


def _per_cell_fields() -> list[str]:
    """Names of the fields whose last axis is `cell`."""
    others = ("grid", "drainage", "faces", "lakes", "glacier_cell")
    return [field.name for field in dataclasses.fields(Domain) if field.name not in others]


def _packed(fields: Mapping[str, np.ndarray], name: str, grid: Grid) -> np.ndarray:
    """One field on the cell axis with its default, checked against the valid range of the variable table."""
    months = (12,) if name == "leaf_area_index" else ()
    if name not in fields:
        return np.full((*months, grid.cells), DEFAULTS.get(name, np.nan))
    require_shape(fields[name], name, (*months, *grid.shape))
    values = grid.pack(np.asarray(fields[name], dtype=np.float64))
    known = VARIABLES[name]
    bad = ~((values >= known.valid_min) & (values <= known.valid_max))
    if name in MAY_BE_MISSING:
        bad &= ~np.isnan(values)
    allowed = f"between {known.valid_min:g} and {known.valid_max:g}{after_number(known.units)}"
    _refuse(grid, bad, name, values, allowed)
    return values


def _refuse_units(grid: Grid, area: np.ndarray) -> None:
    """Refuse areas (cell,), m2, that are all in another unit than the axes; constructed ones may differ by much."""
    wide = [width for width, count in zip(grid.spacing, grid.shape[::-1], strict=True) if count > 1]
    if not (grid.projection and wide):
        return
    square = wide[0] ** 2
    slip = (area > OTHER_UNIT * square).all() or (area < square / OTHER_UNIT).all()
    allowed = f"about {square:g} m2, the square of the spacing of x and y in m"
    _refuse(grid, np.full(area.shape, slip), "cell_area", area, allowed)


def _refuse(grid: Grid, bad: np.ndarray, name: str, values: np.ndarray, allowed: str) -> None:
    """Raise an error that names the first bad cell, if any."""
    if bad.any():
        place = np.unravel_index(int(np.argmax(bad)), bad.shape)
        raise InputError(
            f"Argument `{name}` must be {allowed}, but is {values[place]:g} at {grid.place(int(place[-1]))}; "
            f"{int(bad.sum())} value(s) in all."
        )
