"""Whether a file of the classic netCDF formats (CDF-1, CDF-2, CDF-5) is as long as its header says.

The netCDF library reads zeros where such a file was cut off, as a broken download leaves it; netCDF-4 files do not
open then. The header tells the place and size of every variable.
"""

from __future__ import annotations

import pathlib
import struct
from dataclasses import dataclass

MAGIC = b"CDF"
WIDTHS = {1: (4, 4), 2: (4, 8), 5: (8, 8)}  # bytes of counts and of places in the file, by version
SIZES = {1: 1, 2: 1, 3: 2, 4: 4, 5: 4, 6: 8, 7: 1, 8: 2, 9: 4, 10: 8, 11: 8}  # bytes, by the code of the type
FORMATS = {4: ">i", 8: ">q"}
PARTS = (2**16, 2**26)  # bytes that are read for the header: most of them, and more than any has
STREAMING = -1  # number of records while a file is still written


@dataclass
class _Reader:
    """A header and how far it is read."""

    content: bytes
    count: int
    place: int
    at: int = 4

    def number(self, width: int) -> int:
        """The next number of `width` bytes."""
        (value,) = struct.unpack_from(FORMATS[width], self.content, self.at)
        self.at += width
        return int(value)

    def skip(self, size: int) -> None:
        """Pass over bytes, which are padded to multiples of four."""
        self.at += -(-size // 4) * 4

    def length_of_list(self) -> int:
        """Number of entries of a list, past its tag."""
        self.number(4)
        return self.number(self.count)

    def attributes(self) -> None:
        """Pass over attributes."""
        for _ in range(self.length_of_list()):
            self.skip(self.number(self.count))
            kind = self.number(4)
            self.skip(self.number(self.count) * SIZES[kind])


def missing_bytes(path: pathlib.Path) -> int:
    """How many bytes a classic file lacks; 0 if none or if the file is of another format.

    Args:
        path: The file.

    Raises:
        ValueError: If the header of a classic file cannot be read.
    """
    with path.open("rb") as stream:
        start = stream.read(4)
        if start[:3] != MAGIC or len(start) < 4 or start[3] not in WIDTHS:
            return 0
        for part in PARTS:
            stream.seek(0)
            try:
                needed = _length(_Reader(stream.read(part), *WIDTHS[start[3]]))
                return max(needed - path.stat().st_size, 0)
            except (struct.error, KeyError, IndexError):
                continue
    raise ValueError("its header is cut off or broken")


def _length(header: _Reader) -> int:
    """Bytes up to the end of the last value."""
    records = header.number(header.count)
    dimensions = []
    for _ in range(header.length_of_list()):
        header.skip(header.number(header.count))
        dimensions.append(header.number(header.count))
    header.attributes()
    fixed: list[tuple[int, int]] = []
    recorded: list[tuple[int, int]] = []
    for _ in range(header.length_of_list()):
        header.skip(header.number(header.count))
        axes = [dimensions[header.number(header.count)] for _ in range(header.number(header.count))]
        header.attributes()
        kind = header.number(4)
        header.number(header.count)  # told size, which overflows for large variables
        begin, size, along = header.number(header.place), SIZES[kind], bool(axes) and axes[0] == 0
        for axis in axes[along:]:
            size *= axis
        (recorded if along else fixed).append((begin, size))
    ends = [header.at, *(begin + size for begin, size in fixed)]
    if recorded and records not in (0, STREAMING):
        # a single variable along the records is not padded
        step = recorded[0][1] if len(recorded) == 1 else sum(-(-size // 4) * 4 for _, size in recorded)
        ends += [begin + (records - 1) * step + size for begin, size in recorded]
    return max(ends)
