"""Parameters as functions of attributes, learned from the flow of gauged catchments, in catchments never seen.

    python experiments/regional_parameters.py [key=value ...]

draws 252 catchments of CAMELS-US besides the 36 of `many_basins.py` and learns from their monthly flow of 1991 to 1995
how eight parameters follow from five attributes (:mod:`chase_jax.calibration.regional`), through the coupled model;
every fourth of them does not teach, but judges what was learned. What the law makes of the attributes of the 36, whose
discharge it has not seen, is compared with default parameters.
`many_basins.py parameters.path=runs/regional_parameters/parameters.nc ...` goes on from there with their predicted
signatures. Everything goes to runs/regional_parameters and runs/many_basins; what is there already is kept. Further
keys are those of `chase calibrate`; fit.trials is the number of runs.
"""

from __future__ import annotations

import os
import pathlib
import sys

import jax.numpy as jnp
import many_basins
import numpy as np
import pandas as pd

from chase_jax import build, config, workflows
from chase_jax.calibration import free, hydrographs, regional, routing
from chase_jax.calibration.learning import Scale
from chase_jax.io import gauge_store, parameter_store, store
from chase_jax.model.chase import Chase
from data_prep import camels_catchments

FOLDER = pathlib.Path("runs/regional_parameters")
DRAWN, AFTER, PERIOD, TRIALS, JUDGES = 252, 36, ("1991-01-01", "1995-12-31"), 12, 4
SOUGHT = (
    "stomatal_resistance_factor", "bed_conductance_factor", "doubling_storage_factor", "contributing_depth",
    "contributing_threshold", "dcor", "baseflow_factor", "bypass_fraction",
)  # fmt: skip


def attributes(folder: pathlib.Path, gauges: tuple[str, ...]) -> pd.DataFrame:
    """The attributes of catchments, those that span orders of magnitude as logarithms."""
    table = pd.read_csv(folder / "attributes.csv", dtype={"gauge_id": str}).set_index("gauge_id").loc[list(gauges)]
    return pd.DataFrame(
        {
            "log_aridity": np.log(table.aridity_index),
            "air_temperature": table.mean_air_temperature,
            "log_slope": np.log(table.mean_slope + 1e-3),
            "clay": table.mean_clay_fraction,
            "leaf_area": table.mean_leaf_area_index,
        }
    )


class Catchments:
    """Catchments, each with parameters of its own, whose flow is simulated together."""

    def __init__(self, folder: pathlib.Path, inputs: dict[str, str], words: list[str]) -> None:
        start, end = PERIOD
        given = [f"{key}={value}" for key, value in inputs.items()]
        given += [f"period.start={start}", f"period.end={end}", f"period.warmup_start={many_basins.RUN_IN}"]
        self.settings = config.check(config.compose({}, "calibrate", [*given, "precision=mixed", *words]))
        self.given = build.inputs(self.settings, folder)
        self.gauges = self.given.gauges
        self.attributes = attributes(folder, self.gauges.gauge_id)
        self.program = build.program(self.settings, self.given)
        self.model: Chase = self.program.model  # type: ignore[attr-defined]
        form, group = self.settings.physics.dcor_form, routing.basins(self.model.domain, self.gauges.cell).group
        self.sought = {name: free.named(name, form, "basin", jnp.asarray(group)) for name in SOUGHT}

    @property
    def start(self) -> np.ndarray:
        """Unknowns (parameter, catchment) of the parameters as they are, 1."""
        return np.stack([np.asarray(one.encode(self.model.parameters)) for one in self.sought.values()])

    def learn(self) -> regional.Law:
        """The law that their flow teaches."""
        run_in, period = workflows.span(self.given.warmup), workflows.span(self.given.forcing)  # type: ignore[arg-type]
        state = workflows.initial_state(self.settings, self.program)
        simulator = hydrographs.Simulator(self.model, self.sought, self.gauges.cell, state, None, run_in)
        simulator = simulator.over(simulator.repeated(many_basins.CYCLES), run_in, period)
        observed = gauge_store.read_observations(
            self.given.paths["observations"], self.gauges, *PERIOD, gauge_store.DISCHARGE
        ).values.T
        days = pd.date_range(*PERIOD).to_period("M")
        months = regional.Months(observed, days.factorize()[0])
        judges = np.arange(len(self.gauges.gauge_id)) % JUDGES == 0

        def run(unknowns: np.ndarray, slopes: bool) -> tuple[np.ndarray, np.ndarray | None]:
            flat = unknowns.ravel()
            series, own = simulator.run_with_own_slopes(flat) if slopes else (simulator.run(flat), None)
            skill, lack = months.skill(series), months.lack(series)
            told = [
                f"median {np.nanmedian(skill[who]):.3f}, normalised mean {1.0 - np.nanmean(lack[who]):.3f}"
                for who in (~judges, judges)
            ]
            words = ", with derivatives" if slopes else ""
            print(f"monthly skill: {told[0]}; of the judges {told[1]}{words}", flush=True)
            return series, own

        known, trials = self.attributes.to_numpy(), self.settings.fit.trials
        return regional.fit(run, months, self.start, known, trials, judges)[0]

    def write(self, law: regional.Law, path: pathlib.Path) -> None:
        """The parameters (cell,) that a law gives them."""
        unknowns = law.unknowns(self.start, self.attributes.to_numpy())
        pairs = zip(self.sought.items(), jnp.asarray(unknowns), strict=True)
        values = {name: np.asarray(one.values(unknown, self.model.parameters)) for (name, one), unknown in pairs}
        grid, form = self.given.domain.grid, self.settings.physics.dcor_form
        parameter_store.write_parameters(path, values, grid, form, "Parameters by a law learned in other catchments")


def law_of(path: pathlib.Path) -> regional.Law:
    """The law that a table holds."""
    table = pd.read_csv(path, index_col=0)
    mean, deviation = (table.loc[row].to_numpy()[1:] for row in ("mean", "deviation"))
    return regional.Law(Scale(mean, deviation), table.loc[list(SOUGHT)].to_numpy())


def write_law(law: regional.Law, names: list[str], path: pathlib.Path) -> None:
    """The weights of a law as a table, below mean and deviation of the attributes."""
    rows = [np.append(0.0, law.scale.mean), np.append(1.0, law.scale.deviation), *law.weights]
    table = pd.DataFrame(np.stack(rows), index=["mean", "deviation", *SOUGHT], columns=["all", *names])
    store.write_text(table.to_csv(float_format="%.9g"), path)


def main(words: list[str]) -> pd.DataFrame:
    """Learn, predict, compare.

    Args:
        words: Changes to conf/calibrate.yaml such as "fit.trials=20".

    Returns:
        Medians over the catchments never seen.
    """
    raw, seen = pathlib.Path(os.environ["CHASE_DATA"]), FOLDER / "data"
    if not (seen / "domain.nc").exists():
        camels_catchments.prepare(raw, seen, print, after=AFTER, basins=DRAWN)
    inputs = many_basins.prepare(many_basins.FOLDER / "data", raw)
    if not (FOLDER / "law.csv").exists():
        teachers = Catchments(seen, many_basins.prepare(seen, raw), [f"fit.trials={TRIALS}", *words])
        write_law(teachers.learn(), list(teachers.attributes), FOLDER / "law.csv")
    unseen = Catchments(many_basins.FOLDER / "data", inputs, words)
    unseen.write(law_of(FOLDER / "law.csv"), FOLDER / "parameters.nc")
    monthly = many_basins.compare(FOLDER, inputs, "by the law", FOLDER / "parameters.nc")
    many_basins.figure(monthly).savefig(FOLDER / "figure_6.png", dpi=200)
    return many_basins.medians(monthly)


if __name__ == "__main__":
    print(main(sys.argv[1:]).round(3).to_string())
