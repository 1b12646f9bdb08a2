"""Value types: a plot, its key, its row, and the order of copies. No I/O."""

from collections.abc import Iterable
from hashlib import blake2b
from operator import itemgetter
from typing import NamedTuple

INT64_MIN, INT64_MAX = -(2**63), 2**63 - 1
SETTLED_NS = 2_000_000_000
"""A file changed more recently may change again within one tick of its clock, and show the same version."""


class PlotKey(NamedTuple):
    """What a caller asks for. Made by `Layout.parse_key`, which lets no path out of its folder."""

    session: str
    filename: str


Row = tuple[str, str, str, int, int, int, int]
"""A plot that nobody has called one yet: where there are millions of them, that alone would take seconds."""


POSITION = itemgetter(2, 1)
"""Filename and project of a row: rows of a session are in that order, in the catalogue too."""


class Plot(NamedTuple):
    """One regular image file below a project, as it was when it was looked at."""

    session: str
    project: str
    filename: str
    size: int
    mtime_ns: int
    ctime_ns: int
    inode: int

    @property
    def path(self) -> str:
        return f"{self.session}/{self.project}/{self.filename}"

    @property
    def suffix(self) -> str:
        """From the last dot on, in lower case."""
        return self.filename[self.filename.rindex(".") :].lower()

    @property
    def version(self) -> str:
        """A short digest that changes whenever the file is rewritten, replaced or touched."""
        identity = b"%d:%d:%d:%d" % self[3:]
        return blake2b(identity, digest_size=8).hexdigest()

    def is_settled(self, now_ns: int) -> bool:
        """Whether no further change can hide behind this version."""
        return now_ns - self.ctime_ns > SETTLED_NS


def newest_first(copies: Iterable[Plot]) -> list[Plot]:
    """Copies of one key; the first is the current copy: newest, then the greatest project name."""
    return sorted(copies, key=lambda copy: (copy.mtime_ns, copy.project), reverse=True)


def clamp(nanoseconds: int) -> int:
    """A time as 64 signed bits hold it: the years 1677 to 2262."""
    return min(max(nanoseconds, INT64_MIN), INT64_MAX)


def signed(inode: int) -> int:
    """An unsigned 64-bit inode number as the signed one that SQL can store."""
    return inode if inode <= INT64_MAX else inode - 2**64
