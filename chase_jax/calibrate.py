"""The job of `chase calibrate`: what is sought decides on which of its jobs does it."""

from __future__ import annotations

from typing import Any

from chase_jax import (
    calibrate_case,
    calibrate_cells,
    calibrate_check,
    calibrate_discharge,
    calibrate_fields,
    calibrate_folds,
    calibrate_rivers,
    workflows,
)
from chase_jax.checks import require
from chase_jax.io import map_store, run_folder

PARAMETERS = calibrate_case.PARAMETERS
UNUSED_INTERVAL = 3  # days, where no baseflow index is sought
check = calibrate_check.run


def run(settings: Any) -> str:
    """Calibrate under a checked configuration: on one file of maps, on every file of a folder, or on discharge.

    Args:
        settings: A :class:`chase_jax.config.Calibrate`.

    Returns:
        What was found, in a few lines.

    Raises:
        InputError: Names file, variable, place, value and what is allowed.
        Stopped: If the process is asked to stop; all trials that are done are kept.
    """
    if not settings.maps.folder:
        require(settings.part is None, "part is given without maps.folder; leave it out.")
        return one(settings)
    require(not settings.maps.path, "maps.path and maps.folder are both given; leave one of them out.")
    return calibrate_folds.run(settings, one)


def one(settings: Any) -> str:
    """Calibrate under a checked configuration.

    Args:
        settings: A :class:`chase_jax.config.Calibrate`.

    Returns:
        What was found, in a few lines.

    Raises:
        InputError: Names file, variable, place, value and what is allowed.
        Stopped: If the process is asked to stop; all trials that are done are kept.
    """
    with (
        run_folder.opened(settings.output.directory, settings.resume, settings.output.overwrite) as folder,
        workflows.listening() as asked,
    ):
        if folder.finished:
            folder.require_same(calibrate_case.decisive(settings))
            return f"{folder.path}: is finished"
        cellwise = settings.method == "gradient" and settings.variant == "newton"
        require(
            settings.fit.prior_deviation is None or (cellwise and settings.target in calibrate_case.NAMES),
            f"fit.prior_deviation is {settings.fit.prior_deviation}, but only method=gradient variant=newton weighs "
            "maps against parameters; leave it empty.",
        )
        jobs = {"hydrograph": calibrate_rivers.run, "discharge": calibrate_discharge.run}
        job = jobs.get(settings.target)
        require(
            job is not None or bool(settings.maps.path),
            "maps.path is empty; give the maps of the target as maps.path=...",
        )
        require(
            job is not None or not settings.initial.path,
            f"initial.path is {settings.initial.path}, but calibration on maps begins with stores in equilibrium with "
            "each trial's parameters; leave it empty.",
        )
        given = workflows.inputs(settings, folder)
        facts = workflows.facts(settings, given) | calibrate_case.decisive(settings)
        if job is not None:
            return job(settings, folder, facts, given, asked)
        names = calibrate_case.NAMES[settings.target]
        maps, stated = map_store.read_maps(settings.maps.path, given.domain.grid, names)
        interval = settings.maps.interval_days or stated or 0
        if "baseflow_index" not in names:
            interval = UNUSED_INTERVAL
        require(
            interval > 0,
            f"{settings.maps.path}: variable baseflow_index: has no attribute interval_days; give the interval of the "
            "basins the map was made from as maps.interval_days=... (odd, 3 to 11).",
        )
        require(
            interval % 2 == 1 and 3 <= interval <= 11, f"maps.interval_days is {interval}; allowed are 3, 5, 7, 9, 11."
        )
        calibrate_case.parameters_of(settings)  # refused before anything is written
        fields = settings.method == "gradient" and settings.variant != "newton"
        study = calibrate_fields.run if fields else calibrate_cells.run
        return study(settings, folder, facts, given, maps, interval, asked)
