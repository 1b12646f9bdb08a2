"""Compare the clocks of root, state folder and host."""

import os
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from tempfile import TemporaryFile

from plotindex.errors import CatalogError
from plotindex.ops.doctor.context import Context
from plotindex.ops.doctor.findings import Finding, ok, warn
from plotindex.system import LOCAL_FS_TYPES, find_mount, printable

SKEW_SECONDS = 2.0
"""A smaller clock difference does no harm: a plot counts as settled after as long."""
NS = 1_000_000_000
SET_CLOCKS = "synchronise both with one time server (timedatectl set-ntp true)"


def check_clock(context: Context) -> Iterator[Finding]:
    """Compare the clocks of root, state folder and host, without writing below the root."""
    state = context.settings.state_folder
    mount = find_mount(state)
    # A local file system uses this host's clock.
    if mount and mount.fs_type not in LOCAL_FS_TYPES and os.access(state, os.W_OK):
        yield state_clock_finding(clock_offset(state))
    try:
        newest = context.catalog.newest_plot()
    except CatalogError:
        newest = None
    if newest and newest.mtime_ns > time.time_ns() + SKEW_SECONDS * NS:
        path = printable(newest.path)
        seen = f"{path} has an mtime in the future, {_moment(newest.mtime_ns)}, and stays the current copy until then"
        yield warn("clock", seen, f"touch {path}, below the root")
    yield root_clock_finding(*context.survey.newest, time.time_ns())


def root_clock_finding(changed_ns: int, path: str, now_ns: int) -> Finding:
    """The finding for the latest change of a folder below the root."""
    ahead = (changed_ns - now_ns) / NS
    where = printable(path) or "the root itself"
    if ahead > SKEW_SECONDS:
        seen = f"The clock of the root's file system is at least {ahead:.0f} seconds ahead of this host's"
        return warn("clock", f"{seen}: {where} was changed at {_moment(changed_ns)}", SET_CLOCKS)
    return ok(
        "clock", f"No change below the root is in the future; the latest, in {where}, was {max(0.0, -ahead):.0f} s ago"
    )


def state_clock_finding(offset: float) -> Finding:
    """The finding for the offset in seconds of the state folder's clock to the host's."""
    if abs(offset) > SKEW_SECONDS:
        which = "ahead of" if offset > 0 else "behind"
        return warn("clock", f"The state folder's clock is {abs(offset):.0f} seconds {which} this host's", SET_CLOCKS)
    return ok("clock", "The state folder's clock agrees with this host's")


def clock_offset(folder: Path) -> float:
    """Seconds by which a folder's file system is ahead of this host, measured with an unnamed file."""
    before = time.time()
    with TemporaryFile(dir=folder) as file:
        file.write(b"?")
        file.flush()
        written = os.fstat(file.fileno()).st_mtime
    if written < before:
        return written - before
    return max(0.0, written - time.time())


def _moment(nanoseconds: int) -> str:
    try:
        return datetime.fromtimestamp(nanoseconds / NS, UTC).isoformat(" ", "seconds")
    except (ValueError, OverflowError):
        return "a year outside the calendar"
