"""Scopes: which part of the tree may have changed, and sets of them kept small. No I/O."""

from collections.abc import Container, Iterable
from typing import NamedTuple


class Scope(NamedTuple):
    """An entry of the tree, and everything below it, that may have changed; all None is the root."""

    session: str | None = None
    project: str | None = None
    path: str | None = None

    def __str__(self) -> str:
        return "/".join(part for part in self if part is not None)


ROOT_SCOPE = Scope()


def is_within(path: str, scopes: Container[str]) -> bool:
    """Whether one of the scopes is `path` or holds it."""
    return path in scopes or any(outer in scopes for outer in outer_scopes(path))


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


MOST_OF_SESSION = 10_000
"""Beyond so many the session stands for all of its own: looking at it is cheaper than at each of them."""
MOST_SESSIONS = 50_000
"""Beyond so many the root stands for all."""


class ScopeSet:
    """Paths relative to the root that may have changed, by session."""

    def __init__(self, paths: Iterable[str] = ()) -> None:
        self._by_session: dict[str, set[str]] = {}
        self.count = 0
        self.update(paths)

    def __bool__(self) -> bool:
        return bool(self._by_session)

    def add(self, path: str) -> None:
        """Keep a path; of a session that has very many, the session's name instead."""
        session = path.partition("/")[0]
        own = self._by_session.get(session)
        if own is None:
            if len(self._by_session) >= MOST_SESSIONS:
                self._stand_for("", "")
                return
            own = self._by_session[session] = set()
        if session in own or path in own:
            return
        own.add(path)
        self.count += 1
        if len(own) > MOST_OF_SESSION:
            self._stand_for(session, session)

    def update(self, paths: Iterable[str]) -> None:
        for path in paths:
            self.add(path)

    def paths(self) -> list[str]:
        return [path for own in self._by_session.values() for path in own]

    def by_session(self) -> dict[str, set[str]]:
        """The scopes of each session; those of the root are under ""."""
        return self._by_session

    def covers(self, path: str) -> bool:
        """Whether one of the scopes is `path` or holds it."""
        own = self._by_session.get(path.partition("/")[0], ())
        return "" in self._by_session or is_within(path, own)

    def _stand_for(self, session: str, path: str) -> None:
        if not path:
            self._by_session.clear()
            self.count = 0
        self.count -= len(self._by_session.get(session, ()))
        self._by_session[session] = {path}
        self.count += 1
