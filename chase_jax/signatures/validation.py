"""Honest scores: leave one site out, and with it every gauge that shares its water.

A gauge upstream of another measures part of the same flow, so it is out of training when that other is predicted.
Two designs of the search of hyper-parameters:

* `full`: each site has a search of its own, on all basins but those held out for it.
* `grouped`: sites are dealt into groups; each group has one search, on the basins of the other groups. Each site is
  then predicted by a model trained on all basins but those held out for it, with the hyper-parameters of its group. No
  search has seen the site, and the cost falls by the number of sites per group.
"""

from __future__ import annotations

import dataclasses
import hashlib
import time
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
from sklearn.metrics import mean_absolute_error, r2_score, root_mean_squared_error

from chase_jax.checks import InputError, require
from chase_jax.signatures import regressors
from chase_jax.signatures.regressors import Design, Fitted

RESAMPLES = 2000  # of the bootstrap over sites
INTERVAL = (0.025, 0.975)  # 1, quantiles of the bootstrap that are reported
LEAST_TRAINING = 20  # 1, gauges without which no model is trained
Parameters = Mapping[str, Mapping[str, Mapping[str, Any]]]  # by target and regressor


@dataclasses.dataclass(frozen=True)
class Learning:
    """All that is learned from.

    Attributes:
        predictors: Row per gauge, column per predictor; the index holds the identifiers.
        targets: Row per gauge, column per signature.
        downstream: (gauge,) next of these gauges downstream, -1 for none.
        whole_catchment: Whether all gauges of a site's catchment are held out, not only those upstream.
    """

    predictors: pd.DataFrame
    targets: pd.DataFrame
    downstream: np.ndarray
    whole_catchment: bool = False

    @property
    def gauge_id(self) -> list[str]:
        """Identifiers of the gauges."""
        return [str(identifier) for identifier in self.predictors.index]

    @property
    def columns(self) -> tuple[str, ...]:
        """Names of the predictors."""
        return tuple(str(name) for name in self.predictors.columns)

    @property
    def rows(self) -> np.ndarray:
        """Predictors (gauge, predictor)."""
        return self.predictors.to_numpy(dtype=float)

    @property
    def catchment(self) -> np.ndarray:
        """Number (gauge,) of the last gauge downstream, shared by the gauges of a catchment."""
        return roots(self.downstream)

    def digest(self) -> str:
        """A hash of everything that decides what is learned."""
        table = pd.concat([self.predictors, self.targets], axis=1).to_csv(float_format="%.12g")
        words = [table, ",".join(map(str, self.downstream)), str(self.whole_catchment)]
        return hashlib.sha256("\n".join(words).encode()).hexdigest()


def contracted(downstream: np.ndarray, kept: np.ndarray) -> np.ndarray:
    """Next gauge downstream among those that are used, in their numbering.

    Args:
        downstream (gauge,): Next gauge downstream, -1 for none.
        kept (gauge,): Whether a gauge is used.
    """
    number = np.cumsum(kept) - 1
    result = []
    for gauge in np.flatnonzero(kept):
        below = int(downstream[gauge])
        while below >= 0 and not kept[below]:
            below = int(downstream[below])
        result.append(int(number[below]) if below >= 0 else -1)
    return np.array(result, dtype=int)


def next_gauges(place: np.ndarray, downstream: np.ndarray) -> np.ndarray:
    """Next gauge (gauge,) downstream on a network of cells or segments, -1 for none.

    Args:
        place (gauge,): Cell or segment of each gauge; of several in one place the later count as downstream.
        downstream (place,): Next cell or segment downstream, negative for none.
    """
    last = {int(here): gauge for gauge, here in enumerate(place)}
    first: dict[int, int] = {}
    for gauge, here in enumerate(place):
        first.setdefault(int(here), gauge)
    result = np.full(len(place), -1)
    for gauge, here in enumerate(place):
        if last[int(here)] != gauge:
            result[gauge] = next(other for other in range(gauge + 1, len(place)) if place[other] == here)
            continue
        below = int(downstream[here])
        while below >= 0 and below not in first:
            below = int(downstream[below])
        result[gauge] = first[below] if below >= 0 else -1
    return result


def roots(downstream: np.ndarray) -> np.ndarray:
    """The last gauge (gauge,) on the way down from each gauge.

    Args:
        downstream (gauge,): Next gauge downstream, -1 for none.

    Raises:
        InputError: If the way runs in a circle.
    """
    below = np.where(downstream < 0, np.arange(downstream.size), downstream)
    for _ in range(downstream.size.bit_length() + 1):
        below = below[below]
    require(bool(np.all(downstream[below] < 0)), "downstream gauges: run in a circle; correct the table.")
    return below


def held_out(site: int, downstream: np.ndarray, whole_catchment: bool = False) -> np.ndarray:
    """Gauges (gauge,) that must not teach the model of a site: itself and all upstream of it.

    Args:
        site: The gauge that is predicted.
        downstream (gauge,): Next gauge downstream, -1 for none.
        whole_catchment: Hold out all gauges of the catchment, also those downstream and on other branches.
    """
    if whole_catchment:
        found = roots(downstream)
        return found == found[site]
    mask = np.zeros(downstream.size, dtype=bool)
    mask[site] = True
    while True:
        more = mask | (mask[downstream] & (downstream >= 0))
        if np.array_equal(more, mask):
            return mask
        mask = more


def require_no_leak(training: np.ndarray, site: int, data: Learning) -> None:
    """Refuse a training set that holds the site, or a gauge that shares its water.

    Args:
        training (gauge,): Whether a gauge is trained on.
        site: The gauge that is predicted.
        data: The gauges.

    Raises:
        InputError: Names the gauges that leak.
    """
    leak = training & held_out(site, data.downstream, data.whole_catchment)
    names = [data.gauge_id[number] for number in np.flatnonzero(leak)]
    require(
        not names, f"gauge {data.gauge_id[site]}: is predicted by a model trained on {', '.join(names[:5])}: a leak."
    )


def groups(data: Learning, count: int, seed: int) -> np.ndarray:
    """Deal sites into groups (gauge,) of about equal size, gauges of one catchment together.

    Args:
        data: The gauges.
        count: Number of groups.
        seed: Where chance comes from.
    """
    catchment, size = np.unique(data.catchment, return_counts=True)
    order = np.random.default_rng(seed).permutation(catchment.size)
    order = order[np.argsort(-size[order], kind="stable")]  # the large first, so that groups even out
    filled, dealt = np.zeros(count, dtype=int), {}
    for number in order:
        smallest = int(np.argmin(filled))
        dealt[catchment[number]] = smallest
        filled[smallest] += size[number]
    return np.array([dealt[root] for root in data.catchment])


def learnable(data: Learning, sites: np.ndarray) -> np.ndarray:
    """Those of the sites (site,) that leave enough gauges to learn from when they are held out.

    Args:
        data: The gauges.
        sites (site,): The sites.
    """
    left = [int((~held_out(int(site), data.downstream, data.whole_catchment)).sum()) for site in sites]
    return sites[np.array(left, dtype=int) >= LEAST_TRAINING]


def smallest_search(data: Learning, sites: np.ndarray, dealt: np.ndarray | None) -> int:
    """How many gauges the search that has fewest of them learns from, 1.

    Args:
        data: The gauges.
        sites (site,): The sites that are scored.
        dealt (gauge,): Group of each gauge; None where each site has a search of its own.
    """
    if dealt is None:
        searches = list(sites[:, None])
    else:
        searches = [np.flatnonzero(dealt == group) for group in np.unique(dealt[sites])]
    return min(int(_outside(data, scored).sum()) for scored in searches)


def _outside(data: Learning, sites: np.ndarray) -> np.ndarray:
    """Gauges (gauge,) that share no water with any of some sites (site,)."""
    outside = np.ones(len(data.gauge_id), dtype=bool)
    for site in sites:
        outside &= ~held_out(int(site), data.downstream, data.whole_catchment)
    return outside


def drawn_sites(data: Learning, count: int | None, seed: int) -> np.ndarray:
    """Sites (site,) drawn without return by a seeded rule; a smaller number is the beginning of a larger one.

    Args:
        data: The gauges.
        count: Number of sites; None: all.
        seed: Where chance comes from.
    """
    everyone = np.arange(len(data.gauge_id))
    if count is None or count >= everyone.size:
        return everyone
    return np.random.default_rng(seed).permutation(everyone)[:count]


def search_group(data: Learning, dealt: np.ndarray, group: int, names: Sequence[str], design: Design) -> dict[str, Any]:
    """The hyper-parameters of a group: a search on all basins that share no water with any site of it.

    Args:
        data: The gauges.
        dealt (gauge,): Group of each gauge.
        group: The group.
        names: The regressors.
        design: How to search.

    Returns:
        Hyper-parameters by target and regressor.
    """
    outside = _outside(data, np.flatnonzero(dealt == group))
    require(
        int(outside.sum()) >= LEAST_TRAINING,
        f"group {group}: its {int((dealt == group).sum())} sites share their water with all but {int(outside.sum())} "
        "gauges, too few to learn from; use design=full.",
    )
    return search_all(data, outside, names, design, ("group", group))


def search_all(
    data: Learning, training: np.ndarray, names: Sequence[str], design: Design, words: tuple[object, ...]
) -> dict[str, Any]:
    """The hyper-parameters by target and regressor, searched on a training set.

    Args:
        data: The gauges.
        training (gauge,): Whether a gauge is trained on.
        names: The regressors.
        design: How to search.
        words: What the search is for; its chance hangs on them.
    """
    found: dict[str, Any] = {}
    for target in data.targets.columns:
        values = data.targets[target].to_numpy()[training]
        found[str(target)] = {
            name: regressors.search(
                name, str(target), data.rows[training], values, data.catchment[training], design,
                regressors.seed_of(design.seed, *words, target, name),
            )
            for name in names
        }  # fmt: skip
    return found


def fit_all(
    data: Learning, training: np.ndarray, parameters: Parameters, design: Design, words: tuple[object, ...]
) -> dict[str, dict[str, Fitted]]:
    """Models by target and regressor, trained with given hyper-parameters.

    Args:
        data: The gauges.
        training (gauge,): Whether a gauge is trained on.
        parameters: Hyper-parameters by target and regressor.
        design: How to search; here the folds of the smearing correction.
        words: What the models are for; their chance hangs on them.
    """
    return {
        target: {
            name: regressors.fit(
                name, target, data.rows[training], data.targets[target].to_numpy()[training],
                data.catchment[training], chosen, data.columns, design,
                regressors.seed_of(design.seed, *words, target, name),
            )
            for name, chosen in by_name.items()
        }
        for target, by_name in parameters.items()
    }  # fmt: skip


def predict_site(
    data: Learning, site: int, names: Sequence[str], design: Design, parameters: Parameters | None = None
) -> dict[str, Any]:
    """Predict a site by models that know nothing of its water.

    Args:
        data: The gauges.
        site: The gauge that is predicted.
        names: The regressors.
        design: How to search.
        parameters: Hyper-parameters by target and regressor, found without the site; None: searched here.

    Returns:
        What JSON can hold: gauge_id, held_out, seconds, and by target and regressor prediction and parameters; for the
        forest also low and high, the 10 % and 90 % quantiles of its trees.
    """
    begun = time.perf_counter()
    training = ~held_out(site, data.downstream, data.whole_catchment)
    require_no_leak(training, site, data)
    identifier = data.gauge_id[site]
    if parameters is None:
        parameters = search_all(data, training, names, design, ("site", identifier))
    models = fit_all(data, training, parameters, design, ("site", identifier))
    here = data.rows[site : site + 1]
    found: dict[str, Any] = {}
    for target, by_name in models.items():
        found[target] = {
            name: {"prediction": float(model.predict(here)[0]), "parameters": dict(model.parameters)}
            for name, model in by_name.items()
        }
        if "rf" in by_name:
            low, high = by_name["rf"].spread(here)[:, 0]
            found[target]["rf"] |= {"low": float(low), "high": float(high)}
    return {
        "gauge_id": identifier,
        "held_out": [data.gauge_id[number] for number in np.flatnonzero(~training)],
        "targets": found,
        "seconds": round(time.perf_counter() - begun, 3),
    }


def audit(results: Sequence[Mapping[str, Any]], data: Learning) -> None:
    """Require every result to have been made without the gauges that share its site's water.

    Args:
        results: Results of :func:`predict_site`.
        data: The gauges.

    Raises:
        InputError: Names the gauges that leak.
    """
    number = {identifier: site for site, identifier in enumerate(data.gauge_id)}
    for result in results:
        identifier = str(result["gauge_id"])
        if identifier not in number:
            raise InputError(f"gauge {identifier}: has a result, but is no gauge of the table; begin anew.")
        out = set(result["held_out"])
        training = np.array([other not in out for other in data.gauge_id])
        require_no_leak(training, number[identifier], data)


def prediction_table(results: Sequence[Mapping[str, Any]]) -> pd.DataFrame:
    """Predictions, a row per site, a column `target_regressor` each, and the spread of the forest's trees.

    Args:
        results: Results of :func:`predict_site`.
    """
    rows = {}
    for result in results:
        row: dict[str, float] = {}
        for target, by_name in result["targets"].items():
            for name, found in by_name.items():
                row[f"{target}_{name}"] = found["prediction"]
                if "low" in found:
                    row[f"{target}_low"], row[f"{target}_high"] = found["low"], found["high"]
        rows[str(result["gauge_id"])] = row
    return pd.DataFrame.from_dict(rows, orient="index")


def score_table(targets: pd.DataFrame, predictions: pd.DataFrame, names: Sequence[str], seed: int) -> pd.DataFrame:
    """Scores of every target and regressor over the sites that were predicted.

    Args:
        targets: Observed signatures, a row per gauge.
        predictions: Result of :func:`prediction_table`.
        names: The regressors.
        seed: Where the chance of the bootstrap comes from.

    Returns:
        Columns target, regressor, sites, r2 with its bootstrap interval r2_low and r2_high (95 %, sites resampled with
        return), rmse and mae in the unit of the target, pbias in percent (positive: too much), and best.
    """
    rows = []
    for target in targets.columns:
        observed = targets.loc[predictions.index, target].to_numpy()
        for name in names:
            predicted = predictions[f"{target}_{name}"].to_numpy()
            low, high = bootstrap_interval(observed, predicted, seed)
            rows.append({
                "target": target, "regressor": name, "sites": observed.size,
                "r2": float(r2_score(observed, predicted)) if observed.size > 1 else np.nan,
                "r2_low": low, "r2_high": high, "rmse": float(root_mean_squared_error(observed, predicted)),
                "mae": float(mean_absolute_error(observed, predicted)),
                "pbias": 100.0 * float(predicted.sum() / observed.sum() - 1.0),
            })  # fmt: skip
    table = pd.DataFrame(rows)
    table["best"] = table.groupby("target")["r2"].transform("max") == table["r2"]
    return table


def best(scores: pd.DataFrame) -> dict[str, str]:
    """The regressor of largest R2 by target.

    Args:
        scores: Result of :func:`score_table`.
    """
    chosen = scores[scores["best"]].drop_duplicates("target")
    return dict(zip(chosen["target"], chosen["regressor"], strict=True))


def bootstrap_interval(observed: np.ndarray, predicted: np.ndarray, seed: int) -> tuple[float, float]:
    """The 95 % interval of R2 when sites are resampled with return; NaN for fewer than three sites.

    Args:
        observed (site,): Observed values.
        predicted (site,): Predicted values, same unit.
        seed: Where chance comes from.
    """
    if observed.size < 3:
        return np.nan, np.nan
    chosen = np.random.default_rng(seed).integers(0, observed.size, (RESAMPLES, observed.size))
    seen, error = observed[chosen], observed[chosen] - predicted[chosen]
    total = ((seen - seen.mean(1, keepdims=True)) ** 2).sum(1)
    r2 = 1.0 - (error**2).sum(1) / np.maximum(total, 1e-30)
    low, high = np.quantile(r2, INTERVAL)
    return float(low), float(high)
