"""The upper Moselle at Perl: prepare the data if need be, run 1990 to 1993 after 1989 as a run-in, evaluate.

    python experiments/moselle.py [key=value ...]

reads the raw data from the folder that `data.root` or CHASE_DATA names, and works in data/moselle and runs/moselle
of the current folder. A run that was stopped goes on where it ended. The same by hand:

    chase prepare recipe=moselle output.directory=data/moselle
    chase simulate experiment=moselle
    chase evaluate experiment=moselle
"""

from __future__ import annotations

import os
import pathlib
import sys

import pandas as pd

from chase_jax import config, workflows
from chase_jax.io import run_folder
from data_prep import moselle


def main(words: list[str]) -> pd.DataFrame:
    """Prepare, run and evaluate.

    Args:
        words: Changes to conf/experiment/moselle.yaml such as "solvers=sweeps".

    Returns:
        The scores.
    """
    settings = config.compose({}, words=["experiment=moselle", *words])
    run = pathlib.Path(settings.output.directory)
    settings.resume = (run / run_folder.MANIFEST).exists()
    if not pathlib.Path(str(settings.observations.path)).exists():
        raw = settings.data.root or os.environ["CHASE_DATA"]
        moselle.prepare(pathlib.Path(raw), pathlib.Path(str(settings.domain.path)).parent, print)
    workflows.simulate(settings)
    print(workflows.evaluate(settings))
    return pd.read_csv(run / "metrics.csv", dtype={"gauge_id": str})


if __name__ == "__main__":
    print(main(sys.argv[1:]).to_string(index=False))
