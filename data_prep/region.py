"""A region of anywhere from altitudes and directions of one's own, and from the other sources that `china` knows.

| key | holds | without it |
|---|---|---|
| `region.elevation` | altitudes, m | nothing is made |
| `region.flow_direction` | directions, in the codes `region.codes` of :mod:`data_prep.own_maps` | nothing is made |
| `region.river_width` | widths of rivers, m | from mean flow |
| `region.upstream_area` | areas to compare, km2 | not compared |
| `region.folder` | all that :mod:`data_prep.china` looks for but MERIT Hydro | what it takes instead |

The rasters must lie on one grid. In degrees, the domain has an equal-area grid about the middle of the region, as with
`china`; in metres it has the projection of the rasters and its edges are theirs, so that with
`region.resolution` the width of a pixel every pixel is a cell and drains as told. Files that do not tell their
projection, as maps of PCRaster never do, take it from those that do, or from `region.crs`.
"""

from __future__ import annotations

import pathlib
from collections.abc import Callable
from typing import Any

from chase_jax.checks import require, require_choice
from chase_jax.io import store
from data_prep import outputs, own_maps, regional
from data_prep.place import Wishes

NEEDS_DATA = False  # the files are named one by one
INSTEAD = {"wth": "river widths from mean flow", "upa": "areas are not compared"}


def prepare(
    data_root: pathlib.Path | None,
    output_directory: pathlib.Path,
    progress: Callable[[str], None] = outputs.quiet,
    mended: pathlib.Path | None = None,
    folder: str | None = None,
    elevation: str | None = None,
    flow_direction: str | None = None,
    codes: str = "esri",
    river_width: str | None = None,
    upstream_area: str | None = None,
    crs: str | None = None,
    **wishes: Any,
) -> dict[str, pathlib.Path]:
    """Write domain.nc, and forcing_YEAR.nc and gauges.csv where there are data for them, reports and a figure.

    Args:
        data_root: Not read.
        output_directory: Folder to write to; it is made if need be.
        progress: Called with a line of text at every stage.
        mended: Table of directions mended by hand, see :func:`data_prep.by_hand.read`.
        folder: Folder of the other sources; none are looked for if None.
        elevation: Raster of altitudes, m.
        flow_direction: Raster of directions.
        codes: The set of their codes, see :mod:`data_prep.own_maps`.
        river_width: Raster of widths of rivers, m.
        upstream_area: Raster of areas upstream, km2.
        crs: The projection of rasters that do not tell it.
        **wishes: What is asked for, see :class:`data_prep.place.Wishes`.

    Returns:
        Path of every file by its role.

    Raises:
        InputError: If a file is missing, cannot be read or is not what it should be.
    """
    require_choice(codes, "region.codes", tuple(own_maps.CODES))
    asked = Wishes("region", **wishes)
    given = {"dir": ("flow_direction", flow_direction), "elv": ("elevation", elevation)}
    given |= {"wth": ("river_width", river_width), "upa": ("upstream_area", upstream_area)}
    files, lacking = {}, []
    for part, (key, path) in given.items():
        if path:
            files[part] = store.local_path(path, f"region.{key}")
            continue
        require(part in INSTEAD, f"region.{key} is empty; give a raster (GeoTIFF or a map of PCRaster).")
        lacking.append(f"missing: region.{key} is empty; taken instead: {INSTEAD[part]}")
    source = store.local_path(folder, "region.folder") if folder else None
    shelf = regional.Shelf.of(source, regional.SOURCES, "region")
    shelf.lacking[:0] = lacking
    maps = own_maps.OwnMaps.of(files, codes, crs, asked.region)
    return regional.build(maps, shelf, asked, pathlib.Path(output_directory), "Region", progress, mended)
