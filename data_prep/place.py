"""A region: what is asked for, its grid, what fine pixels tell of its cells, altitudes about points of coarse maps."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from chase_jax.checks import require, require_choice
from data_prep import hydrography, lakes, legends, pixels
from data_prep.finemaps import FineMaps, Region
from data_prep.squares import ROUNDED, Grid


@dataclass
class Wishes:
    """What is asked for, the keys that the recipes of regions share.

    Attributes:
        recipe: Name of the recipe, for messages.
        south: Southern edge of the region, degree; the edges are those of the maps if None.
        north: Northern edge, degree.
        west: Western edge, degree.
        east: Eastern edge, degree.
        resolution: Width of a cell, m.
        legend: Legend of the land cover, see :mod:`data_prep.legends`.
        patch_area: Area from which lakes are solved in two dimensions, km2.
        record_start: First day of the records by which gauges are screened, ISO; that of the file if None.
        record_end: Last day, ISO.
        least_years: Complete years that a gauge needs.

    Raises:
        InputError: If the legend is not known, or the edges are not all given or in the wrong order.
    """

    recipe: str
    south: float | None = None
    north: float | None = None
    west: float | None = None
    east: float | None = None
    resolution: float = 1000.0
    legend: str = "usgs"
    patch_area: float = lakes.SMALLEST_PATCH / 1e6
    record_start: str | None = None
    record_end: str | None = None
    least_years: int = 5

    def __post_init__(self) -> None:
        name, region = self.recipe, self.region
        require_choice(self.legend, f"{name}.legend", tuple(legends.TABLES))
        number = sum(edge is not None for edge in (self.south, self.north, self.west, self.east))
        require(number in (0, 4), f"{name}.south, {name}.north, {name}.west and {name}.east: give all four or none.")
        ordered = region is None or (region[0] < region[1] and region[2] < region[3])
        require(ordered, f"{name}.south and {name}.west must lie below {name}.north and {name}.east, but do not.")

    @property
    def region(self) -> Region | None:
        """South, north, west and east edge, degree; None if they are those of the maps."""
        if self.south is None or self.north is None or self.west is None or self.east is None:
            return None
        return self.south, self.north, self.west, self.east


@dataclass
class Place:
    """The grid, and what the fine pixels tell of its cells.

    Attributes:
        grid: The region and its grid.
        land: Drainage and terrain of the cells.
        terrain: Altitudes asked for so far, by the points.
    """

    grid: Grid
    land: pixels.Land
    terrain: dict[bytes, np.ndarray] = field(default_factory=dict)

    @property
    def region(self) -> Region:
        """South, north, west and east edge of the maps, degree."""
        return self.grid.fine.region

    def altitude_at(self, latitude: np.ndarray, longitude: np.ndarray) -> np.ndarray:
        """Mean altitude (lat, lon) of the land around points, m. Arguments: latitude, falling; longitude, degree."""
        key = latitude.tobytes() + longitude.tobytes()
        if key not in self.terrain:
            self.terrain[key] = pixels.mean_altitude(self.grid, latitude, longitude)
        return self.terrain[key]


def locate(fine: FineMaps, wishes: Wishes, corrections: hydrography.Corrections) -> Place:
    """The grid of a region and what the fine pixels tell of its cells.

    Args:
        fine: Their maps.
        wishes: What is asked for.
        corrections: Record that every change of the drainage is added to.

    Raises:
        InputError: If cells are smaller than pixels, or the maps cannot be read or are not what they should be.
    """
    widest, size = float(np.sqrt(fine.pixel_area.max())), wishes.resolution
    enough = size >= widest * (1.0 - ROUNDED)
    require(enough, f"{wishes.recipe}.resolution is {size:g} m; pixels of {widest:.0f} m need at least that.")
    grid = Grid.of(fine, size)
    return Place(grid, pixels.survey(grid, corrections))
