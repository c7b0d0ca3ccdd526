"""Tables of text with commas: lines of people's files as they stand, and lines of results."""

from __future__ import annotations

import csv
import io
import pathlib
from collections.abc import Mapping, Sequence

import pandas as pd

from chase_jax.checks import InputError


def read(file: pathlib.Path, advice: str) -> pd.DataFrame:
    """The lines of a table as text, with the names of the columns stripped.

    Args:
        file: The table.
        advice: What to do if it is none, for the message.

    Raises:
        InputError: If it cannot be read.
    """
    try:
        table = pd.read_csv(file, dtype=str, keep_default_na=False, skipinitialspace=True)
    except (OSError, ValueError) as error:
        reason = str(error).splitlines()[0]
        raise InputError(f"{file}: cannot be read as a table ({reason}); {advice}.") from None
    table.columns = table.columns.str.strip()
    return table


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
