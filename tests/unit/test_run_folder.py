"""The run folder: one writer, nothing lost, nothing foreign deleted."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys

import pytest

from chase_jax.checks import InputError
from chase_jax.io import run_folder, store


def begin(path, **options):
    """Open a folder, begin a run with one file and finish it."""
    with run_folder.opened(path, **options) as folder:
        folder.begin({"a": 1}, "a: 1\n")
        store.write_text("result", path / "result.txt")
        folder.note("result.txt")
        folder.manifest["status"] = "finished"
        folder.commit()


def test_finished_run_is_not_overwritten_unless_asked(tmp_path):
    begin(tmp_path / "run")
    with pytest.raises(InputError, match=r"holds a finished run.*resume=true.*output.overwrite=true"):
        begin(tmp_path / "run")
    (tmp_path / "run" / "mine.txt").write_text("kept")
    begin(tmp_path / "run", overwrite=True)
    assert (tmp_path / "run" / "mine.txt").read_text() == "kept"


def test_earlier_run_survives_inputs_that_turn_out_wrong(tmp_path):
    begin(tmp_path / "run")
    with pytest.raises(KeyError), run_folder.opened(tmp_path / "run", overwrite=True):
        raise KeyError
    assert (tmp_path / "run" / "result.txt").exists()
    assert json.loads((tmp_path / "run" / "manifest.json").read_text())["status"] == "finished"


def test_folders_made_for_nothing_vanish_and_those_that_were_there_stay(tmp_path):
    there = tmp_path / "there"
    there.mkdir()
    for path in (there, there / "runs" / "one"):
        with pytest.raises(KeyError), run_folder.opened(path):
            raise KeyError
    assert there.exists()
    assert list(there.iterdir()) == []


@pytest.mark.parametrize("parent", ["", "new"])
def test_a_folder_that_cannot_be_made_is_refused_and_leaves_nothing(tmp_path, parent):
    with pytest.raises(InputError, match="cannot be made"), run_folder.opened(tmp_path / parent / ("a" * 300)):
        pass
    assert list(tmp_path.iterdir()) == []


def test_second_writer_is_refused_and_a_dead_one_is_not(tmp_path):
    path = tmp_path / "run"
    path.mkdir()
    lock = path / "run.lock"
    holder = {"host": socket.gethostname(), "process": os.getppid()}
    lock.write_text(json.dumps(holder))
    with pytest.raises(InputError, match=f"in use by process {os.getppid()}"):
        begin(path)
    gone = subprocess.Popen([sys.executable, "-c", ""])
    gone.wait()
    lock.write_text(json.dumps(holder | {"process": gone.pid}))
    begin(path)
    assert not lock.exists()
    lock.write_text(json.dumps({"host": "elsewhere", "process": gone.pid}))
    with pytest.raises(InputError, match="elsewhere"):
        begin(path, overwrite=True)


def test_other_configuration_does_not_resume(tmp_path):
    with run_folder.opened(tmp_path / "run") as folder:
        folder.begin({"a": 1}, "")
        store.write_text("x", folder.path / "restart" / "0.nc")
        folder.note("restart/0.nc")
        folder.add_chunk({"number": 0, "restart": "restart/0.nc"})
    with run_folder.opened(tmp_path / "run", resume=True) as folder, pytest.raises(InputError, match=r"a \(1 -> 2\)"):
        folder.begin({"a": 2}, "")


def test_a_finished_run_is_that_of_its_own_keys(tmp_path):
    with run_folder.opened(tmp_path / "run") as folder:
        folder.begin({"a": 1, "input.domain": "x"}, "")
        folder.finish("done")
    with run_folder.opened(tmp_path / "run", resume=True) as folder:
        folder.require_same({"a": 1})
        with pytest.raises(InputError, match=r"a \(1 -> 2\)"):
            folder.require_same({"a": 2})


def test_damaged_restart_goes_back_by_one_and_two_are_kept(tmp_path):
    with run_folder.opened(tmp_path / "run") as folder:
        folder.begin({}, "")
        for number in range(4):
            name = f"restart/{number}.nc"
            store.write_text(str(number), folder.path / name)
            folder.note(name)
            folder.add_chunk({"number": number, "restart": name})
        assert sorted(p.name for p in (folder.path / "restart").iterdir()) == ["2.nc", "3.nc"]
        (folder.path / "restart/3.nc").write_text("x")
        assert folder.last_valid()["number"] == 2


def test_full_disk_is_told_before_writing(tmp_path, monkeypatch):
    usage = type("Usage", (), {"free": 1000})
    monkeypatch.setattr(run_folder.shutil, "disk_usage", lambda path: usage)
    with run_folder.opened(tmp_path / "run") as folder, pytest.raises(InputError, match="free some space"):
        folder.require_space(10)


def test_damaged_manifest_is_told(tmp_path):
    begin(tmp_path / "run")
    (tmp_path / "run" / "manifest.json").write_text("{")
    with pytest.raises(InputError, match="is damaged"):
        begin(tmp_path / "run")
