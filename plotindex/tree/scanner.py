"""Scan a tree in child processes: thousands of short calls would hold up this process's other threads (GIL)."""

import threading
import time
import weakref

from plotindex.system import call_after_fork
from plotindex.tree.parallel_walk import WalkProcess
from plotindex.tree.plots import Plot, PlotKey
from plotindex.tree.scopes import Scope
from plotindex.tree.tree import Tree
from plotindex.tree.walk import Walk
from plotindex.tree.walk_protocol import unpack, unpack_copies

RESTART_SECONDS = 1.0
"""How long this process scans itself after a child process has died."""


class Scanner:
    """Finds and walks as a `Tree`, in a child process for each running scan. Thread-safe; callers limit the scans.

    Processes start when first needed and end with this one. Where one dies or cannot start, this process scans.
    """

    def __init__(self, tree: Tree) -> None:
        self._tree = tree
        self._idle: list[WalkProcess] = []
        self._lock = threading.Lock()
        self._not_before = 0.0
        weakref.finalize(self, _close_all, self._idle)
        call_after_fork(self._reset_after_fork)

    def find(self, key: PlotKey) -> list[Plot]:
        """As `Tree.find`."""
        response = self._request(f"{key.session}/{key.filename}")
        return self._tree.find(key) if response is None else unpack_copies(response)

    def walk(self, scope: Scope) -> Walk:
        """As `Tree.walk`, for a whole session."""
        response = self._request(scope.session or "")
        if response is None:
            return self._tree.walk(scope)
        with self._tree.open_reader() as reader:
            walk = reader.start_walk(scope)
        unpack(response, walk)
        return walk

    def _request(self, path: str) -> bytes | None:
        process = self._take()
        if process is None:
            return None
        try:
            response = process.wait_for(path) if process.request(path) else None
        except BaseException:
            process.close()
            raise
        with self._lock:
            if process.is_alive:
                self._idle.append(process)
            else:
                self._not_before = time.monotonic() + RESTART_SECONDS
        return response

    def _take(self) -> WalkProcess | None:
        """An idle process or a new one; None where it cannot start, or one has just died."""
        with self._lock:
            if self._idle:
                return self._idle.pop()
            if time.monotonic() < self._not_before:
                return None
        try:
            return WalkProcess(self._tree, for_requests=True)
        except OSError:
            return None

    def _reset_after_fork(self) -> None:
        """In a forked child, drop the parent's processes, and the lock that a thread of the parent may hold."""
        self._lock = threading.Lock()
        while self._idle:
            self._idle.pop().abandon()


def _close_all(processes: list[WalkProcess]) -> None:
    while processes:
        processes.pop().close()
