"""The figures of a study: what is drawn is what the tables say."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

pytest.importorskip("matplotlib")
from chase_jax.signatures import figures

TARGETS = ("runoff_depth", "baseflow_index")


@pytest.fixture
def tables():
    generator = np.random.default_rng(0)
    count = 30
    table = pd.DataFrame({"latitude": np.linspace(30, 40, count), "longitude": np.linspace(-100, -80, count)})
    table["area_km2"] = generator.uniform(50, 5000, count)
    for target, size in zip(TARGETS, (800.0, 0.5), strict=True):
        table[target] = size * generator.uniform(0.2, 1.8, count)
        table[f"{target}_rf"] = table[target] * generator.uniform(0.8, 1.3, count)
    table.loc[0, "runoff_depth_rf"] = np.nan  # a site that was not scored
    scores = pd.DataFrame(
        {"target": TARGETS, "regressor": "rf", "r2": 0.8, "r2_low": 0.7, "r2_high": 0.9, "best": True}
    )
    importance = pd.DataFrame(
        {"target": np.repeat(TARGETS, 2), "regressor": "rf", "predictor": ["mean_slope", "aridity_index"] * 2,
         "impurity": [0.3, 0.7, 0.6, 0.4], "permutation": 0.1}
    )  # fmt: skip
    return table, scores, importance


def texts(figure) -> str:
    return " ".join(text.get_text() for ax in figure.axes for text in [*ax.texts, ax.title, *ax.get_yticklabels()])


def test_predictions_show_scores_and_importance_in_order(tables):
    figure = figures.predictions(*tables, "rf")
    assert "R² = 0.80 (0.70 to 0.90)" in texts(figure)
    assert "29 basins" in texts(figure)
    assert [label.get_text() for label in figure.axes[2].get_yticklabels()] == ["slope", "aridity index"]
    assert [label.get_text() for label in figure.axes[3].get_yticklabels()] == ["aridity index", "slope"]


def test_aggregation_counts_satisfactory_basins(tables):
    table = pd.DataFrame(
        {"target": "runoff_depth", "observed": [100.0, 200.0, 400.0, 0.0], "aggregated": [110.0, 300.0, 410.0, 5.0],
         "area_km2": [10.0, 100.0, 1000.0, 20.0]}
    )  # fmt: skip
    figure = figures.aggregation(table)
    assert "67% within ±25 %" in texts(figure)
    median = figure.axes[1].get_lines()[-1]
    np.testing.assert_allclose(median.get_xdata(), [10.0, 100.0, 1000.0])


def test_maps_hatch_what_is_outside_the_area_of_applicability(tables, tmp_path):
    axis = np.arange(5) * 1000.0
    values = {target: np.arange(25.0).reshape(5, 5) for target in TARGETS}
    outside = {target: (values[target] < 20).astype(float) for target in TARGETS}
    figure = figures.signature_maps(axis, axis[::-1], values, outside)
    assert any(
        collection.hatches == ["////"]
        for ax in figure.axes
        for collection in ax.collections
        if hasattr(collection, "hatches")
    )
    figure.savefig(tmp_path / "maps.png")
    assert (tmp_path / "maps.png").stat().st_size > 5000


def test_bias_is_that_of_the_best_regressor(tables):
    figure = figures.biases(tables[0], dict.fromkeys(TARGETS, "rf"))
    shown = figure.axes[1].collections[0].get_array()
    expected = 100.0 * (tables[0]["baseflow_index_rf"] / tables[0]["baseflow_index"] - 1.0)
    np.testing.assert_allclose(shown, expected)
