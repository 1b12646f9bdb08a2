"""The scan of one session: its queued scopes, and how far the current round has come."""

import time
from collections import deque
from collections.abc import Collection, Iterable
from itertools import chain
from typing import NamedTuple

from plotindex.index import Report, ScopeDiff
from plotindex.tree import MAX_SCOPES_PER_SESSION, Scope, Tree, WalkProcess, collapse
from plotindex.watch.hardlinks import LinkScan
from plotindex.watch.watched_folders import Watches

STEP_PLOTS = 500
"""Number of scanned plots after which diffs are written."""


class SessionJob:
    """Scans a session in rounds. A round covers the scopes queued when it starts."""

    def __init__(self, session: str) -> None:
        self.session = session
        self.is_young = False
        """Whether it shares the turn of the sessions that were not known before."""
        self.is_rescan = False
        """Whether it is only rescanned, without a change."""
        self.queued: set[str] = set()
        self.queued_at = 0.0
        """When the oldest queued scope was added, by `time.monotonic()`."""
        self.scan_report: Report | None = None
        """The report of the full scan that requested the whole session, if one did."""
        self.served_at: float | None = None
        """When its last turn ended; None before the first one."""
        self.rounds = 0
        """Number of completed rounds."""
        self.diffs: deque[ScopeDiff] = deque()
        """Diffs to be written."""
        self.scopes: list[str] = []
        self.linked: list[LinkScan] = []
        """The hard links of finished scans."""
        self.entered: set[str] = set()
        self.unreadable: dict[str, OSError] = {}
        self._started_at = 0.0
        self._size = 0
        self._scopes_left: deque[Scope] = deque()
        self._current: ScopeDiff | None = None

    @property
    def is_scanning(self) -> bool:
        return bool(self._scopes_left or self._current)

    @property
    def in_round(self) -> bool:
        return bool(self.is_scanning or self.diffs)

    @property
    def waiting_since(self) -> float:
        return self._started_at if self.in_round else self.queued_at

    @property
    def is_full(self) -> bool:
        """Whether the diffs should be written before the scan continues."""
        return self._size >= STEP_PLOTS

    def add(self, paths: Iterable[str]) -> "Ticket":
        """Queue scopes; very many are replaced by the whole session."""
        if not self.queued:
            self.queued_at = time.monotonic()
        self.queued.update(paths)
        if self.session in self.queued or len(self.queued) > MAX_SCOPES_PER_SESSION:
            self.queued = {self.session}
        return self.ticket()

    def ticket(self) -> "Ticket":
        """A ticket for all scopes that are queued or being scanned."""
        return Ticket(self, self.rounds + self.in_round + bool(self.queued))

    def start_round(self, tree: Tree) -> None:
        self.scopes = collapse(self.queued)
        # A full scan removes a session of the catalogue that is ignored now.
        is_full_scan = self.scopes == [self.session] and self.scan_report is not None
        scopes = chain.from_iterable(map(tree.layout.scopes_at, self.scopes))
        parsed = [Scope(self.session)] if is_full_scan else scopes
        self._scopes_left = deque(scope for scope in parsed if scope.session)
        self._started_at, self.queued = self.queued_at, set()
        self.entered, self.unreadable = set(), {}

    def scan(self, tree: Tree, watches: Watches, report: Report, until: float, process: WalkProcess | None) -> int:
        """Scan until `time.monotonic()` reaches `until` or the job is full; return the increase in size.

        `process` walks the sessions of an indexer's first full scan.
        """

        def on_folder(path: str, fd: int) -> None:
            self.entered.add(path)
            watches.add(path, fd)

        before = self._size
        with tree.open_reader() as reader:
            while self.is_scanning and not self.is_full:
                if self._current is None:
                    scope = self._scopes_left.popleft()
                    own, ahead = report, None
                    if scope.project is None and self.scan_report is not None:
                        own, ahead, self.scan_report = self.scan_report, process, None
                    self._current = ScopeDiff(reader, scope, own, on_folder=on_folder, walker=ahead)
                if not self._current.scan(until):
                    break
                self.unreadable.update(self._current.unreadable_folders)
                self._add_linked(self._current, is_reported=self._current.report is report)
                self.diffs.append(self._current)
                self._size += self._current.plots + 1
                self._current = None
                if time.monotonic() >= until:
                    break
        return self._size - before

    def take_linked(self) -> list[LinkScan]:
        """Remove and return the hard links of finished scans."""
        linked, self.linked = self.linked, []
        return linked

    def _add_linked(self, diff: ScopeDiff, *, is_reported: bool) -> None:
        # That of a whole session without any may start the tracking again.
        if diff.hard_linked or diff.scope.project is None:
            self.linked.append(LinkScan(diff.scope, diff.hard_linked, is_reported))

    def remove(self, written: Collection[ScopeDiff]) -> None:
        self.diffs = deque(diff for diff in self.diffs if diff not in written)
        self._size = sum(diff.plots + 1 for diff in self.diffs)

    def close(self) -> None:
        if self._current is not None:
            self._current.close()


class Ticket(NamedTuple):
    """A job, and the number of its rounds after which the queued scopes are reconciled."""

    job: SessionJob
    rounds: int

    @property
    def is_done(self) -> bool:
        return self.job.rounds >= self.rounds
