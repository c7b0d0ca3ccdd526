"""Where a run under derivatives breaks: day, cell and store are told, on a stand-in whose breaks are known."""

from __future__ import annotations

import jax.numpy as jnp
import numpy as np
import pytest

from chase_jax.calibration import health
from chase_jax.calibration.trial import Span

CELLS = 5


class StandIn:
    """Two stores of cells; the second, or its derivative, breaks in a cell on a day."""

    def __init__(self, what, day, cell):
        self.what, self.day, self.cell, self.free = what, day, cell, (None, None)
        span = Span(lambda k: (jnp.arange(4.0)[:, None] + 4.0 * k, 4 if k == 0 else 2), 2, 6)
        self.spans = (("run-in", span), ("period", span))
        self.seen = []

    def day_with_tangents(self, unknowns, state, moving, weather):
        self.seen.append(float(weather[0, 0]))
        if len(self.seen) == self.day:
            if self.what == "value":
                state = state | {"soil": state["soil"].at[self.cell].set(jnp.nan)}
            moving = moving | {"soil": moving["soil"].at[1, self.cell].set(jnp.inf)}
        return state, moving


def state():
    return {"aquifer": jnp.ones(CELLS), "soil": jnp.ones(CELLS)}


@pytest.mark.parametrize(
    ("what", "day", "span", "number"),
    [("value", 3, "run-in", 3), ("derivative", 6, "run-in", 6), ("value", 9, "period", 3)],
)
def test_the_first_break_is_told_with_day_cell_and_store(what, day, span, number):
    found = health.first_break(StandIn(what, day, 2), jnp.zeros((2, CELLS)), state())
    assert found == health.Break(what, span, number, 2, "soil")


def test_padded_days_do_not_count_and_nothing_is_told_where_all_is_finite():
    simulator = StandIn("value", 99, 0)
    assert health.first_break(simulator, jnp.zeros((2, CELLS)), state()) is None
    np.testing.assert_array_equal(simulator.seen, [0, 1, 2, 3, 4, 5] * 2)
