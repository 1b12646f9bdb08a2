"""Barriers: files in a folder that is watched by the inotify descriptor of the tree.

The kernel's queue is ordered: a barrier's event arrives after all earlier ones. The indexer deletes the barrier when
all earlier changes are reconciled. `plotindex sync` waits for this, and so does the indexer's self-test.
"""

import os
import secrets
import time
from collections.abc import Callable, Iterable
from contextlib import ExitStack, suppress
from pathlib import Path

from plotindex.errors import CatalogError
from plotindex.system import ABSENT_ERRNOS, PrivateFolder, open_private_folder, write_error_remedy
from plotindex.watch.session_job import Ticket

POLL_SECONDS = 0.005
CHECK_SECONDS = 1.0
SELF_TEST = "self-"


class BarrierBatch:
    """Barriers that arrived together, and what must be done before they are removed."""

    def __init__(self, names: Iterable[str], tickets: Iterable[Ticket], scan: int) -> None:
        self.names = list(names)
        self.scan = scan
        """Number of the full scan that must be complete."""
        self.query: int | None = None
        """Number of the hard-link query that must be complete; known once the tickets are done."""
        self._rounds = {ticket.job: ticket.rounds for ticket in tickets}
        # Findings of a round belong to the next two; a busy session may have later ones without end.
        self._max_rounds = {job: rounds + 2 for job, rounds in self._rounds.items()}

    def extend(self, tickets: Iterable[Ticket]) -> None:
        """Wait for more scopes, which may have changed before these barriers."""
        for job, rounds in tickets:
            most = self._max_rounds.setdefault(job, rounds)
            self._rounds[job] = max(min(rounds, most), self._rounds.get(job, 0))

    def is_reconciled(self) -> bool:
        self._rounds = {job: rounds for job, rounds in self._rounds.items() if job.rounds < rounds}
        return not self._rounds


class Barriers:
    """The barriers that have arrived and are not removed yet."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._batches: list[BarrierBatch] = []
        self._arrived: set[str] = set()
        self.self_test_started: float | None = None
        """When the self-test under way started, by `time.monotonic()`."""
        self.self_test_passed: float | None = None
        """When the last self-test passed, in seconds since the epoch."""

    @property
    def are_pending(self) -> bool:
        return bool(self._batches)

    @property
    def await_query(self) -> bool:
        """Whether a barrier waits for the hard-link query alone."""
        return any(batch.query is not None for batch in self._batches)

    @property
    def self_test_unreported(self) -> float | None:
        """When the self-test under way started, if its event has not arrived yet."""
        return None if self.has_internal(self._arrived) else self.self_test_started

    def start_self_test(self) -> None:
        """Create a barrier. Raises OSError."""
        for name in self.unreported():
            if name.startswith(SELF_TEST):
                self._delete(name)
        create_barrier(self.folder, SELF_TEST + secrets.token_hex(8))
        self.self_test_started = time.monotonic()

    def reset(self) -> None:
        """Forget the barriers; `unreported` lists them again."""
        self._batches.clear()
        self._arrived.clear()
        self.self_test_started = None

    def unreported(self) -> list[str]:
        """The barriers without an event: created before the start, or lost in a queue overflow."""
        with suppress(OSError), open_private_folder(self.folder) as folder:
            return [name for name in folder.names() if name not in self._arrived]
        return []

    def has_external(self, names: Iterable[str]) -> bool:
        """Whether one of these is not a self-test."""
        return not all(name.startswith(SELF_TEST) for name in names)

    def has_internal(self, names: Iterable[str]) -> bool:
        """Whether one of these is a self-test."""
        return any(name.startswith(SELF_TEST) for name in names)

    def add(self, names: Iterable[str], tickets: Iterable[Ticket], scan: int) -> None:
        """Remove these barriers when the tickets are done and the full scan with that number is complete."""
        new = [name for name in names if name not in self._arrived]
        if new:
            self._batches.append(BarrierBatch(new, tickets, scan))
            self._arrived.update(new)

    def extend(self, tickets: Iterable[Ticket], queries: int) -> None:
        """Wait for more scopes, unless the barrier's hard-link query is complete."""
        for batch in self._batches:
            if batch.query is None or queries <= batch.query:
                batch.extend(tickets)

    def remove_done(self, scans: int, queries: int, next_query: int) -> None:
        """Delete the barriers with no earlier change left.

        Given are the number of the last full scan, the number of hard-link queries, and the number of the query that
        resolves all links known now.
        """
        for batch in list(self._batches):
            if batch.scan > scans or not batch.is_reconciled():
                continue
            if batch.query is None:
                batch.query = next_query
            if batch.query <= queries:
                self._batches.remove(batch)
                for name in batch.names:
                    self._remove(name)

    def _remove(self, name: str) -> None:
        self._arrived.discard(name)
        self._delete(name)
        if name.startswith(SELF_TEST):
            self.self_test_started = None
            self.self_test_passed = time.time()

    def _delete(self, name: str) -> None:
        with suppress(OSError), open_private_folder(self.folder) as folder:
            _delete(folder, name)


def create_barrier(folder: Path, name: str) -> Path:
    """Create a barrier. Raises OSError."""
    with open_private_folder(folder) as opened:
        os.close(opened.open_new(name, 0o660))
    return folder / name


def _delete(folder: PrivateFolder, name: str) -> None:
    # The client may have deleted it; a folder is not a barrier.
    with suppress(OSError):
        folder.delete(name)


def wait_for_sync(folder: Path, timeout: float, require_indexer: Callable[[], None]) -> bool:
    """Wait until all earlier changes are in the catalogue; return whether that was within `timeout` seconds.

    `require_indexer` is called each second, and raises if no indexer runs.

    Raises:
        CatalogError: the barrier cannot be created, or its folder was deleted or replaced.
    """
    require_indexer()
    deadline = time.monotonic() + timeout
    name = f"sync-{os.getpid()}-{secrets.token_hex(8)}"
    with ExitStack() as stack:
        try:
            # Held open: a folder that replaces it has another inode.
            opened = stack.enter_context(open_private_folder(folder))
            os.close(opened.open_new(name, 0o660))
        except OSError as error:
            raise _cannot_create(folder, error) from None
        stack.callback(_delete, opened, name)
        check_at = time.monotonic() + CHECK_SECONDS
        while opened.has(name):
            if time.monotonic() >= deadline:
                return False
            if time.monotonic() >= check_at:
                _require_same(folder, opened)
                require_indexer()
                check_at = time.monotonic() + CHECK_SECONDS
            time.sleep(POLL_SECONDS)
        # A folder is deleted after its files.
        time.sleep(POLL_SECONDS)
        _require_same(folder, opened)
    return True


def _require_same(folder: Path, opened: PrivateFolder) -> None:
    """Raise CatalogError if the path does not lead to the opened folder any more: its barriers mean nothing."""
    with suppress(OSError):
        if os.path.samestat(folder.stat(), opened.stat(".")):
            return
    raise CatalogError(f"{folder} was deleted or replaced while waiting: run `plotindex sync` again.")


def _cannot_create(folder: Path, error: OSError) -> CatalogError:
    if error.errno in ABSENT_ERRNOS:
        fix = "run `plotindex sync` again: a running indexer creates the folder within seconds"
    else:
        fix = write_error_remedy(error, folder, "run this as the indexer's user")
    return CatalogError(f"Cannot create a barrier file in {folder} ({error.strerror}): {fix}.")
