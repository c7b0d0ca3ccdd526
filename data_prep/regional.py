"""What the recipes of regions share: sources looked for in a folder, and the domain made of them and of fine pixels."""

from __future__ import annotations

import pathlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from chase_jax.checks import require
from data_prep import by_hand, gridded, hydrography, lakes, outputs, reanalysis, regional_gauges, regional_maps
from data_prep.finemaps import FineMaps
from data_prep.place import Wishes, locate

# What is looked for: source in the catalog, folder, names of files, and what is taken without it.
Looked = tuple[str, str, str, str]
SOURCES: dict[str, Looked] = {
    "soil": ("hwsd", "hwsd", "*.nc*", "the model's default loam"),
    "thickness": ("aquifer", "aquifer", "thickness.tif", "the model's default aquifer thickness"),
    "specific_yield": ("aquifer", "aquifer", "specific_yield.tif", "the model's default specific yield"),
    "land_cover": ("glcc", "land_cover", "*.tif", "the model's default vegetation"),
    "lakes": ("hydrolakes", "hydrolakes", "*.shp *.gpkg", "no lakes"),
    "floodplains": ("floodplains", "floodplains", "*.shp *.gpkg", "lakes alone"),
    "glaciers": ("rgi", "rgi", "*.shp *.gpkg", "snow and ice of the land cover, if there is any"),
    "leaf_area": ("leaf_area", "lai", "*.nc*", "the model's default leaf area"),
    "rain": ("chm_pre", "chm_pre", "*.nc*", "precipitation of ERA5-Land"),
    "air": ("era5_land", "era5_land", "*.nc*", "no weather is written"),
    "demand": ("gleam", "gleam", "*.nc*", "potential evapotranspiration of wet ground under the weather"),
}
TOLD = "lakes.csv"


@dataclass
class Shelf:
    """The sources of a region but its drainage.

    Attributes:
        folder: Where they are; None without any.
        held: Files of every source.
        lacking: A line for every source without files: what is taken instead, and where it is from.
    """

    folder: pathlib.Path | None
    held: dict[str, list[pathlib.Path]]
    lacking: list[str]

    @classmethod
    def of(cls, folder: pathlib.Path | None, sources: Mapping[str, Looked], recipe: str) -> Shelf:
        """Look into a folder.

        Args:
            folder: The folder of the sources; None if there is none.
            sources: What is looked for.
            recipe: Name of the recipe, for messages.

        Raises:
            InputError: If a source is missing that cannot be replaced.
        """
        found = cls(folder, {}, [])
        for name, (own, within, endings, instead) in sources.items():
            paths = [] if folder is None else [p for ending in endings.split() for p in (folder / within).rglob(ending)]
            found.held[name] = sorted(paths)
            if not paths:
                entry = gridded.catalog()[own]
                where = f"no {endings.split()[0]} in {folder / within}" if folder else f"{recipe}.folder is empty"
                line = f"{entry['title']}: {where}; get it from {entry['where']}"
                require(bool(instead), f"{line}; it cannot be replaced.")
                found.lacking.append(f"missing: {line}; taken instead: {instead}")
        table = folder / regional_gauges.GAUGES if folder else None
        if table is None or not table.is_file():
            named = f" {table}" if table else ""
            found.lacking.append(f"missing: table of gauges{named}; taken instead: no gauges")
        return found

    def file(self, name: str) -> pathlib.Path | None:
        """A file of the folder itself, None if it is not there. Argument: name."""
        path = self.folder / name if self.folder else None
        return path if path and path.is_file() else None


def build(
    fine: FineMaps,
    shelf: Shelf,
    wishes: Wishes,
    target: pathlib.Path,
    title: str,
    progress: Callable[[str], None],
    mended: pathlib.Path | None,
) -> dict[str, pathlib.Path]:
    """Write domain.nc, and forcing_YEAR.nc and gauges.csv where there are data for them, reports and a figure.

    Args:
        fine: Drainage and terrain.
        shelf: The other sources.
        wishes: What is asked for.
        target: Folder to write to; it is made if need be.
        title: Title of the domain.
        progress: Called with a line of text at every stage.
        mended: Table of directions mended by hand, see :func:`data_prep.by_hand.read`.

    Returns:
        Path of every file by its role.

    Raises:
        InputError: If a file cannot be read or is not what the catalog tells.
    """
    for line in shelf.lacking:
        progress(line)
    progress("domain: drainage and terrain")
    corrections = hydrography.Corrections()
    place = locate(fine, wishes, corrections)
    grid, held = place.grid, shelf.held
    coarse = by_hand.apply_to(mended, place.land.drainage, grid.x, grid.y, grid.crs, corrections, grid.size**2 / 1e6)
    paths, climate, told = {}, None, []
    if held["air"]:
        target.mkdir(parents=True, exist_ok=True)
        climate, text = reanalysis.write(held["rain"], held["air"], place.region, target, place.altitude_at, progress)
        paths["forcing"] = target / "forcing_*.nc"
        told.append(text)
    progress("domain: lakes, glaciers, soils, land cover")
    table = shelf.file(TOLD)
    told_of_lakes = lakes.read_told(table) if table else lakes.Told()
    fields, report = regional_maps.make_fields(place, coarse, held, climate, wishes, corrections, told_of_lakes)
    gauges = shelf.file(regional_gauges.GAUGES)
    if gauges:
        found, lines = regional_gauges.write(gauges.parent, target, place, coarse, fields, wishes)
        paths |= found
        told += lines
    domain = outputs.domain_dataset(fields, grid.x, grid.y, grid.crs)
    text = "\n".join([report, *told, *shelf.lacking])
    title = f"{title}, {grid.size / 1e3:g} km"
    return paths | outputs.write_domain(domain, outputs.Account(target, title, corrections, text, progress))
