"""The grammar of paths: sessions, projects, plots, keys and scopes. No I/O.

ROOT/<session>/<project>/<filename>        filename may contain folders: sub/hist.svg
ROOT/<session>/<filename>                  project ".", if that is one of the patterns
"""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from functools import lru_cache

from plotindex.system import is_encodable
from plotindex.tree.globs import glob_matcher, literal_prefix
from plotindex.tree.plots import SESSION_PROJECT, PlotKey
from plotindex.tree.scopes import ROOT_SCOPE, Scope

MEDIA_TYPES = {
    ".png": "image/png",
    ".jpg": "image/jpeg",
    ".jpeg": "image/jpeg",
    ".svg": "image/svg+xml",
    ".gif": "image/gif",
    ".webp": "image/webp",
    ".avif": "image/avif",
    ".pdf": "application/pdf",
    ".tif": "image/tiff",
    ".tiff": "image/tiff",
}
"""Every supported suffix and the content type of its plots."""

CACHED_NAMES = 4096
NAME_MAX = 255
"""Bytes of one name, at most (limits.h)."""


def is_name(name: str) -> bool:
    """Whether `name` is valid as one component of an indexed path.

    Names that are not UTF-8 contain lone surrogates in Python, which SQL text cannot store.
    """
    return bool(name) and name not in (".", "..") and "/" not in name and "\0" not in name and is_encodable(name)


@dataclass(frozen=True)
class Layout:
    """The grammar that walks, events, scans and requests share."""

    project_pattern: str = "project_*"
    """Globs, separated by blanks; `.` for plots directly in the session."""
    suffixes: frozenset[str] = frozenset(MEDIA_TYPES)
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
    """Whether a folder of that name is a project; `.` is one if it is a pattern."""
    _endings: tuple[str, ...] = field(init=False, repr=False, compare=False)
    _ignored_prefixes: tuple[str, ...] = field(init=False, repr=False, compare=False)
    _matches_ignore: Callable[[str], bool] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        endings = tuple(suffix for suffix in self.suffixes if suffix.rfind(".") == 0 and suffix == suffix.lower())
        object.__setattr__(self, "_endings", endings)
        object.__setattr__(self, "_ignored_prefixes", tuple(map(literal_prefix, self.ignore.split())))
        object.__setattr__(self, "_matches_ignore", lru_cache(CACHED_NAMES)(_any_matcher(self.ignore.split())))
        patterns = self.project_pattern.split()
        matches = _any_matcher(pattern for pattern in patterns if pattern != SESSION_PROJECT)

        # Called several times per plot, with few different names.
        @lru_cache(CACHED_NAMES)
        def is_project(name: str) -> bool:
            return name in patterns if name == SESSION_PROJECT else self.is_indexable(name) and matches(name)

        object.__setattr__(self, "is_project", is_project)

    def is_ignored(self, name: str) -> bool:
        """Whether `ignore` leaves out folders and files of that name, and everything below."""
        # Fast path: called for every name.
        return name.startswith(self._ignored_prefixes) and self._matches_ignore(name)

    def is_indexable(self, name: str) -> bool:
        """Whether `name` is valid as one component of an indexed path, and not ignored."""
        return is_name(name) and not self.is_ignored(name)

    @property
    def has_session_project(self) -> bool:
        """Whether plots may lie directly in a session: in project `.`."""
        return self.is_project(SESSION_PROJECT)

    def can_hold(self, project: str, path: str) -> bool:
        """Whether `project` is one, and holds what lies at `path` below it; a folder ends with a slash.

        Project `.` does not hold the folders that are projects themselves.
        """
        if project != SESSION_PROJECT:
            return self.is_project(project)
        first, slash, _ = path.partition("/")
        return self.has_session_project and not (slash and self.is_project(first))

    def has_suffix(self, name: str) -> bool:
        """Whether `name` ends with one of the suffixes, in any case; `.png` alone does not."""
        # Fast path: called for every name.
        if name.endswith(self._endings):
            return name not in self._endings
        stem, dot, extension = name.rpartition(".")
        return bool(stem) and (dot + extension.lower()) in self.suffixes

    def sibling_names(self, filename: str, wanted: str) -> list[str]:
        """The names that a plot's sibling in a format can have: itself, or with the suffix in lower or upper case."""
        stem, _, own = filename.rpartition(".")
        if f".{wanted}" not in self.suffixes:
            return []
        return [filename] if own.lower() == wanted else [f"{stem}.{wanted}", f"{stem}.{wanted.upper()}"]

    def is_beyond_limits(self, path: str) -> bool:
        """Whether a path below its project exceeds `max_depth` or `max_filename_bytes`; a folder ends with a slash."""
        return path.count("/") > self.max_depth or self._is_too_long(path)

    def may_exceed_limits(self, folder: str) -> bool:
        """Whether a name in this folder, which ends with a slash, may be beyond the limits."""
        return self.is_beyond_limits(folder + "x" * NAME_MAX)

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
        if rest and not self.is_project(project) and self.has_session_project:
            project, below = SESSION_PROJECT, rest
        if not self.is_indexable(session) or (rest and not self.can_hold(project, below)):
            return None
        if below and not all(map(self.is_indexable, below.split("/"))):
            return None
        return Scope(session, project or None, below or None)

    def scopes_at(self, path: str) -> Iterator[Scope]:
        """The scopes of a path relative to the root: two where both a project and a plot of project `.` can be."""
        scope = self.parse_scope(path)
        if scope is None:
            return
        yield scope
        if scope.project not in (None, SESSION_PROJECT) and scope.path is None and self.has_session_project:
            yield Scope(scope.session, SESSION_PROJECT, scope.project)


def _any_matcher(globs: Iterable[str]) -> Callable[[str], bool]:
    """A predicate for names that match one of several globs."""
    matchers = [glob_matcher(glob) for glob in globs]
    return lambda name: any(matches(name) for matches in matchers)
