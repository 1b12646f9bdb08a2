"""Barriers: a file in a folder of the state, watched together with the tree, is answered by being deleted.

The kernel's queue is ordered, so the file's event comes out behind all that came before it. When that has been dealt
with too, the indexer deletes the file. `plotindex sync` asks so, and the indexer asks itself.
"""

import os
import secrets
import time
from collections.abc import Callable, Iterable
from contextlib import suppress
from pathlib import Path

from plotindex.errors import CatalogError
from plotindex.system import make_private_folder
from plotindex.watch.scheduler import Ticket

POLL_SECONDS = 0.005
CHECK_SECONDS = 1.0
SELF_TEST = "self-"


class BarrierBatch:
    """Barriers that were met at one moment, and what they wait for."""

    def __init__(self, names: Iterable[str], targets: Iterable[Ticket], rescan: int) -> None:
        self.names = list(names)
        self.rescan = rescan
        self.asked: int | None = None
        """How often the catalogue has to be asked for other names of files: known once the targets are reached."""
        self._targets = {target.job: target.rounds for target in targets}
        # What is found out in a round belongs into the next two. Further on it is news, of which there may be no end.
        self._most = {job: rounds + 2 for job, rounds in self._targets.items()}

    def extend(self, targets: Iterable[Ticket]) -> None:
        """More came to light that may belong before these barriers."""
        for job, rounds in targets:
            most = self._most.setdefault(job, rounds)
            self._targets[job] = max(min(rounds, most), self._targets.get(job, 0))

    def is_reached(self) -> bool:
        self._targets = {job: rounds for job, rounds in self._targets.items() if job.rounds < rounds}
        return not self._targets


class Barriers:
    """The barriers that have been met and are to be answered."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._batches: list[BarrierBatch] = []
        self._met: set[str] = set()
        self.asked_at: float | None = None
        """When the self-test that has not come back was asked, by `time.monotonic()`."""
        self.proven: float | None = None
        """When one last came back, in seconds since the epoch."""

    @property
    def waits_for_names(self) -> bool:
        """Whether only the catalogue has still to be asked for other names of files."""
        return any(batch.asked is not None for batch in self._batches)

    def prepare(self) -> None:
        """Make the folder. Raises OSError where it cannot be."""
        make_private_folder(self.folder)

    def ask_self(self) -> None:
        """Put up a barrier for the indexer itself, where there is room for it."""
        self._remove_self_tests()
        with suppress(OSError):
            ask(self.folder, SELF_TEST + secrets.token_hex(8))
            self.asked_at = time.monotonic()

    def forget(self) -> None:
        """Watching begins anew: what was asked is found by `listed` again."""
        self._batches.clear()
        self._met.clear()
        self.asked_at = None

    def listed(self) -> list[str]:
        """The barriers that nobody has told of: those asked before watching began, or lost in an overflow."""
        with suppress(OSError):
            return [name for name in os.listdir(self.folder) if name not in self._met]
        return []

    def asks_for_others(self, names: Iterable[str]) -> bool:
        """Whether one of these is not the indexer's own."""
        return not all(name.startswith(SELF_TEST) for name in names)

    def meet(self, names: Iterable[str], targets: Iterable[Ticket], rescan: int) -> None:
        """Answer these when the targets are reached, and the rescan of that number is done."""
        new = [name for name in names if name not in self._met]
        if new:
            self._batches.append(BarrierBatch(new, targets, rescan))
            self._met.update(new)

    def extend(self, targets: Iterable[Ticket], asked: int) -> None:
        """More came to light that may belong before the barriers met; the catalogue was asked so often."""
        for batch in self._batches:
            if batch.asked is None or asked <= batch.asked:
                batch.extend(targets)

    def answer(self, rescans: int, asked: int, next_asked: int) -> None:
        """Delete the files of those barriers behind which nothing is left.

        So many rescans are done, and so often was the catalogue asked for other names of files; or will have been,
        when it was asked for those that are unknown now.
        """
        for batch in list(self._batches):
            if batch.rescan > rescans or not batch.is_reached():
                continue
            if batch.asked is None:
                batch.asked = next_asked
            if batch.asked <= asked:
                self._batches.remove(batch)
                for name in batch.names:
                    self._answer(name)

    def _answer(self, name: str) -> None:
        self._met.discard(name)
        self._delete(name)
        if name.startswith(SELF_TEST):
            self.asked_at = None
            self.proven = time.time()

    def _remove_self_tests(self) -> None:
        for name in self.listed():
            if name.startswith(SELF_TEST):
                self._delete(name)

    def _delete(self, name: str) -> None:
        # Whoever asked may have gone and tidied up; a folder of that name asks nothing.
        with suppress(OSError):
            (self.folder / name).unlink()


def ask(folder: Path, name: str) -> Path:
    """Put up a barrier. Raises OSError where it cannot be."""
    file = folder / name
    os.close(os.open(file, os.O_CREAT | os.O_EXCL | os.O_WRONLY | os.O_CLOEXEC, 0o600))
    return file


def wait_for_sync(folder: Path, timeout: float, require_indexer: Callable[[], None]) -> bool:
    """Ask whether all that was drawn until now is in the catalogue; return whether the answer came in time.

    `require_indexer` is called each second and raises when nobody will answer.

    Raises:
        CatalogError: the question cannot be asked.
    """
    require_indexer()
    deadline = time.monotonic() + timeout
    try:
        file = ask(folder, f"sync-{os.getpid()}-{secrets.token_hex(8)}")
    except OSError as error:
        raise CatalogError(
            f"Cannot create a barrier file in {folder} ({error.strerror}): run this as the indexer's user."
        ) from None
    check_at = time.monotonic() + CHECK_SECONDS
    try:
        while file.exists():
            if time.monotonic() >= deadline:
                return False
            if time.monotonic() >= check_at:
                require_indexer()
                check_at = time.monotonic() + CHECK_SECONDS
            time.sleep(POLL_SECONDS)
    finally:
        file.unlink(missing_ok=True)
    if not folder.exists():
        raise CatalogError(f"{folder} was deleted while waiting: run `plotindex sync` again.")
    return True
