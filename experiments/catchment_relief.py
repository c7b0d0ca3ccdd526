"""How far catchments spread in altitude and how high land stands above its rivers, by the slope between 1-km cells.

    python experiments/catchment_relief.py [folder of raw data]

prepares the Moselle, Otta and Nam Co, in cells of 1 km, below runs/relief, draws up to 400 catchments of 40 to 2500 km2
of each, and prints by place and size the spread over slope times size, and the height above the rivers over the slope.
The last line is the power law through the spreads by which `data_prep/camels_catchments.py` constructs its bands.
"""

from __future__ import annotations

import os
import pathlib
import sys

import numpy as np
import pandas as pd
import xarray as xr

from chase_jax.io import domain_store
from data_prep import camels_catchments, moselle, nam_co, otta, relief

PLACES = {"Moselle": moselle, "Otta": otta, "Nam Co": nam_co}
CATCHMENTS, AREAS = 400, (4e7, 2.5e9)  # most of a place, and their smallest and largest area, m2
SIZES = (6.0, 10.0, 15.0, 22.0, 35.0, 50.0)  # km, of the table


def measure(path: pathlib.Path, place: str) -> tuple[pd.DataFrame, float]:
    """Size, km, slope, spread, m, and spread over slope and size of catchments; height above rivers over slope, m.

    Args:
        path: The domain file.
        place: Its name.
    """
    domain = domain_store.open_domain(path)
    with xr.open_dataset(path) as file:
        width = abs(float(file.x[1] - file.x[0]))
        bed = domain.grid.pack(file.channel_bed_altitude.values)
    altitude = np.asarray(domain.surface_altitude)
    slope = domain.grid.pack(relief.slope(domain.grid.unpack(altitude, fill=np.nan), width))  # none on the border
    area = np.asarray(domain.drainage.upstream_area)
    outlets = np.flatnonzero((area > AREAS[0]) & (area < AREAS[1]))
    drawn = np.random.default_rng(0).choice(outlets, min(CATCHMENTS, outlets.size), replace=False)
    rows = []
    for outlet in drawn:
        above = np.asarray(domain.drainage.is_upstream(np.arange(domain.cells), int(outlet)))
        size = float(np.sqrt(area[outlet]))
        steep, spread = float(np.nanmean(slope[above])), float(altitude[above].std())
        rows.append((place, size / 1e3, steep, spread, spread / (steep * size)))
    table = pd.DataFrame(rows, columns=["place", "size", "slope", "spread", "ratio"])
    return table, float(np.nanmean(altitude - bed) / np.nanmean(slope))


def main(root: pathlib.Path, folder: pathlib.Path) -> pd.DataFrame:
    """Prepare, measure, print; every place counts alike.

    Args:
        root: Folder of raw data.
        folder: Where to write.
    """
    tables, heights = [], {}
    for place, recipe in PLACES.items():
        path = folder / recipe.__name__.split(".")[-1] / "domain.nc"
        if not path.exists():
            recipe.prepare(root, path.parent)
        table, heights[place] = measure(path, place)
        tables.append(table)
    table = pd.concat(tables, ignore_index=True)
    weight = 1.0 / np.sqrt(table.groupby("place")["place"].transform("size").to_numpy())
    relative = np.log(1e3 * table["size"].to_numpy() / camels_catchments.SPREAD_SIZE)
    left = np.stack([np.ones(len(table)), relative], axis=1) * weight[:, None]
    factor, power = np.linalg.lstsq(left, np.log(table["ratio"].to_numpy()) * weight, rcond=None)[0]
    by_size = table.groupby(["place", pd.cut(table["size"], SIZES)], observed=True)
    print(by_size[["slope", "spread", "ratio"]].median().round(3).to_string())
    print(", ".join(f"{place}: {height:.0f} m above rivers over slope" for place, height in heights.items()))
    print(f"spread over slope and size: {np.exp(factor):.3f} (size / 9 km)^{power:.2f}")
    return table


if __name__ == "__main__":
    source = pathlib.Path(sys.argv[1] if len(sys.argv) > 1 else os.environ["CHASE_DATA"])
    main(source, pathlib.Path("runs/relief"))
