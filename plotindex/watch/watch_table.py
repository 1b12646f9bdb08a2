"""Map paths to inotify watches and back. No I/O."""

from collections.abc import Iterator
from typing import NamedTuple


class Watch(NamedTuple):
    """A watch descriptor of the kernel, and the id of its callback."""

    descriptor: int
    callback: int


CALLBACK_BITS = 40
"""Watches are stored as one integer, the callback in its low bits: a third of the memory of a tuple."""


class WatchMap:
    """One watch for each path, and usually one path for each watch; finds the paths below a path without a search.

    The kernel identifies a folder by its inode. A renamed folder keeps its watch, under both names until the old one
    is removed. A folder mounted at two places always has two names.
    """

    def __init__(self) -> None:
        self._paths: dict[int, str | tuple[str, ...]] = {}
        self._watches: dict[str, int] = {}
        self._children: dict[str, set[str]] = {}
        self._counts: dict[str, int] = {}

    def __len__(self) -> int:
        return len(self._watches)

    def paths(self, descriptor: int) -> tuple[str, ...]:
        """The paths of a watch."""
        found = self._paths.get(descriptor, ())
        return (found,) if isinstance(found, str) else found

    def get(self, path: str) -> Watch | None:
        """The watch of a path."""
        return _unpack(self._watches.get(path))

    def count_in(self, session: str) -> int:
        """Number of watched folders in a session."""
        return self._counts.get(session, 0)

    def sessions(self) -> list[str]:
        """The sessions with a watched folder."""
        return [session for session in self._counts if session]

    @property
    def session_count(self) -> int:
        return len(self._counts) - ("" in self._counts)

    def put(self, path: str, watch: Watch) -> Watch | None:
        """Set the watch of a path; return the former one, which the caller removes."""
        replaced = self.get(path)
        if replaced is not None:
            self._detach(replaced, path)
        others = self.paths(watch.descriptor)
        self._paths[watch.descriptor] = (*others, path) if others else path
        self._watches[path] = watch.descriptor << CALLBACK_BITS | watch.callback
        if replaced is None:
            session = path.partition("/")[0]
            self._counts[session] = self._counts.get(session, 0) + 1
            self._link(path)
        return replaced

    def remove(self, path: str) -> Watch | None:
        """Remove a path; return its watch, if it had one."""
        watch = _unpack(self._watches.pop(path, None))
        if watch is None:
            return None
        self._detach(watch, path)
        session = path.partition("/")[0]
        self._counts[session] -= 1
        if not self._counts[session]:
            del self._counts[session]
        self._unlink(path)
        return watch

    def at_and_below(self, top: str) -> Iterator[str]:
        """The watched paths at and below `top`."""
        pending = [top]
        while pending:
            path = pending.pop()
            pending.extend(self._children.get(path, ()))
            if path in self._watches:
                yield path

    def _detach(self, watch: Watch, path: str) -> None:
        others = tuple(other for other in self.paths(watch.descriptor) if other != path)
        if others:
            self._paths[watch.descriptor] = others
        else:
            del self._paths[watch.descriptor]

    def _link(self, path: str) -> None:
        while path:
            parent = path.rpartition("/")[0]
            siblings = self._children.setdefault(parent, set())
            if path in siblings:
                return
            siblings.add(path)
            path = parent

    def _unlink(self, path: str) -> None:
        while path and path not in self._watches and path not in self._children:
            parent = path.rpartition("/")[0]
            self._children[parent].discard(path)
            if not self._children[parent]:
                del self._children[parent]
            path = parent


def _unpack(number: int | None) -> Watch | None:
    return None if number is None else Watch(number >> CALLBACK_BITS, number & (1 << CALLBACK_BITS) - 1)
