"""A generated table of gauged basins: flow that hangs on climate, with a part that no predictor explains."""

from __future__ import annotations

import numpy as np
import pandas as pd

from chase_jax.io import inputs, store
from chase_jax.signatures import attributes, validation
from chase_jax.signatures.attributes import Basins, Limits
from chase_jax.variables import PREDICTORS

DAYS = 6 * 365
COUNT = 40


def predictors(count=COUNT, seed=0) -> pd.DataFrame:
    """The nine predictors in the units of the table of variables."""
    generator = np.random.default_rng(seed)
    rain = generator.uniform(400, 2000, count)
    demand = generator.uniform(500, 1300, count)
    table = pd.DataFrame(index=[f"g{number:02d}" for number in range(count)])
    values = {
        "mean_precipitation": rain,
        "mean_air_temperature": generator.uniform(270, 295, count),
        "aridity_index": demand / rain,
        "mean_specific_humidity": generator.uniform(0.003, 0.015, count),
        "mean_potential_evapotranspiration": demand,
        "mean_altitude": generator.uniform(0, 3000, count),
        "mean_slope": generator.uniform(0, 0.3, count),
        "mean_clay_fraction": generator.uniform(0.05, 0.5, count),
        "mean_leaf_area_index": generator.uniform(0.3, 5, count),
    }
    for name in PREDICTORS:
        table[name] = values[name]
    return table


def basins(count=COUNT, seed=0, **changes) -> Basins:
    """Basins whose runoff follows the climate and whose baseflow follows the slope."""
    table = predictors(count, seed)
    generator = np.random.default_rng(seed + 1)
    rain = table["mean_precipitation"].to_numpy()
    runoff = rain / (1.0 + table["aridity_index"].to_numpy() ** 1.5) / 365.25
    quick = generator.gamma(0.05 + table["mean_slope"].to_numpy()[:, None], size=(count, DAYS))
    flow = runoff[:, None] * (0.3 + 0.7 * quick / quick.mean(1, keepdims=True))
    time = np.datetime64("2001-01-01") + np.arange(DAYS)
    rain_days = np.repeat(rain[:, None] / 365.25, DAYS, axis=1)
    values = {
        "gauge_id": tuple(table.index), "area": generator.uniform(1e8, 3e9, count),
        "latitude": np.linspace(30, 45, count), "longitude": np.linspace(-110, -80, count), "time": time, "flow": flow,
        "precipitation": rain_days, "predictors": table, "downstream": np.full(count, -1),
    }  # fmt: skip
    return Basins(**(values | changes))


def learning(downstream=None, **changes) -> validation.Learning:
    """What is learned from the generated basins."""
    given = basins()
    table = attributes.signatures(given, Limits())
    below = np.full(COUNT, -1) if downstream is None else downstream
    return validation.Learning(given.predictors, table[list(attributes.TARGETS)], below, **changes)


def write(folder, given: Basins | None = None, **columns) -> list[str]:
    """Write the basins as a user would, and return the words of the command line that name the files.

    Args:
        folder: Where to write.
        given: The basins.
        **columns: Columns of the table to set; None takes one out.
    """
    given = given or basins()
    table = given.predictors.copy()
    table.insert(0, "area_km2", given.area / 1e6)
    table["latitude"], table["longitude"] = given.latitude, given.longitude
    table["downstream_id"] = [given.gauge_id[below] if below >= 0 else "" for below in given.downstream]
    table.insert(0, "gauge_id", given.gauge_id)
    for name, values in columns.items():
        table = table.drop(columns=name) if values is None else table.assign(**{name: values})
    table.to_csv(folder / "basins.csv", index=False)
    discharge = given.flow * given.area[:, None] / 86400e3
    records = inputs.observations(list(given.gauge_id), pd.DatetimeIndex(given.time), discharge)
    store.write_dataset(records, folder / "records.nc", "Generated")
    return [f"basins.path={folder / 'basins.csv'}", f"observations.path={folder / 'records.nc'}"]


QUICK = ["search.draws=2", "search.folds=3", "search.groups=3", "regressors=[svr,knn]"]
