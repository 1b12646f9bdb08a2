"""Follow the catalogue's changes: which versions are to be kept, and which copies are gone."""

import heapq
import logging
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing

from plotindex.storage.catalog_header import Header
from plotindex.storage.follower import Consumer, CopyChange, Position
from plotindex.storage.history.rows import FolderIdentity, KeptSession, disk_bytes, forgotten_mark
from plotindex.storage.history.writer import HistoryWriter
from plotindex.storage.rows import PLOT, read_copy
from plotindex.storage.statements import Connection, Prepared
from plotindex.system import printable
from plotindex.tree import SETTLE_NS, Plot

Identify = Callable[[str], FolderIdentity | None]
"""The folder of a session; None if it is absent. Raises OSError."""

log = logging.getLogger(__name__)


class HistoryConsumer(Consumer):
    """What follows the changes for the history. Its round is the highest id of a copy that may be gone unseen."""

    name = "history"
    positions = "history_follower"

    def __init__(self, identify: Identify, first_bytes: int) -> None:
        """When it begins, it keeps plots of `first_bytes` at most, the newest first."""
        self._identify = identify
        self._first_bytes = first_bytes
        self.has_room = True
        """Whether the disk has room for rows. Without it new versions are skipped; later it begins anew."""
        self.has_skipped = False
        """Whether versions were skipped, perhaps by a process before this one."""

    def is_lost(self, connection: Connection, source: Connection, position: Position, header: Header) -> bool:  # noqa: ARG002 - of the interface
        return self.has_room and self.has_skipped

    def begin(self, connection: Connection, source: Connection, header: Header) -> Position:
        self.has_skipped = not self.has_room
        batch = _Batch(HistoryWriter(connection), source, self._identify)
        highest = _HIGHEST.value(connection) or 0
        for row in self._newest_plots(source) if self.has_room else ():
            batch.offer(row)
        return Position(header.clock + 1, "", "", "", header.trimmed, highest)

    def take(self, connection: Connection, source: Connection, changes: Sequence[CopyChange], round_: int) -> None:  # noqa: ARG002 - of the interface
        batch = _Batch(HistoryWriter(connection), source, self._identify)
        for change in changes:
            row = read_copy(source, change.session, change.filename, change.project)
            if row is None:
                batch.remove(change)
            elif self.has_room:
                batch.offer(row)
            else:
                self.has_skipped = True
        batch.cap_pending()

    def sweep(self, connection: Connection, source: Connection, round_: int, limit: int) -> int:
        writer = HistoryWriter(connection)
        rows = _UNSEEN(connection, {"upto": round_, "most": limit})
        for number, *place in rows:
            if read_copy(source, *place) is None:
                _mark_gone(writer, number, time.time_ns())
        return rows[-1][0] - 1 if len(rows) == limit else 0

    def _newest_plots(self, source: Connection) -> Iterator[Plot]:
        """The plots that changed last."""
        newest: list[tuple[int, Plot]] = []
        total = 0
        with closing(_PLOTS.stream(source, {})) as rows:
            for row in map(Plot._make, rows):
                # One that is larger, or claims to be, would leave no room for others.
                if row.size > self._first_bytes:
                    continue
                heapq.heappush(newest, (row.ctime_ns, row))
                total += disk_bytes(row.size)
                while total > self._first_bytes:
                    total -= disk_bytes(heapq.heappop(newest)[1].size)
        return (row for _, row in newest)


class _Batch:
    """The changes of one transaction. The folder of each session is looked at once."""

    def __init__(self, writer: HistoryWriter, source: Connection, identify: Identify) -> None:
        self._writer = writer
        self._source = source
        self._identify = identify
        self._sessions: dict[str, KeptSession | None] = {}
        self._offered: set[int] = set()
        self._now = time.time_ns()

    def offer(self, row: Plot) -> None:
        """Keep this version, unless it is kept, forgotten or empty."""
        writer = self._writer
        folder = self._folder(row.session)
        if folder is None:
            return
        copy_id = writer.find_copy(folder.id, row.filename, row.project)
        if copy_id is not None:
            writer.set_gone(copy_id, None)
            if writer.has_version(copy_id, row[3:]):
                return
        if not row.size or writer.is_forgotten(forgotten_mark(row)):
            return
        if copy_id is None:
            copy_id = writer.add_copy(folder.id, row.filename, row.project)
        writer.pend(copy_id, folder.id, row[3:], min(row.ctime_ns, self._now) + SETTLE_NS)
        self._offered.add(folder.id)

    def remove(self, change: CopyChange) -> None:
        """Record that a copy is gone."""
        folder = self._folder(change.session)
        copy_id = folder and self._writer.find_copy(folder.id, change.filename, change.project)
        if copy_id:
            _mark_gone(self._writer, copy_id, self._now)

    def cap_pending(self) -> None:
        for session_id in self._offered:
            while self._writer.cap_pending(session_id):
                pass

    def _folder(self, name: str) -> KeptSession | None:
        """The folder of a session, by what is there now: another one than before, or none, ends the one before."""
        if name not in self._sessions:
            self._sessions[name] = self._look(name)
        return self._sessions[name]

    def _look(self, name: str) -> KeptSession | None:
        known = self._writer.session(name)
        try:
            identity = self._identify(name)
        except OSError as error:
            log.warning("History: cannot look at the session %s (%s).", printable(name), error.strerror)
            return known
        if identity is None:
            # While the catalogue has plots of it, the root may be lost.
            if known and _SESSION(self._source, {"of_session": name}):
                return known
            if known:
                self._writer.end_session(known.id, self._now)
            return None
        if known and known.identity.is_same(identity):
            return known
        if known:
            self._writer.end_session(known.id, self._now)
        return self._writer.start_session(name, identity, self._now)


def _mark_gone(writer: HistoryWriter, copy_id: int, now_ns: int) -> None:
    writer.set_gone(copy_id, now_ns)
    if writer.drop_pending(copy_id):
        writer.count_lost(copy_id)


_PLOTS = Prepared(f"SELECT {PLOT} FROM plot")
_SESSION = Prepared("SELECT plots FROM session WHERE session = :of_session")
_HIGHEST = Prepared("SELECT max(id) FROM history_copy")
_UNSEEN = Prepared(
    "SELECT c.id, s.session, c.filename, c.project FROM history_copy AS c JOIN history_session AS s "
    "ON s.id = c.session_id WHERE c.id <= :upto AND c.gone IS NULL ORDER BY c.id DESC LIMIT :most"
)
