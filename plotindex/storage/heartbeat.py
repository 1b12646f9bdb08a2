"""The heartbeats of indexers: who indexes, in which state, and when each last reported."""

import socket
import time
from typing import NamedTuple

from plotindex.storage.database import Database
from plotindex.storage.statements import Connection, Prepared
from plotindex.storage.stats import IndexerStats
from plotindex.system import is_alive

HEARTBEAT_SECONDS = 15.0
"""A catalogue counts as unwatched when the heartbeat is older."""
DEAD_SECONDS = 60.0
"""On a shared database the rows of silent indexers are deleted after so long."""


class Heartbeat(NamedTuple):
    """The report of an indexer. Times are seconds since the epoch."""

    host: str
    pid: int
    started: float
    heartbeat: float
    state: str
    watched: int = 0
    watch_limit: int | None = None
    unwatched: int = 0
    reconciled: float | None = None
    missed: int | None = None
    overflows: int = 0
    pending: int = 0
    """Changes that wait to be reconciled, roughly."""
    replaced: int = 0
    """Restarts of the watcher."""
    missed_folders: int = 0
    """Folders that the last full scan found unwatched, contrary to the watcher's records."""
    unreadable: int = 0
    """Paths that could not be read since the last full scan; their rows are kept."""
    odd: int = 0
    """Paths with an unsupported name or time: not UTF-8, beyond 64 bits."""
    behind: float = 0.0
    """Age in seconds of the oldest change that waits."""
    proven: float | None = None
    """When a self-test last passed."""
    polled: str | None = None
    """What is polled, because no event reports it, and why."""
    measured: str | None = None
    """JSON of `IndexerStats`."""

    @property
    def is_recent(self) -> bool:
        """Whether the heartbeat is younger than HEARTBEAT_SECONDS."""
        return abs(time.time() - self.heartbeat) < HEARTBEAT_SECONDS

    @property
    def others_behind(self) -> float:
        """`behind` without sessions that are late by their own changes; an older version does not tell these apart."""
        others = IndexerStats.load(self.measured).others_behind
        return self.behind if others is None else others

    @property
    def is_healthy(self) -> bool:
        """Whether the state is one in which the catalogue is kept up to date."""
        return self.state in ("watching", "polling")


_FIELDS = Heartbeat._fields
_READ = Prepared(f"SELECT {', '.join(_FIELDS)} FROM indexer ORDER BY heartbeat DESC")
_UPDATE = Prepared(
    f"UPDATE indexer SET {', '.join(f'{name} = :{name}' for name in _FIELDS[2:])} WHERE host = :host AND pid = :pid"
)
_INSERT = Prepared(f"INSERT INTO indexer ({', '.join(_FIELDS)}) VALUES ({', '.join(f':{name}' for name in _FIELDS)})")
_DELETE_ALL = Prepared("DELETE FROM indexer")
_DELETE_SILENT = Prepared("DELETE FROM indexer WHERE heartbeat < :before")
_DELETE_ONE = Prepared("DELETE FROM indexer WHERE host = :host AND pid = :pid")
_PIDS = Prepared("SELECT pid FROM indexer WHERE host = :host")


def read_heartbeats(database: Database) -> list[Heartbeat]:
    """All heartbeats: stopped indexers last, then those of this host first, then the latest first."""
    with database.reading() as connection:
        beats = list(map(Heartbeat._make, _READ(connection)))
        skew = database.clock_skew(connection) if beats else 0.0
    host = socket.gethostname()
    beats.sort(key=lambda beat: (beat.state == "stopped", beat.host != host))
    return [beat._replace(heartbeat=beat.heartbeat - skew) for beat in beats]


def write_heartbeat(database: Database, connection: Connection, beat: Heartbeat) -> None:
    """Store a heartbeat, by the database's clock. The first one of an indexer deletes those of dead indexers."""
    now = beat.heartbeat + database.clock_skew(connection)
    values = {**beat._asdict(), "heartbeat": now}
    if not _UPDATE.count(connection, values):
        if database.is_shared:
            _delete_dead(connection, beat.host, now)
        else:
            # There is one at a time.
            _DELETE_ALL.count(connection)
        _INSERT.count(connection, values)


def delete_dead(database: Database, connection: Connection, host: str) -> None:
    """Delete the heartbeats of indexers that died: long silent, or of this host without a process."""
    _delete_dead(connection, host, time.time() + database.clock_skew(connection))


def _delete_dead(connection: Connection, host: str, now: float) -> None:
    _DELETE_SILENT.count(connection, {"before": now - DEAD_SECONDS})
    for pid in _PIDS.column(connection, {"host": host}):
        if not is_alive(pid):
            _DELETE_ONE.count(connection, {"host": host, "pid": pid})
