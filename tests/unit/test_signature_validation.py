"""Leaving a site out leaves out all that shares its water; a planted leak is caught."""

from __future__ import annotations

import json

import basin_case
import numpy as np
import pandas as pd
import pytest
import xarray as xr
from basin_case import learning

from chase_jax.checks import InputError
from chase_jax.signatures import regressors, validation
from chase_jax.signatures.regressors import Design

#        0   1   2  3   4  5:  0 and 1 flow to 2, 2 to 4, 3 to 4, 5 alone
TREE = np.array([2, 2, 4, 4, -1, -1])
DESIGN = Design(draws=2, folds=3, seed=1)


def test_a_site_holds_out_itself_and_all_upstream():
    assert validation.held_out(2, TREE).nonzero()[0].tolist() == [0, 1, 2]
    assert validation.held_out(4, TREE).nonzero()[0].tolist() == [0, 1, 2, 3, 4]
    assert validation.held_out(0, TREE).nonzero()[0].tolist() == [0]
    assert validation.held_out(0, TREE, whole_catchment=True).nonzero()[0].tolist() == [0, 1, 2, 3, 4]
    assert validation.held_out(5, TREE, whole_catchment=True).nonzero()[0].tolist() == [5]


def test_gauges_that_are_left_out_do_not_break_the_way_down():
    kept = np.array([True, True, False, True, True, True])
    assert validation.contracted(TREE, kept).tolist() == [3, 3, 3, -1, -1]


def test_a_circle_of_gauges_is_refused():
    with pytest.raises(InputError, match="circle"):
        validation.roots(np.array([1, 2, 0]))


@pytest.mark.real_data
def test_upstream_gauges_of_the_delaware(real_data):
    """Every gauge holds out exactly those from which its segment is reached, found here by walking down from each."""
    with xr.open_dataset(real_data / "delaware_network" / "parameters_dis_both.nc") as given:
        below = given["tosegment"].values.astype(int) - 1
        segment = given["poi_gage_segment"].values.astype(int) - 1
        names = [str(name) for name in given["poi_gage_id"].values]
    downstream = validation.next_gauges(segment, below)
    assert downstream.size == len(names) == 168
    paths = []
    for start in segment:
        path, here = [], start
        while here >= 0:
            path.append(here)
            here = below[here]
        paths.append(path)
    for site in range(segment.size):
        reached = np.array([segment[site] in path for path in paths])
        held = validation.held_out(site, downstream)
        others = segment != segment[site]
        np.testing.assert_array_equal(held[others], reached[others])
    at_trenton = validation.held_out(names.index("01463500"), downstream)
    assert at_trenton.sum() > 60
    largest = np.bincount(validation.roots(downstream)).max()
    assert validation.held_out(names.index("01463500"), downstream, whole_catchment=True).sum() == largest


def test_gauges_of_one_place_follow_one_another():
    assert validation.next_gauges(np.array([3, 3, 5]), np.array([-1, -1, -1, 4, 5, -1])).tolist() == [1, 2, -1]


def test_a_planted_leak_is_caught():
    """An upstream gauge that is a copy of the site gives a perfect score, unless it is left out."""
    data = learning()
    rows, targets = data.predictors.copy(), data.targets.copy()
    shuffled = np.random.default_rng(0).permutation(basin_case.COUNT)
    targets.iloc[:] = targets.to_numpy()[shuffled]  # no predictor explains anything now
    rows.iloc[20:], targets.iloc[20:] = rows.iloc[:20].to_numpy(), targets.iloc[:20].to_numpy()
    downstream = np.r_[np.full(20, -1), np.arange(20)]  # the copies lie upstream of the originals
    blind, aware = (validation.Learning(rows, targets, below) for below in (np.full(40, -1), downstream))
    parameters = {"baseflow_index": {"knn": {"model__n_neighbors": 1}}}

    def r2(data):
        found = [validation.predict_site(data, site, ("knn",), DESIGN, parameters) for site in range(20)]
        table = validation.prediction_table(found)
        scores = validation.score_table(targets[["baseflow_index"]], table, ["knn"], 0)
        return float(scores.r2.iloc[0]), found

    leaky, made_blindly = r2(blind)
    honest, _ = r2(aware)
    assert leaky > 0.999
    assert honest < 0.3
    with pytest.raises(InputError, match="gauge g00: is predicted by a model trained on g20: a leak"):
        validation.audit(made_blindly, aware)


def test_folds_keep_catchments_together():
    catchment = np.repeat(np.arange(12), 3)
    for train, test in regressors._folds(catchment, DESIGN, 0):
        assert not set(catchment[train]) & set(catchment[test])


def test_groups_are_even_and_keep_catchments_together():
    downstream = np.full(40, -1)
    downstream[:8] = 8
    data = learning(downstream)
    dealt = validation.groups(data, 4, 0)
    assert np.bincount(dealt).tolist() == [10, 10, 10, 10]
    assert len(set(dealt[:9])) == 1
    np.testing.assert_array_equal(dealt, validation.groups(data, 4, 0))


def test_drawn_sites_hang_on_the_seed_alone():
    data = learning()
    np.testing.assert_array_equal(validation.drawn_sites(data, 10, 3), validation.drawn_sites(data, 10, 3))
    assert len(set(validation.drawn_sites(data, 10, 3))) == 10
    np.testing.assert_array_equal(validation.drawn_sites(data, 20, 3)[:10], validation.drawn_sites(data, 10, 3))
    assert validation.drawn_sites(data, None, 3).size == 40
    assert set(validation.drawn_sites(data, 10, 3)) != set(validation.drawn_sites(data, 10, 4))


def test_results_do_not_hang_on_the_order_of_work():
    data = learning()
    one, two = validation.predict_site(data, 7, ("rf",), DESIGN), None
    validation.predict_site(data, 3, ("rf",), DESIGN)
    two = validation.predict_site(data, 7, ("rf",), DESIGN)
    assert json.dumps(one["targets"]) == json.dumps(two["targets"])


def test_group_search_has_not_seen_the_group():
    """Spoiling the targets of a group changes nothing of what its search finds."""
    data = learning()
    dealt = validation.groups(data, 4, 0)
    targets = data.targets.copy()
    targets.loc[dealt == 2] = 0.5
    spoiled = validation.Learning(data.predictors, targets, data.downstream)
    found = [validation.search_group(d, dealt, 2, ("rf", "knn"), DESIGN) for d in (data, spoiled)]
    assert found[0] == found[1]


def test_sites_that_leave_too_few_gauges_are_not_scored():
    """Forty gauges down one river: the lower ones hold out all above them."""
    data = learning(np.r_[np.arange(1, 40), -1])
    assert validation.learnable(data, np.arange(40)).tolist() == list(range(20))
    found = validation.predict_site(data, 19, ("svr",), DESIGN)
    assert len(found["held_out"]) == 20
    with pytest.raises(InputError, match="use design=full"):
        validation.search_group(data, validation.groups(data, 4, 0), 0, ("svr",), DESIGN)


def test_bootstrap_interval_holds_the_score_and_narrows_with_sites():
    generator = np.random.default_rng(0)
    widths = []
    for count in (50, 800):
        observed = generator.standard_normal(count)
        predicted = observed + 0.5 * generator.standard_normal(count)
        low, high = validation.bootstrap_interval(observed, predicted, 0)
        r2 = 1 - ((observed - predicted) ** 2).sum() / ((observed - observed.mean()) ** 2).sum()
        assert low < r2 < high
        widths.append(high - low)
    assert widths[1] < 0.5 * widths[0]


def test_perfect_predictions_score_one():
    targets = pd.DataFrame({"runoff_depth": [1.0, 2.0, 4.0]}, index=list("abc"))
    scores = validation.score_table(
        targets, pd.DataFrame({"runoff_depth_rf": [1.0, 2.0, 4.0]}, index=list("abc")), ["rf"], 0
    )
    assert scores.r2.iloc[0] == 1.0
    assert scores.pbias.iloc[0] == 0.0
    assert validation.best(scores) == {"runoff_depth": "rf"}
