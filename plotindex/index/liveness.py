"""Whether an indexer is alive, and what is wrong if not."""

import socket
from pathlib import Path

from plotindex.errors import CatalogError
from plotindex.index.indexer_lock import LockState, read_indexer_lock
from plotindex.storage import Catalog, Heartbeat
from plotindex.system import format_age


def require_indexer(catalog: Catalog, lock: Path | None = None, *, is_here: bool = False) -> None:
    """Check that an indexer runs; with `is_here`, on this host if several hosts share the catalogue.

    `lock` is the lock file of this host's indexer: it shows at once that it has died.

    Raises:
        CatalogError: none runs, or the catalogue cannot be read.
    """
    here, held = socket.gethostname(), read_indexer_lock(lock) if lock else None
    heartbeats = catalog.heartbeats()
    if is_here and catalog.database.is_shared:
        heartbeats = [heartbeat for heartbeat in heartbeats if heartbeat.host == here]
    problems = [indexer_problem(heartbeat, held if heartbeat.host == here else None) for heartbeat in heartbeats]
    if all(problems):
        raise CatalogError(problems[0] if problems and problems[0] else indexer_problem(None, held) or "")


def indexer_state(heartbeat: Heartbeat, lock: LockState | None) -> str:
    """The state now: the last reported one, or "gone" or "silent"."""
    if heartbeat.state == "stopped":
        return heartbeat.state
    if _is_dead(heartbeat, lock):
        return "gone"
    return heartbeat.state if heartbeat.is_recent else "silent"


def indexer_problem(heartbeat: Heartbeat | None, lock: LockState | None = None) -> str | None:
    """Why an indexer does not report, with the fix, or None if it does."""
    running = None if heartbeat is None or heartbeat.state == "stopped" else heartbeat
    if lock is not None and lock.is_held and not (running and running.is_recent):
        last_report = f"last reported {format_age(heartbeat.heartbeat * 1e9)}" if heartbeat else "has not reported yet"
        return lock.problem or f"The indexer runs, but {last_report}: see its log."
    if running is None:
        return "No indexer is running: start `plotindex watch`."
    if _is_dead(running, lock):
        return f"The indexer (process {running.pid}) has died: start `plotindex watch` again."
    if not running.is_recent:
        return f"The indexer last reported {format_age(running.heartbeat * 1e9)}: start `plotindex watch` again."
    return None


def _is_dead(heartbeat: Heartbeat, lock: LockState | None) -> bool:
    """Whether that indexer held this host's lock file last, and the kernel has released it."""
    is_local = heartbeat.host == socket.gethostname()
    return lock is not None and is_local and lock.is_abandoned_by(heartbeat.host, heartbeat.pid)
