"""The layer rule is a test, and the test is known to fail on a violation."""

from __future__ import annotations

import pathlib
import shutil
import subprocess
import sys

import pytest

ROOT = pathlib.Path(__file__).parents[2]


def lint_imports(folder: pathlib.Path) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-c", "from importlinter.cli import lint_imports_command; lint_imports_command()"]
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)


@pytest.fixture
def copy(tmp_path):
    """A copy of the two packages, so that a violation can be planted."""
    for package in ("chase_jax", "data_prep"):
        shutil.copytree(ROOT / package, tmp_path / package, ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(ROOT / "pyproject.toml", tmp_path)
    return tmp_path


def test_layers_hold():
    result = lint_imports(ROOT)
    assert result.returncode == 0, result.stdout + result.stderr


@pytest.mark.parametrize(
    ("file", "line", "contract"),
    [
        ("chase_jax/physics/snow.py", "from chase_jax.model import chase  # noqa", "layers"),
        ("chase_jax/physics/runoff.py", "from chase_jax.physics import snow  # noqa", "processes are strangers"),
        ("chase_jax/model/chase.py", "import xarray  # noqa", "files, tables and configuration stop at the door"),
        ("chase_jax/workflows.py", "import data_prep  # noqa", "only the command line knows data_prep"),
        ("chase_jax/signature_study.py", "import data_prep  # noqa", "only the command line knows data_prep"),
        ("chase_jax/signatures/maps.py", "from chase_jax.evaluation import metrics  # noqa", "layers"),
        ("chase_jax/signatures/maps.py", "from chase_jax.io import store  # noqa", "layers"),
        (
            "chase_jax/signatures/baseflow.py",
            "import pandas  # noqa",
            "files, tables and configuration stop at the door",
        ),
    ],
)
def test_a_planted_violation_is_found(copy, file, line, contract):
    path = copy / file
    path.write_text(path.read_text() + f"\n{line}\n")
    result = lint_imports(copy)
    assert result.returncode != 0, "the planted violation was not found"
    assert f"{contract} BROKEN" in result.stdout, result.stdout
