"""Laws from attributes to parameters, learned from reservoirs whose law is known."""

from __future__ import annotations

import numpy as np
import pytest
import reservoir

from chase_jax.calibration import damped, regional
from chase_jax.calibration.learning import Scale
from chase_jax.checks import InputError
from chase_jax.evaluation import metrics

DAYS, CATCHMENTS = 366, 24
MONTH = np.minimum(np.arange(DAYS) // 30, 11)
LIGHT = 0.1  # weight with which a perfect record of few catchments is learned nearly by heart
HIDDEN = np.array([[0.4, 0.5, 0.0, -0.3], [-0.2, 0.0, 0.3, 0.1]])  # of two parameters from three attributes
START = np.tile(np.array([[-2.0], [-0.3]]), (1, CATCHMENTS))


def drawn(seed):
    """Attributes (catchment, attribute), one of them in large numbers."""
    return np.random.default_rng(seed).normal(size=(CATCHMENTS, 3)) * [1.0, 200.0, 1.0] + [0.0, 1000.0, 5.0]


def run(unknowns, slopes=True):
    """Flow (day, catchment) of reservoirs and its derivatives (parameter, day, catchment)."""
    made = [reservoir.discharge(one, DAYS) for one in unknowns.T]
    series = np.stack([flow[:, 0] for flow, _ in made], axis=1)
    return series, np.stack([along[:, :, 0] for _, along in made], axis=2) if slopes else None


def truth(attributes):
    """Unknowns (parameter, catchment) of the hidden law, whose attributes are scaled as those of the first draw."""
    return regional.Law(Scale.of(drawn(0)), HIDDEN).unknowns(START, attributes)


def months_of(attributes):
    return regional.Months(run(truth(attributes))[0], MONTH)


def test_a_law_is_learned_and_holds_in_catchments_never_seen():
    asked = []

    def counted(unknowns, slopes):
        asked.append(slopes)
        return run(unknowns, slopes)

    law, series = regional.fit(counted, months_of(drawn(0)), START, drawn(0), 30, held=LIGHT)
    assert len(asked) <= 12
    assert sum(asked) <= 3
    np.testing.assert_array_equal(series, run(law.unknowns(START, drawn(0)))[0])
    np.testing.assert_allclose(law.weights, HIDDEN, atol=0.05)  # held back a little
    others = drawn(1)
    before, after = (months_of(others).skill(run(u)[0]) for u in (START, law.unknowns(START, others)))
    assert np.median(before) < 0.9
    assert after.min() > 0.99


def test_a_catchment_that_was_not_measured_teaches_nothing():
    flow = run(truth(drawn(0)))[0]
    flow[:, 3] = np.nan
    laws = []
    for nonsense in (1.0, 7.0):

        def wrong(unknowns, slopes, nonsense=nonsense):
            series, own = run(unknowns, slopes)
            series[:, 3] *= nonsense
            return series, own

        laws.append(regional.fit(wrong, regional.Months(flow, MONTH), START, drawn(0), 6)[0].weights)
    np.testing.assert_array_equal(laws[0], laws[1])
    assert np.abs(laws[0]).max() > 0.1


def test_a_catchment_whose_flow_no_law_explains_does_not_lead_the_others_astray():
    flow = run(truth(drawn(0)))[0]
    flow[:, 5] = 0.01 * flow[::-1, 5]
    months = regional.Months(flow, MONTH)
    law, series = regional.fit(run, months, START, drawn(0), 15, held=LIGHT)
    assert months.skill(series)[5] < -5.0
    np.testing.assert_allclose(law.weights, HIDDEN, atol=0.1)


def test_the_more_the_weights_are_held_the_less_attributes_change():
    months = months_of(drawn(0))
    laws = [regional.fit(run, months, START, drawn(0), 15, held=held)[0].weights for held in (0.1, 2.0, 40.0)]
    sizes = [np.abs(weights[:, 1:]).sum() for weights in laws]
    assert sizes[2] < 0.9 * sizes[1] < 0.9 * sizes[0]


def test_a_step_without_damping_solves_a_linear_problem():
    """Against ordinary least squares of all residuals and weights in one matrix."""
    draw = np.random.default_rng(4)
    jacobian, residuals, features = draw.normal(size=(2, 9, 5)), draw.normal(size=(9, 5)), draw.normal(size=(5, 3))
    held, weights = draw.uniform(0.1, 1.0, (2, 3)), draw.normal(size=(2, 3))
    rows = np.einsum("pmb,bk->mbpk", jacobian, features).reshape(45, 6)
    matrix = np.concatenate([rows, np.diag(np.sqrt(held.ravel()))])
    right = -np.concatenate([residuals.ravel(), (np.sqrt(held) * weights).ravel()])
    expected = np.linalg.lstsq(matrix, right, rcond=None)[0].reshape(2, 3)
    found = regional._step(jacobian, residuals, features, held, weights, 0.0)
    np.testing.assert_allclose(found, expected, rtol=1e-9, atol=1e-12)


def test_skill_is_that_of_whole_months_that_were_measured():
    draw = np.random.default_rng(2)
    observed, simulated = draw.gamma(1.0, 2.0, (DAYS, 2)), draw.gamma(1.0, 2.0, (DAYS, 2))
    observed[40, 0] = np.nan  # the second month
    months = regional.Months(np.concatenate([observed, np.full((DAYS, 1), 3.0)], axis=1), np.minimum(MONTH, 12))
    pair = [np.stack([np.nanmean(one[month == MONTH], axis=0) for month in range(12)]) for one in (simulated, observed)]
    pair[1][1, 0] = np.nan
    skill = months.skill(np.concatenate([simulated, simulated[:, :1]], axis=1))
    assert months.counted.tolist() == [False, True, False]  # eleven months; twelve; always the same
    np.testing.assert_allclose(skill[1], np.asarray(metrics.nse(pair[0], pair[1]))[1], rtol=1e-12)
    assert np.isnan(skill[[0, 2]]).all()
    lack = months.lack(np.concatenate([simulated, simulated[:, :1]], axis=1))
    np.testing.assert_allclose(lack, 1.0 - 1.0 / (2.0 - skill), rtol=1e-12)  # of the normalised skill


def test_derivatives_of_residuals_are_those_of_differences():
    months, at, step = months_of(drawn(0)), truth(drawn(0)) + 0.3, 1e-6
    exact = months.slopes(run(at)[1])
    for parameter in range(2):
        moved = step * np.eye(2)[parameter][:, None]
        up, down = (months.missed(run(at + sign * moved)[0]) for sign in (1.0, -1.0))
        np.testing.assert_allclose(exact[parameter], (up - down) / (2.0 * step), rtol=1e-6, atol=1e-8)


def test_attributes_far_from_what_was_seen_do_not_lead_beyond_bounds():
    law = regional.Law(Scale.of(drawn(0)), 10.0 * HIDDEN)
    far = drawn(0).mean(axis=0) + np.array([[1e6, 0.0, 0.0]] * CATCHMENTS)
    unknowns = law.unknowns(START, far)
    assert np.abs(unknowns).max() <= damped.LIMIT
    np.testing.assert_allclose(law.features(far)[:, :2], [[1.0, regional.EXTREME]] * CATCHMENTS)


def test_no_months_are_refused():
    with pytest.raises(InputError, match="12 whole months"):
        regional.Months(np.full((DAYS, 2), np.nan), MONTH)


def test_judges_choose_the_law_and_do_not_teach():
    """The flow of the judges is that of no law at all, so that none is what they find best."""
    judges = np.arange(CATCHMENTS) % 4 == 0
    flow = np.where(judges, run(START)[0], run(truth(drawn(0)))[0])
    months = regional.Months(flow, MONTH)
    law, series = regional.fit(run, months, START, drawn(0), 10, judges, LIGHT)
    np.testing.assert_array_equal(law.weights, 0.0)
    np.testing.assert_array_equal(series, run(START)[0])
    law, series = regional.fit(run, months_of(drawn(0)), START, drawn(0), 10, judges, LIGHT)
    others = months_of(drawn(0)).skill(series)[judges]
    assert others.min() > 0.99


def test_somebody_must_teach():
    with pytest.raises(InputError, match="leave a catchment that was measured to teach"):
        regional.fit(run, months_of(drawn(0)), START, drawn(0), 3, np.ones(CATCHMENTS, bool))
