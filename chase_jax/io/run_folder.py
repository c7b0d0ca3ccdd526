"""The folder of a run: one writer at a time, whole files only, and a manifest that says what is valid.

A chunk of days exists if the manifest lists it; the manifest is written last. So a run that is killed at any moment
continues from the last listed chunk and ends with the same files as one that was not.
"""

from __future__ import annotations

import contextlib
import datetime
import importlib.metadata
import json
import os
import pathlib
import platform
import shutil
import socket
from collections.abc import Iterator
from typing import Any

from chase_jax.checks import InputError, require
from chase_jax.io import store

MANIFEST, LOCK, LOG, CONFIG = "manifest.json", "run.lock", "run.log", "config.yaml"
RESTART_SLOTS = 2  # restart files kept: the newest, and the one before in case the newest is damaged
SPARE_BYTES = 20_000_000  # free space below which a run stops before it writes


class Taken(InputError):
    """A folder holds another run than the one that was to go on, or is in use."""


class RunFolder:
    """The files of one run.

    Attributes:
        path: The folder.
        manifest: What the folder holds: status, configuration, versions, chunks, files.
    """

    def __init__(self, path: pathlib.Path, manifest: dict[str, Any], replaced: dict[str, Any] | None = None):
        self.path = path
        self.manifest = manifest
        self._replaced = replaced

    @property
    def chunks(self) -> list[dict[str, Any]]:
        """The chunks that are done, oldest first."""
        return self.manifest["chunks"]

    @property
    def finished(self) -> bool:
        """Whether the whole run is done."""
        return self.manifest["status"] == "finished"

    def begin(self, configuration: dict[str, Any], text: str) -> None:
        """Start or continue the run, once its inputs are known to be right; only now an earlier run is deleted.

        Args:
            configuration: What decides the results, flat, as JSON values; a run resumes only under the same.
            text: The configuration for config.yaml.

        Raises:
            InputError: If the run there began with another configuration.
        """
        if self._replaced:
            _clear(self.path, self._replaced, kept=set(self.manifest["files"]))
        if self.manifest["configuration"]:
            _require_same(self.manifest["configuration"], configuration, self.path)
        self.manifest["configuration"] = configuration
        store.write_text(text, self.path / CONFIG)
        self.note(CONFIG)
        self.commit()

    def require_same(self, keys: dict[str, Any]) -> None:
        """Require keys of the configuration to be those the run began with, its inputs aside.

        Args:
            keys: Flat, as JSON values.

        Raises:
            InputError: If one differs.
        """
        before = self.manifest["configuration"]
        _require_same({key: before.get(key) for key in keys}, keys, self.path)

    def log(self, text: str) -> None:
        """Add a line to run.log."""
        with (self.path / LOG).open("a", encoding="utf-8") as stream:
            stream.write(f"{datetime.datetime.now(datetime.UTC):%Y-%m-%dT%H:%M:%SZ} {text}\n")

    def note(self, *names: str) -> dict[str, dict[str, Any]]:
        """Enter files of the folder into the manifest (in memory) with their hashes."""
        noted = {}
        for name in names:
            file = self.path / name
            noted[name] = {"sha256": store.sha256(file), "bytes": file.stat().st_size}
        self.manifest["files"].update(noted)
        return noted

    def holds(self, name: str) -> bool:
        """Whether a file is there and as the manifest says."""
        entry, file = self.manifest["files"].get(name), self.path / name
        return entry is not None and file.is_file() and store.sha256(file) == entry["sha256"]

    def drop(self, name: str) -> None:
        """Forget a file and delete it."""
        self.manifest["files"].pop(name, None)
        (self.path / name).unlink(missing_ok=True)

    def commit(self) -> None:
        """Write the manifest: from here on, what it lists exists."""
        store.write_text(json.dumps(self.manifest, indent=1), self.path / MANIFEST)

    def add_chunk(self, chunk: dict[str, Any]) -> None:
        """List a chunk whose files are written, then delete restarts that are no longer needed."""
        self.chunks.append(chunk)
        self.commit()
        for old in self.chunks[:-RESTART_SLOTS]:
            if old["restart"] in self.manifest["files"]:
                self.drop(old["restart"])

    def finish(self, *lines: str) -> None:
        """Declare the run finished, with its last lines for the log."""
        for line in lines:
            self.log(line)
        self.manifest["status"] = "finished"
        self.commit()

    def last_valid(self) -> dict[str, Any] | None:
        """The newest chunk whose restart is undamaged; later ones are struck from the list, to be computed again."""
        while self.chunks and not self.holds(self.chunks[-1]["restart"]):
            bad = self.chunks.pop()
            self.log(f"restart {bad['restart']} is missing or damaged; going back by one chunk")
        return self.chunks[-1] if self.chunks else None

    def require_space(self, expected: int) -> None:
        """Stop before writing if the disk cannot take `expected` more bytes.

        Raises:
            InputError: If the disk is full.
        """
        free = shutil.disk_usage(self.path).free
        require(
            free > expected + SPARE_BYTES,
            f"{self.path}: the disk has {free / 1e6:.0f} MB left, but {(expected + SPARE_BYTES) / 1e6:.0f} MB are "
            "needed for the next chunk; free some space and run again with resume=true.",
        )


def finished_under(directory: str | os.PathLike[str], keys: dict[str, Any]) -> bool:
    """Whether a folder holds a finished run that began with these values.

    Args:
        directory: The folder.
        keys: Some of what decides the results, flat, as JSON values.
    """
    manifest = _read(pathlib.Path(directory).expanduser() / MANIFEST)
    if not manifest or manifest["status"] != "finished":
        return False
    return all(manifest["configuration"].get(key) == value for key, value in keys.items())


def versions() -> dict[str, str]:
    """Versions of what decides the numbers."""
    names = ("chase_jax", "jax", "jaxlib", "numpy", "equinox", "lineax")
    found = {}
    for name in names:
        with contextlib.suppress(importlib.metadata.PackageNotFoundError):
            found[name] = importlib.metadata.version(name)
    return {**found, "python": platform.python_version(), "machine": platform.machine()}


@contextlib.contextmanager
def opened(directory: str | os.PathLike[str], resume: bool = False, overwrite: bool = False) -> Iterator[RunFolder]:
    """Open a folder to run in, alone. Folders made here vanish again if nothing is put into them.

    Args:
        directory: The folder; made if it does not exist.
        resume: Continue what is there.
        overwrite: Throw away what an earlier run left.

    Raises:
        InputError: If the folder holds a run and neither is asked for, is in use, or cannot be written.
    """
    path = pathlib.Path(directory).expanduser()
    made = [folder for folder in (path, *path.parents) if not os.path.exists(folder)]  # the innermost first
    try:
        try:
            path.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise InputError(f"output.directory: {path}: cannot be made ({error.strerror}); choose another.") from None
        with _locked(path):
            manifest = _read(path / MANIFEST)
            require(
                not manifest or resume or overwrite or not (manifest["chunks"] or manifest["status"] == "finished"),
                f"output.directory: {path}: holds {_a_run(manifest)}; choose another folder, "
                "continue it with resume=true or replace it with output.overwrite=true.",
            )
            fresh = {"status": "running", "configuration": {}, "chunks": [], "files": {}, "versions": versions()}
            yield RunFolder(path, manifest, None) if manifest and resume else RunFolder(path, fresh, manifest)
    finally:
        for folder in made:
            with contextlib.suppress(OSError):  # only an empty folder can be removed, and only one that is there
                folder.rmdir()


def _a_run(manifest: dict[str, Any]) -> str:
    return "a finished run" if manifest.get("status") == "finished" else "an unfinished run"


def _read(file: pathlib.Path) -> dict[str, Any]:
    """The manifest of an earlier run, empty if there is none."""
    if not file.exists():
        return {}
    try:
        manifest = json.loads(file.read_text(encoding="utf-8"))
        if {"status", "configuration", "chunks", "files"} <= manifest.keys():
            return manifest
        reason = "entries are missing"
    except (OSError, ValueError, AttributeError) as error:
        reason = str(error)
    raise InputError(f"{file}: is damaged ({reason}); delete the folder or choose another output.directory.")


def _clear(path: pathlib.Path, manifest: dict[str, Any], kept: set[str]) -> None:
    """Delete the files of an earlier run, and nothing else."""
    (path / MANIFEST).unlink(missing_ok=True)  # first, so that a half-deleted run is no run
    for name in {*manifest["files"], LOG, CONFIG} - kept:
        file = (path / name).resolve()
        if file.is_relative_to(path.resolve()):
            file.unlink(missing_ok=True)


def _require_same(before: dict[str, Any], now: dict[str, Any], path: pathlib.Path) -> None:
    """Require a run to be resumed under the configuration it began with."""
    changed = sorted(key for key in before.keys() | now.keys() if before.get(key) != now.get(key))
    listed = ", ".join(f"{key} ({before.get(key)} -> {now.get(key)})" for key in changed[:4])
    if changed:
        raise Taken(
            f"output.directory: {path}: the run there began with another configuration: {listed}; "
            "give the same values, or choose another folder."
        )


@contextlib.contextmanager
def _locked(path: pathlib.Path) -> Iterator[None]:
    """Hold the folder's lock file; take over the lock of a process of this machine that no longer lives."""
    lock = path / LOCK
    mine = json.dumps({"host": socket.gethostname(), "process": os.getpid()})
    for _ in range(2):
        try:
            handle = os.open(lock, os.O_CREAT | os.O_EXCL | os.O_WRONLY)
            break
        except FileExistsError:
            holder = _holder(lock)
            if not _is_dead(holder):
                raise Taken(
                    f"output.directory: {path}: is in use by process {holder.get('process', '?')} on "
                    f"{holder.get('host', '?')}; wait for it, choose another folder, or delete {lock} if it is gone."
                ) from None
            lock.unlink(missing_ok=True)
        except OSError as error:
            raise InputError(
                f"output.directory: {path}: cannot be written ({error.strerror}); choose another."
            ) from None
    else:
        raise InputError(f"output.directory: {path}: another run has just begun there; choose another folder.")
    os.write(handle, mine.encode())
    os.close(handle)
    try:
        yield
    finally:
        lock.unlink(missing_ok=True)


def _holder(lock: pathlib.Path) -> dict[str, Any]:
    try:
        found = json.loads(lock.read_text(encoding="utf-8"))
        return found if isinstance(found, dict) else {}
    except (OSError, ValueError):
        return {}


def _is_dead(holder: dict[str, Any]) -> bool:
    """Whether the process that holds a lock is provably gone."""
    process = holder.get("process")
    if holder.get("host") != socket.gethostname() or not isinstance(process, int):
        return False
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return True
    except OSError:
        return False
    return process == os.getpid()
