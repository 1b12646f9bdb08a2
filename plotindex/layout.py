"""What a path in the tree means: sessions, projects, plots, keys and scopes. Pure: no I/O.

ROOT/<session>/<project>/<filename>        filename may hold folders: sub/hist.svg
"""

import re
from collections.abc import Callable, Container, Iterable
from dataclasses import dataclass, field
from fnmatch import translate
from functools import lru_cache
from hashlib import blake2b
from operator import itemgetter
from typing import NamedTuple

from plotindex.system import is_text

CACHED_NAMES = 4096
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


class Scope(NamedTuple):
    """An entry of the tree, and everything below it, that may have changed; all None is the root."""

    session: str | None = None
    project: str | None = None
    path: str | None = None

    def __str__(self) -> str:
        return "/".join(part for part in self if part is not None)


ROOT_SCOPE = Scope()


def is_name(name: str) -> bool:
    """Whether `name` can be one component of a path that plotindex keeps.

    Names that are not UTF-8 reach Python with lone surrogates, which no SQL text can hold.
    """
    return bool(name) and name not in (".", "..") and "/" not in name and "\0" not in name and is_text(name)


def clamp(nanoseconds: int) -> int:
    """A time as 64 signed bits hold it: the years 1677 to 2262."""
    return min(max(nanoseconds, INT64_MIN), INT64_MAX)


def signed(inode: int) -> int:
    """An unsigned 64-bit inode number as the signed one that SQL can store."""
    return inode if inode <= INT64_MAX else inode - 2**64


def is_within(path: str, scopes: Container[str]) -> bool:
    """Whether one of the scopes is `path` or holds it."""
    return path in scopes or any(outer in scopes for outer in outer_scopes(path))


def is_glob(text: str) -> bool:
    """Whether somebody who looks for `text` means a pattern."""
    return any(c in text for c in "*?[")


@lru_cache(256)
def glob_matcher(pattern: str) -> Callable[[str], object]:
    """A function that says whether a name matches a glob; `*` matches slashes too."""
    return re.compile(translate(pattern)).match


def literal_runs(text: str) -> list[str]:
    """What every name that matches a glob holds, one after the other; of what is no glob, the text itself."""
    runs, start, at = [], 0, 0
    while at < len(text):
        end = at + 1
        if text[at] == "[":
            # As fnmatch has it: a class holds at least one character, and without its end it is none.
            first = at + 2 if text[at + 1 : at + 2] == "!" else at + 1
            end = text.find("]", first + 1) + 1
        if text[at] in "*?[" and end:
            runs.append(text[start:at])
            start = end
        at = end or at + 1
    return [run for run in (*runs, text[start:]) if run]


def collapse(scopes: Iterable[str]) -> list[str]:
    """The fewest scopes that cover the same entries: one inside another disappears. Sorted."""
    given = set(scopes)
    return sorted(scope for scope in given if not any(outer in given for outer in outer_scopes(scope)))


def outer_scopes(scope: str) -> Iterable[str]:
    """The scopes that hold this one, the root first."""
    if not scope:
        return
    yield ""
    position = scope.find("/")
    while position != -1:
        yield scope[:position]
        position = scope.find("/", position + 1)


@dataclass(frozen=True)
class Layout:
    """The one grammar of the walk, the events, the scan and the request."""

    project_pattern: str = "project_*"
    suffixes: frozenset[str] = frozenset({".png", ".jpg", ".jpeg", ".svg", ".gif", ".webp"})
    max_depth: int = 32
    """How many folders below its project a plot may lie and still be indexed."""
    max_plots: int = 100_000
    """How many plots of one session are indexed."""
    is_project: Callable[[str], bool] = field(init=False, repr=False, compare=False)
    """Whether a folder of that name is a project."""
    _endings: tuple[str, ...] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        endings = tuple(suffix for suffix in self.suffixes if suffix.rfind(".") == 0 and suffix == suffix.lower())
        object.__setattr__(self, "_endings", endings)
        matches = glob_matcher(self.project_pattern)
        # The same few names are asked for again and again, some times for each plot.
        is_project = lru_cache(CACHED_NAMES)(lambda name: matches(name) is not None and is_name(name))
        object.__setattr__(self, "is_project", is_project)

    def has_suffix(self, name: str) -> bool:
        """Whether the last dot of `name` starts one of the suffixes, in any case; `.png` alone has none."""
        # Most end so as it is, and this is asked of each name.
        if name.endswith(self._endings):
            return name not in self._endings
        stem, dot, extension = name.rpartition(".")
        return bool(stem) and (dot + extension.lower()) in self.suffixes

    def is_too_deep(self, path: str) -> bool:
        """Whether a plot of that filename, or a folder below its project with a slash at its end, is not indexed."""
        return path.count("/") > self.max_depth

    def parse_key(self, session: str, filename: str) -> PlotKey | None:
        """The key that a caller names, or None when no plot can have it."""
        parts = filename.split("/")
        if is_name(session) and all(map(is_name, parts)) and self.has_suffix(parts[-1]):
            return PlotKey(session, filename)
        return None

    def parse_scope(self, path: str) -> Scope | None:
        """The scope that a path relative to the root names, or None when no plot can be there."""
        if not path:
            return ROOT_SCOPE
        session, _, rest = path.partition("/")
        project, _, below = rest.partition("/")
        if not is_name(session) or (rest and not self.is_project(project)):
            return None
        if below and not all(map(is_name, below.split("/"))):
            return None
        return Scope(session, project or None, below or None)
