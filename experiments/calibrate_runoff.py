"""The paper's calibration of `dcor`: every cell's mean runoff depth against its map, by brackets, then by derivatives.

    python experiments/calibrate_runoff.py domain.path=... forcing.path=... maps.path=maps.nc period.start=... ...

Keys are those of `chase calibrate`. With maps.folder=FOLDER/maps_without, what `chase signatures` leaves, every gauge
gets parameters from maps that never saw it nor any gauge upstream of it; part=i/n does a part of them, as in
experiments/calibrate_folds.slurm. Results go to runs/calibrate_runoff/standard and runs/calibrate_runoff/gradient.
"""

from __future__ import annotations

import sys

from chase_jax import calibrate, config

TARGET = "runoff_depth"
NAME = "calibrate_runoff"


def main(words: list[str], target: str = TARGET, name: str = NAME) -> None:
    """Calibrate by both methods, and go on with what was begun.

    Args:
        words: Keys of `chase calibrate`.
        target: What is to be met.
        name: Folder of the results.
    """
    for method in ("standard", "gradient"):
        keys = [f"target={target}", f"method={method}", f"output.directory=runs/{name}/{method}", "resume=true"]
        print(
            f"-- {method}\n{calibrate.run(config.check(config.compose({}, 'calibrate', [*keys, *words])))}", flush=True
        )


if __name__ == "__main__":
    main(sys.argv[1:])
