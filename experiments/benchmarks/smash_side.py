"""The side of smash in experiments/against_smash.py; runs in an environment of its own that holds hydro-smash.

    python smash_side.py cance|lez OUTPUT.npz

fits the production and the routing of smash (gr4, linear reservoirs), uniform over the catchment, to its outlet, and
writes runoff of every cell, discharge at the gauges, and times of a run and of a run with a gradient by a field.
"""

from __future__ import annotations

import contextlib
import io
import os
import sys
import tempfile
import time

import numpy as np
import smash

FITTED = ["cp", "ct", "kexc", "llr"]
QUIET = {"verbose": False, "ncpu": 1}


def counted(model, iterations: int) -> tuple[float, int]:
    """Seconds and gradients of a search over a field of the routing parameter."""
    with tempfile.TemporaryFile("w+") as kept:
        before = os.dup(1)
        os.dup2(kept.fileno(), 1)
        begun = time.process_time()
        smash.optimize(
            model,
            mapping="distributed",
            optimizer="lbfgsb",
            optimize_options={"parameters": ["llr"], "termination_crit": {"maxiter": iterations}},
            common_options={"verbose": True, "ncpu": 1},
        )
        seconds = time.process_time() - begun
        sys.stdout.flush()
        os.dup2(before, 1)
        kept.seek(0)
        text = kept.read()
    return seconds, int(text.split("nfg = ")[-1].split()[0])


def main(name: str, output: str) -> None:
    """Fit, run and write."""
    with contextlib.redirect_stderr(io.StringIO()):
        setup, mesh = smash.factory.load_dataset(name.capitalize())
        model = smash.Model(setup, mesh)
    outlet = int(np.argmax(mesh["area"]))
    cost = {"gauge": mesh["code"][outlet]}
    options = {"parameters": FITTED, "termination_crit": {"maxiter": 40}}
    model = smash.optimize(
        model, mapping="uniform", optimizer="sbs", optimize_options=options, cost_options=cost, common_options=QUIET
    )
    begun = time.process_time()
    for _ in range(5):
        smash.forward_run(model, common_options=QUIET)
    forward = (time.process_time() - begun) / 5
    model, more = smash.forward_run(model, return_options={"internal_fluxes": True}, common_options=QUIET)
    few, many = counted(model, 1), counted(model, 6)
    gradient = (many[0] - few[0]) / max(many[1] - few[1], 1)
    np.savez(
        output,
        runoff=more.internal_fluxes["qt"],
        discharge=model.response.q,
        observed=model.response_data.q,
        direction=mesh["flwdir"],
        active=mesh["active_cell"],
        gauges=mesh["gauge_pos"],
        area=mesh["area"],
        codes=mesh["code"].astype(str),
        step=setup["dt"],
        slope=np.asarray(model.physio_data.descriptor[..., list(setup["descriptor_name"]).index("slope")]),
        forward=forward,
        gradient=gradient,
    )


if __name__ == "__main__":
    main(*sys.argv[1:3])
