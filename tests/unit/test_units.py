"""Units: spellings, sizes, refusals."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from chase_jax.checks import InputError
from chase_jax.io import units
from chase_jax.variables import VARIABLES

PAIRS = [
    ("mm/day", "kg m-2 s-1", 1.0 / 86400.0),
    ("mm d-1", "kg m-2 s-1", 1.0 / 86400.0),
    ("mm h-1", "kg m-2 s-1", 1.0 / 3600.0),
    ("kg/m^2/s", "kg m-2 s-1", 1.0),
    ("kg m**-2 s**-1", "kg m-2 s-1", 1.0),
    ("m s-1", "kg m-2 s-1", 1000.0),
    ("hPa", "Pa", 100.0),
    ("mb", "Pa", 100.0),
    ("kPa", "Pa", 1000.0),
    ("J m-2 day-1", "W m-2", 1.0 / 86400.0),
    ("MJ m-2 d-1", "W m-2", 1e6 / 86400.0),
    ("%", "1", 0.01),
    ("g/kg", "1", 1e-3),
    ("kg kg-1", "1", 1.0),
    ("km", "m", 1000.0),
    ("km2", "m2", 1e6),
    ("m3/s", "m3 s-1", 1.0),
    ("km/h", "m s-1", 1.0 / 3.6),
    ("mm year-1", "kg m-2 year-1", 1.0),
]


@pytest.mark.parametrize(("found", "wanted", "factor"), PAIRS)
def test_spelling_converts_by_the_known_factor(found, wanted, factor):
    assert units.conversion(found, wanted) == (pytest.approx(factor, rel=1e-14), 0.0)


@pytest.mark.parametrize("found", units.CELSIUS)
def test_degrees_celsius_shift_to_kelvin(found):
    assert units.convert(np.array([0.0, 20.0]), found, "K") == pytest.approx([273.15, 293.15])


@pytest.mark.parametrize(
    ("found", "wanted"),
    [("mm", "kg m-2 s-1"), ("J m-2", "W m-2"), ("K", "Pa"), ("furlong", "m"), ("degC day", "K"), ("mm/", "Pa")],
)
def test_what_measures_something_else_is_refused_and_the_allowed_are_named(found, wanted):
    with pytest.raises(InputError, match="allowed are"):
        units.conversion(found, wanted)


@given(st.text(max_size=20))
def test_any_text_is_a_unit_or_an_input_error(text):
    try:
        factor, offset = units.conversion(text, "Pa")
    except InputError:
        return
    assert np.isfinite([factor, offset]).all()


@given(st.sampled_from([p[:2] for p in PAIRS]), st.floats(-1e6, 1e6))
def test_there_and_back_is_where_it_began(pair, value):
    found, wanted = pair
    forward, backward = units.conversion(found, wanted)[0], units.conversion(wanted, found)[0]
    assert value * forward * backward == pytest.approx(value, rel=1e-12, abs=1e-12)


def test_every_unit_of_the_table_converts_to_itself():
    for variable in VARIABLES.values():
        assert units.conversion(variable.units, variable.units) == (1.0, 0.0)
