"""Unknowns that share a tangent, and what is read from it."""

from __future__ import annotations

import numpy as np
import pytest
import valley

from chase_jax.calibration import columns
from chase_jax.calibration.coloring import Coloring, parts
from chase_jax.model.chase import Chase


def test_a_valley_is_one_part_and_closed_columns_are_apart():
    model = Chase.default(valley.valley())
    assert (parts(model.domain) == 0).all()
    cells = np.array([0, 2, 3])
    assert np.unique(parts(columns.closed(model, cells).domain)).size == cells.size


@pytest.mark.parametrize("seed", range(5))
def test_derivatives_are_those_of_one_tangent_for_each_unknown(seed):
    draw = np.random.default_rng(seed)
    touched = draw.random((12, 5)) < 0.3
    touched[0] = True  # one acts everywhere
    part_of_place = draw.integers(0, 5, 7)
    jacobian = draw.normal(size=(12, 4, 7)) * touched[:, part_of_place][:, None, :]
    coloring = Coloring.of(touched, part_of_place)
    along = np.einsum("tu,udp->tdp", coloring.directions, jacobian)
    np.testing.assert_array_equal(coloring.spread(along), jacobian)
    assert (coloring.directions.sum(axis=0) == 1.0).all()


def test_catchments_apart_need_as_many_tangents_as_one_of_them():
    parameters, catchments = 3, 40
    touched = np.tile(np.eye(catchments, dtype=bool), (parameters, 1))
    coloring = Coloring.of(touched, np.arange(catchments))
    assert coloring.directions.shape == (parameters, parameters * catchments)
    assert (np.sort(coloring.felt, axis=0) == np.arange(parameters)[:, None] * catchments + np.arange(catchments)).all()
