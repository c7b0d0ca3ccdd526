"""Tables of text with commas: lines of people's files as they stand, and lines of results."""

from __future__ import annotations

import csv
import io
import pathlib
from collections.abc import Mapping, Sequence

import pandas as pd

from chase_jax.checks import InputError, require

SEPARATORS = {";": "semicolons", "\t": "tabs", "|": "vertical bars"}  # that other programs write for commas


def read(file: pathlib.Path, advice: str) -> pd.DataFrame:
    """The lines of a table as text, with the names of the columns stripped.

    Args:
        file: The table.
        advice: What to do if it is none, for the message.

    Raises:
        InputError: If it cannot be read, its columns are not separated by commas, or a line has more of them than the
            first.
    """
    try:
        _require_even(file)
        table = pd.read_csv(file, dtype=str, keep_default_na=False, skipinitialspace=True)
    except InputError:
        raise
    except (OSError, ValueError, csv.Error) as error:
        reason = str(error).splitlines()[0]
        raise InputError(f"{file}: cannot be read as a table ({reason}); {advice}.") from None
    table.columns = table.columns.str.strip()
    return table


def _require_even(file: pathlib.Path) -> None:
    """Require the lines of a table to have no more fields than the first, which a comma too many would shift."""
    with file.open(encoding="utf-8-sig", newline="") as stream:
        lines = csv.reader(stream, skipinitialspace=True)
        header = next((fields for fields in lines if fields), [])
        other = next((name for mark, name in SEPARATORS.items() if len(header) == 1 and mark in header[0]), "")
        require(
            not other,
            f"{file}: line {lines.line_num}: the columns are separated by {other}; separate them by commas and write "
            "decimals with a point.",
        )
        for fields in lines:
            require(
                len(fields) <= len(header),
                f"{file}: line {lines.line_num} has {len(fields)} fields, the header {len(header)}; put quotes around "
                "a text that holds a comma, or remove the comma too many.",
            )


def text(rows: Sequence[Mapping[str, object]], digits: int | None = None) -> str:
    """The text of a table.

    Args:
        rows: Values by column; a row may lack some.
        digits: Digits of numbers; None for all of them.
    """
    stream = io.StringIO()
    if rows:
        columns = list(dict.fromkeys(name for row in rows for name in row))
        writer = csv.DictWriter(stream, columns, lineterminator="\n")
        writer.writeheader()
        rounded = digits is not None
        for row in rows:
            writer.writerow({k: f"{v:.{digits}g}" if rounded and isinstance(v, float) else v for k, v in row.items()})
    return stream.getvalue()
