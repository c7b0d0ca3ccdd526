"""The generated valley: altitude, drainage, lakes, glacier, soils and vegetation of 60 x 60 km at 1 km.

A main river rises under a glacier in the northwest, crosses a flat reach, fills a lake that backs water up into it, and
leaves through a gap in the eastern rim. The southwest is a dry basin of its own that ends in a salt lake. Everything
follows from one seed; nothing depicts a real place.
"""

from __future__ import annotations

import heapq
import itertools
from dataclasses import dataclass

import numpy as np

SEED = 19620101
CELLS, SPACING = 60, 1000.0  # 1 and m
CRS = "+proj=laea +lat_0=36 +lon_0=104 +x_0=0 +y_0=0 +ellps=WGS84 +units=m"
COORDINATE = (np.arange(CELLS) - 0.5 * (CELLS - 1)) * SPACING  # m, of cell centers; y runs the other way

AXIS = np.array(
    [(7, 43), (15, 39), (24, 33), (31, 27), (38, 25), (47, 25), (54, 22), (60, 21)], float
)  # km, main valley
AXIS_ALTITUDE = np.array([2300, 1150, 716, 706, 700, 698, 655, 620], float)  # m
LAKE, LAKE_CENTER, LAKE_RADII, LAKE_LEVEL, LAKE_DEPTH = 1, (39.5, 25.0), (6.6, 2.6), 700.0, 22.0  # km and m
FLAT_SLOPE, FLAT_CELLS = 1.5e-4, 10  # 1, of the reach above the lake, and its length in cells
SALT_LAKE, SALT_CENTER, SALT_RADIUS, SALT_LEVEL, SALT_DEPTH = 2, (10.0, 9.0), 2.4, 1450.0, 6.0  # km and m
INCISION, DEEPEST_INCISION = 0.25, 40.0  # 1 and m, of rivers into the land of their cell, over its fall to the next
LEAST_FALL, LEAST_FALL_VALLEY = 3.0, 0.3  # m per cell, of the ground towards its receiving cell

STEPS = {1: (0, 1), 2: (1, 1), 4: (1, 0), 8: (1, -1), 16: (0, -1), 32: (-1, -1), 64: (-1, 0), 128: (-1, 1)}
LEAF_AREA = {  # USGS class: winter and summer one-sided leaf area index, 1
    1: (0.4, 1.0), 2: (0.3, 3.8), 6: (0.6, 3.5), 7: (0.4, 2.2), 11: (0.6, 5.0), 14: (4.2, 5.0), 15: (2.2, 4.8),
    16: (0.0, 0.0), 17: (0.6, 3.2), 19: (0.05, 0.2), 21: (0.4, 1.8), 24: (0.0, 0.0), 8: (0.3, 1.2),
}  # fmt: skip


@dataclass(frozen=True)
class Valley:
    """Maps of the valley, rows from north to south.

    Attributes:
        fields: Domain fields (y, x) or (month, y, x) by name, in the units of the table of variables.
        receiver (cell,): Flat index of the receiving cell, -1 at the outlet and the inland sink.
        upstream_area (y, x): Area that drains through every cell, m2.
        gauges: Flat index of every gauge's cell by its identifier.
    """

    fields: dict[str, np.ndarray]
    receiver: np.ndarray
    upstream_area: np.ndarray
    gauges: dict[str, int]


def build() -> Valley:
    """Generate the valley; the same every time."""
    east, north = np.meshgrid(np.arange(CELLS) + 0.5, CELLS - np.arange(CELLS) - 0.5)  # km from the southwest corner
    noise = [_smooth_noise(SEED + k, scale) for k, scale in enumerate((14.0, 6.0, 3.0, 9.0, 7.0))]
    raw, shadow, fall = _raw_altitude(east, north, noise)
    active = np.hypot((east - 30) / 30.5, (north - 30) / 30.5) ** 4 < 1.35 + 0.25 * noise[0]
    lake = ((east - LAKE_CENTER[0]) / LAKE_RADII[0]) ** 2 + ((north - LAKE_CENTER[1]) / LAKE_RADII[1]) ** 2
    salt = np.hypot(east - SALT_CENTER[0], north - SALT_CENTER[1]) / SALT_RADIUS
    raw = np.where(lake < 1, LAKE_LEVEL - 2.0, np.where(salt < 1, SALT_LEVEL - 2.0 + salt, raw))

    outlet = _nearest(active, east, north, (59.5, 21.0))
    sink = _nearest(active, east, north, SALT_CENTER)
    fall = np.where((lake < 1) | (salt < 1), 0.05, fall).ravel()
    filled, receiver = _drain(raw, active, [outlet, sink], fall)
    _keep_one_way_out(receiver, filled, (lake < 1).ravel())
    area = _accumulate(receiver, active.ravel() * SPACING**2, filled).reshape(active.shape)
    altitude = _river_profile(filled, receiver, area.ravel(), (lake < 1).ravel(), fall).reshape(active.shape)
    altitude = np.where(active, altitude, LAKE_LEVEL)
    direction = _codes(receiver, active, sink)

    in_lake, in_salt = (lake < 1) & active, (salt < 1) & active
    basin = _accumulated_to(receiver, sink).reshape(active.shape)
    water = in_lake | in_salt
    glacier = np.clip((altitude - 3700) / 400, 0, 1) * (north > 38) * ~water
    glacier[glacier < 0.1] = 0.0
    nan = np.full(active.shape, np.nan)
    bankfull = 5e-8 * area
    channel_depth = np.where(water, np.nan, np.maximum(1.25 * bankfull**0.3, 0.6))
    following = np.where(receiver >= 0, receiver, np.arange(receiver.size)).reshape(active.shape)
    fall_to_next = altitude - altitude.ravel()[following]
    vegetation = _vegetation(altitude, noise, in_lake, in_salt, glacier, area, shadow)
    sand = np.clip(0.42 + 0.16 * noise[3] - 0.10 * (altitude < 900) + 0.12 * basin, 0.12, 0.80)
    clay = np.clip(0.22 - 0.10 * noise[3] + 0.06 * noise[4] + 0.05 * (altitude < 900), 0.05, 0.45)
    plain = np.exp(-np.maximum(altitude - 700, 0) / 500)
    fields = {
        "active": active,
        "surface_altitude": np.where(in_lake, LAKE_LEVEL, np.where(in_salt, SALT_LEVEL, altitude)),
        "flow_direction": direction,
        "cell_area": np.full(active.shape, SPACING**2),
        "sand_fraction": sand,
        "clay_fraction": np.minimum(clay, 0.95 - sand),
        "vegetation_class": vegetation,
        "leaf_area_index": _leaf_area(vegetation, altitude),
        "lake_index": LAKE * in_lake + SALT_LAKE * in_salt,
        "lake_patch": water,
        "lake_bed_altitude": np.where(
            in_lake,
            LAKE_LEVEL - 1.5 - (LAKE_DEPTH - 1.5) * np.maximum(1 - lake, 0) ** 0.7,
            np.where(in_salt, SALT_LEVEL - 0.5 - SALT_DEPTH * np.maximum(1 - salt, 0) ** 0.8, nan),
        ),
        "lake_sill_altitude": np.where(in_lake, LAKE_LEVEL, np.where(in_salt, SALT_LEVEL, nan)),
        "glacier_fraction": glacier,
        "aquifer_thickness": 20.0 + 60.0 * plain,
        "specific_yield": 0.03 + 0.12 * plain,
        "aquifer_conductivity": 10 ** (-5.5 + 1.3 * plain),
        "channel_width": np.where(water, np.nan, np.maximum(7.2 * bankfull**0.5, 5.0)),
        "channel_depth": channel_depth,
        "channel_bed_altitude": altitude - np.minimum(INCISION * fall_to_next, DEEPEST_INCISION) - channel_depth,
    }
    fields |= {name: np.where(active, fields[name], nan) for name, v in fields.items() if v.dtype == float}
    ice = _accumulate(receiver, np.nan_to_num(glacier).ravel(), filled)
    gauges = _gauges(receiver, altitude.ravel(), area, ice, in_lake, in_salt, outlet)
    return Valley(fields, receiver, area, gauges)


def _raw_altitude(east: np.ndarray, north: np.ndarray, noise: list[np.ndarray]) -> tuple[np.ndarray, ...]:
    """Altitude before drainage, m; how far a cell lies in the dry southwest, 0 to 1; least fall to the next cell, m."""
    distance, along = _to_axis(east, north)
    rim = np.hypot((east - 30) / 30, (north - 30) / 30)
    massif = np.exp(-(((east - 16) / 11) ** 2) - ((north - 52) / 8) ** 2)
    away = np.maximum(distance - 0.8, 0.0)  # the valley floor is a cell or two wide
    slope = away / (away + 9.0)
    ridges = 0.55 * noise[0] + 0.5 * noise[1] + 0.35 * noise[2]
    relief = slope * (1000 + 700 * rim**3 + 1500 * massif) * (1 + 0.45 * ridges)
    valley = along + relief
    centre = np.hypot(east - SALT_CENTER[0], north - SALT_CENTER[1])
    shadow = 1 / (1 + np.exp((centre - 12) / 1.5))
    bowl = SALT_LEVEL + 35 * np.maximum(centre - SALT_RADIUS, 0) * (1 + 0.3 * ridges)
    wall = 500 * np.exp(-(((centre - 13.5) / 2.2) ** 2)) * (1 + 0.3 * noise[1])
    fall = np.where(distance < 1.5, LEAST_FALL_VALLEY, LEAST_FALL)
    return shadow * bowl + (1 - shadow) * valley + wall, shadow, fall


def _to_axis(east: np.ndarray, north: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Distance to the axis of the main valley, km, and the altitude of the axis at the nearest point, m."""
    best, altitude = np.full(east.shape, np.inf), np.zeros(east.shape)
    for (start, end), (high, low) in zip(itertools.pairwise(AXIS), itertools.pairwise(AXIS_ALTITUDE), strict=True):
        step = end - start
        share = np.clip(((east - start[0]) * step[0] + (north - start[1]) * step[1]) / (step @ step), 0, 1)
        distance = np.hypot(east - start[0] - share * step[0], north - start[1] - share * step[1])
        altitude = np.where(distance < best, high + share * (low - high), altitude)
        best = np.minimum(best, distance)
    return best, altitude


def _smooth_noise(seed: int, scale: float) -> np.ndarray:
    """Random field (y, x) of mean 0 and variance 1 whose waves are about `scale` cells long."""
    draw = np.random.default_rng(seed).random((3, 64))
    east, north = np.meshgrid(np.arange(CELLS), np.arange(CELLS))
    angle, phase, wavelength = 2 * np.pi * draw[0], 2 * np.pi * draw[1], scale * (0.7 + draw[2])
    waves = np.cos(
        2 * np.pi * (east[..., None] * np.cos(angle) + north[..., None] * np.sin(angle)) / wavelength + phase
    )
    return np.sqrt(2 / 64) * waves.sum(-1)


def _nearest(active: np.ndarray, east: np.ndarray, north: np.ndarray, point: tuple[float, float]) -> int:
    """Flat index of the active cell nearest to a point."""
    return int(np.argmin(np.where(active, np.hypot(east - point[0], north - point[1]), np.inf)))


def _neighbors(cell: int) -> list[tuple[int, float]]:
    """Flat index and distance in cells of the up to eight neighbors of a cell."""
    row, column = divmod(cell, CELLS)
    around = [(row + down, column + right, np.hypot(down, right)) for down, right in STEPS.values()]
    return [(r * CELLS + c, far) for r, c, far in around if 0 <= r < CELLS and 0 <= c < CELLS]


def _drain(raw: np.ndarray, active: np.ndarray, ends: list[int], fall: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Fill depressions from the ends upward (priority flood) and send every cell down its steepest way.

    Returns the filled altitude (cell,) and the receivers (cell,).
    """
    ground, inside = raw.ravel(), active.ravel()
    filled, parent = np.full(ground.size, np.inf), np.full(ground.size, -1)
    queue = [(float(ground[end]), end) for end in ends]
    for level, end in queue:
        filled[end] = level
    heapq.heapify(queue)
    while queue:
        level, cell = heapq.heappop(queue)
        for other, far in _neighbors(cell):
            if inside[other] and np.isinf(filled[other]):
                filled[other] = max(float(ground[other]), level + float(fall[other]) * far)
                parent[other] = cell
                heapq.heappush(queue, (float(filled[other]), other))
    receiver = np.full(ground.size, -1)
    for cell in np.flatnonzero(inside).tolist():
        if cell not in ends and parent[cell] >= 0:
            steepest = max(_neighbors(cell), key=lambda pair: (filled[cell] - filled[pair[0]]) / pair[1])
            receiver[cell] = steepest[0]
    return filled, receiver


def _keep_one_way_out(receiver: np.ndarray, filled: np.ndarray, in_lake: np.ndarray) -> None:
    """Send lake cells beside the outlet of the lake to their lowest neighbor in the lake; changes `receiver`."""
    leaving = np.flatnonzero(in_lake & ~in_lake[receiver])
    for cell in leaving[filled[leaving] > filled[leaving].min()]:
        receiver[cell] = min((n for n, _ in _neighbors(int(cell)) if in_lake[n]), key=lambda n: filled[n])


def _accumulate(receiver: np.ndarray, weight: np.ndarray, altitude: np.ndarray) -> np.ndarray:
    """Sum of `weight` (cell,) over everything that drains through a cell."""
    total = weight.astype(float).copy()
    for cell in np.argsort(-altitude, kind="stable"):
        if receiver[cell] >= 0:
            total[receiver[cell]] += total[cell]
    return total


def _accumulated_to(receiver: np.ndarray, end: int) -> np.ndarray:
    """Mask (cell,) of what drains to an end, found by following every path at once."""
    position = np.arange(receiver.size)
    for _ in range(receiver.size):
        following = np.where(receiver[position] >= 0, receiver[position], position)
        if np.array_equal(following, position):
            break
        position = following
    return position == end


def _river_profile(filled, receiver, area, in_lake, fall) -> np.ndarray:
    """Lay the flat reach above the lake: its banks stand a little above the lake and rise gently."""
    altitude = filled.copy()
    heads = np.flatnonzero((receiver >= 0) & ~in_lake & in_lake[np.maximum(receiver, 0)])
    cell = int(heads[np.argmax(area[heads])])
    flat = _main_stem(cell, receiver, filled, area)[:FLAT_CELLS]
    altitude[flat] = LAKE_LEVEL + 1.5 + FLAT_SLOPE * SPACING * np.arange(1, FLAT_CELLS + 1)
    for other in np.argsort(filled, kind="stable"):  # the ground beside it must not lie below it
        if receiver[other] >= 0 and not in_lake[other] and not in_lake[receiver[other]]:
            least = 0.0 if other in flat else fall[other]
            altitude[other] = max(altitude[other], altitude[receiver[other]] + least)
    return altitude


def _main_stem(start: int, receiver: np.ndarray, altitude: np.ndarray, area: np.ndarray) -> list[int]:
    """Cells upstream of `start` along the lowest of the donors that bring at least a quarter of the largest one."""
    stem = [start]
    while (donors := np.flatnonzero(receiver == stem[-1])).size:
        donors = donors[area[donors] >= 0.25 * area[donors].max()]
        stem.append(int(donors[np.argmin(altitude[donors])]))
    return stem


def _codes(receiver: np.ndarray, active: np.ndarray, sink: int) -> np.ndarray:
    """ESRI codes (y, x) of the receivers."""
    codes = {down * CELLS + right: code for code, (down, right) in STEPS.items()}
    direction = np.zeros(receiver.size, int)
    for cell in np.flatnonzero(receiver >= 0):
        direction[cell] = codes[int(receiver[cell] - cell)]
    direction[sink] = 255
    return np.where(active, direction.reshape(active.shape), 0)


def _vegetation(altitude, noise, in_lake, in_salt, glacier, area, shadow) -> np.ndarray:
    """USGS class (y, x) by altitude belts, broken up by noise."""
    height = altitude + 120 * noise[2]
    belts = [(height < 900, 2), (height < 1250, 6), (height < 1800, 11), (height < 2200, 15), (height < 2800, 14)]
    belts += [(height < 3200, 7), (height < 3600, 21)]
    kind = np.select([where for where, _ in belts], [number for _, number in belts], 19)
    kind = np.where((shadow > 0.5) & (height < 2200), np.where(noise[1] > 0.3, 8, 7), kind)
    kind = np.where((altitude < 715) & (area > 5e7), 17, kind)
    kind = np.where((altitude < 800) & (noise[4] > 1.9), 1, kind)
    kind = np.where(glacier > 0.5, 24, kind)
    return np.where(in_lake | in_salt, 16, kind)


def _leaf_area(vegetation: np.ndarray, altitude: np.ndarray) -> np.ndarray:
    """Leaf area index (month, y, x): greatest in July, a shorter and later season higher up."""
    month = np.arange(1, 13)[:, None, None]
    season = np.clip(0.5 - 0.75 * np.cos(2 * np.pi * (month - 1.0 - altitude / 8000) / 12), 0, 1)
    winter, summer = (np.vectorize(lambda kind, k=k: LEAF_AREA[kind][k], otypes=[float])(vegetation) for k in (0, 1))
    return winter + (summer - winter) * season


def _gauges(receiver, altitude, area, ice, in_lake, in_salt, outlet: int) -> dict[str, int]:
    """Cells of the gauges: glacier stream, above the lake, a tributary, lake, main outlet, and the dry basin."""
    flat, lake, salt = area.ravel(), in_lake.ravel(), in_salt.ravel()
    main = _main_stem(outlet, receiver, altitude, flat)
    shore = max(i for i, cell in enumerate(main) if lake[cell])
    tributaries = [c for cell in main for c in np.flatnonzero(receiver == cell) if c not in main and not lake[c]]
    to_salt = np.flatnonzero(~salt & (receiver >= 0) & salt[np.maximum(receiver, 0)])
    return {
        "G1": int(np.argmax(np.where((flat > 4e7) & (flat < 9e7), ice / np.maximum(flat, 1.0), -1.0))),
        "G2": main[shore + FLAT_CELLS + 1],
        "G3": int(max(tributaries, key=lambda cell: flat[cell])),
        "G4": main[min(i for i, cell in enumerate(main) if lake[cell])],
        "G5": outlet,
        "G6": int(to_salt[np.argmax(flat[to_salt])]),
    }
