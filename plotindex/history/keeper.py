"""Keep versions: read what the catalogue's changes name, store it, and thin what is stored."""

import errno
import math
import os
import time
from collections import Counter
from collections.abc import Sequence
from contextlib import suppress
from functools import partial
from itertools import accumulate
from typing import NamedTuple, Self

from plotindex.config import Settings
from plotindex.errors import CatalogError
from plotindex.history.bounds import shrink, shrink_files
from plotindex.history.contents import HistoryError, OpenContents, StagedContent
from plotindex.history.problem_log import ProblemLog
from plotindex.history.retention import KeptVersions, superfluous
from plotindex.history.session_folder import identify
from plotindex.history.store import HistoryStore
from plotindex.history.version_reader import ReadResult, read_version
from plotindex.index import require_same_root
from plotindex.storage import Catalog, Follower, HistoryConsumer, HistoryWriter, PendingVersion, disk_bytes
from plotindex.tree import SETTLE_NS, PlotKey, Tree

BATCH = 64
"""Versions that are kept at once: they share a wait for the disk and a transaction."""
BATCH_BYTES = 32 << 20
BATCH_ROWS_BYTES = 1 << 20
"""About as much as a batch of changes adds to the database."""
FULL_SECONDS = 1.0
"""How long it follows the changes at a time while the disk is full."""
FIRST_SHARE = 1 / 5
"""Share of the bound that the plots take which there are when the history begins."""
MAX_SHARE = 1 / 4
"""Share of the bound that one version may take."""
THIN_SECONDS = 600.0
"""Between two rounds of thinning of the copies that do not change."""
RETRY_NS = 86_400 * 10**9
"""For so long after its change, a version that cannot be read is tried again, each time after twice as long."""
COPIES_AT_ONCE = 1_000
FULL_ERRNOS = (errno.ENOSPC, errno.EDQUOT)


class _NoRoomError(Exception):
    """Nothing may be evicted for a version."""


class Limits(NamedTuple):
    """The settings of the bound and of the rule."""

    bytes: int
    rule: KeptVersions

    @classmethod
    def from_settings(cls, settings: Settings) -> Self:
        return cls(settings.history_mb << 20, KeptVersions(settings.history_versions, settings.history_days))


class Keeper:
    """Keeps the versions of one root's plots. Of all processes, one does."""

    def __init__(self, store: HistoryStore, catalog: Catalog, tree: Tree, limits: Limits) -> None:
        self._store = store
        self._catalog = catalog
        self._tree = tree
        self._limits = limits
        self._consumer = HistoryConsumer(partial(identify, tree), int(limits.bytes * FIRST_SHARE))
        self._follower = Follower(catalog, self._consumer, store.database)
        self.is_waiting = True
        """Whether versions are to be kept, now or when they are old enough."""
        self._last_session = self._thinned_upto = 0
        self._thin_at = 0.0
        self._problems = ProblemLog()

    def prepare(self) -> None:
        """Create what is missing; delete what a killed process left, rows whose bytes were deleted, and what is beyond
        the bound.

        Raises:
            HistoryError: the history cannot be used.
            OSError: its folder cannot be read or written.
        """
        self._store.prepare()
        with self._store.reading() as reader:
            state = reader.state()
        # The process before this one may have skipped versions on a full disk.
        self._consumer.has_skipped = bool(state and state.problem)
        with self._store.locked(), self._store.folder.opened() as contents:
            contents.delete_temporary()
            with self._store.writing() as writer:
                stored = contents.digests()
                needed = writer.reader.digests()
                for digest in needed - stored:
                    writer.remove_content(digest)
                # The setting may be lower than before.
                freed = self._shrink(writer)
            contents.delete_all(freed | (stored - needed))

    def step(self) -> bool:
        """Take a batch of changes, and keep a batch of versions that are due; return whether there is more to do.

        Raises:
            CatalogError: a database cannot be used, or the folder of the history.
            OSError: the folder cannot be written.
        """
        problem = self._store.database.space_problem(BATCH_ROWS_BYTES)
        self._consumer.has_room = not problem
        if problem:
            # Removals go on: they make room.
            self._follower.run(FULL_SECONDS)
            raise HistoryError(problem)
        is_more = self._follower.step()
        is_more = self._keep_due() or is_more
        now = time.monotonic()
        if now >= self._thin_at:
            is_done = self._thin_some()
            self._thin_at = now + THIN_SECONDS if is_done else now
        return is_more

    def report(self, problem: str) -> None:
        """Record a problem, or that there is none. Raises HistoryError."""
        with self._store.writing() as writer:
            writer.update_state(problem=problem)

    def _keep_due(self) -> bool:
        """Keep a batch of the versions that are due; return whether there were any."""
        with self._store.reading() as reader:
            self.is_waiting = reader.has_pending()
        if not self.is_waiting:
            return False
        now = time.time_ns()
        with self._store.locked():
            with self._store.reading() as reader:
                due = reader.due(now, BATCH, self._last_session)
            if due:
                batch = self._first_batch(due)
                self._last_session = batch[-1].session_id
                with self._store.folder.opened() as contents:
                    self._keep(batch, contents)
                return True
        with self._store.writing() as writer:
            # The clock may have been set back.
            writer.cap_due(now)
        return False

    def _first_batch(self, due: Sequence[PendingVersion]) -> list[PendingVersion]:
        """The first versions, until these have BATCH_BYTES."""
        before = accumulate(map(self._size, due), initial=0)
        return [pending for pending, size in zip(due, before, strict=False) if size < BATCH_BYTES]

    def _size(self, pending: PendingVersion) -> int:
        """The disk space of a version; none of one that is too large to be kept, whatever its file claims."""
        size = pending.plot.size
        return disk_bytes(size) if size <= self._max_bytes else 0

    @property
    def _max_bytes(self) -> int:
        return int(self._limits.bytes * MAX_SHARE)

    def _keep(self, batch: Sequence[PendingVersion], contents: OpenContents) -> None:
        # Before any content is found to be stored already: it might be removed here.
        fitting, results = self._make_room(batch, contents)
        try:
            for pending in fitting:
                results.append(read_version(self._tree, pending, contents, self._max_bytes))
            if not all(each.staged for each in results):
                require_same_root(self._tree, self._catalog)
            contents.publish([each.staged for each in results if each.staged])
            with self._store.writing() as writer:
                for result in results:
                    _record(writer, result)
                freed = self._thin_copies(writer, [each.pending.copy_id for each in results])
                freed |= self._shrink(writer)
                writer.update_state(kept=sum(each.staged is not None for each in results))
        except BaseException as error:
            self._withdraw(contents, [each.staged for each in results if each.staged])
            if isinstance(error, OSError) and error.errno in FULL_ERRNOS and contents.free_files() > 0:
                # A quota, which `free_bytes` does not tell.
                self._evict(contents, [], sum(map(self._size, fitting)))
            raise
        contents.delete_all(freed)
        self._problems.add(results)

    def _withdraw(self, contents: OpenContents, staged: Sequence[StagedContent]) -> None:
        """Delete what was stored for rows that were not written, where that can be read."""
        contents.discard(staged)
        with suppress(CatalogError), self._store.reading() as reader:
            for each in staged:
                if each.temporary and not reader.has_content(each.digest):
                    contents.delete(each.digest)

    def _shrink(self, writer: HistoryWriter) -> set[str]:
        """Apply the bound."""
        return shrink(writer, lambda total: total <= self._limits.bytes)

    def _make_room(
        self, batch: Sequence[PendingVersion], contents: OpenContents
    ) -> tuple[list[PendingVersion], list[ReadResult]]:
        """The versions that fit on the disk above its reserve, and what becomes of the others.

        Where they do not fit, what is kept is evicted for those that can be opened: a size alone is a claim.
        """
        if (missing := len(batch) - contents.free_files()) > 0:
            with self._store.writing() as writer:
                freed = shrink_files(writer, math.ceil(missing))
            contents.delete_all(freed)
        if contents.free_bytes() >= sum(map(self._size, batch)):
            return list(batch), []
        fitting: list[PendingVersion] = []
        free = contents.free_bytes()
        for each in sorted(filter(self._can_be_opened, batch), key=self._size):
            if self._size(each) > free:
                if not self._evict(contents, [each], self._size(each) - free):
                    continue
                free = contents.free_bytes() - sum(map(self._size, fitting))
            fitting.append(each)
            free -= self._size(each)
        # As if unreadable: tried again later.
        return fitting, [ReadResult(each, each.plot, None, is_lost=False) for each in batch if each not in fitting]

    def _can_be_opened(self, pending: PendingVersion) -> bool:
        plot = pending.plot
        with suppress(OSError):
            if opened := self._tree.open(PlotKey(plot.session, plot.filename), plot.project):
                os.close(opened.fd)
            return True
        return False

    def _evict(self, contents: OpenContents, asking: Sequence[PendingVersion], size: int) -> bool:
        """Remove so many bytes for versions that ask for room, or nothing; return whether that was possible."""
        asked: Counter[int] = Counter()
        for each in asking:
            asked[each.session_id] += self._size(each)
        with suppress(_NoRoomError):
            with self._store.writing() as writer:
                upto = writer.total_bytes() - size
                freed = shrink(writer, lambda total: total <= upto, asked)
                if writer.total_bytes() > upto:
                    raise _NoRoomError
            contents.delete_all(freed)
            return True
        return False

    def _thin_copies(self, writer: HistoryWriter, copy_ids: Sequence[int]) -> set[str]:
        """Apply the rule to some copies."""
        freed: set[str] = set()
        for copy_id in copy_ids:
            freed |= writer.remove(self._superfluous(*writer.seen_of(copy_id)))
        return freed

    def _superfluous(self, gone: int | None, seen: Sequence[tuple[int, int]]) -> list[int]:
        """The ids of the versions of a copy that the rule does not keep."""
        dropped = superfluous([since for _, since in seen], time.time_ns(), self._limits.rule, gone)
        return [seen[position][0] for position in dropped]

    def _thin_some(self) -> bool:
        """Apply the rule to the next copies; return whether those were the last ones."""
        with self._store.reading() as reader:
            copies = reader.seen_of_copies(self._thinned_upto, COPIES_AT_ONCE)
        dropped = [number for gone, seen in copies.values() for number in self._superfluous(gone, seen)]
        upto = max(copies, default=0)
        if dropped or not copies:
            with self._store.locked(), self._store.folder.opened() as contents:
                with self._store.writing() as writer:
                    freed = writer.remove(dropped)
                    if not copies:
                        writer.remove_empty()
                contents.delete_all(freed)
        self._thinned_upto = upto
        return not copies


def _record(writer: HistoryWriter, result: ReadResult) -> None:
    """Write the row of a version, or that it is to be kept later."""
    pending, plot, staged, is_lost, _ = result
    copy_id, session_id, expected = pending
    now = time.time_ns()
    waited = now - expected.ctime_ns
    is_unreadable = staged is None and plot == expected
    if is_unreadable and waited > RETRY_NS:
        plot, is_lost = None, True
    if is_lost:
        writer.count_lost(copy_id)
    writer.drop_pending(copy_id)
    if plot is None:
        return
    if staged is None:
        due = now + max(waited, SETTLE_NS) if is_unreadable else min(plot.ctime_ns, now) + SETTLE_NS
        writer.pend(copy_id, session_id, plot[3:], due)
    elif not writer.has_version(copy_id, plot[3:]):
        writer.add_version(pending._replace(plot=plot), staged.digest, now)
