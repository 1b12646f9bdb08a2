"""Value types: a plot, its key, its row, its path, and the order of copies. No I/O."""

import os
from bisect import bisect_right
from collections.abc import Iterable
from hashlib import blake2b
from itertools import accumulate
from operator import attrgetter, itemgetter
from typing import NamedTuple

INT64_MIN, INT64_MAX = -(2**63), 2**63 - 1
SESSION_PROJECT = "."
"""The project of the plots directly in a session. Paths leave it out."""
SETTLE_NS = 2_000_000_000
"""A file changed more recently may change again within one tick of its clock, and keep its version."""


class PlotKey(NamedTuple):
    """What a caller asks for. `Layout.parse_key` creates it from untrusted text."""

    session: str
    filename: str


Row = tuple[str, str, str, int, int, int, int]
"""The fields of a `Plot`; making millions of named tuples would take seconds."""

filename_of = itemgetter(2)
"""The filename of a row."""
_AGE = itemgetter(4, 1)
"""(mtime_ns, project) of a row."""
ROW_SORT_KEY = itemgetter(2, 1)
"""(filename, project) of a row: the order of a session's rows, in the catalogue too."""
stat_fields = attrgetter("st_mode", "st_nlink", "st_size", "st_mtime_ns", "st_ctime_ns", "st_ino")
"""Of an `os.stat_result`."""


class Plot(NamedTuple):
    """One regular image file below a project, at the moment of its stat."""

    session: str
    project: str
    filename: str
    size: int
    mtime_ns: int
    ctime_ns: int
    inode: int

    @property
    def path(self) -> str:
        return join_path(*self[:3])

    @property
    def suffix(self) -> str:
        """The extension with its dot, in lower case."""
        return self.filename[self.filename.rindex(".") :].lower()

    @property
    def version(self) -> str:
        """A short digest of size, mtime, ctime and inode."""
        identity = b"%d:%d:%d:%d" % self[3:]
        return blake2b(identity, digest_size=8).hexdigest()

    def drawn_ns(self, now_ns: int) -> int:
        """When it was drawn: its mtime or, if that is in the future, when its file was last changed."""
        return self.mtime_ns if self.mtime_ns <= now_ns else min(self.ctime_ns, now_ns)

    def is_settled(self, now_ns: int) -> bool:
        """Whether any further change will change the version."""
        return now_ns - self.ctime_ns > SETTLE_NS


class OpenPlot(NamedTuple):
    """A plot and the descriptor of its checked file."""

    plot: Plot
    fd: int


class HardLinkedPlot(NamedTuple):
    """A plot whose file has several names, and its number of hard links."""

    plot: Plot
    link_count: int


def sum_names_bytes(rows: Iterable[Row]) -> int:
    """Sum of the bytes of the rows' filenames."""
    return len("".join(map(filename_of, rows)).encode())


def first_beyond(rows: list[Row], max_plots: int, max_names_bytes: int) -> str:
    """Sort rows by filename; return the first filename that is beyond these bounds, of which one is exceeded."""
    rows.sort(key=filename_of)
    sums = accumulate(len(row[2].encode()) for row in rows[:max_plots])
    return rows[bisect_right(list(sums), max_names_bytes)][2]


def join_path(session: str, project: str, filename: str) -> str:
    """A path relative to the root."""
    return f"{session}/{filename}" if project == SESSION_PROJECT else f"{session}/{project}/{filename}"


def plot_from_stat(session: str, project: str, filename: str, status: os.stat_result) -> Plot:
    """A plot with its numbers clamped to what SQL can store."""
    mtime_ns, ctime_ns = clamp_int64(status.st_mtime_ns), clamp_int64(status.st_ctime_ns)
    return Plot(session, project, filename, status.st_size, mtime_ns, ctime_ns, to_int64(status.st_ino))


def newest_first(copies: Iterable[Plot]) -> list[Plot]:
    """Sort the copies of a key: newest mtime first, then greatest project name. The first is the current copy."""
    return sorted(copies, key=_AGE, reverse=True)


def clamp_int64(nanoseconds: int) -> int:
    """A time limited to 64 signed bits: the years 1677 to 2262."""
    return min(max(nanoseconds, INT64_MIN), INT64_MAX)


def to_int64(inode: int) -> int:
    """Map an unsigned 64-bit inode number to a signed one, which SQL can store."""
    return inode if inode <= INT64_MAX else inode - 2**64
