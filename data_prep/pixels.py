"""Fine pixels of a drainage map on a coarser projected grid, in squares of pixels one at a time.

The result is that of :func:`data_prep.hydrography.upscale_to` and :func:`data_prep.hydrography.reconnect` for all of
them at once, but memory holds one square (:data:`data_prep.squares.SIDE` pixels a side) and maps of the coarse cells.
Four passes:

1. the area of the pixels in every coarse cell, so that cells of which the region holds less than half are left out;
2. sums over the land of every cell, and for every square where water that enters over its rim leaves it again;
3. with the water that enters from other squares, the accumulation, and so the exit of every cell;
4. the ways from exit to exit, in squares widened by the cells around.

Between the second and the third the water is passed on from rim to rim, as barnes2017 does. A loop within a square is
opened as :func:`data_prep.hydrography.repair` does; one that crosses a rim is refused.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from chase_jax.checks import require
from data_prep import hydrography, rasters
from data_prep.squares import Grid, Square, Window

SLOPE_RIM = 2  # pixels around a square, for slopes at its edge


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
        InputError: If a map cannot be read, the region holds no land, or a loop crosses the rim of a square.
    """
    grid.held = _held(grid)
    sums, rims = _sums(grid, corrections)
    require(bool(sums[0].sum()), f"{grid.fine.source}: holds no land within the region.")
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
    total, number = np.zeros((2, latitude.size * longitude.size))
    for window in grid.squares():
        land = grid.fine.directions(*window)[1]
        north, east = grid.fine.place(*(np.arange(part.start, part.stop) for part in window))
        point = (_nearest(-latitude, -north) * longitude.size + _nearest(longitude, east))[land]
        total += np.bincount(point, grid.fine.elevation(*window, land)[land], total.size)
        number += np.bincount(point, minlength=total.size)
    mean = np.where(number > 0, total / np.maximum(number, 1), np.nan)
    return rasters.fill_nearest(mean.reshape(latitude.size, longitude.size))


def _nearest(axis: np.ndarray, place: np.ndarray) -> np.ndarray:
    """Index (...) of the point of a rising axis that is nearest to places (...)."""
    return np.searchsorted(0.5 * (axis[1:] + axis[:-1]), place)


def _held(grid: Grid) -> np.ndarray:
    """Cells (cell,) that the region holds at least half of."""
    held, area = np.zeros(grid.cells), grid.fine.pixel_area
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
    return np.stack([land, land * grid.fine.pixel_area[core[0]]]).reshape(2, -1)


def _sums(grid: Grid, corrections: hydrography.Corrections) -> tuple[np.ndarray, list[Rim]]:
    """Pixels, area, and sums of altitude and slope over the land (4, cell); how squares pass on water."""
    sums, rims = np.zeros((4, grid.cells)), []
    for core in grid.squares():
        square = grid.load(core, SLOPE_RIM)
        if not square.land.any():
            continue
        altitude = grid.fine.elevation(*square.window, square.land.reshape(square.shape))
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
    found = hydrography.Corrections(grid=hydrography.SOURCE)
    fixed = hydrography.repair(closed, land, altitude[square.core], found, float(total / number) / 1e6)
    numbers = grid.numbers(core).reshape(land.shape)
    for place in np.argwhere(fixed != closed):
        grid.mended.append((int(numbers[tuple(place)]), int(fixed[tuple(place)])))
    for row in found.rows:
        row["row"], row["column"] = row["row"] + core[0].start, row["column"] + core[1].start
    corrections.rows += found.rows


def _slope(grid: Grid, square: Square, altitude: np.ndarray) -> np.ndarray:
    """Slope (row, column) of the terrain of a window, 1."""
    filled, (northward, eastward) = rasters.fill_nearest(altitude), grid.fine.steps
    return np.hypot(_gradient(filled, 0) / northward, _gradient(filled, 1) / eastward[square.window[0]])


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
        step[code == key] = down * grid.fine.shape[1] + right
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
        row, column = divmod(int(leaving[np.flatnonzero(trapped)[0]]), grid.fine.shape[1])
        lat, lon = (float(axis.squeeze()) for axis in grid.fine.place(np.array([row]), np.array([column])))
        require(False, f"{grid.fine.source}: directions run in a loop by {lat:.4f} N, {lon:.4f} E; mend it there.")
    total = np.stack([hydrography.accumulate(receiver, weight, fronts) for weight in total])
    entered, inverse = np.unique(target, return_inverse=True)
    return entered, np.stack([np.bincount(inverse, weight, entered.size) for weight in total])


def _exits(
    grid: Grid, entering: tuple[np.ndarray, np.ndarray], sums: np.ndarray
) -> tuple[np.ndarray, dict[str, np.ndarray], np.ndarray]:
    """Number of the pixel of every cell that most pixels drain to (cell,), values there, and cells of the domain."""
    exits, members = np.full(grid.cells, -1), np.zeros(grid.cells)
    extra = {name: part for name, part in (("width", "wth"), ("told", "upa")) if part in grid.fine.parts}
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
        values = {name: grid.fine.values(part, *core).ravel() for name, part in extra.items()}
        values["elevation"] = grid.fine.elevation(*core, land).ravel()
        for name, value in (values | {"upstream": upstream, "area": area}).items():
            best[name][cell] = value[pixel]
    active = (members > 0) & (sums[0] >= 0.5 * members) | ends
    return exits, best, active


def _ways(grid: Grid, exits: np.ndarray, active: np.ndarray) -> tuple[hydrography.Paths, np.ndarray]:
    """Ways from the exits of the active cells, and for every cell (cell,) that of the next exit below, -1 for none."""
    cells = np.flatnonzero(active)
    columns = grid.fine.shape[1]
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
    held = exits[_inside(*np.divmod(exits, grid.fine.shape[1]), square.window)]
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
