r"""A region of China from the sources of Dong et al. (2026), whatever of them is there.

| source | gives | where | without it |
|---|---|---|---|
| MERIT Hydro | drainage, terrain | `merit_hydro/*_dir.tif`, `*_elv.tif` | nothing is made |
| | river widths | `merit_hydro/*_wth.tif` | from mean flow |
| | areas to compare | `merit_hydro/*_upa.tif` | not compared |
| HWSD (regridded) | sand, clay | `hwsd/*.nc*` with T_SAND, T_CLAY | loam |
| aquifer maps | thickness | `aquifer/thickness.tif` | the model's default |
| | specific yield | `aquifer/specific_yield.tif` | the model's default |
| GLCC | land cover | `land_cover/*.tif`, legend in `china.legend` | the model's default |
| HydroLAKES | lakes | `hydrolakes/*.shp` or `.gpkg` | no lakes |
| | how single lakes are treated | `lakes.csv`, see :func:`data_prep.lakes.read_told` | by their area |
| floodplains | cells added to patches | `floodplains/*.shp` or `.gpkg` | lakes alone |
| Randolph inventory | glaciers | `rgi/*.shp` or `.gpkg` | snow and ice of the land cover |
| 1-km leaf area | leaf area | `lai/*.nc*` | the model's default |
| CHM_PRE V2 | precipitation | `chm_pre/*.nc*` | that of ERA5-Land |
| ERA5-Land | all other weather | `era5_land/*.nc*` | no weather |
| GLEAM | potential evapotranspiration | `gleam/Ep_*.nc*` | that of wet ground under the weather |
| gauges | places of gauges | `gauges.csv` | no gauges |
| | their records, by which some are dropped | `observations.nc`, see :mod:`data_prep.screening` | all are kept |
| reservoirs | the degree of regulation | `reservoirs.csv` beside them | none |
| withdrawals | the part of the flow | `withdrawals.csv` beside them | none |

Folders are those within `china.folder`, or `china` in `data.root`. What is missing is told, one line each, with where
to get it. What is done with them, as in the paper: an equal-area grid about the middle of the region; drainage and
altitude of rivers by the place of largest accumulation; climate, soil and aquifer bilinear, with the nearest valid
value where there is none; land cover nearest. The land is the mean of a cell, above its river
(:mod:`data_prep.relief`).

Pixels of MERIT Hydro are read in squares (:mod:`data_prep.pixels`), so that memory grows with the cells and not with
the pixels. The region is set by `china.south` and so on. Rivers that enter over the edge lack what is beyond.
"""

from __future__ import annotations

import pathlib
from collections.abc import Callable
from typing import Any

from chase_jax.checks import require
from data_prep import merit, outputs, regional
from data_prep.place import Wishes

NEEDS_DATA = False  # china.folder may stand for data.root
SOURCES: dict[str, regional.Looked] = {
    "drainage": ("merit_hydro", "merit_hydro", "*_dir.tif", ""),
    "river_width": ("merit_hydro", "merit_hydro", "*_wth.tif", "river widths from mean flow"),
    "upstream_area": ("merit_hydro", "merit_hydro", "*_upa.tif", "areas are not compared"),
    **regional.SOURCES,
}


def prepare(
    data_root: pathlib.Path | None,
    output_directory: pathlib.Path,
    progress: Callable[[str], None] = outputs.quiet,
    mended: pathlib.Path | None = None,
    folder: str | None = None,
    **wishes: Any,
) -> dict[str, pathlib.Path]:
    """Write domain.nc, and forcing_YEAR.nc and gauges.csv where there are data for them, reports and a figure.

    Args:
        data_root: Folder that holds the folder `china`; None with `folder`.
        output_directory: Folder to write to; it is made if need be.
        progress: Called with a line of text at every stage.
        mended: Table of directions mended by hand, see :func:`data_prep.by_hand.read`.
        folder: Folder of the sources instead.
        **wishes: What is asked for, see :class:`data_prep.place.Wishes`.

    Returns:
        Path of every file by its role.

    Raises:
        InputError: If MERIT Hydro is missing, or a file cannot be read or is not what the catalog tells.
    """
    require(bool(folder or data_root), "china.folder: is empty, and so is data.root; give the folder of the sources.")
    source = pathlib.Path(folder).expanduser() if folder else pathlib.Path(str(data_root)) / "china"
    require(source.is_dir(), f"china.folder: {source}: no such folder; it holds the sources, such as merit_hydro.")
    asked = Wishes("china", **wishes)
    shelf = regional.Shelf.of(source, SOURCES, "china")
    mosaic = merit.Mosaic.of(source / "merit_hydro", asked.region)
    return regional.build(mosaic, shelf, asked, pathlib.Path(output_directory), "Region of China", progress, mended)
