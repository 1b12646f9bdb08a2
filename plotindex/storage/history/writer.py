"""Write the history, within one transaction of its database."""

import logging
import time
from collections.abc import Collection, Iterable, Sequence

from plotindex.storage.history import sql
from plotindex.storage.history.reader import HistoryReader
from plotindex.storage.history.rows import (
    REPEATED_BYTES,
    FolderIdentity,
    KeptSession,
    KeptVersion,
    Numbers,
    PendingVersion,
    disk_bytes,
    is_same_content,
    numbers_values,
)
from plotindex.storage.statements import SQLITE, Connection
from plotindex.system import printable
from plotindex.tree import SETTLE_NS

MAX_PENDING = 20_000
"""Versions of one session that wait to be kept. A session that draws faster loses the oldest of these."""
ROWS_AT_ONCE = 500
"""Versions that are removed by one step."""

log = logging.getLogger(__name__)


class HistoryWriter:
    """Reads and writes within one write transaction."""

    def __init__(self, connection: Connection) -> None:
        self.connection = connection
        self.reader = HistoryReader(connection)
        if connection.kind == SQLITE:
            # Deleted rows hold names of plots: overwrite them.
            connection.driver.execute("PRAGMA secure_delete = ON").close()

    def create_state(self, folder: str) -> None:
        """Begin the history, in the folder of this id."""
        sql.CREATE_STATE.count(self.connection, {"folder": folder})

    def update_state(self, kept: int = 0, problem: str = "") -> None:
        """Record that the history is well, or its problem; count kept versions."""
        sql.UPDATE_STATE.count(self.connection, {"problem": problem, "kept": kept})

    def session(self, name: str) -> KeptSession | None:
        """The folder that has this name now, as far as was seen."""
        rows = sql.SESSION(self.connection, {"of_session": name})
        return KeptSession(rows[0][0], name, FolderIdentity(*rows[0][1:3]), rows[0][3], None) if rows else None

    def start_session(self, name: str, identity: FolderIdentity, now_ns: int) -> KeptSession:
        """Record a folder that was first seen now."""
        values = {"session": name, **identity._asdict(), "since": now_ns, "ended": None}
        return KeptSession(sql.START_SESSION.value(self.connection, values), name, identity, now_ns, None)

    def restore_session(self, name: str, identity: FolderIdentity, since: int, ended: int | None) -> int:
        """The id of a folder from a backup. Beside another folder that has the name now, it counts as removed."""
        for folder in self.reader.sessions(name):
            if folder.identity.is_same(identity) and folder.since == since:
                return folder.id
        if ended is None and self.session(name) is not None:
            ended = time.time_ns()
        values = {"session": name, **identity._asdict(), "since": since, "ended": ended}
        return int(sql.START_SESSION.value(self.connection, values))

    def end_session(self, session_id: int, now_ns: int) -> None:
        """Record that the folder was removed, with all plots in it."""
        values = {"of_session_id": session_id, "new_gone": now_ns, "new_ended": now_ns}
        lost = sql.ALL_LOST.count(self.connection, values)
        sql.COUNT_ALL_LOST.count(self.connection, {"more": lost})
        for statement in (sql.ALL_GONE, sql.NONE_PENDING, sql.END_SESSION):
            statement.count(self.connection, values)

    def find_copy(self, session_id: int, filename: str, project: str) -> int | None:
        """The id of a copy."""
        values = {"of_session_id": session_id, "of_filename": filename, "of_project": project}
        rows = sql.COPY(self.connection, values)
        return int(rows[0][0]) if rows else None

    def add_copy(self, session_id: int, filename: str, project: str) -> int:
        """Record a copy that is there; return its id."""
        values = {"session_id": session_id, "filename": filename, "project": project}
        return int(sql.ADD_COPY(self.connection, values)[0][0])

    def set_gone(self, copy_id: int, gone: int | None) -> None:
        """Record when a copy was removed, or that it is there."""
        sql.SET_GONE.count(self.connection, {"of_copy_id": copy_id, "new_gone": gone})

    def has_version(self, copy_id: int, numbers: Numbers) -> bool:
        """Whether this version of a copy is kept."""
        return bool(sql.HAS_VERSION(self.connection, {"of_copy_id": copy_id, **numbers_values(numbers)}))

    def is_forgotten(self, mark: bytes) -> bool:
        return bool(sql.FORGOTTEN(self.connection, {"of_mark": mark}))

    def pend(self, copy_id: int, session_id: int, numbers: Numbers, due_ns: int) -> None:
        """Keep this version when it is due, instead of another that waited, which is lost."""
        waiting = sql.PENDING(self.connection, {"of_copy_id": copy_id})
        if waiting and tuple(waiting[0]) == numbers:
            return
        values = dict(zip(("size", "mtime_ns", "ctime_ns", "inode"), numbers, strict=True))
        if waiting:
            sql.REPLACE.count(self.connection, {"of_copy_id": copy_id, "new_due": due_ns, **_new(values)})
            if not is_same_content(tuple(waiting[0]), numbers):
                self.count_lost(copy_id)
        else:
            sql.PEND.count(self.connection, {"copy_id": copy_id, "session_id": session_id, "due": due_ns, **values})

    def drop_pending(self, copy_id: int) -> bool:
        """Keep nothing more of a copy for now; return whether something waited."""
        return sql.DROP_PENDING.count(self.connection, {"of_copy_id": copy_id}) > 0

    def count_lost(self, copy_id: int) -> None:
        """Count a version that was overwritten or removed before it was read."""
        sql.COUNT_LOST.count(self.connection, {"of_copy_id": copy_id})
        sql.COUNT_ALL_LOST.count(self.connection, {"more": 1})

    def cap_due(self, now_ns: int) -> None:
        """Let no version wait for longer than until it has settled, although the clock was set back."""
        sql.CAP_DUE.count(self.connection, {"latest": now_ns + SETTLE_NS, "settle": SETTLE_NS})

    def cap_pending(self, session_id: int, most: int = MAX_PENDING) -> int:
        """Drop the oldest pending versions of a session beyond `most`, and count them as lost; return how many."""
        values = {"of_session_id": session_id, "newest": most, "most": ROWS_AT_ONCE}
        dropped = sql.OLDEST_PENDING.column(self.connection, values)
        for copy_id in dropped:
            self.drop_pending(copy_id)
            self.count_lost(copy_id)
        return len(dropped)

    def add_version(self, kept: PendingVersion, digest: str, now_ns: int) -> None:
        """Record a version whose bytes are stored."""
        plot = kept.plot
        newest = sql.NEWEST_SEEN.value(self.connection, {"of_copy_id": kept.copy_id})
        # The clock may have been set back.
        seen = min(plot.ctime_ns, now_ns) if newest is None else max(min(plot.ctime_ns, now_ns), newest + 1)
        self.restore_version(KeptVersion(0, kept.copy_id, kept.session_id, plot, seen, digest))

    def restore_version(self, kept: KeptVersion) -> None:
        """Record a version as it is; it gets an id of its own."""
        plot, digest = kept.plot, bytes.fromhex(kept.digest)
        numbers = {"size": plot.size, "mtime_ns": plot.mtime_ns, "ctime_ns": plot.ctime_ns, "inode": plot.inode}
        owner = {"copy_id": kept.copy_id, "session_id": kept.session_id}
        sql.COUNT_KEPT.count(self.connection, {"of_copy_id": kept.copy_id})
        sql.ADD_VERSION.count(self.connection, {**owner, "seen": kept.seen, "digest": digest, **numbers})
        content = {"of_digest": digest, "of_session_id": kept.session_id}
        if sql.NEED_MORE.count(self.connection, content):
            self._grow(kept.session_id, REPEATED_BYTES)
        else:
            sql.NEED.count(self.connection, {"digest": digest, "session_id": kept.session_id})
            self._grow(kept.session_id, disk_bytes(plot.size))

    def seen_of(self, copy_id: int) -> tuple[int | None, list[tuple[int, int]]]:
        """When a copy was removed; id and `seen` of each of its versions, the newest first."""
        rows = sql.SEEN(self.connection, {"of_copy_id": copy_id})
        return (rows[0][2] if rows else None), [(number, seen) for number, seen, _ in rows]

    def remove_content(self, digest: str) -> None:
        """Remove the versions whose bytes are lost, and name them."""
        lost = self.reader.versions_with(digest)
        for version in lost:
            log.warning("History: version %s of %s is lost.", version.plot.version, printable(version.plot.path))
        self.remove(version.id for version in lost)

    def remove_empty(self) -> None:
        """Remove copies that are gone and of which nothing is kept; then folders without any."""
        for statement in sql.EMPTY:
            statement.count(self.connection)

    def remove(self, version_ids: Iterable[int]) -> set[str]:
        """Remove versions; return the digests of contents that nothing needs any more."""
        freed: set[str] = set()
        for version_id in version_ids:
            rows = sql.REMOVE(self.connection, {"of_id": version_id})
            if not rows:
                continue
            session_id, digest, size = rows[0]
            content = {"of_digest": bytes(digest), "of_session_id": session_id}
            sql.NEED_LESS.count(self.connection, content)
            if sql.UNNEEDED.count(self.connection, content):
                self._grow(session_id, -disk_bytes(size))
                if not self.reader.has_content(name := bytes(digest).hex()):
                    freed.add(name)
            else:
                self._grow(session_id, -REPEATED_BYTES)
        return freed

    def forget(self, marks: Collection[bytes]) -> None:
        """Never keep these versions again."""
        for mark in marks:
            if not self.is_forgotten(mark):
                sql.FORGET.count(self.connection, {"mark": mark})

    def remove_copies(self, name: str, filename: str | None = None) -> None:
        """Remove all that tells the name of a session or a key, whose versions are removed already."""
        for statement in sql.REMOVE_SESSION if filename is None else sql.REMOVE_KEY:
            statement.count(self.connection, {"of_session": name, "of_filename": filename})

    def total_bytes(self) -> int:
        """Disk space of all that is kept; contents are counted once for each session that needs them."""
        return int(sql.TOTAL_BYTES.value(self.connection))

    def largest_sessions(self, limit: int) -> list[tuple[int, int]]:
        """Id and bytes of the sessions whose versions need the most space."""
        return [(number, total) for number, total in sql.LARGEST(self.connection, {"most": limit})]

    def session_with_most_contents(self) -> int | None:
        """Its id."""
        found = sql.MOST_CONTENTS.value(self.connection)
        return None if found is None else int(found)

    def oldest_versions(self, session_id: int, most: int) -> Sequence[tuple[int, int]]:
        """Id and size of the oldest versions of a session."""
        values = {"of_session_id": session_id, "most": most}
        return [(number, size) for number, size in sql.OLDEST(self.connection, values)]

    def _grow(self, session_id: int, by: int) -> None:
        sql.GROW.count(self.connection, {"of_session_id": session_id, "more": by})


def _new(values: dict[str, int]) -> dict[str, object]:
    return {f"new_{name}": value for name, value in values.items()}
