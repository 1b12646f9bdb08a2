"""Scopes: parts of the tree that may have changed, and bounded sets of them. No I/O."""

from collections.abc import Container, Iterable
from typing import NamedTuple

from plotindex.tree.plots import SESSION_PROJECT


class Scope(NamedTuple):
    """An entry of the tree and everything below it; all None is the root."""

    session: str | None = None
    project: str | None = None
    path: str | None = None

    def __str__(self) -> str:
        parts = (self.session, self.path) if self.path and self.project == SESSION_PROJECT else self
        return "/".join(part for part in parts if part is not None)


ROOT_SCOPE = Scope()


def is_within(path: str, scopes: Container[str]) -> bool:
    """Whether `path` equals or lies below one of the scopes."""
    return path in scopes or any(outer in scopes for outer in parent_scopes(path))


def collapse(scopes: Iterable[str]) -> list[str]:
    """Remove the scopes that lie within another. Sorted."""
    given = set(scopes)
    return sorted(scope for scope in given if not any(outer in given for outer in parent_scopes(scope)))


def parent_scopes(scope: str) -> Iterable[str]:
    """The scopes that contain this one, the root first."""
    if not scope:
        return
    yield ""
    position = scope.find("/")
    while position != -1:
        yield scope[:position]
        position = scope.find("/", position + 1)


MAX_SCOPES_PER_SESSION = 10_000
"""With more, the set keeps the whole session: walking it is cheaper."""
MAX_SESSIONS = 50_000
"""With more, the set keeps the root."""


class ScopeSet:
    """A bounded set of paths relative to the root, grouped by session."""

    def __init__(self, paths: Iterable[str] = ()) -> None:
        self._by_session: dict[str, set[str]] = {}
        self.count = 0
        self.update(paths)

    def __bool__(self) -> bool:
        return bool(self._by_session)

    def add(self, path: str) -> None:
        """Add a path; a session with too many paths is replaced by its name."""
        session = path.partition("/")[0]
        own = self._by_session.get(session)
        if own is None:
            if len(self._by_session) >= MAX_SESSIONS:
                self._replace_with("", "")
                return
            own = self._by_session[session] = set()
        if session in own or path in own:
            return
        own.add(path)
        self.count += 1
        if len(own) > MAX_SCOPES_PER_SESSION:
            self._replace_with(session, session)

    def update(self, paths: Iterable[str]) -> None:
        for path in paths:
            self.add(path)

    def paths(self) -> list[str]:
        return [path for own in self._by_session.values() for path in own]

    def by_session(self) -> dict[str, set[str]]:
        """The scopes of each session; the root is under ""."""
        return self._by_session

    def covers(self, path: str) -> bool:
        """Whether `path` equals or lies below one of the scopes."""
        own = self._by_session.get(path.partition("/")[0], ())
        return "" in self._by_session or is_within(path, own)

    def _replace_with(self, session: str, path: str) -> None:
        if not path:
            self._by_session.clear()
            self.count = 0
        self.count -= len(self._by_session.get(session, ()))
        self._by_session[session] = {path}
        self.count += 1
