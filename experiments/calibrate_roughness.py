"""The paper's calibration of rivers: roughness of every basin by correlation, upstream ones first, and its transfer.

    python experiments/calibrate_roughness.py domain.path=... forcing.path=... gauges.path=... observations.path=... ...

begins with `parameters.path`, what experiments/calibrate_baseflow.py found; the first half of the period is fitted, the
second judges. Words as in experiments/calibrate_runoff.py; no maps are needed.
"""

from __future__ import annotations

import sys

import calibrate_runoff

if __name__ == "__main__":
    calibrate_runoff.main(sys.argv[1:], "hydrograph", "calibrate_roughness")
