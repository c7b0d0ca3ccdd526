"""The lake that a river's flood flows back into, as the experiment prints it."""

from __future__ import annotations

import importlib.util
import pathlib

import numpy as np
import pytest

PATH = pathlib.Path(__file__).parents[2] / "experiments" / "backwater.py"


@pytest.fixture(scope="module")
def experiment():
    spec = importlib.util.spec_from_file_location("backwater", PATH)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.slow
def test_the_flow_turns_back_and_drains_and_no_water_is_lost(experiment, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    table = experiment.main()
    back = np.flatnonzero(table.mouth_discharge < 0.0)
    assert 10 <= back[back > 5].size <= 40
    assert table.mouth_discharge.iloc[back[-1] + 1 :].min() > 0.0
    turned, drains = table.mouth_discharge.idxmin(), table.mouth_discharge.idxmax()
    assert turned < table.lake_level_north.idxmax() < drains
    assert table.river_level[turned] > table.lake_level_north[turned] > table.lake_level_south[turned]
    assert table.river_level[drains] < table.lake_level_north[drains] < table.lake_level_south[drains]
    closure = float(capsys.readouterr().out.split("in less out, ")[1].split(" of what moved")[0])
    assert closure < 1e-12
    assert (tmp_path / "runs" / "backwater" / "backwater.png").stat().st_size > 10_000
