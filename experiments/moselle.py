"""The upper Moselle at Perl: prepare the data if need be, run 1990 to 1993, evaluate.

    python experiments/moselle.py [FOLDER_OF_RAW_DATA [FOLDER_TO_WORK_IN]]

The raw data are looked for under the first argument or CHASE_DATA.
"""

from __future__ import annotations

import os
import pathlib
import sys

import pandas as pd

from chase_jax import config, workflows
from data_prep import moselle

PERIOD = {"start": "1990-01-01", "end": "1993-12-31", "warmup_start": "1989-01-01", "warmup_cycles": 2}


def main(raw: pathlib.Path, work: pathlib.Path) -> pd.DataFrame:
    """Prepare, run and evaluate; returns the scores."""
    data, run = work / "data" / "moselle", work / "runs" / "moselle"
    if not (data / "preparation.txt").exists():
        moselle.prepare(raw, data, print)
    settings = config.compose(
        {
            "domain": {"path": str(data / "domain.nc")},
            "forcing": {"path": str(data / "forcing.nc")},
            "gauges": {"path": str(data / "gauges.csv")},
            "observations": {"path": str(data / "observations.nc")},
            "period": PERIOD,
            "output": {"directory": str(run)},
            "resume": run.exists(),
        }
    )
    workflows.simulate(settings)
    print(workflows.evaluate(settings))
    return pd.read_csv(run / "metrics.csv")


if __name__ == "__main__":
    arguments = [pathlib.Path(text) for text in sys.argv[1:]]
    source = arguments[0] if arguments else pathlib.Path(os.environ["CHASE_DATA"])
    print(main(source, arguments[1] if len(arguments) > 1 else pathlib.Path()).to_string(index=False))
