"""Map paths to inotify watches and back. No I/O."""

from collections.abc import Iterator


class WatchMap:
    """The watch descriptor of each path, and usually one path of each; finds the paths below one without a search.

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

    def get(self, path: str) -> int | None:
        """The watch of a path."""
        return self._watches.get(path)

    def count_in(self, session: str) -> int:
        """Number of watched folders in a session."""
        return self._counts.get(session, 0)

    def sessions(self) -> list[str]:
        """The sessions with a watched folder."""
        return [session for session in self._counts if session]

    @property
    def session_count(self) -> int:
        return len(self._counts) - ("" in self._counts)

    def put(self, path: str, descriptor: int) -> int | None:
        """Set the watch of a path; return the former one if it has no path left."""
        replaced = self._watches.get(path)
        unused = None if replaced is None else self._detach(replaced, path)
        others = self.paths(descriptor)
        self._paths[descriptor] = (*others, path) if others else path
        self._watches[path] = descriptor
        if replaced is None:
            session = path.partition("/")[0]
            self._counts[session] = self._counts.get(session, 0) + 1
            self._link(path)
        return None if unused == descriptor else unused

    def remove(self, path: str) -> int | None:
        """Remove a path; return its watch if that has no path left."""
        descriptor = self._watches.pop(path, None)
        if descriptor is None:
            return None
        session = path.partition("/")[0]
        self._counts[session] -= 1
        if not self._counts[session]:
            del self._counts[session]
        self._unlink(path)
        return self._detach(descriptor, path)

    def at_and_below(self, top: str) -> Iterator[str]:
        """The watched paths at and below `top`."""
        pending = [top]
        while pending:
            path = pending.pop()
            pending.extend(self._children.get(path, ()))
            if path in self._watches:
                yield path

    def _detach(self, descriptor: int, path: str) -> int | None:
        """Take a path from a watch; return the watch if that was its last one."""
        others = tuple(other for other in self.paths(descriptor) if other != path)
        if others:
            self._paths[descriptor] = others
            return None
        del self._paths[descriptor]
        return descriptor

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
