"""Derived against measured shortwave radiation and humidity at two flux towers, a snow site and a basin with sunshine.

    python experiments/completed_weather.py [folder of raw data]

reads the stations below the folder given, or that CHASE_DATA names, hides what is to be derived, completes the rest and
writes table.csv and shortwave.png to runs/completed_weather. Every method sees only what its name says. At last the
clouds of rainy days are fitted to all places, as `data_prep/sunlight.py` holds them, and to all but each of them.
"""

from __future__ import annotations

import os
import pathlib
import sys

import matplotlib

matplotlib.use("Agg")
import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import scipy.optimize
import xarray as xr

from data_prep import appenzell, completion, sites, sunlight

EXTREMES = ("precipitation", "air_temperature_min", "air_temperature_max")
METHODS = {
    "extremes, precipitation, humidity": (*EXTREMES, "air_temperature", "specific_humidity"),
    "extremes, precipitation": EXTREMES,
    "mean temperature, precipitation": ("precipitation", "air_temperature"),
}
SUNSHINE, SUNSHINE_PLACE = "Appenzell", (47.28, 1250.0)  # latitude, degree, and altitude, m
SHADED = "Col de Porte"  # its level says nothing of clouds, because terrain and trees take light away


def score(measured: np.ndarray, derived: np.ndarray) -> dict[str, float]:
    """Bias (share of the mean), correlation and root mean square error of daily values."""
    return {
        "bias": derived.mean() / measured.mean() - 1.0,
        "correlation": np.corrcoef(measured, derived)[0, 1],
        "rmse": float(np.sqrt(((derived - measured) ** 2).mean())),
    }


def derive(root: pathlib.Path) -> dict[tuple[str, str], tuple[xr.Dataset, xr.Dataset]]:
    """Measured and completed weather by place and method."""
    found = {}
    for place, (latitude, altitude) in sites.PLACES.items():
        measured = sites.daily_weather(root, place)
        for method, names in METHODS.items():
            found[place, method] = (measured, completion.complete(measured[list(names)], altitude, latitude)[0])
            if place == "Col de Porte":
                under = completion.complete(measured[list(names)], altitude, latitude, horizon=sites.SKYLINE)[0]
                found[place, f"{method}, skyline"] = (measured, under)
    names = METHODS["mean temperature, precipitation"]
    sunny, _ = appenzell.read_station(root / "appenzell", SUNSHINE_PLACE[0])
    given = sunny[list(names)].expand_dims(place=1, axis=1)
    full = completion.complete(given, SUNSHINE_PLACE[1], SUNSHINE_PLACE[0])[0].isel(place=0)
    found[SUNSHINE, "mean temperature, precipitation"] = (sunny, full)
    return found


def fit_clouds(places: dict[str, tuple[xr.Dataset, xr.Dataset]]) -> np.ndarray:
    """The four numbers of :func:`data_prep.sunlight.cloud_transmittance_of_rain`, by least squares, all places alike.

    Args:
        places: Measured and completed weather by place.
    """
    parts = []
    for place, (measured, derived) in places.items():
        rain = measured.precipitation.values
        known = measured.shortwave_down.values
        clear = derived.shortwave_down.values / sunlight.cloud_transmittance_of_rain(rain)
        scale = np.sqrt(known.size) * clear.mean()
        parts.append((place == SHADED, known / scale, clear / scale, np.stack(sunlight.signs_of_cloud(rain))))

    def missed(values: np.ndarray) -> np.ndarray:
        gaps = []
        for shaded, known, clear, signs in parts:
            light = clear * values[0] * np.exp(-values[1:] @ signs)
            gaps.append(light * ((known * light).sum() / (light**2).sum() if shaded else 1.0) - known)
        return np.concatenate(gaps)

    return scipy.optimize.least_squares(missed, [0.9, 0.1, 0.1, 0.1]).x


def main(root: pathlib.Path, folder: pathlib.Path) -> pd.DataFrame:
    """Derive, compare, write the table and the figure.

    Args:
        root: Folder of raw data.
        folder: Where to write.

    Returns:
        The scores.
    """
    folder.mkdir(parents=True, exist_ok=True)
    rows, pairs = [], derive(root)
    for (place, method), (measured, derived) in pairs.items():
        for name in ("shortwave_down", "specific_humidity"):
            if name in measured and name not in METHODS.get(method.removesuffix(", skyline"), ()):
                known = measured[name].values
                scores = score(known, derived[name].values)
                rows.append({"place": place, "from": method, "variable": name, "measured": known.mean(), **scores})
    table = pd.DataFrame(rows)
    table.to_csv(folder / "table.csv", index=False)

    only = {place: pairs[place, "mean temperature, precipitation"] for place in (*sites.PLACES, SUNSHINE)}
    print("clouds of rainy days, all places:", fit_clouds(only).round(3))
    for place in only:
        rest = fit_clouds({name: pair for name, pair in only.items() if name != place})
        print(f"  without {place}: {rest.round(3)}")

    shown = [key for key in pairs if key[1].startswith("extremes, precipitation, humidity")]
    figure, panels = plt.subplots(2, len(shown), figsize=(4 * len(shown), 7))
    for column, key in enumerate(shown):
        known, found = (dataset.shortwave_down for dataset in pairs[key])
        panels[0, column].plot(known, found, ".", markersize=2)
        panels[0, column].plot([0, 400], [0, 400], "k", linewidth=0.7)
        panels[0, column].set(title=": ".join(key).replace("humidity, ", "humidity,\n"), xlabel="measured, W m-2")
        for array, label in ((known, "measured"), (found, "derived")):
            monthly = array.resample(time="MS").mean()
            panels[1, column].plot(monthly.time, monthly, label=label)
        panels[1, column].tick_params(axis="x", rotation=60)
    panels[0, 0].set_ylabel("derived, W m-2")
    panels[1, 0].set_ylabel("monthly mean shortwave, W m-2")
    panels[1, 0].legend()
    figure.tight_layout()
    figure.savefig(folder / "shortwave.png", dpi=120)
    return table


if __name__ == "__main__":
    source = pathlib.Path(sys.argv[1] if len(sys.argv) > 1 else os.environ["CHASE_DATA"])
    print(main(source, pathlib.Path("runs/completed_weather")).round(3).to_string(index=False))
