"""Many calibrations, one for every file of a folder of maps: parameters that never saw a gauge.

`chase signatures` writes maps_without/GAUGE.nc, the maps of a gauge's catchment drawn by models that know neither the
gauge nor any upstream of it. What is calibrated on them knows no more. Every file is a calibration in a folder of its
own, so the whole may be stopped and resumed, or dealt to the jobs of an array by part=i/n.
"""

from __future__ import annotations

import dataclasses
import pathlib
from collections.abc import Callable
from typing import Any

import numpy as np
import xarray as xr

from chase_jax import config
from chase_jax.calibrate_case import PARAMETERS, REPORT, decisive
from chase_jax.calibration import cellwise
from chase_jax.checks import InputError, require
from chase_jax.io import store, tables
from chase_jax.io.run_folder import Taken, finished_under

TABLE = "folds.csv"


def run(settings: Any, calibrate: Callable[[Any], str]) -> str:
    """Calibrate on every file of `maps.folder`, or on a part of them.

    Args:
        settings: A checked :class:`chase_jax.config.Calibrate`.
        calibrate: Does one of them.

    Returns:
        A line for every file, and where the parameters are.

    Raises:
        InputError: If there is no file, every one of them is refused, or a folder holds another run or is in use.
        Stopped: If the process is asked to stop; what is done is kept.
    """
    source = pathlib.Path(settings.maps.folder).expanduser()
    files = sorted(source.glob("*.nc"))
    require(bool(files), f"maps.folder: {source}: holds no file *.nc; give the folder maps_without of a study.")
    folds = [(file.stem, _fold(settings, file)) for file in files]
    part = config.part_of(settings.part)
    mine = folds if part is None else folds[part[0] - 1 :: part[1]]
    told, refused = [], 0
    for name, one in mine:
        try:
            calibrate(one)
            told.append(f"{name}: done")
        except Taken:
            raise
        except InputError as error:  # the others are of use without it
            refused += 1
            told.append(f"{name}: left out, {error}")
    require(refused < len(mine) or not mine, told[0] if told else "")
    done = [name for name, one in folds if finished_under(one.output.directory, decisive(one))]
    if len(done) == len(files) - refused:
        told.append(_joined(pathlib.Path(settings.output.directory).expanduser(), done))
    else:
        told.append(f"{len(done)} of {len(files)} are done; a call without part joins them")
    return "\n".join(told)


def _fold(settings: Any, file: pathlib.Path) -> Any:
    """The settings of the calibration on one file; what is there is a part of this job, so it is gone on with."""
    here = pathlib.Path(settings.output.directory).expanduser() / file.stem
    output = dataclasses.replace(settings.output, directory=str(here))
    maps = dataclasses.replace(settings.maps, path=str(file), folder=None)
    return dataclasses.replace(settings, output=output, maps=maps, part=None, resume=not settings.output.overwrite)


def _joined(folder: pathlib.Path, names: list[str]) -> str:
    """Write what became of the cells of every fold."""
    rows = []
    for name in names:
        with xr.open_dataset(folder / name / REPORT) as report:
            status = report["calibration_status"].values
            row: dict[str, Any] = {"gauge_id": name}
            for code in (cellwise.MET, *range(cellwise.RUNOFF_OUT_OF_REACH, len(cellwise.STATUS))):
                row[cellwise.STATUS[code].split(",")[0].replace(" ", "_")] = int((status == code).sum())
            row["median_runoff_depth"] = float(np.nanmedian(report["runoff_depth"].values))
        rows.append(row)
    store.write_text(tables.text(rows, digits=6), folder / TABLE)
    return f"all of {len(names)} are done: {folder / TABLE}; parameters: {folder}/GAUGE/{PARAMETERS}"
