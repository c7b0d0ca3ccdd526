"""The days of a run, cut into chunks."""

from __future__ import annotations

import dataclasses

import numpy as np

DAY = np.timedelta64(1, "D")
LONGEST_CHUNK = 31  # days; all chunks run in one compiled program of this length


@dataclasses.dataclass(frozen=True)
class Chunk:
    """Days that run in one call.

    Attributes:
        number: Position in the run, from 0.
        day: Number of the first day in its span of weather.
        count: Days.
        first: The first day.
        written: Whether it belongs to the period, not to the run-in.
        opens: Whether a month of sums begins with it.
        closes: Whether the month of sums, or the span, ends with it.
        ends_span: Whether the period, or one repetition of the run-in, ends with it.
    """

    number: int
    day: int
    count: int
    first: np.datetime64
    written: bool
    opens: bool
    closes: bool
    ends_span: bool

    @property
    def end(self) -> np.datetime64:
        """The day after the last."""
        return self.first + self.count * DAY

    @property
    def name(self) -> str:
        """A name for files: position and last day."""
        return f"{self.number:05d}_{self.end - DAY}"


def chunks(period: np.ndarray, warmup: np.ndarray | None, cycles: int, restart_days: int | None) -> list[Chunk]:
    """Cut a run into chunks that never cross the end of a month.

    Args:
        period: (day,) days that are written.
        warmup: (day,) days of the run-in, or None.
        cycles: How often the run-in is repeated.
        restart_days: Longest chunk in days; None for whole months.
    """
    spans = [] if warmup is None else [(warmup, False)] * cycles
    longest = min(restart_days or LONGEST_CHUNK, LONGEST_CHUNK)
    found: list[Chunk] = []
    for days, written in [*spans, (period, True)]:
        months = days.astype("datetime64[M]")
        day = 0
        while day < days.size:
            left = int(np.searchsorted(months, months[day], side="right")) - day
            count = min(longest, left)
            opens = day == 0 or months[day] != months[day - 1]
            last = day + count == days.size
            found.append(Chunk(len(found), day, count, days[day], written, opens, count == left, last))
            day += count
    return found
