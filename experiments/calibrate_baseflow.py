"""The paper's calibration of C after `dcor`: every cell's baseflow index against its map, by brackets and derivatives.

    python experiments/calibrate_baseflow.py parameters.path=runs/calibrate_runoff/standard/parameters.nc ...

begins with the parameters that experiments/calibrate_runoff.py found; words as there.
"""

from __future__ import annotations

import sys

import calibrate_runoff

if __name__ == "__main__":
    calibrate_runoff.main(sys.argv[1:], "baseflow_index", "calibrate_baseflow")
