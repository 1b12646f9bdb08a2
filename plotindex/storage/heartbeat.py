"""The heartbeats of indexers: who indexes, in which state, and when each last reported."""

import socket
import time
from typing import NamedTuple

from sqlalchemy import Connection, and_, delete, insert, select, update

from plotindex.storage.database import Database
from plotindex.storage.stats import IndexerStats
from plotindex.storage.tables import indexer
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


def read_heartbeats(database: Database) -> list[Heartbeat]:
    """All heartbeats: stopped indexers last, then those of this host first, then the latest first."""
    with database.reading() as connection:
        query = select(*(indexer.c[name] for name in Heartbeat._fields)).order_by(indexer.c.heartbeat.desc())
        beats = [Heartbeat._make(row) for row in connection.execute(query)]
        skew = database.clock_skew(connection) if beats else 0.0
    host = socket.gethostname()
    beats.sort(key=lambda beat: (beat.state == "stopped", beat.host != host))
    return [beat._replace(heartbeat=beat.heartbeat - skew) for beat in beats]


def write_heartbeat(database: Database, connection: Connection, beat: Heartbeat) -> None:
    """Store a heartbeat, by the database's clock. The first one of an indexer deletes those of dead indexers."""
    own = and_(indexer.c.host == beat.host, indexer.c.pid == beat.pid)
    now = beat.heartbeat + database.clock_skew(connection)
    values = {**beat._asdict(), "heartbeat": now}
    if not connection.execute(update(indexer).where(own).values(**values)).rowcount:
        if database.is_shared:
            _delete_dead(connection, beat.host, now)
        else:
            # There is one at a time.
            connection.execute(delete(indexer))
        connection.execute(insert(indexer).values(**values))


def delete_dead(database: Database, connection: Connection, host: str) -> None:
    """Delete the heartbeats of indexers that died: long silent, or of this host without a process."""
    _delete_dead(connection, host, time.time() + database.clock_skew(connection))


def _delete_dead(connection: Connection, host: str, now: float) -> None:
    connection.execute(delete(indexer).where(indexer.c.heartbeat < now - DEAD_SECONDS))
    of_host = select(indexer.c.pid).where(indexer.c.host == host)
    for pid in connection.execute(of_host).scalars().all():
        if not is_alive(pid):
            connection.execute(delete(indexer).where(indexer.c.host == host, indexer.c.pid == pid))
