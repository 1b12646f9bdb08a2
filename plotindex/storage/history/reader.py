"""Read the history, within one transaction of its database."""

from collections.abc import Sequence
from contextlib import closing
from itertools import takewhile, zip_longest
from typing import Any, NamedTuple

from plotindex.storage.history.rows import (
    OF_NUMBERS,
    FolderIdentity,
    KeptSession,
    KeptVersion,
    PendingVersion,
    numbers_values,
)
from plotindex.storage.session_selection import by_selection, selected_values, selection_of
from plotindex.storage.statements import Connection, Prepared
from plotindex.tree import ALL_SESSIONS, INT64_MAX, Plot, SessionFilter


class KeptKey(NamedTuple):
    """A key of which versions are kept. Times are nanoseconds since the epoch."""

    filename: str
    versions: int
    seen: int
    """Since when the newest of them has stood."""
    gone: int | None
    """When its last copy was removed; None if it has one."""


class RemovedCopy(NamedTuple):
    """A copy that was removed."""

    plot: Plot
    """The last version of it that is kept."""
    gone: int
    """When it was removed, in nanoseconds since the epoch."""


class HistoryState(NamedTuple):
    """What the process that keeps says of itself."""

    folder: str
    """The id of the folder that belongs to the database."""
    kept: int
    """Versions kept since the history was begun."""
    lost: int
    """Versions that were overwritten or removed before they were read."""
    problem: str


class HistoryTotals(NamedTuple):
    """How much is kept."""

    versions: int
    sessions: int
    gone: int
    """Copies that are removed."""
    bytes: int
    pending: int


class HistoryReader:
    """Reads within one transaction."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def sessions(self, name: str) -> list[KeptSession]:
        """The folders that had this name, the newest first."""
        rows = _SESSIONS(self._connection, {"of_session": name})
        return [KeptSession(row[0], name, FolderIdentity(*row[1:3]), *row[3:]) for row in rows]

    def versions(
        self, session: KeptSession, filename: str, project: str | None, upto: int = INT64_MAX, limit: int = INT64_MAX
    ) -> list[KeptVersion]:
        """Versions of a key that were seen until `upto`, the newest first."""
        values = {"of_session_id": session.id, "of_filename": filename, "of_project": project or ""}
        query = _VERSIONS if project is None else _VERSIONS_OF_PROJECT
        rows = query(self._connection, {**values, "upto": upto, "most": limit})
        return [_version(session, filename, row) for row in rows]

    def digest_of(self, session: KeptSession, plot: Plot) -> str | None:
        """The content of this version of a copy; None if it is not kept."""
        values = {"of_session_id": session.id, "of_filename": plot.filename, "of_project": plot.project}
        rows = _DIGEST(self._connection, {**values, **numbers_values(plot[3:])})
        return bytes(rows[0][0]).hex() if rows else None

    def is_pending(self, session: KeptSession, plot: Plot) -> bool:
        """Whether a version of this copy waits to be kept."""
        values = {"of_session_id": session.id, "of_filename": plot.filename, "of_project": plot.project}
        return bool(_IS_PENDING(self._connection, values))

    def at(self, session: KeptSession, moment: int) -> list[KeptVersion]:
        """The version that each copy of a folder had at a moment, as far as it is kept."""
        return [_named(row) for row in _AT(self._connection, {"of_session_id": session.id, "moment": moment})]

    def lost(self, session: KeptSession, filename: str, project: str) -> int:
        """How many versions of a copy were overwritten or removed before they were read."""
        values = {"of_session_id": session.id, "of_filename": filename, "of_project": project}
        return int(_LOST.value(self._connection, values) or 0)

    def redrawn(self, session: KeptSession) -> list[tuple[str, str, int]]:
        """Project and filename of the copies that were drawn again, and how often."""
        return [tuple(row) for row in _REDRAWN(self._connection, {"of_session_id": session.id})]

    def removed(self, session: KeptSession, after: str, limit: int) -> list[RemovedCopy]:
        """The removed copies of keys behind `after` that have none now, by filename."""
        values = {"of_session": session.session, "of_session_id": session.id, "after": after, "most": limit}
        return [RemovedCopy(Plot(session.session, *row[:-1]), row[-1]) for row in _REMOVED(self._connection, values)]

    def keys(self, session: KeptSession, after: str, limit: int, *, only_gone: bool = False) -> list[KeptKey]:
        """The keys behind `after` of which versions are kept, by filename."""
        rows = (_GONE_KEYS if only_gone else _KEYS)(
            self._connection, {"of_session_id": session.id, "after": after, "most": limit}
        )
        return [KeptKey(*row) for row in rows]

    def names(self, prefix: str) -> list[str]:
        """The sessions of which something is kept."""
        with closing(_NAMES.stream(self._connection, {"prefix": prefix})) as rows:
            return list(takewhile(lambda name: name.startswith(prefix), (name for (name,) in rows)))

    def has_pending(self) -> bool:
        """Whether versions wait to be kept."""
        return bool(_ANY_PENDING(self._connection, {}))

    def due(self, now_ns: int, most: int, after: int) -> list[PendingVersion]:
        """Versions that are due: of each session the newest, of each the next one, ...; those behind `after` first."""
        values = {"upto": now_ns, "most": most}
        sessions = _DUE_SESSIONS.column(self._connection, {**values, "behind": after})
        if len(sessions) < most and after:
            first = _DUE_SESSIONS.column(self._connection, {**values, "behind": 0})
            sessions += [number for number in first if number <= after][: most - len(sessions)]
        share = max(1, most // max(1, len(sessions)))
        found = []
        for session_id in sessions:
            rows = _DUE(self._connection, {"of_session_id": session_id, "upto": now_ns, "most": share})
            found.append([PendingVersion(copy_id, session_id, Plot._make(plot)) for copy_id, *plot in rows])
        return [pending for rank in zip_longest(*found) for pending in rank if pending]

    def seen_of_copies(self, after: int, limit: int) -> dict[int, tuple[int | None, list[tuple[int, int]]]]:
        """By id, for the copies behind `after`: when it was removed; id and `seen` of its versions, newest first."""
        copies: dict[int, tuple[int | None, list[tuple[int, int]]]] = {}
        for copy_id, gone, number, seen in _SEEN_OF_COPIES(self._connection, {"after": after, "most": limit}):
            copies.setdefault(copy_id, (gone, []))[1].append((number, seen))
        return copies

    def digests(self) -> set[str]:
        """Every content that a version needs."""
        with closing(_DIGESTS.stream(self._connection, {})) as rows:
            return {bytes(digest).hex() for (digest,) in rows}

    def has_content(self, digest: str) -> bool:
        """Whether a version needs this content."""
        return bool(_ANY_CONTENT(self._connection, {"of_digest": bytes.fromhex(digest)}))

    def versions_with(self, digest: str, allows: SessionFilter = ALL_SESSIONS) -> list[KeptVersion]:
        """The versions with this content, in the sessions that a caller may see."""
        values = {"of_digest": bytes.fromhex(digest), **selected_values(allows)}
        rows = _WITH_DIGEST[selection_of(allows)[0]](self._connection, values)
        return [kept for kept in map(_named, rows) if allows(kept.plot.session)]

    def all_versions(self, name: str | None = None, filename: str | None = None) -> Sequence[KeptVersion]:
        """All versions of all sessions, of a session, or of a key; of removed folders too."""
        query = _ALL if name is None else _ALL_OF_SESSION if filename is None else _ALL_OF_KEY
        return [_named(row) for row in query(self._connection, {"of_session": name, "of_filename": filename})]

    def state(self) -> HistoryState | None:
        rows = _STATE(self._connection)
        return HistoryState._make(rows[0]) if rows else None

    def totals(self) -> HistoryTotals:
        """Counts rows: some milliseconds for each 100,000 versions."""
        ((sessions, size),) = _SIZES(self._connection)
        versions, gone, pending = (int(query.value(self._connection)) for query in (_VERSION_COUNT, _GONE, _PENDING))
        return HistoryTotals(versions, sessions, gone, int(size), pending)


def _version(session: KeptSession, filename: str, row: Sequence[Any]) -> KeptVersion:
    number, copy_id, project, seen, digest, *numbers = row
    plot = Plot(session.session, project, filename, *numbers)
    return KeptVersion(number, copy_id, session.id, plot, seen, bytes(digest).hex())


def _named(row: Sequence[Any]) -> KeptVersion:
    number, copy_id, session_id, seen, digest, *plot = row
    return KeptVersion(number, copy_id, session_id, Plot._make(plot), seen, bytes(digest).hex())


_SESSIONS = Prepared(
    "SELECT id, inode, birth_ns, since, ended FROM history_session WHERE session = :of_session ORDER BY id DESC"
)
_OF_KEY = "c.session_id = :of_session_id AND c.filename = :of_filename"
_JOINED = "FROM history_copy AS c JOIN history_version AS v ON v.copy_id = c.id"
_SELECT_VERSIONS = (
    "SELECT v.id, v.copy_id, c.project, v.seen, v.digest, v.size, v.mtime_ns, v.ctime_ns, v.inode "
    f"{_JOINED} WHERE {_OF_KEY} AND v.seen <= :upto"
)
_NEWEST_FIRST = "ORDER BY v.seen DESC LIMIT :most"
_VERSIONS = Prepared(f"{_SELECT_VERSIONS} {_NEWEST_FIRST}")
_VERSIONS_OF_PROJECT = Prepared(f"{_SELECT_VERSIONS} AND c.project = :of_project {_NEWEST_FIRST}")
_DIGEST = Prepared(f"SELECT v.digest {_JOINED} WHERE {_OF_KEY} AND c.project = :of_project AND {OF_NUMBERS}")
_IS_PENDING = Prepared(
    "SELECT 1 FROM history_copy AS c JOIN history_pending AS p ON p.copy_id = c.id "
    f"WHERE {_OF_KEY} AND c.project = :of_project"
)
_LOST = Prepared(f"SELECT c.lost FROM history_copy AS c WHERE {_OF_KEY} AND c.project = :of_project")
_REDRAWN = Prepared(
    "SELECT project, filename, drawn - 1 FROM history_copy "
    "WHERE session_id = :of_session_id AND gone IS NULL AND drawn > 1"
)
_REMOVED = Prepared(
    f"SELECT c.project, c.filename, v.size, v.mtime_ns, v.ctime_ns, v.inode, c.gone {_JOINED} "
    "WHERE c.session_id = :of_session_id AND c.gone IS NOT NULL AND c.filename > :after "
    "AND v.seen = (SELECT max(w.seen) FROM history_version AS w WHERE w.copy_id = c.id) "
    "AND NOT EXISTS (SELECT 1 FROM history_copy AS o JOIN history_session AS s ON s.id = o.session_id "
    "WHERE s.session = :of_session AND s.ended IS NULL AND o.filename = c.filename AND o.gone IS NULL) "
    "ORDER BY c.filename LIMIT :most"
)


def _keys(having: str) -> Prepared:
    last = "CASE WHEN count(CASE WHEN c.gone IS NULL THEN 1 END) = 0 THEN max(c.gone) END"
    return Prepared(
        f"SELECT c.filename, count(*), max(v.seen), {last} {_JOINED} WHERE c.session_id = :of_session_id "
        f"AND c.filename > :after GROUP BY c.filename {having} ORDER BY c.filename LIMIT :most"
    )


_KEYS, _GONE_KEYS = _keys(""), _keys("HAVING count(CASE WHEN c.gone IS NULL THEN 1 END) = 0")
_ANY_CONTENT = Prepared("SELECT 1 FROM history_content WHERE digest = :of_digest LIMIT 1")
_ANY_PENDING = Prepared("SELECT 1 FROM history_pending LIMIT 1")
# One index seek for each session: a session with many versions to keep costs no more than another one.
_DUE_SESSIONS = Prepared(
    "WITH RECURSIVE due (id) AS (SELECT min(session_id) FROM history_pending WHERE session_id > :behind "
    "UNION ALL SELECT (SELECT min(session_id) FROM history_pending WHERE session_id > due.id) FROM due "
    "WHERE due.id IS NOT NULL) SELECT id FROM due WHERE id IS NOT NULL "
    "AND EXISTS (SELECT 1 FROM history_pending AS p WHERE p.session_id = due.id AND p.due <= :upto) "
    "ORDER BY id LIMIT :most"
)
_DUE = Prepared(
    "SELECT p.copy_id, s.session, c.project, c.filename, p.size, p.mtime_ns, p.ctime_ns, p.inode "
    "FROM history_pending AS p JOIN history_copy AS c ON c.id = p.copy_id JOIN history_session AS s "
    "ON s.id = p.session_id WHERE p.session_id = :of_session_id AND p.due <= :upto ORDER BY p.due DESC LIMIT :most"
)
_SEEN_OF_COPIES = Prepared(
    "SELECT c.id, c.gone, v.id, v.seen FROM (SELECT id, gone FROM history_copy WHERE id > :after AND EXISTS "
    "(SELECT 1 FROM history_version AS w WHERE w.copy_id = history_copy.id) ORDER BY id LIMIT :most) AS c "
    "JOIN history_version AS v ON v.copy_id = c.id ORDER BY c.id, v.seen DESC"
)
_NAMED = (
    "SELECT v.id, v.copy_id, v.session_id, v.seen, v.digest, "
    "s.session, c.project, c.filename, v.size, v.mtime_ns, v.ctime_ns, v.inode "
    "FROM history_version AS v JOIN history_copy AS c ON c.id = v.copy_id "
    "JOIN history_session AS s ON s.id = v.session_id"
)
_ALL = Prepared(_NAMED)
_ALL_OF_SESSION = Prepared(f"{_NAMED} WHERE s.session = :of_session")
_ALL_OF_KEY = Prepared(f"{_NAMED} WHERE s.session = :of_session AND c.filename = :of_filename")
_AT = Prepared(
    f"{_NAMED} WHERE c.session_id = :of_session_id AND (c.gone IS NULL OR c.gone > :moment OR c.gone < v.seen) "
    "AND v.seen = (SELECT max(w.seen) FROM history_version AS w WHERE w.copy_id = c.id AND w.seen <= :moment)"
)
_WITH_DIGEST = by_selection(
    f"{_NAMED} WHERE v.session_id IN (SELECT f.id FROM history_session AS f WHERE {{0}} AND EXISTS "
    "(SELECT 1 FROM history_content AS h WHERE h.digest = :of_digest AND h.session_id = f.id)) "
    "AND v.digest = :of_digest",
    "f.session",
)
_NAMES = Prepared(
    "SELECT DISTINCT session FROM history_session WHERE session >= :prefix AND bytes > 0 ORDER BY session"
)
_DIGESTS = Prepared("SELECT DISTINCT digest FROM history_content")
_STATE = Prepared(f"SELECT {', '.join(HistoryState._fields)} FROM history_state")
_SIZES = Prepared("SELECT count(*), coalesce(sum(bytes), 0) FROM history_session WHERE bytes > 0")
_VERSION_COUNT = Prepared("SELECT count(*) FROM history_version")
_GONE = Prepared("SELECT count(gone) FROM history_copy")
_PENDING = Prepared("SELECT count(*) FROM history_pending")
