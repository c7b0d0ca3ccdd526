"""Upscaling the Moselle from 500 m to 1, 2 and 5 km, with exits at the largest accumulation and by iteration (IHU).

CHASE_DATA=... python experiments/upscaling.py
"""

import os
import pathlib

import numpy as np

from data_prep import fidelity, hydrography, moselle, rasters

FACTORS = (2, 4, 10)


def compare(source: pathlib.Path) -> list[dict[str, object]]:
    """A row of numbers for every size and method. Argument: source, the folder `moselle`."""
    network = moselle.read_network(source)
    rows: list[dict[str, object]] = []
    for factor in FACTORS:
        inside = rasters.padded(network.inside, factor, False)
        direction = np.where(inside, rasters.padded(network.direction, factor, 0), 0)
        receiver = np.where(inside.ravel(), hydrography.receivers(direction), -1)
        for method in hydrography.METHODS:
            corrections = hydrography.Corrections()
            coarse = hydrography.upscale(direction, inside, factor, corrections, network.fine_area, method)
            for mended in (False, True):
                if mended:
                    coarse = hydrography.reconnect(coarse, receiver, corrections, network.fine_area)
                found = fidelity.measure(direction, inside, coarse, factor, network.terrain.cell_size)
                size = network.terrain.cell_size * factor
                rows.append({"size, m": f"{size:g}", "method": method, "detours": mended, **found})
    return rows


if __name__ == "__main__":
    table = compare(pathlib.Path(os.environ["CHASE_DATA"]) / "moselle")
    print(" | ".join(table[0]))
    for row in table:
        print(" | ".join(f"{value:.6g}" if isinstance(value, float) else str(value) for value in row.values()))
