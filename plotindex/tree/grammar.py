"""The grammar of paths: sessions, projects, plots, keys and scopes. No I/O.

ROOT/<session>/<project>/<filename>        filename may contain folders: sub/hist.svg
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import lru_cache

from plotindex.system import is_encodable
from plotindex.tree.globs import glob_matcher, literal_prefix
from plotindex.tree.plots import PlotKey
from plotindex.tree.scopes import ROOT_SCOPE, Scope

MEDIA_TYPES = {
    ".png": "image/png",
    ".jpg": "image/jpeg",
    ".jpeg": "image/jpeg",
    ".svg": "image/svg+xml",
    ".gif": "image/gif",
    ".webp": "image/webp",
}
"""Every supported suffix and the content type of its plots."""

CACHED_NAMES = 4096


def is_name(name: str) -> bool:
    """Whether `name` is valid as one component of an indexed path.

    Names that are not UTF-8 contain lone surrogates in Python, which SQL text cannot store.
    """
    return bool(name) and name not in (".", "..") and "/" not in name and "\0" not in name and is_encodable(name)


@dataclass(frozen=True)
class Layout:
    """The grammar that walks, events, scans and requests share."""

    project_pattern: str = "project_*"
    """Globs, separated by blanks."""
    suffixes: frozenset[str] = frozenset({".png", ".jpg", ".jpeg", ".svg", ".gif", ".webp"})
    ignore: str = ".[!.]* __MACOSX @eaDir lost+found"
    """Globs of the names of folders and files that are left out, separated by blanks."""
    max_depth: int = 32
    """Folders between a project and an indexed plot, at most."""
    max_plots: int = 100_000
    """Indexed plots of one session, at most."""
    max_filename_bytes: int = 1024
    """Bytes of an indexed filename, at most."""
    max_names_bytes: int = 64 << 20
    """Sum of the bytes of the filenames of one session's indexed plots, at most."""
    is_project: Callable[[str], bool] = field(init=False, repr=False, compare=False)
    """Whether a folder of that name is a project."""
    _endings: tuple[str, ...] = field(init=False, repr=False, compare=False)
    _ignored_prefixes: tuple[str, ...] = field(init=False, repr=False, compare=False)
    _matches_ignore: Callable[[str], bool] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        endings = tuple(suffix for suffix in self.suffixes if suffix.rfind(".") == 0 and suffix == suffix.lower())
        object.__setattr__(self, "_endings", endings)
        object.__setattr__(self, "_ignored_prefixes", tuple(map(literal_prefix, self.ignore.split())))
        object.__setattr__(self, "_matches_ignore", lru_cache(CACHED_NAMES)(_any_matcher(self.ignore)))
        matches = _any_matcher(self.project_pattern)
        # Called several times per plot, with few different names.
        is_project = lru_cache(CACHED_NAMES)(lambda name: self.is_indexable(name) and matches(name))
        object.__setattr__(self, "is_project", is_project)

    def is_ignored(self, name: str) -> bool:
        """Whether `ignore` leaves out folders and files of that name, and everything below."""
        # Fast path: called for every name.
        return name.startswith(self._ignored_prefixes) and self._matches_ignore(name)

    def is_indexable(self, name: str) -> bool:
        """Whether `name` is valid as one component of an indexed path, and not ignored."""
        return is_name(name) and not self.is_ignored(name)

    def has_suffix(self, name: str) -> bool:
        """Whether `name` ends with one of the suffixes, in any case; `.png` alone does not."""
        # Fast path: called for every name.
        if name.endswith(self._endings):
            return name not in self._endings
        stem, dot, extension = name.rpartition(".")
        return bool(stem) and (dot + extension.lower()) in self.suffixes

    def is_beyond_limits(self, path: str) -> bool:
        """Whether a path below its project exceeds `max_depth` or `max_filename_bytes`; a folder ends with a slash."""
        return path.count("/") > self.max_depth or self._is_too_long(path)

    def is_within_names(self, plots: int) -> bool:
        """Whether so many plots of a session are within `max_names_bytes`, whatever their filenames."""
        return plots * self.max_filename_bytes <= self.max_names_bytes

    def _is_too_long(self, path: str) -> bool:
        limit = self.max_filename_bytes
        return len(path) > limit or (not path.isascii() and len(path.encode()) > limit)

    def parse_key(self, session: str, filename: str) -> PlotKey | None:
        """The key of a session and filename, or None if no plot can have it."""
        parts = filename.split("/")
        if self.is_indexable(session) and all(map(self.is_indexable, parts)) and self.has_suffix(parts[-1]):
            return PlotKey(session, filename)
        return None

    def parse_scope(self, path: str) -> Scope | None:
        """The scope of a path relative to the root, or None if no plot can be there."""
        if not path:
            return ROOT_SCOPE
        session, _, rest = path.partition("/")
        project, _, below = rest.partition("/")
        if not self.is_indexable(session) or (rest and not self.is_project(project)):
            return None
        if below and not all(map(self.is_indexable, below.split("/"))):
            return None
        return Scope(session, project or None, below or None)


def _any_matcher(globs: str) -> Callable[[str], bool]:
    """A predicate for names that match one of several globs, separated by blanks."""
    matchers = [glob_matcher(glob) for glob in globs.split()]
    return lambda name: any(matches(name) for matches in matchers)
