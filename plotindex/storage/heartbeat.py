"""The heartbeat of an indexer: who indexes, in which state, and when it last reported."""

import socket
import time
from typing import NamedTuple


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
    """What `Measured.dump` wrote."""


HEARTBEAT_SECONDS = 15.0
"""How old an indexer's heartbeat may be before the catalogue counts as unwatched."""


def is_heard(beat: Heartbeat) -> bool:
    """Whether an indexer has said something in the last seconds."""
    return abs(time.time() - beat.heartbeat) < HEARTBEAT_SECONDS


WELL = ("watching", "polling")
"""The states in which the catalogue is kept up to date."""


def nearest_first(beats: list[Heartbeat]) -> list[Heartbeat]:
    """Indexers, those of this host first; of each host the latest first, but those that have stopped behind."""
    host = socket.gethostname()
    return sorted(beats, key=lambda beat: (beat.state == "stopped", beat.host != host))
