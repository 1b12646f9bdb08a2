"""Which watch stands for which path. Pure books: no I/O, nothing of watchdog."""

from collections.abc import Iterator
from typing import NamedTuple


class Watch(NamedTuple):
    """A watch descriptor of the kernel, and the number under which its callback is registered."""

    descriptor: int
    callback: int


class Labels:
    """One path for each watch and one watch for each path; what lies below a path is found without a search."""

    def __init__(self) -> None:
        self._paths: dict[int, tuple[str, Watch]] = {}
        self._watches: dict[str, Watch] = {}
        self._below: dict[str, set[str]] = {}
        self._sizes: dict[str, int] = {}

    def __len__(self) -> int:
        return len(self._paths)

    def path(self, descriptor: int) -> str | None:
        """The path that a watch stands for, or None when it stands for none any more."""
        entry = self._paths.get(descriptor)
        return entry[0] if entry else None

    def watch(self, path: str) -> Watch | None:
        """The watch that stands for a path."""
        return self._watches.get(path)

    def size_of(self, session: str) -> int:
        """How many folders of a session are watched."""
        return self._sizes.get(session, 0)

    def sessions(self) -> list[str]:
        """The sessions of which something is watched."""
        return [session for session in self._sizes if session]

    def put(self, path: str, watch: Watch) -> list[Watch]:
        """Let `watch` stand for `path`; return the watches that stand for nothing now and are to be removed.

        The kernel knows a folder by its inode: one that was renamed comes back with the descriptor it had.
        """
        obsolete = []
        former = self._paths.get(watch.descriptor)
        if former is not None:
            obsolete.append(former[1])
            if former[0] != path:
                self._drop(former[0])
        replaced = self._watches.get(path)
        if replaced is not None and replaced.descriptor != watch.descriptor:
            del self._paths[replaced.descriptor]
            obsolete.append(replaced)
        self._paths[watch.descriptor] = path, watch
        if path not in self._watches:
            session = path.partition("/")[0]
            self._sizes[session] = self._sizes.get(session, 0) + 1
            self._link(path)
        self._watches[path] = watch
        return obsolete

    def remove(self, path: str) -> Watch | None:
        """Forget the watch of a path; return it, when there was one."""
        watch = self._watches.get(path)
        if watch is not None:
            del self._paths[watch.descriptor]
            self._drop(path)
        return watch

    def at_and_below(self, top: str) -> Iterator[str]:
        """The paths that are watched at and below `top`."""
        pending = [top]
        while pending:
            path = pending.pop()
            pending.extend(self._below.get(path, ()))
            if path in self._watches:
                yield path

    def descriptors(self) -> set[int]:
        return set(self._paths)

    def _drop(self, path: str) -> None:
        del self._watches[path]
        session = path.partition("/")[0]
        self._sizes[session] -= 1
        if not self._sizes[session]:
            del self._sizes[session]
        self._unlink(path)

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
