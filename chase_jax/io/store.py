"""Files: open, check against the table of variables, write under a final name only when complete.

A file is written beside its place under a temporary name, synchronised to the disk and then renamed, so that a name
either holds a whole file or does not exist. Reading never follows an address on a network.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import pathlib
import shutil
from collections.abc import Callable, Iterator

import numpy as np
import xarray as xr

from chase_jax.checks import InputError, after_number, require
from chase_jax.io import netcdf_classic, units
from chase_jax.variables import VARIABLES, Variable

CONVENTIONS = "CF-1.11"
CODES = ("active", "flow_direction", "vegetation_class", "lake_index", "lake_patch")  # flags: CF asks no unit of them
OLDER_NAMES = {"runoff_depth": "runoff_amount"}  # standard names that files written before may bear
SLACK = 1e-6  # 1, by which values in single precision may lie beyond a bound, as a share of it
NO_CODE = -1  # stands in files of codes where there is none


def local_path(path: str | os.PathLike[str], key: str) -> pathlib.Path:
    """The path of an existing local file or folder.

    Args:
        path: What the user gave.
        key: The configuration key it was given by, for the message.

    Raises:
        InputError: If it is an address on a network or does not exist.
    """
    text = os.fspath(path)
    require_local(text, key)
    found = pathlib.Path(text).expanduser()
    require(found.exists(), f"{key}: {text}: no such file or folder (looked in {pathlib.Path.cwd()}); correct `{key}`.")
    return found


def require_local(text: str, key: str) -> None:
    """Require a path to be no address on a network."""
    require("://" not in text, f"{key}: {text}: only local files are read; copy the file to this machine first.")


def open_dataset(path: pathlib.Path) -> xr.Dataset:
    """Open a netCDF file or a Zarr folder; data stay on the disk until they are asked for.

    Raises:
        InputError: If the file cannot be read as such.
    """
    is_zarr = path.suffix == ".zarr"
    if is_zarr:
        try:
            import zarr  # noqa: F401
        except ImportError:
            raise InputError(f"{path}: reading Zarr needs an extra: pip install 'chase_jax[zarr]'.") from None
    try:
        lacking = 0 if path.is_dir() else netcdf_classic.missing_bytes(path)
        require(lacking == 0, f"{path}: is cut off, {lacking} bytes are missing; get or write it again.")
        return xr.open_dataset(path, engine="zarr" if is_zarr else "netcdf4", decode_timedelta=False)
    except InputError:
        raise
    except (OSError, ValueError, KeyError, RuntimeError) as error:
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        kind = "Zarr folder" if is_zarr else "netCDF file"
        raise InputError(f"{path}: cannot be read as a {kind} ({reason}); write it again.") from None


def find(dataset: xr.Dataset, name: str, path: pathlib.Path) -> xr.DataArray | None:
    """The array of a variable: by its name, else by its CF standard name if one array alone bears it; else None.

    Raises:
        InputError: If the array contradicts the table: another standard name, no unit, a unit that does not convert.
    """
    variable = VARIABLES[name]
    array = dataset.get(name)
    if array is None and variable.standard_name and not name.endswith(("_min", "_max")):
        accepted = {variable.standard_name, OLDER_NAMES.get(name, variable.standard_name)}
        bearers = [
            key
            for key, other in dataset.data_vars.items()
            if other.attrs.get("standard_name") in accepted and str(key) not in VARIABLES
        ]
        array = dataset[bearers[0]] if len(bearers) == 1 else None
    if array is None:
        return None
    declared = array.attrs.get("standard_name")
    require(
        not (declared and variable.standard_name) or _same_quantity(str(declared), variable),
        f"{path}: variable {name}: the standard_name is '{declared}' but must be '{variable.standard_name}'; "
        "give the right array or correct the attribute.",
    )
    unit_of(array, name, path)
    return array


def _same_quantity(declared: str, variable: Variable) -> bool:
    """Soil texture by volume and by mass are taken for one another, and older names are known; all else must agree."""
    by_mass = declared.replace("volume_", "mass_")
    return variable.standard_name in (declared, by_mass) or OLDER_NAMES.get(variable.name) == declared


def require_variable(dataset: xr.Dataset, name: str, path: pathlib.Path) -> xr.DataArray:
    """The array of a variable that must be there.

    Raises:
        InputError: If it is not.
    """
    array = find(dataset, name, path)
    if array is None:
        held = ", ".join(map(str, dataset.data_vars)) or "nothing"
        raise InputError(f"{path}: variable {name}: is missing; the file holds {held}; add {name} to it.")
    return array


def unit_of(array: xr.DataArray, name: str, path: pathlib.Path, quantity: str | None = None) -> tuple[float, float]:
    """Factor and offset from the unit of the file to the unit of the table.

    Args:
        array: The array.
        name: Its name.
        path: The file, for the message.
        quantity: The variable of the table whose unit it has; None for that of its name.

    Raises:
        InputError: If there is no unit or it does not convert.
    """
    wanted = VARIABLES[quantity or name].units
    found = str(array.attrs.get("units", "")).strip()
    if not found and name in CODES:
        return 1.0, 0.0
    allowed = units.EXAMPLES.get(wanted, wanted)
    require(bool(found), f"{path}: variable {name}: has no `units` attribute; add one, allowed are {allowed}.")
    try:
        return units.conversion(found, wanted)
    except InputError as error:
        raise InputError(f"{path}: variable {name}: {error}; correct the `units` attribute or the data.") from None


def canonical(array: xr.DataArray, name: str, path: pathlib.Path, quantity: str | None = None) -> np.ndarray:
    """The values of an array as float64 in the unit of the table; missing values are NaN.

    Args:
        array: The array.
        name: Its name.
        path: The file, for the message.
        quantity: The variable of the table whose unit it has; None for that of its name.

    Raises:
        InputError: If the stored bytes cannot be read.
    """
    factor, offset = unit_of(array, name, path, quantity)
    try:
        values = np.asarray(array.values, dtype=float)
    except (OSError, RuntimeError, ValueError, TypeError) as error:
        raise InputError(f"{path}: variable {name}: cannot be read ({error}); write the file again.") from None
    return values if (factor, offset) == (1.0, 0.0) else values * factor + offset


def check_values(
    values: np.ndarray,
    name: str,
    path: pathlib.Path,
    place: Callable[[tuple[int, ...]], str],
    low: float | None = None,
    high: float | None = None,
) -> None:
    """Require finite values within the valid range of the table.

    Args:
        values: An array of any shape, in the unit of the table.
        name: The variable.
        path: The file, for the message.
        place: Turns the index of an element into words.
        low: A lower bound instead of that of the table.
        high: An upper bound instead of that of the table.

    Raises:
        InputError: Names file, variable, place, value and what is allowed.
    """
    variable = VARIABLES[name]
    low = variable.valid_min if low is None else low
    high = variable.valid_max if high is None else high
    good = (values >= low - SLACK * abs(low)) & (values <= high + SLACK * abs(high))
    if good.all():
        return
    index = tuple(int(i) for i in np.unravel_index(int(np.argmin(good)), values.shape))
    found = values[index]
    unit = after_number(variable.units)
    what = "is missing (NaN)" if np.isnan(found) else f"is {found:g}{unit}"
    more = int(values.size - good.sum()) - 1
    also = f" (and at {more} more)" if more else ""
    raise InputError(
        f"{path}: variable {name}: {what} at {place(index)}{also}; "
        f"allowed is {low:g} to {high:g}{unit}; correct the data, its `units` or its _FillValue."
    )


def attributes(name: str) -> dict[str, str]:
    """The CF attributes of a variable of the table."""
    variable = VARIABLES[name]
    found = {"long_name": variable.long_name, "units": variable.units}
    if variable.standard_name:
        found["standard_name"] = variable.standard_name
    if variable.description:
        found["comment"] = variable.description
    if variable.cell_methods:
        found["cell_methods"] = variable.cell_methods
    return found


def _stored_as(array: xr.Variable, variable: Variable) -> np.dtype:
    """The type that a file holds an array in: codes as whole numbers, where all are codes of the table or missing."""
    if array.dtype.kind != "f" or not variable.codes:
        return array.dtype
    known = [code for code, _ in variable.codes]
    values = array.values
    return np.dtype(variable.integers) if (np.isnan(values) | np.isin(values, known)).all() else array.dtype


def _flags(variable: Variable, kind: np.dtype) -> dict[str, object]:
    """The CF attributes that tell what codes mean; `flag_values` have the type that the file holds the codes in."""
    if not variable.codes:
        return {}
    values, words = zip(*variable.codes, strict=True)
    return {"flag_values": np.array(values, "i1" if kind.kind == "b" else kind), "flag_meanings": " ".join(words)}


def described(dataset: xr.Dataset, title: str) -> xr.Dataset:
    """The dataset with the attributes of the table and of the conventions added; its own win but for codes."""
    result = dataset.copy()
    for name in result.variables:
        clock = {key: v for key, v in result[name].encoding.items() if key in ("units", "calendar", "dtype")}
        clock["_FillValue"] = None  # CF lets no coordinate be missing; without a word one would be added
        result[name].encoding = clock if result[name].dtype.kind == "M" else {}
        if name in VARIABLES:
            variable = VARIABLES[str(name)]
            kind = _stored_as(result[name].variable, variable)
            if kind != result[name].dtype:
                result[name].encoding = {"dtype": kind, "_FillValue": kind.type(NO_CODE)}
            result[name].attrs = {**attributes(str(name)), **result[name].attrs, **_flags(variable, kind)}
    result.attrs = {"Conventions": CONVENTIONS, "title": title, "source": "chase_jax", **result.attrs}
    return result


@contextlib.contextmanager
def committed(path: pathlib.Path) -> Iterator[pathlib.Path]:
    """A temporary path that takes the final name when the block ends well, and vanishes when it does not.

    Raises:
        InputError: If the disk is full or the folder cannot be written.
    """
    temporary = path.with_name(f".tmp-{os.getpid()}-{path.name}")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        yield temporary
        _synchronise(temporary)
        if path.is_dir() and not path.is_symlink():
            shutil.rmtree(path)
        os.replace(temporary, path)
        _synchronise(path.parent)
    except (OSError, RuntimeError) as error:
        if isinstance(error, RuntimeError) and "NetCDF" not in str(error):
            raise
        reason = getattr(error, "strerror", None) or error
        raise InputError(f"{path}: cannot be written ({reason}); is the disk full? Free or choose a place.") from None
    finally:
        if temporary.is_dir():
            shutil.rmtree(temporary, ignore_errors=True)
        else:
            with contextlib.suppress(OSError):
                temporary.unlink(missing_ok=True)


def _synchronise(path: pathlib.Path) -> None:
    """Push a file, or a folder's list of names, from the cache of the system to the disk."""
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def write_dataset(dataset: xr.Dataset, path: pathlib.Path, title: str, unlimited: tuple[str, ...] = ()) -> None:
    """Write a dataset with CF attributes, compressed and with checksums, as netCDF-4 or (`.zarr`) Zarr."""
    full = described(dataset, title)
    with committed(path) as temporary:
        if path.suffix == ".zarr":
            full.to_zarr(temporary, mode="w", consolidated=False)
            return
        encoding = {str(name): _encoding(array, name in full.coords) for name, array in full.variables.items()}
        full.to_netcdf(temporary, engine="netcdf4", encoding=encoding, unlimited_dims=unlimited)


def _encoding(array: xr.Variable, coordinate: bool) -> dict[str, object]:
    """How an array is stored: numbers compressed and with checksums, times as they were told to be."""
    if array.dtype.kind not in "fiuM":
        return {}
    packed = {"zlib": True, "complevel": 1, "shuffle": True, "fletcher32": True} if array.ndim else {}
    missing = {"_FillValue": None if coordinate else np.nan} if array.dtype.kind == "f" else {}
    return {**packed, **missing, **array.encoding}


def write_text(text: str, path: pathlib.Path) -> None:
    """Write a text file under its final name only when complete."""
    with committed(path) as temporary:
        temporary.write_text(text, encoding="utf-8")


def sha256(path: pathlib.Path) -> str:
    """Hexadecimal SHA-256 of a file, or of all files of a folder in the order of their names."""
    digest = hashlib.sha256()
    files = sorted(p for p in path.rglob("*") if p.is_file()) if path.is_dir() else [path]
    for file in files:
        if path.is_dir():
            digest.update(str(file.relative_to(path)).encode())
        with file.open("rb") as stream:
            while block := stream.read(1 << 20):
                digest.update(block)
    return digest.hexdigest()
