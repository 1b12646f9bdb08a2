"""Which watch stands for which path. Pure books: no I/O, nothing of watchdog."""

from collections.abc import Iterator
from typing import NamedTuple


class Watch(NamedTuple):
    """A watch descriptor of the kernel, and the number under which its callback is registered."""

    descriptor: int
    callback: int


NUMBER_BITS = 40
"""A Watch is kept as one number, its callback in so many bits: a tuple would take three times as much memory."""


class WatchMap:
    """One watch for each path, and mostly one path for each watch; what lies below a path is found without a search.

    The kernel knows a folder by its inode: one that was renamed has the watch it had, under both names until the old
    one is looked at and removed; and one that is mounted at two places has two names for good.
    """

    def __init__(self) -> None:
        self._paths: dict[int, str | tuple[str, ...]] = {}
        self._watches: dict[str, int] = {}
        self._below: dict[str, set[str]] = {}
        self._sizes: dict[str, int] = {}

    def __len__(self) -> int:
        return len(self._watches)

    def paths(self, descriptor: int) -> tuple[str, ...]:
        """The paths that a watch stands for."""
        found = self._paths.get(descriptor, ())
        return (found,) if isinstance(found, str) else found

    def watch(self, path: str) -> Watch | None:
        """The watch that stands for a path."""
        return _unpacked(self._watches.get(path))

    def size_of(self, session: str) -> int:
        """How many folders of a session are watched."""
        return self._sizes.get(session, 0)

    def sessions(self) -> list[str]:
        """The sessions of which something is watched."""
        return [session for session in self._sizes if session]

    @property
    def session_count(self) -> int:
        """How many sessions these are."""
        return len(self._sizes) - ("" in self._sizes)

    def put(self, path: str, watch: Watch) -> Watch | None:
        """Let `watch` stand for `path`; return the one that did before, and is to be removed."""
        replaced = self.watch(path)
        if replaced is not None:
            self._take_from(replaced, path)
        others = self.paths(watch.descriptor)
        self._paths[watch.descriptor] = (*others, path) if others else path
        self._watches[path] = watch.descriptor << NUMBER_BITS | watch.callback
        if replaced is not None:
            return replaced
        session = path.partition("/")[0]
        self._sizes[session] = self._sizes.get(session, 0) + 1
        self._link(path)
        return None

    def remove(self, path: str) -> Watch | None:
        """Forget the watch of a path; return it, when there was one."""
        watch = _unpacked(self._watches.pop(path, None))
        if watch is None:
            return None
        self._take_from(watch, path)
        session = path.partition("/")[0]
        self._sizes[session] -= 1
        if not self._sizes[session]:
            del self._sizes[session]
        self._unlink(path)
        return watch

    def at_and_below(self, top: str) -> Iterator[str]:
        """The paths that are watched at and below `top`."""
        pending = [top]
        while pending:
            path = pending.pop()
            pending.extend(self._below.get(path, ()))
            if path in self._watches:
                yield path

    def _take_from(self, watch: Watch, path: str) -> None:
        others = tuple(other for other in self.paths(watch.descriptor) if other != path)
        if others:
            self._paths[watch.descriptor] = others
        else:
            del self._paths[watch.descriptor]

    def _link(self, path: str) -> None:
        while path:
            parent = path.rpartition("/")[0]
            siblings = self._below.setdefault(parent, set())
            if path in siblings:
                return
            siblings.add(path)
            path = parent

    def _unlink(self, path: str) -> None:
        while path and path not in self._watches and path not in self._below:
            parent = path.rpartition("/")[0]
            self._below[parent].discard(path)
            if not self._below[parent]:
                del self._below[parent]
            path = parent


def _unpacked(number: int | None) -> Watch | None:
    return None if number is None else Watch(number >> NUMBER_BITS, number & (1 << NUMBER_BITS) - 1)
