"""The table of variables is complete and consistent."""

from __future__ import annotations

import pathlib

from chase_jax import variables
from chase_jax.io import units


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


def test_the_table_in_the_readme_is_the_one_in_the_code():
    text = (pathlib.Path(__file__).parents[2] / "README.md").read_text(encoding="utf-8")
    shown = text.split("<!-- variables -->")[1].split("<!-- end of variables -->")[0].strip()
    assert shown == variables.table(), "write the output of `python -m chase_jax.variables` into README.md"
    assert shown.count("\n") == len(variables.VARIABLES) + 10
