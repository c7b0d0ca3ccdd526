"""Four regressors, their bounds, their storage, and the maps they make."""

from __future__ import annotations

import pickle

import numpy as np
import pandas as pd
import pytest
from basin_case import learning

from chase_jax.checks import InputError
from chase_jax.signatures import attributes, maps, regressors, storage, validation
from chase_jax.signatures.regressors import Design

EVERYONE = np.ones(40, bool)


@pytest.fixture(scope="module")
def data():
    return learning()


@pytest.fixture(scope="module")
def models(data):
    names = tuple(regressors.REGRESSORS)
    parameters = validation.search_all(data, EVERYONE, names, Design(draws=2, folds=3), ("test",))
    return validation.fit_all(data, EVERYONE, parameters, Design(folds=3), ("test",))


@pytest.mark.parametrize("name", list(regressors.REGRESSORS))
@pytest.mark.parametrize("target", attributes.TARGETS)
def test_predictions_stay_within_bounds_far_outside_the_training_basins(models, data, name, target):
    rows = np.random.default_rng(0).uniform(-5.0, 5.0, (200, 9)) * data.rows.std(0) * 10 + data.rows.mean(0)
    low, high = regressors.BOUNDS[target]
    found = models[target][name].predict(rows)
    assert np.all((found >= low) & (found <= high))


@pytest.mark.parametrize("name", list(regressors.REGRESSORS))
def test_runoff_of_generated_basins_is_learned(data, name):
    """Runoff follows precipitation and aridity, so that each regressor must see most of it."""
    parameters = validation.search_all(data, EVERYONE, (name,), Design(draws=8, folds=4), ("test",))
    found = [
        validation.predict_site(data, site, (name,), Design(), {"runoff_depth": parameters["runoff_depth"]})
        for site in range(0, 40, 2)
    ]
    scores = validation.score_table(data.targets[["runoff_depth"]], validation.prediction_table(found), [name], 0)
    assert scores.r2.iloc[0] > 0.6


def test_smearing_takes_the_bias_of_a_square_away():
    """The square of a mean root is below the mean: by the variance of what is not explained."""
    generator = np.random.default_rng(0)
    rows = generator.uniform(size=(400, 2))
    values = (10.0 + 5.0 * rows[:, 0] + 3.0 * generator.standard_normal(400)) ** 2
    means = []
    for smearing in (False, True):
        design = Design(folds=5, smearing=smearing)
        arguments = ("svr", "runoff_depth", rows, values, np.arange(400), {"model__C": 1.0}, ("a", "b"), design, 0)
        means.append(regressors.fit(*arguments).predict(rows).mean())
    assert means[0] < values.mean() - 5.0
    assert abs(means[1] - values.mean()) < 3.0
    assert means[1] - means[0] == pytest.approx(9.0, rel=0.2)


def test_missing_values_of_an_extended_set_are_filled_from_the_training_basins(data):
    rows = data.rows.copy()
    rows[::3, 4] = np.nan
    found = regressors.fit("knn", "baseflow_index", rows[10:], data.targets["baseflow_index"].to_numpy()[10:],
                           np.arange(30), {}, data.columns, Design(), 0)  # fmt: skip
    assert np.isfinite(found.predict(rows[:10])).all()
    assert found.pipeline["fill"].statistics_[4] == np.nanmedian(rows[10:, 4])


@pytest.mark.parametrize("name", list(regressors.REGRESSORS))
def test_stored_models_predict_the_same(models, data, name, tmp_path):
    pytest.importorskip("skops")
    model = models["runoff_depth"][name]
    storage.save(model, tmp_path / "model.skops", "abc")
    again, facts = storage.load(tmp_path / "model.skops")
    np.testing.assert_array_equal(again.predict(data.predictors), model.predict(data.predictors))
    assert again.columns == data.columns
    assert facts["trained_on"] == "abc"
    assert facts["versions"]["scikit-learn"] != "unknown"


def test_foreign_types_and_pickles_are_refused(tmp_path):
    skops = pytest.importorskip("skops.io")
    skops.dump({"regressor": pd.Timedelta("1D")}, tmp_path / "foreign.skops")
    with pytest.raises(InputError, match="which no model of ours has"):
        storage.load(tmp_path / "foreign.skops")
    (tmp_path / "evil.skops").write_bytes(pickle.dumps({"a": 1}))
    with pytest.raises(InputError, match="cannot be read as a model"):
        storage.load(tmp_path / "evil.skops")


def test_maps_equal_predictions_and_do_not_hang_on_the_tile(models, data):
    generator = np.random.default_rng(1)
    field = data.rows[generator.integers(0, 40, (17, 13))] * generator.uniform(0.9, 1.1, (17, 13, 9))
    field[3, 4, 2] = np.nan
    chosen = {"runoff_depth": models["runoff_depth"]["svr"], "baseflow_index": models["baseflow_index"]["gbdt"]}
    forests = {target: models[target]["rf"] for target in chosen}
    areas = {target: maps.applicability(data, np.ones(9)) for target in chosen}
    whole, tiled = (
        maps.predict_grid(chosen, forests, areas, lambda rows: field[rows].copy(), (17, 13), tile)
        for tile in (10_000, 30)
    )
    for name, values in whole.items():
        np.testing.assert_array_equal(values, tiled[name])
        assert np.isnan(values[3, 4])
        assert np.isfinite(values).sum() == 17 * 13 - 1
    rows = field.reshape(-1, 9)[np.isfinite(field).all(-1).ravel()]
    np.testing.assert_allclose(
        whole["runoff_depth"][np.isfinite(whole["runoff_depth"])], chosen["runoff_depth"].predict(rows), rtol=1e-6
    )
    assert np.nanmin(whole["runoff_depth"]) >= 0
    assert np.nanmin(whole["baseflow_index"]) >= 0
    assert np.nanmax(whole["baseflow_index"]) <= 1
    known = np.isfinite(whole["runoff_depth_low"])
    assert np.all(whole["runoff_depth_low"][known] <= whole["runoff_depth_high"][known])


def test_area_of_applicability_ends_where_the_training_basins_do(data):
    area = maps.applicability(data, np.ones(9))
    assert np.allclose(area.dissimilarity(data.rows), 0.0, atol=1e-7)
    far = data.rows.mean(0) + 20.0 * data.rows.std(0)
    assert area.dissimilarity(far[None])[0] > 5 * area.threshold
    unimportant = maps.applicability(data, np.r_[1.0, np.zeros(8)])
    moved = data.rows[:1].copy()
    moved[0, 5] += 10.0 * data.rows[:, 5].std()  # a predictor that no model looks at
    assert unimportant.dissimilarity(moved)[0] < unimportant.threshold
    assert area.dissimilarity(moved)[0] > area.threshold


def test_importance_names_what_runoff_was_made_from(models, data):
    table = maps.importance(models["runoff_depth"]["rf"], data, 0)
    assert table.impurity.sum() == pytest.approx(1.0)
    assert set(table.nlargest(2, "permutation")["predictor"]) == {"mean_precipitation", "aridity_index"}
    assert maps.importance(models["runoff_depth"]["svr"], data, 0).impurity.isna().all()


def test_running_median_of_a_constant_bias():
    area, median = maps.running_median(np.array([3.0, 1.0, 2.0, 5.0]), np.full(4, 7.0), width=3)
    assert area.tolist() == [1.0, 2.0, 3.0, 5.0]
    assert median.tolist() == [7.0] * 4
