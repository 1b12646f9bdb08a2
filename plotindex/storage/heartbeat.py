"""The heartbeat of an indexer: who indexes, in which state, and when it last reported."""

import time
from typing import NamedTuple

HEARTBEAT_SECONDS = 15.0
"""How old an indexer's heartbeat may be before the catalogue counts as unwatched."""


class Heartbeat(NamedTuple):
    """What an indexer says of itself. Times are seconds since the epoch."""

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
    """Changes that wait to be looked at, about."""
    replaced: int = 0
    """How often watching was lost and begun anew."""
    missed_folders: int = 0
    """Folders that the last full reconcile found unwatched, though the watcher thought otherwise."""
    unreadable: int = 0
    """Paths that could not be looked at since the last full reconcile; what is known of them is kept."""
    odd: int = 0
    """Paths that are not indexed as they are: names that are not UTF-8, times beyond 64 bits."""
    behind: float = 0.0
    """Seconds for which the change that waits longest has waited."""
    proven: float | None = None
    """When a self-test last came back."""
    polled: str | None = None
    """What is looked at again and again, since no event tells of it, and why."""
    measured: str | None = None
    """JSON of `IndexerStats`."""

    @property
    def is_recent(self) -> bool:
        """Whether the heartbeat is younger than HEARTBEAT_SECONDS."""
        return abs(time.time() - self.heartbeat) < HEARTBEAT_SECONDS

    @property
    def is_healthy(self) -> bool:
        """Whether the state is one in which the catalogue is kept up to date."""
        return self.state in ("watching", "polling")
