"""The job of `chase calibrate`: what is sought decides on which of its jobs does it."""

from __future__ import annotations

import itertools
from typing import Any

from chase_jax import (
    calibrate_case,
    calibrate_cells,
    calibrate_check,
    calibrate_discharge,
    calibrate_fields,
    calibrate_folds,
    calibrate_rivers,
    config,
    workflows,
)
from chase_jax.checks import require
from chase_jax.io import map_store, run_folder

PARAMETERS = calibrate_case.PARAMETERS
UNUSED_INTERVAL = 3  # days, where no baseflow index is sought
check = calibrate_check.run

Search = tuple[str, str]  # target, and way: method=standard, or the variant of method=gradient
MAPS, RUNOFF, INDEX = tuple(calibrate_case.NAMES), ("signatures", "runoff_depth"), ("signatures", "baseflow_index")
CELLS, FIELDS = ("standard", "newton"), ("field", "network")


def _by(targets: tuple[str, ...], ways: tuple[str, ...] = (*CELLS, *FIELDS)) -> set[Search]:
    """The searches of some targets that go some ways."""
    return set(itertools.product(targets, ways))


RIVERS, DISCHARGE = _by(("hydrograph",), CELLS), _by(("discharge",), ("newton",))
EFFECT: dict[str, set[Search]] = {  # the searches on which a key of this verb alone has any
    "method": _by(MAPS) | RIVERS,
    "variant": _by(MAPS, ("newton", *FIELDS)),
    "part": _by(MAPS),
    "maps.path": _by(MAPS),
    "maps.folder": _by(MAPS),
    "maps.interval_days": _by(INDEX),
    "fit.derivatives": _by(MAPS, ("newton",)),
    "fit.runoff_depth_by": _by(RUNOFF),
    "fit.baseflow_index_by": _by(INDEX),
    "fit.trials": _by(MAPS) | _by(("hydrograph",), ("newton",)) | DISCHARGE,
    "fit.rounds": _by(MAPS),
    "fit.runs": _by(MAPS, CELLS),
    "fit.pilot": _by(MAPS, ("newton",)),
    "fit.prior_deviation": _by(MAPS, ("newton",)),
    "fit.spinup_cycles": _by(MAPS) | DISCHARGE,
    "fit.renewal_cycles": _by(MAPS),
    "fit.cycles": _by(MAPS),
    "fit.cores": _by(MAPS, CELLS),
    "fit.optimiser": _by(MAPS, FIELDS),
    "fit.rate": _by(MAPS, FIELDS),
    "fit.smoothness": _by(MAPS, ("field",)),
    "fit.width": _by(MAPS, ("network",)),
    "fit.seed": _by(MAPS, ("newton", "network")),
    "fit.model": _by(MAPS, CELLS),
    "fit.parameters": DISCHARGE,
    "fit.losses": DISCHARGE,
    "fit.weights": DISCHARGE,
    "fit.support": DISCHARGE,
    "fit.coarse": DISCHARGE,
    "fit.flow": DISCHARGE,
    "fit.share": DISCHARGE,
    "fit.prior": DISCHARGE,
    "fit.donors": RIVERS,
    "fit.corrections": _by(MAPS, ("newton",)),
}


def require_effect(settings: Any) -> None:
    """Require every key that was changed to have an effect on the search that is asked for.

    Args:
        settings: A :class:`chase_jax.config.Calibrate`.

    Raises:
        InputError: Names the key, its value and the search.
    """
    given, usual = config.flat(settings), config.flat(config.Calibrate())
    search = settings.target, "standard" if settings.method == "standard" else settings.variant
    words = f"target={settings.target} method={settings.method} variant={settings.variant}"
    for name, searches in EFFECT.items():
        unused = given[name] != usual[name] and search not in searches
        require(not unused, f"{name} is given, but has no effect with {words}; leave it out.")


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
    require_effect(settings)
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
