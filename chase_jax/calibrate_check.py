"""The check of derivatives of `chase calibrate check=true`, and where one is no number."""

from __future__ import annotations

import pathlib
import tempfile
from typing import Any

import jax.numpy as jnp
import numpy as np

from chase_jax import build, workflows
from chase_jax.calibrate_case import NAMES, parameters_of
from chase_jax.calibration import columns, free, health
from chase_jax.calibration.trial import Simulator
from chase_jax.model.chase import Chase
from chase_jax.model.initial import initial_state

CHECKED, STEPS = 16, (1e-4, 1e-5)  # cells of a check, and steps of an unknown, of which the better one counts
SHORTEST_INTERVAL = 3  # days, where none is given


def run(settings: Any) -> str:
    """Compare the derivatives of the signatures of closed columns with differences, for every free parameter.

    Args:
        settings: A checked :class:`chase_jax.config.Calibrate`; its maps are not read.

    Returns:
        A table: the typical derivative, and the largest disagreement over the largest derivative.
    """
    with tempfile.TemporaryDirectory() as scratch:
        given = build.inputs(settings, pathlib.Path(scratch))
        model: Chase = build.program(settings, given).model  # type: ignore[attr-defined]
        cells = columns.calibrated_cells(given.domain)
        cells = cells[np.linspace(0, cells.size - 1, min(cells.size, CHECKED)).astype(int)]
        small = columns.closed(model, cells)
        sought = parameters_of(settings)
        parameters = [free.named(name, settings.physics.dcor_form) for name in sought.values()]
        period = workflows.span(given.forcing, cells)
        run_in = workflows.span(given.warmup, cells) if given.warmup else period
        interval = settings.maps.interval_days or SHORTEST_INTERVAL
        simulator = Simulator(small, parameters, run_in, period, interval, 1)
        at = jnp.stack([one.encode(small.parameters) for one in parameters])
        state = initial_state(small)
        outcome = simulator.run_with_slopes(at, state)[0]
        assert outcome.slopes is not None  # noqa: S101  asked for
        lines = [f"{'parameter':<28} {'signature':<16} {'derivative':>12} {'disagreement':>13}"]
        for row, target in enumerate(sought.values()):
            pair: dict[str, list[Any]] = {}
            for step in STEPS:
                up, down = (simulator.run(at.at[row].add(s), state)[0] for s in (step, -step))
                for name in NAMES["signatures"]:
                    pair.setdefault(name, []).append((getattr(up, name) - getattr(down, name)) / (2.0 * step))
            for column, name in enumerate(NAMES["signatures"]):
                exact = outcome.slopes[row, column]
                size = max(float(np.abs(exact).max()), 1e-12)
                off = np.min(np.abs(np.stack(pair[name]) - exact), axis=0).max() / size
                lines.append(f"{target:<28} {name:<16} {np.median(np.abs(exact)):>12.4g} {off:>13.2g}")
        bad = ~np.isfinite(outcome.slopes).all(axis=(0, 1))
        lines.append(f"{int(bad.sum())} of {cells.size} cells have a derivative that is no number")
        if bad.any():
            found = health.first_break(simulator, at, state)
            if found is not None:
                place = given.domain.grid.place(int(cells[found.cell]))
                lines.append(
                    f"the first {found.what} at {place}, day {found.day} of the {found.span}, in {found.store}"
                )
        return "\n".join(lines)
