"""A map of a million cells: minutes at most, and memory that does not grow with the map beyond the maps."""

from __future__ import annotations

import json
import subprocess
import sys

import basin_case
import numpy as np
import pytest
import xarray as xr

from chase_jax.io import inputs, store

SIDE = 1000
MAKE_MAPS = """
import json, resource, sys, time
import numpy as np
sys.path.insert(0, sys.argv[3])
from basin_case import learning
from chase_jax.io import predictor_store, store
from chase_jax.signatures import maps, validation
from chase_jax.signatures.regressors import Design

import pathlib
data = learning()
parameters = {"runoff_depth": {"svr": {"model__C": 10.0}, "rf": {"model__n_estimators": 120}},
              "baseflow_index": {"gbdt": {"model__n_estimators": 250}, "rf": {"model__n_estimators": 120}}}
models = validation.fit_all(data, np.ones(40, bool), parameters, Design(), ("large",))
chosen = {"runoff_depth": models["runoff_depth"]["svr"], "baseflow_index": models["baseflow_index"]["gbdt"]}
forests = {target: models[target]["rf"] for target in chosen}
areas = {target: maps.applicability(data, np.ones(9)) for target in chosen}
before, begun = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss, time.perf_counter()
with predictor_store.opened(sys.argv[1], data.columns) as source:
    found = maps.predict_grid(chosen, forests, areas, source.read, source.shape)
    facts = dict.fromkeys(chosen, "test")
    store.write_dataset(predictor_store.signature_maps(source.grid, found, facts), pathlib.Path(sys.argv[2]), "Large")
after = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
print(json.dumps({"seconds": time.perf_counter() - begun, "megabytes": (after - before) / 1024}))
"""


@pytest.mark.slow
def test_a_million_cells(tmp_path, request):
    axis = np.arange(SIDE) * 1000.0
    generator = np.random.default_rng(0)
    table = basin_case.predictors()
    fields = {
        name: table[name].to_numpy()[generator.integers(0, 40, (SIDE, SIDE))]
        * generator.uniform(0.97, 1.03, (SIDE, SIDE))
        for name in table
    }
    fields["mean_altitude"][:, :10] = np.nan
    crs = "+proj=laea +lat_0=35 +lon_0=105 +datum=WGS84 +units=m"
    store.write_dataset(inputs.raster(fields, axis, axis[::-1], crs), tmp_path / "predictors.nc", "Generated")
    command = [sys.executable, "-c", MAKE_MAPS, str(tmp_path / "predictors.nc"), str(tmp_path / "maps.nc")]
    done = subprocess.run(
        [*command, str(request.config.rootpath / "tests")], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    spent = json.loads(done.stdout.splitlines()[-1])
    assert spent["seconds"] < 240
    assert spent["megabytes"] < 600
    with xr.open_dataset(tmp_path / "maps.nc") as found:
        runoff, index = found["runoff_depth"].values, found["baseflow_index"].values
    inside = np.isfinite(fields["mean_altitude"])
    np.testing.assert_array_equal(np.isfinite(runoff), inside)
    assert runoff[inside].min() >= 0.0
    assert index[inside].min() >= 0.0
    assert index[inside].max() <= 1.0
