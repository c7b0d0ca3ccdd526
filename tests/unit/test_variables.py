"""The table of variables is complete and consistent."""

from __future__ import annotations

import pathlib
import re

import numpy as np

from chase_jax import variables
from chase_jax.calibration import cellwise
from chase_jax.io import units
from chase_jax.physics import vegetation


def test_names_are_unique_and_ranges_are_ordered():
    names = [variable.name for variable in variables._ALL]
    assert len(names) == len(set(names)) == len(variables.VARIABLES)
    assert all(v.valid_min < v.valid_max for v in variables.VARIABLES.values())


def test_every_unit_is_one_the_reader_understands():
    for variable in variables.VARIABLES.values():
        if variable.units not in ("s m-1/3", "degree_north", "degree_east"):
            units.parse(variable.units)


def test_lists_of_names_are_in_the_table():
    for names in (
        variables.DOMAIN_REQUIRED,
        variables.DOMAIN_OPTIONAL,
        variables.FORCING_REQUIRED,
        variables.FORCING_OPTIONAL,
        variables.CALIBRATED,
        variables.GRIDDED_OUTPUTS,
        variables.LAKE_OUTPUTS,
        variables.PREDICTORS,
    ):
        assert set(names) <= set(variables.VARIABLES)
    assert len(variables.PREDICTORS) == 9
    assert len(variables.FORCING_REQUIRED) == 6


def test_standard_names_are_lower_case_words():
    for variable in variables.VARIABLES.values():
        name = variable.standard_name
        assert name is None or (name.replace("_", "").isalpha() and name.islower())


def test_codes_are_words_of_cf_within_the_range_and_the_type_of_their_variable():
    coded = [variable for variable in variables.VARIABLES.values() if variable.codes]
    assert {"active", "flow_direction", "vegetation_class", "lake_patch", "calibration_status"} < {
        v.name for v in coded
    }
    for variable in coded:
        values, words = zip(*variable.codes, strict=True)
        assert len(set(values)) == len(set(words)) == len(words)
        assert min(values) == variable.valid_min
        assert max(values) == variable.valid_max <= np.iinfo(variable.integers).max
        assert all(re.fullmatch(r"[A-Za-z0-9_.+@-]+", word) for word in words)


def test_codes_are_those_that_the_code_goes_by():
    classes = {code: row[0].replace(" ", "_") for code, row in vegetation.CLASS_TABLE.items()}
    assert dict(variables.LAND_COVER) == classes
    words = dict(variables.OUTCOMES)
    assert len(words) == len(cellwise.STATUS)
    assert words[cellwise.MET] == "met"
    assert words[cellwise.NO_TARGET] == "no_target"
    assert words[cellwise.INDEX_OUT_OF_REACH] == "baseflow_index_out_of_reach"
    assert words[cellwise.NOT_MET] == "not_met"


def test_weather_of_one_standard_name_is_told_apart_by_how_it_was_taken():
    weather = variables._FORCING
    assert all(variable.cell_methods.startswith("time: ") for variable in weather)
    kinds = [(variable.standard_name, variable.cell_methods) for variable in weather]
    assert len(set(kinds)) == len(kinds)


def test_runoff_depth_has_a_unit_of_its_standard_name():
    depth, runoff = (variables.VARIABLES[name] for name in ("runoff_depth", "runoff"))
    assert depth.standard_name == runoff.standard_name
    assert units.parse(depth.units)[1] == units.parse(runoff.units)[1]


def test_the_table_in_the_readme_is_the_one_in_the_code():
    text = (pathlib.Path(__file__).parents[2] / "README.md").read_text(encoding="utf-8")
    shown = text.split("<!-- variables -->")[1].split("<!-- end of variables -->")[0].strip()
    assert shown == variables.table(), "write the output of `python -m chase_jax.variables` into README.md"
    assert shown.count("\n") == len(variables.VARIABLES) + 10
