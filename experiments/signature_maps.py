"""Signatures of the basins of CAMELS-US and their maps: figures 3 to 5 of the paper, and a figure of the bias in space.

    python experiments/signature_maps.py [--full FOLDER] [key=value ...]

learns from the raw data in the folder that `data.root` or CHASE_DATA names, under the keys of `chase signatures`, and
writes the figures into the folder of the study. With `domain.path` of a file that holds the nine predictors it draws
their maps too; with `gauges.path` beside it, figure 4 compares means over the catchments of these gauges. Otherwise it
compares what is predicted for the means of the basins. `--full` names the folder of a study with design=full, whose
sites are then compared with the same sites of this study.
"""

from __future__ import annotations

import os
import pathlib
import sys

import pandas as pd
import xarray as xr

from chase_jax import config, signature_study
from chase_jax.signatures import figures, validation
from data_prep import camels_us


def main(words: list[str], full: pathlib.Path | None = None) -> pd.DataFrame:
    """Run the study, or go on with it, and draw the figures.

    Args:
        words: Changes to conf/signatures.yaml such as "predictors=extended".
        full: Folder of a finished study with design=full, to compare with.

    Returns:
        The scores.
    """
    settings = config.check(config.compose({"resume": True}, "signatures", ["recipe=camels_us", *words]))
    raw = pathlib.Path(settings.data.root or os.environ["CHASE_DATA"])
    print(signature_study.run(settings, camels_us.basins(raw, print), print))  # type: ignore[arg-type]
    folder = pathlib.Path(settings.output.directory)
    table = pd.read_csv(folder / signature_study.SIGNATURES, dtype={"gauge_id": str}).set_index("gauge_id")
    scores, importance = (pd.read_csv(folder / n) for n in (signature_study.SCORES, signature_study.IMPORTANCE))
    best = validation.best(scores)
    drawn = {
        "figure_3": figures.predictions(table, scores, importance, "rf"),
        "figure_4": figures.aggregation(aggregated(folder, table, best)),
        "figure_bias": figures.biases(table, best),
    }
    if (folder / signature_study.MAPS).exists():
        with xr.open_dataset(folder / signature_study.MAPS) as found:
            maps = {target: found[target].values for target in best}
            applicable = {target: found[f"{target}_applicable"].values for target in best}
            drawn["figure_5"] = figures.signature_maps(found.x.values, found.y.values, maps, applicable)
    for name, figure in drawn.items():
        figure.savefig(folder / f"{name}.png", dpi=200)
    if full is not None:
        print(compared(folder, full).to_string(index=False))
    return scores


def aggregated(folder: pathlib.Path, table: pd.DataFrame, best: dict[str, str]) -> pd.DataFrame:
    """Means over basins beside observations: of maps if there are, else of the predictions for basin means."""
    if (folder / signature_study.AGGREGATED).exists():
        return pd.read_csv(folder / signature_study.AGGREGATED)
    parts = []
    for target, regressor in best.items():
        part = table[["area_km2", target, f"{target}_{regressor}"]].dropna()
        parts.append(part.set_axis(["area_km2", "observed", "aggregated"], axis=1).assign(target=target))
    return pd.concat(parts)


def compared(grouped: pathlib.Path, full: pathlib.Path) -> pd.DataFrame:
    """Scores of the same sites under both designs."""
    tables = [
        pd.read_csv(folder / signature_study.SIGNATURES, dtype={"gauge_id": str}).set_index("gauge_id")
        for folder in (grouped, full)
    ]
    targets = list(dict.fromkeys(pd.read_csv(full / signature_study.SCORES)["target"]))
    names = [name for name in signature_study.REGRESSORS if f"{targets[0]}_{name}" in tables[1]]
    columns = [f"{target}_{name}" for target in targets for name in names]
    sites = tables[1].dropna(subset=columns).index
    found = [validation.score_table(table[targets], table.loc[sites, columns], names, 0) for table in tables]
    keys = ["target", "regressor"]
    both = found[0].merge(found[1], on=keys, suffixes=("_grouped", "_full"))
    both["mean_difference"] = [
        (tables[1].loc[sites, f"{t}_{n}"] - tables[0].loc[sites, f"{t}_{n}"]).abs().mean()
        for t, n in both[keys].to_numpy()
    ]
    return both[[*keys, "sites_full", "r2_grouped", "r2_full", "mean_difference"]]


if __name__ == "__main__":
    given = sys.argv[1:]
    other = pathlib.Path(given.pop(given.index("--full") + 1)) if "--full" in given else None
    main([word for word in given if word != "--full"], other)
