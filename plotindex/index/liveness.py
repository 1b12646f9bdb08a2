"""Whether an indexer is alive, and why not."""

import socket

from plotindex.errors import CatalogError
from plotindex.index.indexer_lock import LockState
from plotindex.storage import Catalog, Heartbeat
from plotindex.system import format_age


def require_indexer(catalog: Catalog, *, is_here: bool = False) -> None:
    """Check that an indexer runs; `is_here` on this host, where several share the catalogue.

    Raises:
        CatalogError: none does; the message says what to start.
    """
    beats = catalog.heartbeats()
    if is_here and catalog.database.is_shared:
        beats = [beat for beat in beats if beat.host == socket.gethostname()]
    if trouble := indexer_problem(beats[0] if beats else None):
        raise CatalogError(trouble)


def indexer_state(beat: Heartbeat, alive: LockState | None) -> str:
    """What it is now, which may be another state than the last one that it has told of."""
    if beat.state == "stopped":
        return beat.state
    if _is_gone(beat, alive):
        return "gone"
    return beat.state if beat.is_recent else "silent"


def _is_gone(beat: Heartbeat, alive: LockState | None) -> bool:
    """Whether the lock, which the kernel takes from the dead, says that there is none: its own holder alone.

    Another one of this host has a state folder of its own.
    """
    return alive is not None and beat.host == socket.gethostname() and alive.is_abandoned_by(beat.host, beat.pid)


def indexer_problem(beat: Heartbeat | None, alive: LockState | None = None) -> str | None:
    if alive is not None and alive.is_held and (beat is None or beat.state == "stopped" or not beat.is_recent):
        since = f" and was last heard {format_age(beat.heartbeat * 1e9)}" if beat else ""
        return alive.trouble or f"The indexer runs{since}: its log says what it waits for."
    if beat is None or beat.state == "stopped":
        return "No indexer is running: start `plotindex watch`."
    if _is_gone(beat, alive):
        return f"The indexer, process {beat.pid}, is gone without having been stopped: start `plotindex watch` again."
    if not beat.is_recent:
        return f"The indexer was last heard {format_age(beat.heartbeat * 1e9)}: start `plotindex watch` again."
    return None
