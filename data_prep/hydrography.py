"""Drainage directions: read, repair, accumulate, upscale; every correction is written down.

Directions are ESRI D8 codes; rows count southward, columns eastward. Cells are addressed by their flat index
`row * columns + column`; a receiver of -1 means that a cell passes its water to no cell of the raster.

**Upscaling.** A coarse cell takes the place of a block of fine cells. Its *exit* is the fine cell of the block with the
largest accumulation, and its direction points to the neighbour whose exit the fine flow path from its own exit meets
first. A path that only clips a corner of a neighbour therefore does not join the river of that neighbour. This is the
idea of the cell outlet tracing method (reed2003) with the repairs listed in :class:`Corrections`. The other method is
iterative hydrography upscaling (eilander2021), as pyflwdir has it, which moves exits until links fit.
"""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass, field

import numpy as np

from chase_jax.checks import require, require_choice

OUTLET, SINK = 0, 255
LONGEST_DETOUR = 8  # cells, to mend a link; choice of this project
METHODS = ("largest", "iterative")  # of upscaling
DOMAIN, SOURCE = "domain", "source"  # grids: that of the cells, that of the pixels they are made from
PIT = 5  # of PCRaster, whose other codes are the keys of a number pad
PCRASTER = {1: 8, 2: 4, 3: 2, 4: 16, 6: 1, 7: 32, 8: 64, 9: 128}  # to ESRI D8
STEPS = {1: (0, 1), 2: (1, 1), 4: (1, 0), 8: (1, -1), 16: (0, -1), 32: (-1, -1), 64: (-1, 0), 128: (-1, 1)}
CODES = {step: code for code, step in STEPS.items()}


@dataclass
class Corrections:
    """What was changed in a drainage network, where and why.

    Kinds: `invalid code`, `flow to inactive cell`, `loop`, `crossing path` (the fine path clips a neighbour before it
    joins another), `broken link` (the fine path leaves the neighbourhood without meeting an exit; the first
    neighbour it enters is taken), `detour` (a link mended by :func:`reconnect`), `unconnected cell` (an active cell
    whose water cannot reach any outlet or sink), `second way out of a lake`, `by hand` (with the reason given).

    Attributes:
        rows: What was changed.
        grid: The grid whose rows and columns are added from here on: `domain`, or `source`, the pixels it is made from.
    """

    rows: list[dict] = field(default_factory=list)
    grid: str = DOMAIN

    def add(
        self,
        kind: str,
        cell: tuple[int, int],
        before: int,
        after: int,
        upstream_area: float = np.nan,
        reason: str = "",
    ) -> None:
        """Note that the code of a cell (row, column) went from `before` to `after`; upstream_area in km2."""
        entry = {"kind": kind, "grid": self.grid, "row": int(cell[0]), "column": int(cell[1])}
        entry |= {"before": int(before), "after": int(after)}
        self.rows.append(entry | {"upstream_area_km2": float(upstream_area), "reason": reason})

    def counts(self) -> dict[str, int]:
        """Number of corrections of each kind."""
        kinds = [row["kind"] for row in self.rows]
        return {kind: kinds.count(kind) for kind in sorted(set(kinds))}

    def text(self) -> str:
        """One line per kind: how many, and the largest upstream area concerned."""
        lines = []
        for kind, number in self.counts().items():
            areas = [row["upstream_area_km2"] for row in self.rows if row["kind"] == kind]
            largest = "" if np.isnan(areas).all() else f", largest upstream area {np.nanmax(areas):.1f} km2"
            lines.append(f"{kind}: {number} cells{largest}")
        return "\n".join(lines) or "no corrections"


def from_pcraster(ldd: np.ndarray, active: np.ndarray) -> np.ndarray:
    """ESRI D8 codes of a local drain direction map of PCRaster.

    A pit becomes an inland sink if all its neighbours are active, else an outlet. Codes that are none stay what they
    are, for :func:`repair` to find.

    Args:
        ldd (row, column): Keys of a number pad, 1: 8 north, 6 east, 2 south, 4 west, 5 pit.
        active (row, column): True inside the domain.
    """
    around = np.pad(active, 1)
    inland = np.ones(active.shape, bool)
    for down, right in STEPS.values():
        inland &= around[1 + down : around.shape[0] - 1 + down, 1 + right : around.shape[1] - 1 + right]
    code = np.where(active, ldd, 0).astype(int)
    direction = np.where((code >= 1) & (code <= 9), 0, 3)  # 3 is no D8 code
    for key, esri in PCRASTER.items():
        direction[code == key] = esri
    direction[(code == PIT) & inland] = SINK
    return np.where(active, direction, OUTLET)


def open_ends(direction: np.ndarray, active: np.ndarray) -> np.ndarray:
    """Directions with an outlet wherever water leaves the active cells, as at a coast or the edge of a map.

    Args:
        direction (row, column): D8 codes, 1.
        active (row, column): True inside the domain.
    """
    target = receivers(direction)
    ends = (target < 0) | ~active.ravel()[np.maximum(target, 0)]
    ends = ends.reshape(active.shape) & np.isin(direction, list(STEPS))
    return np.where(active & ~ends, direction, OUTLET)


def receivers(direction: np.ndarray) -> np.ndarray:
    """Flat index of the cell that every cell drains to, -1 where it leaves the raster or ends.

    Args:
        direction (row, column): D8 codes, 1; a code that is none counts as an end.
    """
    columns = direction.shape[1]
    down, right = np.zeros((2, 256), int)
    for code, (south, east) in STEPS.items():
        down[code], right[code] = south, east
    known = np.where((direction >= 0) & (direction < down.size), direction, 0).astype(np.uint8)
    step = (down * columns + right)[known]
    target = np.where(step != 0, np.arange(known.size).reshape(known.shape) + step, -1)
    edges = ((np.s_[0], down < 0), (np.s_[-1], down > 0), (np.s_[:, 0], right < 0), (np.s_[:, -1], right > 0))
    for edge, away in edges:
        target[edge] = np.where(away[known[edge]], -1, target[edge])
    return target.ravel()


def straight_length(direction: np.ndarray, size: float) -> np.ndarray:
    """Distance (row, column) between the centers of a cell and the next, m.

    Args:
        direction (row, column): D8 codes; codes without a next cell count as straight.
        size: Width of a cell, m.
    """
    diagonal = [code for code, (down, right) in STEPS.items() if down and right]
    return np.where(np.isin(direction, diagonal), np.sqrt(2.0), 1.0) * size


def drainage_fronts(receiver: np.ndarray) -> tuple[list[np.ndarray], np.ndarray]:
    """Cells in groups from the divides downstream, and a mask of the cells that lie on or below a loop.

    All that drains into a cell stands in earlier groups than the cell itself.

    Args:
        receiver (cell,): Flat index of the receiving cell, -1 for none.
    """
    waiting = np.bincount(receiver[receiver >= 0], minlength=receiver.size)
    trapped = np.ones(receiver.size, bool)
    fronts, front = [], np.flatnonzero(waiting == 0)
    while front.size:
        fronts.append(front)
        trapped[front] = False
        target = receiver[front]
        target = target[target >= 0]
        np.subtract.at(waiting, target, 1)
        front = np.unique(target[waiting[target] == 0])
    return fronts, trapped


def accumulate(receiver: np.ndarray, weight: np.ndarray, fronts: list[np.ndarray] | None = None) -> np.ndarray:
    """Sum of `weight` over every cell and all cells that drain to it; loops are not followed.

    Args:
        receiver (cell,): Flat index of the receiving cell, -1 for none.
        weight (cell,): What is summed, any unit.
        fronts: Result of :func:`drainage_fronts` where it is known.
    """
    total = np.array(weight, dtype=float)
    for front in drainage_fronts(receiver)[0] if fronts is None else fronts:
        giving = front[receiver[front] >= 0]
        np.add.at(total, receiver[giving], total[giving])
    return total


def catchment(receiver: np.ndarray, outlet: int) -> np.ndarray:
    """Mask of the cells that drain through a cell, itself included.

    Args:
        receiver (cell,): Flat index of the receiving cell, -1 for none.
        outlet: Flat index of the outlet cell.
    """
    inside = np.zeros(receiver.size, bool)
    inside[outlet] = True
    for front in reversed(drainage_fronts(receiver)[0]):
        giving = front[(receiver[front] >= 0) & (front != outlet)]
        inside[giving] = inside[receiver[giving]]
    return inside


def repair(
    direction: np.ndarray, active: np.ndarray, altitude: np.ndarray, corrections: Corrections, cell_area: float = 1.0
) -> np.ndarray:
    """Directions without invalid codes, without flow to inactive cells and without loops.

    A wrong code is replaced by the direction of the steepest descent among the active neighbours that do not drain to
    the cell itself. Where none lies lower: a cell at the edge of the active area becomes an outlet, any other an inland
    sink. A loop is opened at its lowest cell in the same way.

    Args:
        direction (row, column): D8 codes, 1.
        active (row, column): True inside the domain.
        altitude (row, column): Altitude, m; it may be NaN outside the domain.
        corrections: Record that every change is added to.
        cell_area: Area of a cell, km2.

    Returns:
        (row, column): Repaired codes; 0 outside the domain.
    """
    fixed = np.where(active, direction, OUTLET).astype(int)
    target = receivers(fixed)
    wrong = np.where(np.isin(fixed, [OUTLET, SINK, *STEPS]), "", "invalid code").ravel()
    outside = (target >= 0) & ~active.ravel()[np.maximum(target, 0)] & active.ravel()
    leaving = (target < 0) & np.isin(fixed.ravel(), list(STEPS))
    wrong = np.where(outside | leaving, "flow to inactive cell", wrong)
    cells = np.flatnonzero(wrong != "")
    target[cells] = -1
    for cell in cells:
        _redirect(int(cell), str(wrong[cell]), fixed, active, altitude, target, corrections, cell_area)
    for loop in _loops(target):
        lowest = min(loop, key=lambda cell: altitude.flat[cell])
        target[lowest] = -1
        _redirect(lowest, "loop", fixed, active, altitude, target, corrections, cell_area)
    return fixed


def _loops(target: np.ndarray) -> list[list[int]]:
    """The cells of every loop, in the order of the water, from the first one in the order of the cells."""
    found: list[list[int]] = []
    seen: set[int] = set()
    for cell in np.flatnonzero(drainage_fronts(target)[1]).tolist():
        if cell not in seen:
            loop = [cell]
            while target[loop[-1]] != cell:
                loop.append(int(target[loop[-1]]))
            seen.update(loop)
            found.append(loop)
    return found


def _cells_above(cell: int, target: np.ndarray, shape: tuple[int, int]) -> int:
    """Number of cells that drain to a cell, itself included; it must not be on a loop."""
    number, front = 0, np.array([cell])
    while front.size:
        number += front.size
        row, column = np.divmod(front, shape[1])
        nearby = []
        for down, right in STEPS.values():
            r, c = row - down, column - right
            inside = (r >= 0) & (r < shape[0]) & (c >= 0) & (c < shape[1])
            giving = (r * shape[1] + c)[inside]
            nearby.append(giving[target[giving] == front[inside]])
        front = np.concatenate(nearby)
    return number


def _redirect(cell, kind, fixed, active, altitude, target, corrections, cell_area):
    """Send a cell down the steepest way that cannot close a loop; changes `fixed` and `target` in place."""
    here = np.unravel_index(cell, fixed.shape)
    best, code, at_edge = 0.0, SINK, False
    for candidate, (down, right) in STEPS.items():
        row, column = here[0] + down, here[1] + right
        inside = 0 <= row < fixed.shape[0] and 0 <= column < fixed.shape[1] and active[row, column]
        at_edge |= not inside
        if not inside or _leads_to(int(row * fixed.shape[1] + column), cell, target):
            continue
        slope = (altitude[here] - altitude[row, column]) / np.hypot(down, right)
        if slope > best:
            best, code = slope, candidate
    if code == SINK and at_edge:
        code = OUTLET
    corrections.add(kind, here, fixed[here], code, _cells_above(cell, target, fixed.shape) * cell_area)
    fixed[here] = code
    if code in STEPS:
        target[cell] = (here[0] + STEPS[code][0]) * fixed.shape[1] + here[1] + STEPS[code][1]


def carve(receiver: np.ndarray, altitude: np.ndarray) -> np.ndarray:
    """Altitudes (cell,), m, lowered where needed so that no cell lies above one that drains into it.

    Args:
        receiver (cell,): Flat index of the receiving cell, -1 for none.
        altitude (cell,): Altitude, m.
    """
    carved = altitude.astype(float).copy()
    for front in drainage_fronts(receiver)[0]:
        giving = front[receiver[front] >= 0]
        np.minimum.at(carved, receiver[giving], carved[giving])
    return carved


def river_profile(
    receiver: np.ndarray, altitude: np.ndarray, upstream_area: np.ndarray, length: np.ndarray
) -> np.ndarray:
    r"""Altitudes that fall downstream everywhere, at least as steeply as a large river does.

    Terrain averaged over cells puts bumps into valleys, and depressions filled beforehand leave long flats with a step
    at their upper end. Both are removed: first bumps are cut, each cell being lowered to the lowest cell of its main
    stem above it; then cells are raised, from the outlet upward, to the least slope

    $$ S_{min} = 2.5 \times 10^{-4} (A / 10^{4}\,\mathrm{km}^2)^{-0.3} $$

    of their drainage area A, as gentle as lowland rivers are, so that flats take their fall from the step above them.

    Args:
        receiver (cell,): Flat index of the receiving cell, -1 for none.
        altitude (cell,): Altitude, m.
        upstream_area (cell,): Area A that drains through the cell, km2.
        length (cell,): Distance to the receiving cell, m.

    Source:
        Slope and area: flint1974; the factor and the two passes are this project's.
    """
    profile = altitude.astype(float).copy()
    main_stem = np.full(receiver.size, -1)
    rising = np.argsort(upstream_area, kind="stable")
    rising = rising[receiver[rising] >= 0]
    main_stem[receiver[rising]] = rising  # the last one written is the largest tributary
    fronts = drainage_fronts(receiver)[0]
    for front in fronts:
        below = front[main_stem[front] >= 0]
        profile[below] = np.minimum(profile[below], profile[main_stem[below]])
    least_fall = 2.5e-4 * (np.maximum(upstream_area, 1e-6) / 1e4) ** -0.3 * length
    for front in reversed(fronts):
        above = front[receiver[front] >= 0]
        profile[above] = np.maximum(profile[above], profile[receiver[above]] + least_fall[above])
    return profile


@dataclass
class Upscaled:
    """A coarse drainage network and the fine cells it stands for.

    Attributes:
        direction (row, column): D8 codes of the coarse cells.
        active (row, column): True for coarse cells of the domain.
        exit (row, column): Flat index of the fine exit cell, -1 where inactive.
        length (row, column): Length of the fine path from one exit to the next, in fine cells; NaN at ends.
        upstream (row, column): Fine accumulation at the exit, in fine cells.
    """

    direction: np.ndarray
    active: np.ndarray
    exit: np.ndarray
    length: np.ndarray
    upstream: np.ndarray


def upscale(
    direction: np.ndarray,
    active: np.ndarray,
    factor: int,
    corrections: Corrections,
    cell_area: float,
    method: str = "largest",
) -> Upscaled:
    """Coarse drainage directions; see the module docstring.

    A coarse cell is active if at least half of its fine cells are, or if a fine outlet lies in it.

    Args:
        direction (row, column): Fine D8 codes without loops, 1; rows and columns must be multiples of `factor`.
        active (row, column): True for fine cells of the domain.
        factor: Fine cells per coarse cell, in each direction.
        corrections: Record that every change is added to.
        cell_area: Area of a fine cell, km2.
        method: "largest" (exits at the largest accumulation) or "iterative" (needs pyflwdir).
    """
    require_choice(method, "method", METHODS)
    if method == "iterative":
        return _upscale_iteratively(direction, active, factor, corrections, cell_area)
    shape = (direction.shape[0] // factor, direction.shape[1] // factor)
    row, column = np.indices(direction.shape)
    block = (row // factor * shape[1] + column // factor).ravel()
    return upscale_to(direction, active, block, shape, corrections, cell_area)


def upscale_to(
    direction: np.ndarray,
    active: np.ndarray,
    block: np.ndarray,
    shape: tuple[int, int],
    corrections: Corrections,
    cell_area: float,
    place: tuple[np.ndarray, np.ndarray] | None = None,
) -> Upscaled:
    """As :func:`upscale`, onto any coarse raster, such as one in another projection.

    Args:
        direction (row, column): Fine D8 codes without loops, 1.
        active (row, column): True for fine cells of the domain.
        block (fine cell,): Flat index of the coarse cell that every fine cell lies in.
        shape: Rows and columns of the coarse raster.
        corrections: Record that every change is added to.
        cell_area: Area of a fine cell, km2; the mean if they differ.
        place: Northing and easting (fine cell,) of the fine cells in any unit, which then is that of the lengths; rows
            and columns if None.
    """
    place = np.divmod(np.arange(active.size), active.shape[1]) if place is None else place
    inside = active.ravel()
    receiver = np.where(inside, receivers(direction), -1)
    receiver[(receiver >= 0) & ~inside[np.maximum(receiver, 0)]] = -1
    upstream = accumulate(receiver, inside.astype(float))

    exits = np.full(shape[0] * shape[1], -1)
    rising = np.flatnonzero(inside)[np.argsort(upstream[inside], kind="stable")]
    exits[block[rising]] = rising  # the last one written is the largest
    members = np.bincount(block, minlength=exits.size)
    coarse_active = (members > 0) & (np.bincount(block, weights=inside, minlength=exits.size) >= 0.5 * members)
    coarse_active[block[inside & (receiver < 0)]] = True
    is_exit = np.zeros(inside.size, bool)
    is_exit[exits[coarse_active]] = True

    cells = np.flatnonzero(coarse_active)
    paths = trace(exits[cells], receiver, block, is_exit, coarse_active, direction.ravel(), place, shape[1])
    at_exit = np.where(coarse_active, upstream[np.maximum(exits, 0)], np.nan)
    return linked(paths, exits, at_exit, coarse_active, shape, corrections, cell_area)


@dataclass
class Paths:
    """Fine ways from the exits of coarse cells to the next exit, or to where they leave the eight neighbours.

    Attributes:
        first (path,): Flat index of the first other active coarse cell that is entered, -1 for none.
        several (path,): Whether more than one is entered.
        pixel (path,): Flat index of the last fine cell.
        last (path,): Flat index of the coarse cell that it lies in.
        arrived (path,): Whether it is an exit.
        end (path,): Its code if its water goes no further, else -1.
        length (path,): Length of the way, in the unit of the places.
    """

    first: np.ndarray
    several: np.ndarray
    pixel: np.ndarray
    last: np.ndarray
    arrived: np.ndarray
    end: np.ndarray
    length: np.ndarray


def trace(
    starts: np.ndarray,
    receiver: np.ndarray,
    block: np.ndarray,
    is_exit: np.ndarray,
    active: np.ndarray,
    direction: np.ndarray,
    place: tuple[np.ndarray, np.ndarray],
    columns: int,
) -> Paths:
    """Follow the water from exits, all of them a fine cell at a time.

    Args:
        starts (path,): Flat index of the fine cells that are the exits.
        receiver (fine cell,): Flat index of the receiving fine cell, -1 for none.
        block (fine cell,): Flat index of the coarse cell that every fine cell lies in.
        is_exit (fine cell,): True for exits of active coarse cells.
        active (coarse cell,): True for coarse cells of the domain.
        direction (fine cell,): D8 codes.
        place: Northing and easting (fine cell,), any unit.
        columns: Columns of the coarse raster.
    """
    home, here = block[starts], starts.copy()
    row, column = np.divmod(home, columns)
    first, several, length = np.full(here.size, -1), np.zeros(here.size, bool), np.zeros(here.size)
    moving = np.arange(here.size)
    while moving.size:
        now = here[moving]
        following = receiver[now]
        entered = block[np.maximum(following, 0)]
        r, c = np.divmod(entered, columns)
        near = np.maximum(np.abs(r - row[moving]), np.abs(c - column[moving])) <= 1
        goes = (following >= 0) & near
        moving, now, following, entered = moving[goes], now[goes], following[goes], entered[goes]
        length[moving] += np.hypot(place[0][following] - place[0][now], place[1][following] - place[1][now])
        here[moving] = following
        other = (entered != home[moving]) & active[entered]
        first[moving] = np.where(other & (first[moving] < 0), entered, first[moving])
        several[moving] |= other & (first[moving] != entered)
        moving = moving[~(is_exit[following] & (entered != home[moving]))]
    end = np.where(receiver[here] < 0, np.where(direction[here] == SINK, SINK, OUTLET), -1)
    return Paths(first, several, here, block[here], is_exit[here], end, length)


def linked(
    paths: Paths,
    exits: np.ndarray,
    at_exit: np.ndarray,
    active: np.ndarray,
    shape: tuple[int, int],
    corrections: Corrections,
    cell_area: float,
) -> Upscaled:
    """The coarse network that paths lead to.

    Args:
        paths: The ways from the exits of the active cells, in the order of these cells.
        exits (cell,): Flat index of the fine exit cell.
        at_exit (cell,): Accumulation at the exit, in fine cells.
        active (cell,): True for coarse cells of the domain.
        shape: Rows and columns of the coarse raster.
        corrections: Record that every change is added to.
        cell_area: Area of a fine cell, km2; the mean if they differ.
    """
    cells = np.flatnonzero(active)
    codes, lengths = np.full(active.size, OUTLET), np.full(active.size, np.nan)
    home = (paths.end >= 0) & (paths.last == cells)
    entered = ~home & (paths.first >= 0)
    joined, broken, stranded = entered & paths.arrived, entered & ~paths.arrived, ~home & ~entered
    toward_first = _codes(cells, np.where(paths.first >= 0, paths.first, cells), shape)
    codes[cells[home]] = paths.end[home]
    codes[cells[joined]] = _codes(cells[joined], paths.last[joined], shape)
    lengths[cells[joined]] = paths.length[joined]
    codes[cells[broken]] = toward_first[broken]
    for number in np.flatnonzero(broken | stranded | (joined & paths.several)):
        cell = int(cells[number])
        if stranded[number]:
            codes[cell] = _largest_neighbor(cell, at_exit, active, shape)
            kind = "unconnected cell" if codes[cell] == SINK else "flow to inactive cell"
        else:
            kind = "broken link" if broken[number] else "crossing path"
        place = (cell // shape[1], cell % shape[1])
        corrections.add(kind, place, toward_first[number], codes[cell], at_exit[cell] * cell_area)
    return _upscaled(codes, active, exits, lengths, at_exit, shape, corrections, cell_area)


def _upscaled(codes, active, exits, lengths, at_exit, shape, corrections, cell_area):
    """The coarse network without the loops that broken links may have left, from arrays (cell,)."""
    on = active.reshape(shape)
    size = np.where(active, at_exit, np.nan).reshape(shape)
    before = codes.reshape(shape)
    # water of a loop goes where most water comes by
    fixed = repair(before, on, -np.nan_to_num(size), corrections, cell_area)
    length = np.where(fixed == before, lengths.reshape(shape), np.nan)
    return Upscaled(fixed, on, np.where(on, exits.reshape(shape), -1), length, size)


def _upscale_iteratively(direction, active, factor, corrections, cell_area):
    """As :func:`upscale`, by pyflwdir. A link that the fine path does not follow counts as a broken one."""
    import pyflwdir

    given = np.where(active, open_ends(direction, active), pyflwdir.core_d8._mv).astype(np.uint8)
    network = pyflwdir.from_array(given, ftype="d8", check_ftype=False)
    found, exits = network.upscale(factor, method="ihu")
    shape, exits = exits.shape, exits.ravel().astype(int)
    codes = found.to_array("d8").astype(int).ravel()
    row, column = np.indices(direction.shape)
    block = (row // factor * shape[1] + column // factor).ravel()
    inside = active.ravel()
    receiver = np.where(inside, receivers(given), -1)
    upstream = accumulate(receiver, inside.astype(float))

    known = (exits >= 0) & (codes != pyflwdir.core_d8._mv)
    kept = known & (np.bincount(block, weights=inside, minlength=exits.size) >= 0.5 * factor**2)
    kept[block[inside & (receiver < 0)]] = True
    kept &= known
    target = receivers(np.where(known, codes, OUTLET).reshape(shape))
    for front in drainage_fronts(target)[0]:  # what a kept cell drains to is kept
        below = target[front[kept[front]]]
        kept[below[below >= 0]] = True
    is_exit = np.zeros(inside.size, bool)
    is_exit[exits[kept]] = True
    lengths, place = np.full(exits.size, np.nan), np.divmod(np.arange(inside.size), direction.shape[1])
    cells = np.flatnonzero(kept)
    paths = trace(exits[cells], receiver, block, is_exit, kept, direction.ravel(), place, shape[1])
    at_exit = np.where(kept, upstream[np.maximum(exits, 0)], np.nan)
    fits = (target[cells] >= 0) & paths.arrived & (paths.last == target[cells])
    lengths[cells[fits]] = paths.length[fits]
    for number in np.flatnonzero(~fits):
        cell, pixel = int(cells[number]), int(paths.pixel[number])
        if target[cell] < 0:
            while receiver[pixel] >= 0:
                pixel = int(receiver[pixel])
            codes[cell] = SINK if direction.flat[pixel] == SINK else OUTLET
        else:
            here = (cell // shape[1], cell % shape[1])
            corrections.add("broken link", here, codes[cell], codes[cell], at_exit[cell] * cell_area)
    return _upscaled(codes, kept, exits, lengths, at_exit, shape, corrections, cell_area)


def unit_catchments(receiver: np.ndarray, exits: np.ndarray) -> np.ndarray:
    """Number of the first exit that every fine cell drains through, itself included, -1 where none.

    Args:
        receiver (fine cell,): Flat index of the receiving fine cell, -1 for none.
        exits (number,): Flat index of the fine cell that is the exit of each number, -1 for numbers without one.
    """
    found = np.full(receiver.size, -1)
    found[exits[exits >= 0]] = np.flatnonzero(exits >= 0)
    for front in reversed(drainage_fronts(receiver)[0]):
        open_ = front[(found[front] < 0) & (receiver[front] >= 0)]
        found[open_] = found[receiver[open_]]
    return found


def reconnect(coarse: Upscaled, receiver: np.ndarray, corrections: Corrections, cell_area: float) -> Upscaled:
    """Mend links that lead elsewhere than the fine path does, see :func:`detours`.

    Args:
        coarse: The coarse network.
        receiver (fine cell,): Flat index of the receiving fine cell, -1 for none.
        corrections: Record that changes are added to.
        cell_area: Area of a fine cell, km2.
    """
    exits = coarse.exit.ravel()
    unit = unit_catchments(receiver, exits)
    below = np.where(exits >= 0, receiver[np.maximum(exits, 0)], -1)
    return detours(coarse, np.where(below >= 0, unit[np.maximum(below, 0)], -1), corrections, cell_area)


def detours(coarse: Upscaled, following: np.ndarray, corrections: Corrections, cell_area: float) -> Upscaled:
    """Mend links that lead elsewhere than the fine path does, where a detour of a few cells leads there too.

    A fine path may cross its neighbours beside their exits, which belong to larger rivers, so that the next exit on it
    lies further away. Its cell is then sent to the neighbour from which the coarse network leads to that exit, the one
    whose detour spoils least: the sum of the accumulations on it that grow by more than 3 %.

    Args:
        coarse: The coarse network.
        following (cell,): Flat index of the cell whose exit is the next one on the fine path below the exit, -1 none.
        corrections: Record that changes are added to.
        cell_area: Area of a fine cell, km2.
    """
    direction, exits = coarse.direction.copy(), coarse.exit.ravel()
    target, upstream = receivers(direction), np.nan_to_num(coarse.upstream.ravel())
    lost = np.flatnonzero((following >= 0) & (target >= 0) & (following != target))
    rows, columns = direction.shape
    for cell in lost[np.argsort(-upstream[lost], kind="stable")]:
        row, column = divmod(int(cell), columns)
        least, code = np.inf, None
        for candidate, (down, right) in STEPS.items():
            if not (0 <= row + down < rows and 0 <= column + right < columns):
                continue
            here = (row + down) * columns + column + right
            detour: list[int] = []
            while here not in (-1, cell, following[cell]) and exits[here] >= 0 and len(detour) < LONGEST_DETOUR:
                detour.append(here)
                here = target[here]
            cost = sum(upstream[passed] for passed in detour if upstream[cell] > 0.03 * upstream[passed])
            if here == following[cell] and cost < least and not _leads_to(here, int(cell), target):
                least, code = cost, candidate
        if code is not None and code != direction[row, column]:
            corrections.add("detour", (row, column), direction[row, column], code, upstream[cell] * cell_area)
            direction[row, column] = code
            target[cell] = cell + STEPS[code][0] * columns + STEPS[code][1]
    return dataclasses.replace(coarse, direction=direction)


def _leads_to(start: int, wanted: int, target: np.ndarray) -> bool:
    """Whether water from one cell comes through another one, which a loop elsewhere does not."""
    seen: set[int] = set()
    while start >= 0 and start != wanted and start not in seen:
        seen.add(start)
        start = int(target[start])
    return start == wanted


def snap(upstream_area: np.ndarray, row: int, column: int, area: float, reach: int = 1) -> tuple[int, int]:
    """The cell near a gauge whose upstream area is nearest to the gauge's own, by ratio.

    Args:
        upstream_area (row, column): Area that drains through a cell, any unit; NaN or 0 outside the domain.
        row: Row of the cell that the gauge stands in.
        column: Its column.
        area: Drainage area of the gauge, in the same unit.
        reach: How many cells away it may be.
    """
    require(area > 0.0, f"Argument `area` must be above 0, but is {area:g}.")
    top, left = max(row - reach, 0), max(column - reach, 0)
    window = upstream_area[top : row + reach + 1, left : column + reach + 1]
    with np.errstate(divide="ignore", invalid="ignore"):
        misfit = np.abs(np.log(window / area))
    misfit = np.where(np.isfinite(misfit), misfit, np.inf)
    require(bool(np.isfinite(misfit).any()), f"No cell of the domain lies near row {row}, column {column}.")
    down, right = np.unravel_index(int(np.argmin(misfit)), window.shape)
    return top + int(down), left + int(right)


def _codes(cells, neighbors, shape):
    """D8 codes of the steps from flat indices to neighboring ones, a sink for the same cell."""
    table = np.full((3, 3), SINK)
    for (down, right), code in CODES.items():
        table[1 + down, 1 + right] = code
    row, column = np.divmod(cells, shape[1])
    to_row, to_column = np.divmod(neighbors, shape[1])
    return table[1 + to_row - row, 1 + to_column - column]


def _largest_neighbor(cell, at_exit, coarse_active, shape):
    """Direction of the active neighbor with the largest accumulation if that exceeds the cell's own, else a sink."""
    row, column = divmod(int(cell), shape[1])
    best, code = at_exit[cell], SINK
    for candidate, (down, right) in STEPS.items():
        r, c = row + down, column + right
        if 0 <= r < shape[0] and 0 <= c < shape[1] and coarse_active[r * shape[1] + c]:
            area = at_exit[r * shape[1] + c]
            if area > best:
                best, code = area, candidate
    return code
