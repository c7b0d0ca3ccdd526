"""The command line: help, suggestions, codes, and no way to run what a configuration names."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest
import small_case

from chase_jax import cli, config
from chase_jax.variables import CALIBRATED, VARIABLES


def refused(capsys, *words) -> str:
    """The one line of a refusal."""
    assert cli.main(list(words)) == 2
    told = capsys.readouterr()
    assert told.out == ""
    assert told.err.count("\n") == 1
    assert "Traceback" not in told.err
    return told.err


@pytest.mark.parametrize("verb", list(cli.VERBS))
def test_help_lists_every_group_and_key(verb, capsys):
    assert cli.main([verb, "--help"]) == 0
    text = capsys.readouterr().out
    for name, _, _ in config.keys(config.SCHEMAS[verb]):
        assert f"  {name} " in text
    for group in config.groups():
        assert f"  {group} " in text


def test_overview_names_the_verbs(capsys):
    assert cli.main([]) == 0
    text = capsys.readouterr().out
    assert all(verb in text for verb in cli.VERBS)


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (("simulat",), "unknown verb 'simulat'; allowed are simulate"),
        (("check", "domain.pth=x"), "did you mean domain.path?"),
        (("check", "solver.reach=tree"), "did you mean solvers.reach?"),
        (("check", "+extra=1"), "unknown key extra"),
        (("check", "solvers.reach=jacoby"), "did you mean jacobi?; allowed are jacobi, tree"),
        (("check", "schedule.land_substeps=many"), "schedule.land_substeps: Value 'many'"),
        (("check", "schedule.land_substeps=many"), "write a whole number, such as schedule.land_substeps=8"),
        (("check", "output.grids=runoff"), "write a list, output.grids=[runoff]"),
        (("check", "output.grids=null"), "write a list, or output.grids=[]"),
        (("check", "domain=3"), "a group takes the name of a file"),
        (("calibrate", "fit.weights=[a]"), "fit.weights[0]: Value 'a' of type 'str' could not be converted"),
        (("simulate", "output.directory="), "output.directory is empty; name a folder"),
        (("check", "forcing.lapse_rate=6.5"), "forcing.lapse_rate is 6.5; allowed are 0 to 0.02 K m-1"),
        (("check", "forcing.lapse_rate=-0.1"), "forcing.lapse_rate is -0.1; it must be at least 0 K m-1"),
        (("check", "parameters.manning_roughness=35"), "manning_roughness is 35.0; allowed are 0.001 to 2 s m-1/3"),
        (("check", "parameters.baseflow_factor=1e9"), "baseflow_factor is 1000000000.0; allowed are 1e-06 to 10000"),
        (("check", "schedule.land_substeps=0"), "schedule.land_substeps is 0; it must be at least 1"),
        (("check", "parameters.bypass_fraction=1.2"), "parameters.bypass_fraction is 1.2; allowed are 0 to 1"),
        (("check", "resume=perhaps"), "resume: Value 'perhaps'"),
        (("check", "domain=demmo"), "did you mean demo?"),
        (("check", "domain"), "write key=value"),
        (("check", "period.start=1990-02-30"), "period.start is '1990-02-30'"),
        (("check", "period.start=1990-02-03", "period.end=1990-02-02"), "before period.start"),
        (("check", "output.grids=[runof]"), "did you mean runoff?"),
        (("check", "--config-name=x"), "unknown option --config-name"),
        (("check", "--experimental-rerun=x.pickle"), "unknown option"),
        (
            ("prepare", "recipe=nowhere"),
            "allowed are appenzell, camels_catchments, china, china_like, moselle, nam_co, otta, region, rhine_1990",
        ),
        (("prepare", "recipe=china_like", "china_like.cells=10"), "china_like.cells is 10; it must be at least 400"),
        (("prepare", "recipe=moselle", "corrections.path=nowhere.csv", "data.root=."), "corrections.path: nowhere.csv"),
        (("prepare", "recipe=china_like", "china_like.cell=900"), "did you mean china_like.cells?"),
        (("simulate", "china_like.cells=900"), "unknown key china_like.cells"),
        (("check", "scope=map"), "scope is 'map'; allowed are all, domain"),
        (("check", "scope=domain"), "domain.path is empty; scope=domain needs a domain"),
        (("check", "scope=domain", "domain.path=x", "forcing.path=y"), "forcing.path is given but scope=domain"),
        (("check", "scope=domain", "domain.path=x", "observations.path=y"), "observations.path is given but scope"),
        (("check", "scope=domain", "domain.path=nowhere.nc"), "nowhere.nc: no such file"),
        (("simulate", "scope=domain"), "unknown key scope"),
        (("evaluate", "output.directory=nowhere"), "holds no finished run"),
        (("check", "forcing.path=x.nc"), "domain.path is empty"),
        (("check", "domain.path=http://x/domain.nc", "forcing.path=x"), "only local files are read"),
    ],
)
def test_wrong_words_are_refused_in_one_line(words, told, capsys):
    assert told in refused(capsys, *words)


@pytest.mark.parametrize("name", [name for name in CALIBRATED if name != "dcor"])  # whose range depends on its form
def test_one_value_obeys_the_range_of_its_map(name, capsys):
    variable = VARIABLES[name]
    for value in (2.0 * variable.valid_max, variable.valid_min - 1.0):
        assert f"parameters.{name} is {value}" in refused(capsys, "check", f"parameters.{name}={value}")


@pytest.mark.parametrize(
    "word",
    [
        "+domain._target_=os.system",
        "++_target_=os.system",
        "+hydra.callbacks.x._target_=os.system",
        "+domain=../../outside",
        "domain=/etc/passwd",
        "+hydra.searchpath=[file:///tmp]",
    ],
)
def test_words_that_name_code_or_outside_files_are_refused(word, capsys):
    refused(capsys, "check", word)


@pytest.mark.parametrize(
    "text",
    [
        "domain:\n  _target_: os.system\n",
        "# @package hydra\ncallbacks:\n  x: 1\n",
        "a: &a [x]\nb: [" + "*a, " * 30 + "]\n",
        "a: '" + "x" * 200_000 + "'\n",
        "a: [\n",
    ],
)
def test_configuration_files_that_name_code_or_explode_are_refused(tmp_path, text, capsys):
    (tmp_path / "experiment").mkdir()
    (tmp_path / "experiment" / "mine.yaml").write_text(text)
    refused(capsys, "check", "--config-dir", str(tmp_path), "experiment=mine")


def test_own_folder_of_configurations_is_used_and_its_wrong_keys_are_told(tmp_path, capsys):
    (tmp_path / "experiment").mkdir()
    file = tmp_path / "experiment" / "mine.yaml"
    file.write_text("# @package _global_\nschedule:\n  land_substeps: 4\n")
    words = ("check", "--config-dir", str(tmp_path), "experiment=mine")
    assert cli.main([*words, "--cfg", "job"]) == 0
    assert "land_substeps: 4" in capsys.readouterr().out
    file.write_text("# @package _global_\nschedule:\n  land_substep: 4\n")
    assert "did you mean schedule.land_substeps?" in refused(capsys, *words)


def test_check_prints_a_table(tmp_path, capsys):
    assert cli.main(["check", *small_case.write(tmp_path)]) == 0
    text = capsys.readouterr().out
    assert "16 (16 km2), 1 outlets" in text
    assert "air_temperature" in text
    assert "all inputs are valid" in text
    assert not (tmp_path / "run").exists()


def test_domain_alone_is_checked(tmp_path, capsys):
    words = small_case.write(tmp_path)
    (tmp_path / "forcing.nc").unlink()
    assert cli.main(["check", "scope=domain", words[0], words[2], "parameters.dcor=0.3"]) == 0
    text = capsys.readouterr().out
    assert "16 (16 km2), 1 outlets" in text
    assert "the domain is valid; weather was not checked" in text
    assert "air_temperature" not in text
    assert "dcor" in text
    assert text.splitlines()[-3].split() == ["01", "16", "16"]


def test_a_wrong_domain_alone_is_refused(tmp_path, capsys):
    domain = small_case.domain_dataset()
    domain["flow_direction"][1, 3] = 64  # back into the cell above
    words = small_case.write(tmp_path, domain=domain)
    told = refused(capsys, "check", "scope=domain", words[0])
    assert "runs in a loop" in told
    assert "domain.nc" in told


def test_program_works_as_a_module_in_any_folder(tmp_path):
    environment = {**os.environ, "LC_ALL": "C"}
    command = [sys.executable, "-m", "chase_jax", "check", "domainn.path=x"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, env=environment, check=False)
    assert done.returncode == 2
    assert done.stdout == ""
    assert done.stderr == (
        "chase check: error: unknown key domainn.path, did you mean domain.path?; --help lists all keys.\n"
    )
    assert list(tmp_path.iterdir()) == []


def test_every_file_of_conf_composes(capsys):
    for verb in config.SCHEMAS:
        for group, names in config.groups().items():
            for name in names:
                assert cli.main([verb, f"{group}={name}", "--cfg", "job"]) == 0, (verb, group, name)
    capsys.readouterr()


def test_help_tells_the_defaults_of_its_verb_and_no_code(capsys):
    told = {}
    for verb in cli.VERBS:
        assert cli.main([verb, "--help"]) == 0
        text = capsys.readouterr().out
        assert "${" not in text
        told[verb] = " ".join(text.split())
    folders = {"simulate": "runs/DOMAIN", "calibrate": "runs/calibration", "prepare": "data/RECIPE"}
    folders |= {"signatures": "signatures/TABLE_DESIGN_PREDICTORS", "evaluate": "runs/DOMAIN"}
    for verb, folder in folders.items():
        assert f"output.directory the run folder [{folder}]" in told[verb]


def test_help_whose_reader_has_read_enough_ends_without_a_word():
    read, write = os.pipe()
    os.close(read)
    done = subprocess.run(
        [sys.executable, "-m", "chase_jax", "simulate", "--help"], stdout=write, stderr=subprocess.PIPE, check=False
    )
    os.close(write)
    assert (done.returncode, done.stderr) == (0, b"")
