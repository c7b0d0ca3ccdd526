"""Fine pixels of a drainage map on a coarser projected grid, in squares of pixels one at a time.

The result is that of :func:`data_prep.hydrography.upscale_to` and :func:`data_prep.hydrography.reconnect` for all of
them at once, but memory holds one square (:data:`SIDE` pixels a side) and maps of the coarse cells. Four passes:

1. the area of the pixels in every coarse cell, so that cells of which the region holds less than half are left out;
2. sums over the land of every cell, and for every square where water that enters over its rim leaves it again;
3. with the water that enters from other squares, the accumulation, and so the exit of every cell;
4. the ways from exit to exit, in squares widened by the cells around.

Between the second and the third the water is passed on from rim to rim, as barnes2017 does. A loop within a square is
opened as :func:`data_prep.hydrography.repair` does; one that crosses a rim is refused.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
import pyproj

from chase_jax.checks import require
from data_prep import hydrography, merit, rasters

SIDE = 2048  # pixels
REACH = 3.5  # cells, from the exit of a cell to beyond its neighbours, whatever the angle between both grids
SLOPE_RIM = 2  # pixels around a square, for slopes at its edge
Window = tuple[slice, slice]


@dataclass
class Square:
    """Pixels of a square and of a rim around it, all in the order of rows (pixel,).

    Attributes:
        window: Rows and columns of the region, with the rim.
        core: Rows and columns of the square within the window.
        block: Flat index of the coarse cell.
        northing, easting: Place, m.
        land: Pixels of the domain.
        direction: D8 codes; outlets where water leaves the land.
    """

    window: Window
    core: Window
    block: np.ndarray
    northing: np.ndarray
    easting: np.ndarray
    land: np.ndarray
    direction: np.ndarray

    @property
    def shape(self) -> tuple[int, int]:
        """Rows and columns of the window."""
        return self.window[0].stop - self.window[0].start, self.window[1].stop - self.window[1].start

    def of_core(self, values: np.ndarray) -> np.ndarray:
        """Values (pixel,) of the square alone. Argument: values (pixel,) of the window."""
        return values.reshape(self.shape)[self.core].ravel()


@dataclass
class Rim:
    """How a square passes water on.

    Attributes:
        entry (pixel,): Number in the region of the pixels at the edge of the square.
        end (pixel,): Number of the pixel at which water from there ends or leaves the square.
        leaving (leaving,): Number of the pixels from which water leaves the square.
        target (leaving,): Number of the pixels of other squares that it enters.
        total (2, leaving): Pixels and area, m2, of the square that drain through them.
    """

    entry: np.ndarray
    end: np.ndarray
    leaving: np.ndarray
    target: np.ndarray
    total: np.ndarray


@dataclass
class Grid:
    """A region of pixels and the coarse grid about it.

    Attributes:
        mosaic: The maps of the region.
        x (column,), y (row,): Centers of the coarse cells, m.
        crs: The projection.
        size: Width of a cell, m.
        side: Pixels along a side of a square.
        held (cell,): Cells that the region holds at least half of; all before that is known.
        mended: Number in the region and code of pixels whose direction was repaired.
    """

    mosaic: merit.Mosaic
    x: np.ndarray
    y: np.ndarray
    crs: str
    size: float
    side: int
    held: np.ndarray
    mended: list[tuple[int, int]] = field(default_factory=list)

    @classmethod
    def of(cls, mosaic: merit.Mosaic, resolution: float, side: int = SIDE) -> Grid:
        """The equal-area grid about the middle of a region.

        Args:
            mosaic: The maps of the region.
            resolution: Width of a cell, m.
            side: Pixels along a side of a square.
        """
        lat, lon = mosaic.latitude, mosaic.longitude
        middle = round(float(lat.mean()), 2), round(float(lon.mean()), 2)
        crs = f"+proj=laea +lat_0={middle[0]} +lon_0={middle[1]} +datum=WGS84 +units=m"
        # the farthest places of a region lie on its edge
        around = [(lat[:1], lon), (lat[-1:], lon), (lat, lon[:1]), (lat, lon[-1:])]
        change = pyproj.Transformer.from_crs(4326, crs, always_xy=True)
        east, north = (
            np.concatenate(parts)
            for parts in zip(
                *(change.transform(*(k.ravel() for k in np.meshgrid(b, a))) for a, b in around), strict=True
            )
        )
        west, right = (np.floor(k / resolution) * resolution for k in (east.min(), east.max()))
        bottom, top = (np.floor(k / resolution) * resolution for k in (north.min(), north.max()))
        x = np.arange(west, right + resolution, resolution) + resolution / 2
        y = np.arange(top, bottom - resolution, -resolution) + resolution / 2
        return cls(mosaic, x, y, crs, resolution, side, np.ones(x.size * y.size, bool))

    @property
    def shape(self) -> tuple[int, int]:
        """Rows and columns of the coarse grid."""
        return self.y.size, self.x.size

    @property
    def cells(self) -> int:
        """Number of coarse cells."""
        return self.x.size * self.y.size

    @property
    def pixel_area(self) -> np.ndarray:
        """Area (pixel row, 1) of the pixels, m2."""
        return rasters.pixel_area(self.mosaic.latitude, self.mosaic.longitude[:2])[:, :1]

    @property
    def rim(self) -> int:
        """Pixels around a square within which all ways from its exits to beyond the neighbours of their cells lie."""
        lat, lon = self.mosaic.latitude, self.mosaic.longitude
        step = np.deg2rad(lon[1] - lon[0]) * rasters.EARTH_RADIUS * np.cos(np.deg2rad(np.abs(lat).max()))
        return int(np.ceil(REACH * self.size / step)) + 2

    def squares(self) -> list[Window]:
        """Rows and columns of all squares of the region."""
        rows, columns = self.mosaic.shape
        return [
            (slice(top, min(top + self.side, rows)), slice(left, min(left + self.side, columns)))
            for top in range(0, rows, self.side)
            for left in range(0, columns, self.side)
        ]

    def load(self, core: Window, rim: int) -> Square:
        """The pixels of a square. Arguments: core, its rows and columns; rim, pixels around it."""
        wide = [
            slice(max(part.start - rim, 0), min(part.stop + rim, size))
            for part, size in zip(core, self.mosaic.shape, strict=True)
        ]
        window = wide[0], wide[1]
        codes, land = self.mosaic.directions(*window)
        change = pyproj.Transformer.from_crs(4326, self.crs, always_xy=True)
        place = np.meshgrid(self.mosaic.longitude[window[1]], self.mosaic.latitude[window[0]])
        east, north = (axis.ravel() for axis in change.transform(*place))
        column = ((east - (self.x[0] - self.size / 2)) // self.size).astype(int).clip(0, self.x.size - 1)
        row = ((self.y[0] + self.size / 2 - north) // self.size).astype(int).clip(0, self.y.size - 1)
        block = row * self.x.size + column
        land &= self.held[block].reshape(land.shape)
        own = tuple(slice(c.start - w.start, c.stop - w.start) for c, w in zip(core, window, strict=True))
        direction = self._opened(codes, land, window)
        return Square(window, (own[0], own[1]), block, north, east, land.ravel(), direction.ravel())

    def _opened(self, codes: np.ndarray, land: np.ndarray, window: Window) -> np.ndarray:
        """Directions (row, column) that end where they leave the land, but not where they leave the window alone."""
        direction = hydrography.open_ends(codes, land)
        for edge in (np.s_[0], np.s_[-1], np.s_[:, 0], np.s_[:, -1]):
            # water that leaves the window flows on; what the rim makes of itself does not matter
            direction[edge] = np.where(land[edge], codes[edge], hydrography.OUTLET)
        for number, code in self.mended:
            place = np.subtract(divmod(number, self.mosaic.shape[1]), (window[0].start, window[1].start))
            if (place >= 0).all() and (place < land.shape).all():
                direction[tuple(place)] = code
        return direction

    def numbers(self, window: Window) -> np.ndarray:
        """Numbers (pixel,) in the region of the pixels of a window."""
        rows, columns = (np.arange(part.start, part.stop) for part in window)
        return (rows[:, None] * self.mosaic.shape[1] + columns).ravel()


@dataclass
class Land:
    """What pixels tell of the coarse cells, maps (row, column), and of their drainage.

    Attributes:
        drainage: The coarse network; exits are numbers of pixels in the region, lengths in m.
        pixels: Number of pixels of land.
        area: Their area, m2.
        altitude: Their mean altitude, m, NaN without any.
        slope: Their mean slope, 1.
        exit_altitude: Altitude of the exit, m, NaN outside the domain.
        exit_width: Width of the river there, m, NaN where unknown; None without such maps.
        exit_upstream: Area upstream of it as the source tells it, km2; None without such maps.
        exit_area: Area upstream of it within the region, m2.
    """

    drainage: hydrography.Upscaled
    pixels: np.ndarray
    area: np.ndarray
    altitude: np.ndarray
    slope: np.ndarray
    exit_altitude: np.ndarray
    exit_width: np.ndarray | None
    exit_upstream: np.ndarray | None
    exit_area: np.ndarray


def survey(grid: Grid, corrections: hydrography.Corrections) -> Land:
    """Drainage, terrain and river widths of the coarse cells; `grid` learns which cells the region holds.

    Args:
        grid: The region.
        corrections: Record that every change is added to.

    Raises:
        InputError: If a tile cannot be read, the region holds no land, or a loop crosses the rim of a square.
    """
    grid.held = _held(grid)
    sums, rims = _sums(grid, corrections)
    require(bool(sums[0].sum()), f"{grid.mosaic.folder}: holds no land within the region.")
    entering = _passed_on(grid, rims)
    exits, values, active = _exits(grid, entering, sums)
    cell_area = float(sums[1].sum() / sums[0].sum()) / 1e6
    paths, following = _ways(grid, exits, active)
    coarse = hydrography.linked(
        paths, exits, np.where(active, values["upstream"], np.nan), active, grid.shape, corrections, cell_area
    )
    coarse = hydrography.detours(coarse, following, corrections, cell_area)
    maps = {name: np.where(active, found, np.nan).reshape(grid.shape) for name, found in values.items()}
    with np.errstate(invalid="ignore"):
        altitude, slope = ((k / sums[0]).reshape(grid.shape) for k in sums[2:])
    number, area = (k.reshape(grid.shape) for k in sums[:2])
    return Land(
        coarse, number, area, altitude, slope, maps["elevation"], maps.get("width"), maps.get("told"), maps["area"]
    )


def mean_altitude(grid: Grid, latitude: np.ndarray, longitude: np.ndarray) -> np.ndarray:
    """Mean altitude (lat, lon) of the land around points, m, that of the nearest land where there is none.

    Args:
        grid: The region.
        latitude (lat,): Of the points, degree north, falling.
        longitude (lon,): Of the points, degree east, rising.
    """
    rows = np.abs(grid.mosaic.latitude[:, None] - latitude).argmin(axis=1)
    columns = np.abs(grid.mosaic.longitude[:, None] - longitude).argmin(axis=1)
    total, number = np.zeros((2, latitude.size * longitude.size))
    for window in grid.squares():
        land = grid.mosaic.directions(*window)[1]
        point = (rows[window[0], None] * longitude.size + columns[window[1]])[land]
        total += np.bincount(point, grid.mosaic.elevation(*window, land)[land], total.size)
        number += np.bincount(point, minlength=total.size)
    mean = np.where(number > 0, total / np.maximum(number, 1), np.nan)
    return rasters.fill_nearest(mean.reshape(latitude.size, longitude.size))


def _held(grid: Grid) -> np.ndarray:
    """Cells (cell,) that the region holds at least half of."""
    held, area = np.zeros(grid.cells), grid.pixel_area
    for core in grid.squares():
        square = grid.load(core, 0)
        held += np.bincount(square.block, np.broadcast_to(area[core[0]], square.shape).ravel(), grid.cells)
    return held >= 0.5 * grid.size**2


def _receivers(square: Square) -> tuple[np.ndarray, np.ndarray]:
    """Receiver (pixel,) within the square, -1 for none, and its directions (row, column)."""
    direction = np.where(square.land, square.direction, hydrography.OUTLET).reshape(square.shape)[square.core]
    return hydrography.receivers(direction), direction


def _weights(grid: Grid, square: Square, core: Window) -> np.ndarray:
    """Pixels of land and their area, m2 (2, pixel), of the square alone."""
    land = square.land.reshape(square.shape)[square.core].astype(float)
    return np.stack([land, land * grid.pixel_area[core[0]]]).reshape(2, -1)


def _sums(grid: Grid, corrections: hydrography.Corrections) -> tuple[np.ndarray, list[Rim]]:
    """Pixels, area, and sums of altitude and slope over the land (4, cell); how squares pass on water."""
    sums, rims = np.zeros((4, grid.cells)), []
    for core in grid.squares():
        square = grid.load(core, SLOPE_RIM)
        if not square.land.any():
            continue
        altitude = grid.mosaic.elevation(*square.window, square.land.reshape(square.shape))
        receiver, direction = _receivers(square)
        fronts, trapped = hydrography.drainage_fronts(receiver)
        if trapped.any():
            _mend(grid, square, core, altitude, corrections)
            square = grid.load(core, SLOPE_RIM)
            receiver, direction = _receivers(square)
            fronts = hydrography.drainage_fronts(receiver)[0]
        weights = _weights(grid, square, core)
        inside = square.of_core(square.land)
        block = square.of_core(square.block)[inside]
        slope = square.of_core(_slope(grid, square, altitude).ravel())
        for number, values in enumerate((*weights, square.of_core(altitude.ravel()), slope)):
            sums[number] += np.bincount(block, values[inside], grid.cells)
        total = np.stack([hydrography.accumulate(receiver, weight, fronts) for weight in weights])
        rims.append(_rim(grid, core, receiver, direction, fronts, total))
    return sums, rims


def _mend(grid: Grid, square: Square, core: Window, altitude: np.ndarray, corrections: hydrography.Corrections) -> None:
    """Open the loops of a square."""
    direction, land = (k.reshape(square.shape)[square.core] for k in (square.direction, square.land))
    closed = hydrography.open_ends(direction, land)
    number, total = _weights(grid, square, core).sum(axis=1)
    found = hydrography.Corrections()
    fixed = hydrography.repair(closed, land, altitude[square.core], found, float(total / number) / 1e6)
    numbers = grid.numbers(core).reshape(land.shape)
    for place in np.argwhere(fixed != closed):
        grid.mended.append((int(numbers[tuple(place)]), int(fixed[tuple(place)])))
    for row in found.rows:
        row["row"], row["column"] = row["row"] + core[0].start, row["column"] + core[1].start
    corrections.rows += found.rows


def _slope(grid: Grid, square: Square, altitude: np.ndarray) -> np.ndarray:
    """Slope (row, column) of the terrain of a window, 1."""
    filled, latitude = rasters.fill_nearest(altitude), grid.mosaic.latitude
    step = np.deg2rad(grid.mosaic.longitude[1] - grid.mosaic.longitude[0]) * rasters.EARTH_RADIUS
    northward = np.deg2rad(latitude[0] - latitude[1]) * rasters.EARTH_RADIUS
    eastward = step * np.cos(np.deg2rad(latitude[square.window[0]]))[:, None]
    return np.hypot(_gradient(filled, 0) / northward, _gradient(filled, 1) / eastward)


def _gradient(values: np.ndarray, axis: int) -> np.ndarray | float:
    """Change from pixel to pixel; 0 along an axis of a single one."""
    return np.gradient(values, axis=axis) if values.shape[axis] > 1 else 0.0


def _rim(grid, core, receiver, direction, fronts, total) -> Rim:
    """How a square passes on water that enters it."""
    rows, columns = core[0].stop - core[0].start, core[1].stop - core[1].start
    end = np.arange(receiver.size)
    for front in reversed(fronts):
        giving = front[receiver[front] >= 0]
        end[giving] = end[receiver[giving]]
    row, column = np.divmod(np.arange(receiver.size), columns)
    edge = np.flatnonzero((row == 0) | (row == rows - 1) | (column == 0) | (column == columns - 1))
    numbers, code, step = grid.numbers(core), direction.ravel(), np.zeros(receiver.size, int)
    for key, (down, right) in hydrography.STEPS.items():
        step[code == key] = down * grid.mosaic.shape[1] + right
    out = np.flatnonzero((receiver < 0) & (step != 0))
    return Rim(numbers[edge], numbers[end[edge]], numbers[out], numbers[out] + step[out], total[:, out])


def _passed_on(grid: Grid, rims: list[Rim]) -> tuple[np.ndarray, np.ndarray]:
    """Numbers of the pixels that water of other squares enters, rising, and its pixels and area (2, number)."""
    entry, end, leaving, target = (
        np.concatenate([getattr(rim, name) for rim in rims]) for name in ("entry", "end", "leaving", "target")
    )
    total = np.concatenate([rim.total for rim in rims], axis=1)
    order = np.argsort(leaving)
    leaving, target, total = leaving[order], target[order], total[:, order]
    by_entry = np.argsort(entry)
    entry, end = entry[by_entry], end[by_entry]
    reached = end[np.minimum(np.searchsorted(entry, target), entry.size - 1)] if leaving.size else target
    place = np.minimum(np.searchsorted(leaving, reached), max(leaving.size - 1, 0))
    receiver = np.where(leaving[place] == reached, place, -1) if leaving.size else reached
    fronts, trapped = hydrography.drainage_fronts(receiver)
    if trapped.any():
        row, column = divmod(int(leaving[np.flatnonzero(trapped)[0]]), grid.mosaic.shape[1])
        place_ = f"{grid.mosaic.latitude[row]:.4f} N, {grid.mosaic.longitude[column]:.4f} E"
        require(False, f"{grid.mosaic.folder}: directions run in a loop by {place_}; mend it or get the tile again.")
    total = np.stack([hydrography.accumulate(receiver, weight, fronts) for weight in total])
    entered, inverse = np.unique(target, return_inverse=True)
    return entered, np.stack([np.bincount(inverse, weight, entered.size) for weight in total])


def _exits(
    grid: Grid, entering: tuple[np.ndarray, np.ndarray], sums: np.ndarray
) -> tuple[np.ndarray, dict[str, np.ndarray], np.ndarray]:
    """Number of the pixel of every cell that most pixels drain to (cell,), values there, and cells of the domain."""
    exits, members = np.full(grid.cells, -1), np.zeros(grid.cells)
    extra = {name: part for name, part in (("width", "wth"), ("told", "upa")) if part in grid.mosaic.tiles}
    names = {"upstream": 0.0, "area": 0.0, "elevation": np.nan} | dict.fromkeys(extra, np.nan)
    best = {name: np.full(grid.cells, start) for name, start in names.items()}
    ends = np.zeros(grid.cells, bool)
    for core in grid.squares():
        square = grid.load(core, SLOPE_RIM)
        members += np.bincount(square.of_core(square.block), minlength=grid.cells)
        if not square.land.any():
            continue
        receiver, direction = _receivers(square)
        weights, numbers, land = (
            _weights(grid, square, core),
            grid.numbers(core),
            square.land.reshape(square.shape)[square.core],
        )
        place = np.minimum(np.searchsorted(numbers, entering[0]), numbers.size - 1)
        here = numbers[place] == entering[0]
        weights[:, place[here]] += entering[1][:, here]
        fronts = hydrography.drainage_fronts(receiver)[0]
        upstream, area = (hydrography.accumulate(receiver, weight, fronts) for weight in weights)
        inside, block = np.flatnonzero(square.of_core(square.land)), square.of_core(square.block)
        stays = ~np.isin(direction.ravel(), list(hydrography.STEPS))
        ends[block[inside[stays[inside]]]] = True
        rising = inside[np.argsort(upstream[inside], kind="stable")]
        found, inverse = np.unique(block[rising], return_inverse=True)
        largest = np.zeros(found.size, int)
        largest[inverse] = rising  # the last one written is the largest
        known, number = best["upstream"][found], numbers[largest]
        wins = (upstream[largest] > known) | ((upstream[largest] == known) & (number > exits[found]))
        cell, pixel = found[wins], largest[wins]
        exits[cell] = numbers[pixel]
        values = {name: grid.mosaic.values(part, *core).ravel() for name, part in extra.items()}
        values["elevation"] = grid.mosaic.elevation(*core, land).ravel()
        for name, value in (values | {"upstream": upstream, "area": area}).items():
            best[name][cell] = value[pixel]
    active = (members > 0) & (sums[0] >= 0.5 * members) | ends
    return exits, best, active


def _ways(grid: Grid, exits: np.ndarray, active: np.ndarray) -> tuple[hydrography.Paths, np.ndarray]:
    """Ways from the exits of the active cells, and for every cell (cell,) that of the next exit below, -1 for none."""
    cells = np.flatnonzero(active)
    columns = grid.mosaic.shape[1]
    paths = hydrography.Paths(
        *(np.full(cells.size, start) for start in (-1, False, -1, -1, False, -1, 0.0)),
    )
    following, wandering = np.full(grid.cells, -1), np.full(cells.size, -1)
    row, column = np.divmod(exits[cells], columns)
    for core in grid.squares():
        mine = np.flatnonzero(_inside(row, column, core))
        if not mine.size:
            continue
        square = grid.load(core, grid.rim)
        receiver, is_exit, numbers = _network(grid, square, exits[cells])
        starts = np.searchsorted(numbers, exits[cells[mine]])
        own = hydrography.trace(
            starts, receiver, square.block, is_exit, active, square.direction, (square.northing, square.easting),
            grid.x.size,
        )  # fmt: skip
        own.pixel = numbers[own.pixel]
        for part in ("first", "several", "pixel", "last", "arrived", "end", "length"):
            getattr(paths, part)[mine] = getattr(own, part)
        lost = ~own.arrived | (own.last == cells[mine])
        following[cells[mine[~lost]]] = own.last[~lost]
        wandering[mine[lost & (own.end < 0)]] = own.pixel[lost & (own.end < 0)]
    while (wandering >= 0).any():  # beyond the neighbours, from square to square
        row, column = np.divmod(wandering, columns)
        for core in grid.squares():
            mine = np.flatnonzero((wandering >= 0) & _inside(row, column, core))
            if mine.size:
                _wander(grid, core, exits[cells], cells, mine, wandering, following)
    return paths, following


def _inside(row: np.ndarray, column: np.ndarray, core: Window) -> np.ndarray:
    """Places within a square."""
    down, right = core
    return (row >= down.start) & (row < down.stop) & (column >= right.start) & (column < right.stop)


def _network(grid: Grid, square: Square, exits: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Receivers and exits (pixel,) of a window, and the numbers of its pixels."""
    receiver = hydrography.receivers(square.direction.reshape(square.shape))
    receiver[~square.land] = -1
    numbers, is_exit = grid.numbers(square.window), np.zeros(receiver.size, bool)
    held = exits[_inside(*np.divmod(exits, grid.mosaic.shape[1]), square.window)]
    is_exit[np.searchsorted(numbers, held)] = True
    return receiver, is_exit, numbers


def _wander(grid, core, exits, cells, mine, wandering, following) -> None:
    """Follow water within a square and a pixel beyond, until it meets an exit, ends, or leaves."""
    square = grid.load(core, 1)
    receiver, is_exit, numbers = _network(grid, square, exits)
    local = square.of_core(np.arange(receiver.size))
    core_pixel = np.zeros(receiver.size, bool)
    core_pixel[local] = True
    here = np.searchsorted(numbers, wandering[mine])
    moving = np.arange(mine.size)
    wandering[mine] = -1
    while moving.size:
        below = receiver[here[moving]]
        moving, below = moving[below >= 0], below[below >= 0]
        here[moving] = below
        met = is_exit[below]
        following[cells[mine[moving[met]]]] = square.block[below[met]]
        left = ~met & ~core_pixel[below]
        wandering[mine[moving[left]]] = numbers[below[left]]
        moving = moving[~met & ~left]
