"""Shared fixtures: double precision everywhere, the place of the development data."""

from __future__ import annotations

import os
import pathlib
import sys

import jax
import pytest

import chase_jax  # noqa: F401  sets double precision before any array exists

sys.path.insert(0, str(pathlib.Path(__file__).parent))


def data_root() -> pathlib.Path | None:
    """The folder of development data: CHASE_DATA, or ../shared/data beside the checkout."""
    named = os.environ.get("CHASE_DATA")
    candidates = [pathlib.Path(named)] if named else []
    candidates.append(pathlib.Path(__file__).parents[2] / "shared" / "data")
    return next((path for path in candidates if path.is_dir()), None)


@pytest.fixture(scope="session")
def real_data() -> pathlib.Path:
    """The development data folder; tests that ask for it are skipped where there is none."""
    root = data_root()
    if root is None:
        pytest.skip("CHASE_DATA is not set and no ../shared/data exists")
    return root


@pytest.fixture(autouse=True, scope="module")
def _compiled_programs_released():
    """Compiled programs go with their module: each maps memory, of which Linux allows a process some 65,000 pieces."""
    yield
    jax.clear_caches()
