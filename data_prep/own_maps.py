"""Drainage and terrain from files of one's own: rasters of directions and of altitudes on one grid.

Files are those that GDAL knows, GeoTIFF and maps of PCRaster among them, in degrees or in metres. Codes of directions:

| set | codes | ends |
|---|---|---|
| `esri` | 1 east, 2 south-east, 4 south, and so on to 128 north-east | 0 outlet, 255 inland sink |
| `ldd` | keys of a number pad: 8 north, 6 east, 2 south, 4 west | 5, an inland sink if all around it is land |
| `merit` | those of esri | 0 river mouth, 255 or -1 inland depression, 247 or -9 ocean |

Pixels without a direction are no land.
"""

from __future__ import annotations

import pathlib
from dataclasses import dataclass

import numpy as np
import pyproj
import pyproj.exceptions

from chase_jax.checks import InputError, require
from data_prep import gridded, hydrography, rasters
from data_prep.finemaps import DENSE, DISTORTED, PARTS, FineMaps, Region

STEPS = tuple(hydrography.STEPS)
CODES = {
    "esri": (*STEPS, hydrography.OUTLET, hydrography.SINK),
    "ldd": (*hydrography.PCRASTER, hydrography.PIT),
    "merit": (*STEPS, hydrography.OUTLET, *gridded.INLAND, *gridded.OCEAN),
}
ALIGNED = 0.01  # pixels by which the grids of two files may differ
SAMPLES = 5  # places along each axis, where the distortion of a projection is looked at
DATE_LINE = 180.0  # degree


@dataclass
class OwnMaps(FineMaps):
    """Files on one grid.

    Attributes:
        files: File of every part ("dir", "elv", and "upa" and "wth" where there are such).
        codes: The set of codes of directions.
        first: Row and column of the files that the region begins at.
    """

    files: dict[str, pathlib.Path]
    codes: str
    first: tuple[int, int]
    provider = "map of areas"

    @classmethod
    def of(cls, files: dict[str, pathlib.Path], codes: str, crs: str | None, region: Region | None) -> OwnMaps:
        """Look at files.

        Args:
            files: File of every part.
            codes: The set of codes of directions.
            crs: The projection of files that do not tell it; None if all do.
            region: South, north, west and east edge, degree; all if None. Of a projected map the rows and columns are
                taken that hold the region.

        Raises:
            InputError: If a file cannot be read, the files do not lie on one grid, their projection is not known, is in
                other units than degrees or metres or distorts areas, or the region is not held.
        """
        known = _projection(list(files.values()), crs)
        main = files["dir"]
        y, x = rasters.geotiff_axes(main)
        require(min(y.size, x.size) > 1, f"{main}: must have at least 2 x 2 pixels, but has {y.size} x {x.size}.")
        for path in files.values():
            _require_grid(path, rasters.geotiff_axes(path), main, (y, x))
        if known.is_geographic and x[0] >= DATE_LINE:
            x = x - 2 * DATE_LINE
        first = 0, 0
        if region is not None:
            south, north, west, east = region
            if not known.is_geographic:
                change = pyproj.Transformer.from_crs(4326, known, always_xy=True)
                west, south, east, north = change.transform_bounds(west, south, east, north, DENSE)
            down, right = np.flatnonzero((y > south) & (y < north)), np.flatnonzero((x > west) & (x < east))
            held = down.size > 1 and right.size > 1
            require(held, f"{main}: does not reach into {region} (south, north, west, east).")
            y, x, first = y[down], x[right], (int(down[0]), int(right[0]))
        found = cls(main, y, x, known.to_string(), files, codes, first)
        if not found.in_degrees:
            _require_true_areas(found)
        return found

    @property
    def parts(self) -> tuple[str, ...]:
        """Parts that there is a file of."""
        return tuple(self.files)

    def values(self, part: str, rows: slice, columns: slice) -> np.ndarray:
        """Values (row, column) of a window, NaN where missing. Arguments: part, such as "elv"; rows; columns."""
        down, right = self.first
        window = (
            slice(rows.start + down, rows.stop + down), slice(columns.start + right, columns.stop + right)
        )  # fmt: skip
        if part == "dir":
            return rasters.read_geotiff(self.files[part], part=window).values
        return gridded.read_pixels("merit_hydro", PARTS[part], self.files[part], window).values

    def decoded(self, codes: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """D8 codes of this program and the pixels of land.

        Args:
            codes (row, column): Those of the file, NaN where missing.

        Raises:
            InputError: If a code is none of the set.
        """
        land, allowed = np.isfinite(codes), CODES[self.codes]
        wrong = np.unique(codes[land & ~np.isin(codes, allowed)])
        require(
            not wrong.size,
            f"must hold codes of {self.codes} ({', '.join(map(str, sorted(allowed)))}), but holds "
            f"{', '.join(f'{code:g}' for code in wrong[:5])}; set region.codes to the set of the file "
            f"({', '.join(CODES)}), and let the file declare its missing value.",
        )
        if self.codes == "merit":
            return gridded.merit_directions(codes)
        if self.codes == "ldd":
            return hydrography.from_pcraster(codes, land), land
        return np.where(land, codes, hydrography.OUTLET).astype(int), land


def _projection(paths: list[pathlib.Path], given: str | None) -> pyproj.CRS:
    """The one projection that files tell, or that is given for those that tell none, without heights."""
    told = {str(path): text for path in paths if (text := rasters.geotiff_projection(path))}
    told |= {"region.crs": given} if given else {}
    require(bool(told), f"{paths[0]}: does not tell its projection; label it, or set region.crs (such as EPSG:4326).")
    found: dict[str, pyproj.CRS] = {}
    for name, text in told.items():
        try:
            crs = pyproj.CRS.from_user_input(text)
        except pyproj.exceptions.CRSError:
            raise InputError(f"{name}: projection {text!r} is not known; write it as EPSG:4326 is.") from None
        found[name] = (crs.sub_crs_list[0] if crs.is_compound else crs).to_2d()
    (first, main), *others = found.items()
    for name, crs in others:
        same = main.equals(crs, ignore_axis_order=True)
        require(same, f"{name}: is in {crs.name}, but {first} in {main.name}; bring all files into one projection.")
    units = {axis.unit_name for axis in main.axis_info}
    wanted = {"degree"} if main.is_geographic else {"metre"}
    require(
        units == wanted, f"{first}: {main.name} is in {', '.join(sorted(units))}; only degrees and metres are read."
    )
    return main


def _require_grid(
    path: pathlib.Path,
    axes: tuple[np.ndarray, np.ndarray],
    main: pathlib.Path,
    wanted: tuple[np.ndarray, np.ndarray],
) -> None:
    """Require the pixels of a file to be those of another."""
    same = all(
        own.size == axis.size and np.abs(own - axis).max() <= ALIGNED * abs(axis[1] - axis[0])
        for own, axis in zip(axes, wanted, strict=True)
    )
    (y, x), (down, right) = axes, wanted
    require(
        same,
        f"{path}: has {y.size} x {x.size} pixels from ({x[0]:.10g}, {y[0]:.10g}) on, but {main} {down.size} x "
        f"{right.size} from ({right[0]:.10g}, {down[0]:.10g}) on; both must lie on one grid.",
    )


def _require_true_areas(found: OwnMaps) -> None:
    """Require a projection to keep the areas of a region."""
    rows, columns = (np.unique(np.linspace(0, size - 1, SAMPLES).astype(int)) for size in found.shape)
    lat, lon = found.place(rows, columns)
    scale = pyproj.Proj(found.crs).get_factors(lon.ravel(), lat.ravel()).areal_scale
    worst = float(np.abs(np.asarray(scale) - 1.0).max())
    require(
        worst <= DISTORTED,
        f"{found.source}: its projection changes areas by {worst:.1%}; at most {DISTORTED:.0%} is accepted, so make "
        "altitudes and directions anew in degrees or in an equal-area projection.",
    )
