"""Small catchments over the climates of the United States as if ungauged: the last step of the paper, and its figure 6.

    python experiments/many_basins.py [method=gradient] [key=value ...]

makes the catchments (`chase prepare recipe=camels_catchments`) from the folder that CHASE_DATA names, learns signatures
of 1991 to 2000 from all basins but the one to be predicted, calibrates `dcor` and `baseflow_factor` of every cell on
them, and compares monthly flow under default and calibrated parameters with discharge that neither has seen: of the
same ten years, and of the ten that follow. Nothing is fitted to a hydrograph. Everything goes to runs/many_basins; what
is there already is kept. Further keys are those of `chase calibrate`.
"""

from __future__ import annotations

import os
import pathlib
import sys

import numpy as np
import pandas as pd
import xarray as xr

from chase_jax import calibrate, config, plotting, signature_study, workflows
from chase_jax.evaluation import report
from chase_jax.io import domain_store, store
from chase_jax.signatures import validation
from data_prep import camels_catchments, camels_us

RUN_IN, PERIODS = "1989-01-01", {"calibration": ("1991-01-01", "2000-12-31"), "later": ("2001-01-01", "2010-12-31")}
CYCLES = 6  # repetitions of the two years of run-in from a cold start
FOLDER = pathlib.Path("runs/many_basins")
COLOURS = {"default": "#999999", "calibrated": "#0072B2", "by the law": "#D55E00"}
SATISFACTORY = 0.5  # 1, monthly skill that the paper counts as satisfactory


def prepare(folder: pathlib.Path, raw: pathlib.Path) -> dict[str, str]:
    """Catchments, weather and discharge, made if they are not there; the keys that name them."""
    if not (folder / "domain.nc").exists():
        camels_catchments.prepare(raw, folder, print)
    names = ("domain.nc", "forcing.nc", "gauges.csv", "observations.nc")
    return {f"{name.split('.')[0]}.path": str(folder / name) for name in names}


def predict(folder: pathlib.Path, data: pathlib.Path, raw: pathlib.Path) -> pathlib.Path:
    """Maps of the signatures, each catchment predicted by models without it."""
    start, end = PERIODS["calibration"]
    words = [f"domain.path={data}/domain.nc", f"gauges.path={data}/gauges.csv", f"output.directory={folder}"]
    words += ["recipe=camels_us", f"period.start={start}", f"period.end={end}"]
    settings = config.check(config.compose({"resume": True}, "signatures", words))
    print(signature_study.run(settings, camels_us.basins(raw, print), print))  # type: ignore[arg-type]
    domain = domain_store.open_domain(data / "domain.nc")
    best = validation.best(pd.read_csv(folder / signature_study.SCORES))
    maps = domain_store.frame(domain.grid)
    names = [f"{target}{part}" for target in best for part in ("", "_low", "_high")]
    whole, stated = {name: np.full(domain.grid.shape, np.nan) for name in names}, {name: {} for name in names}
    for file in sorted((folder / signature_study.LEFT_OUT).glob("*.nc")):
        with xr.open_dataset(file) as one:
            for name in names:
                whole[name], stated[name] = np.where(np.isfinite(one[name]), one[name], whole[name]), one[name].attrs
    for name in names:
        maps[name] = domain_store.map_of(domain.grid, domain.grid.pack(whole[name])).assign_attrs(stated[name])
    store.write_dataset(maps, folder / "maps_of_others.nc", "Signatures predicted without the catchment itself")
    return folder / "maps_of_others.nc"


def simulate(folder: pathlib.Path, inputs: dict[str, str], span: tuple[str, str], parameters: str) -> pd.DataFrame:
    """Scores of a run, made if it is not there."""
    values = {**inputs, "period.start": span[0], "period.end": span[1], "period.warmup_start": RUN_IN}
    values["period.warmup_cycles"] = str(CYCLES) if span == PERIODS["calibration"] else "1"
    values |= {"parameters.path": parameters} if parameters else {}
    words = [f"{key}={value}" for key, value in values.items()] + [f"output.directory={folder}"]
    settings = config.compose({}, words=words)
    settings.resume = folder.exists()
    workflows.simulate(settings)
    with xr.open_dataset(folder / "gauges.nc") as simulated, xr.open_dataset(inputs["observations.path"]) as observed:
        place = pd.Index(observed.gauge_id.values.astype(str)).get_indexer(simulated.gauge_id.values.astype(str))
        return report.score_table(simulated.load(), observed.isel(gauge=place).sel(time=simulated.time).load())


def compare(folder: pathlib.Path, inputs: dict[str, str], name: str, parameters: pathlib.Path) -> pd.DataFrame:
    """Monthly scores of both periods under default parameters and others; those by day are written beside them.

    Args:
        folder: Where runs under the others and the scores go.
        inputs: Keys of the inputs.
        name: What the others are called.
        parameters: Their file.
    """
    rows = []
    for period, span in PERIODS.items():
        default = simulate(FOLDER / f"{period}_default", inputs, span, "")
        other = simulate(folder / period, inputs, span, str(parameters))
        rows += [default.assign(period=period, parameters="default"), other.assign(period=period, parameters=name)]
    table = pd.concat(rows, ignore_index=True)
    store.write_text(table.to_csv(index=False, float_format="%.6g"), folder / "scores.csv")
    return table[table["scale"] == "monthly"]


def medians(monthly: pd.DataFrame) -> pd.DataFrame:
    """Medians over the catchments by period and parameters. Argument: monthly scores."""
    grouped = monthly.assign(size_of_bias=monthly["pbias"].abs()).groupby(["period", "parameters"], sort=False)
    return grouped[["nse", "kge", "correlation", "pbias", "size_of_bias"]].median()


@plotting.styled({"font.size": 8.0, "axes.spines.top": False, "axes.spines.right": False, "legend.frameon": False})
def figure(table: pd.DataFrame):
    """Cumulative distribution of the monthly skill and of the bias over the catchments (figure 6 of the paper)."""
    from matplotlib.figure import Figure

    drawn = Figure(figsize=(7.0, 5.2), layout="constrained")
    axes = drawn.subplots(2, 2)
    for row, (period, part) in zip(axes, table.groupby("period", sort=False), strict=True):
        for name, one in part.groupby("parameters", sort=False):
            share = (np.arange(len(one)) + 0.5) / len(one)
            row[0].step(np.sort(one["nse"].clip(-1.0)), share, where="mid", color=COLOURS[name], label=name)
            row[1].step(np.sort(one["pbias"].clip(-100.0, 100.0)), share, where="mid", color=COLOURS[name])
        row[0].axvline(SATISFACTORY, color="#bbbbbb", lw=0.6)
        row[1].axvline(0.0, color="#bbbbbb", lw=0.6)
        span = " to ".join(day[:4] for day in PERIODS[period])
        row[0].set(title=f"monthly flow, {span}", xlabel="NSE (-1 and less at the left end)", ylabel="share of basins")
        row[1].set(title=span, xlabel="bias, %")
    axes[0, 0].legend()
    return drawn


def main(words: list[str]) -> pd.DataFrame:
    """Go through all steps.

    Args:
        words: Changes to conf/calibrate.yaml such as "method=standard".

    Returns:
        Medians over the catchments.
    """
    raw = pathlib.Path(os.environ["CHASE_DATA"])
    inputs = prepare(FOLDER / "data", raw)
    maps = predict(FOLDER / "signatures", FOLDER / "data", raw)
    start, end = PERIODS["calibration"]
    given = [f"{key}={value}" for key, value in inputs.items() if key in ("domain.path", "forcing.path")]
    given += [f"maps.path={maps}", f"period.start={start}", f"period.end={end}"]
    target = FOLDER / f"calibration_{'_'.join(words).replace('=', '_').replace('/', '_') or 'default'}"
    given += [f"period.warmup_start={RUN_IN}", f"fit.spinup_cycles={2 * CYCLES}", f"output.directory={target}"]
    given += ["resume=true", *words]
    print(calibrate.run(config.check(config.compose({}, "calibrate", given))))
    monthly = compare(target, inputs, "calibrated", target / calibrate.PARAMETERS)
    figure(monthly).savefig(target / "figure_6.png", dpi=200)
    return medians(monthly)


if __name__ == "__main__":
    print(main(sys.argv[1:]).round(3).to_string())
