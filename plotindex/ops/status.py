"""How the catalogue and its indexer are, in words and numbers."""

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

from plotindex.index import LockState, indexer_problem, indexer_state, read_indexer_lock
from plotindex.ops.probe import is_served
from plotindex.ops.request_counts import SHOWN, Counts
from plotindex.storage import (
    HEARTBEAT_SECONDS,
    Catalog,
    Heartbeat,
    IndexerStats,
    Truncation,
    wal_problem,
)
from plotindex.system import printable, seconds_ago
from plotindex.tree import Layout

ANSWER_SECONDS = 0.5
"""How long a server may take to answer."""
MOST_NAMED = 20
"""Sessions with too many plots or too deep folders that are named."""


class Server(NamedTuple):
    """Whether a server of plotindex answers at an address."""

    address: str
    answers: bool


@dataclass(frozen=True)
class Status:
    """What `plotindex status` says."""

    root: str
    database: str
    sessions: int
    plots: int
    clock: int
    indexer: Heartbeat | None
    beside: list[Heartbeat]
    """Indexers of other hosts, where these share the catalogue."""
    measured: IndexerStats
    """What the indexer has measured since it began."""
    answered: Counts | None
    """What all servers have answered in the last minutes; None when none tells."""
    excess: list[Truncation]
    """Sessions of which not everything is indexed; of very many only some."""
    server: Server | None
    """The server that these settings name; None when it was not asked."""
    trouble: str | None
    """What is wrong, with the command that mends it; None when all is well."""

    def as_json(self) -> dict[str, Any]:
        numbers = {name: getattr(self, name) for name in ("root", "database", "sessions", "plots", "clock", "trouble")}
        return {
            **numbers,
            "well": self.trouble is None,
            "indexer": self._indexer_as_json(),
            "beside": [_described(beat) for beat in self.beside],
            "server": self.server._asdict() if self.server else None,
            "answered": self.answered._asdict() if self.answered else None,
            "left_out": [excess._asdict() for excess in self.excess],
        }

    def _indexer_as_json(self) -> dict[str, Any] | None:
        if self.indexer is None:
            return None
        return {
            **self.indexer._asdict(),
            "measured": None,
            "missed_total": self.measured.missed,
            "rescan_seconds": self.measured.rescan,
            "log_pinned_bytes": self.measured.pinned,
            "elected": self.measured.elected,
            "closed": self.measured.closed,
            "parts": parts_of(self.indexer, self.measured),
        }

    def as_text(self) -> str:
        lines = [
            f"root       {printable(self.root)}",
            f"catalogue  {printable(self.database)}",
            f"indexed    {self.plots} plots in {self.sessions} sessions",
        ]
        if self.indexer:
            beat = self.indexer
            lines += [
                f"indexer    {_sentence(beat)}",
                f"watching   {beat.watched} folders of at most {beat.watch_limit}; {beat.unwatched} unwatched; "
                f"{beat.overflows} overflows; begun anew {beat.replaced} times",
                f"waiting    {beat.pending} changes, the oldest for {beat.behind:.0f} seconds",
                f"looked     at everything {seconds_ago(beat.reconciled)}{_missed(beat, self.measured)}",
                f"tested     that events come {seconds_ago(beat.proven)}",
                f"in trouble {beat.unreadable} paths that cannot be looked at, {beat.odd} not indexed as they are",
            ]
            lines += [f"beside     {_sentence(other)}" for other in self.beside]
            if rolled := describe(self.measured):
                lines.append(f"by rounds  {rolled}")
            if beat.polled:
                lines.append(f"polled     {beat.polled}")
        if self.server:
            does = "answers" if self.server.answers else "none answers"
            lines.append(f"server     {does} at {printable(self.server.address)}")
        lines.append(f"answered   {_answered(self.answered)}")
        lines += [f"left out   {_left_out(excess)}" for excess in self.excess]
        return "\n".join([*lines, f"well       {'no' if self.trouble else 'yes'}"])


def _described(beat: Heartbeat) -> dict[str, Any]:
    told = {name: getattr(beat, name) for name in ("host", "pid", "state", "heartbeat", "watched", "unwatched")}
    return {**told, "elected": IndexerStats.load(beat.measured).elected}


def _is_elected(beat: Heartbeat) -> bool:
    return beat.is_recent and beat.state != "stopped" and bool(IndexerStats.load(beat.measured).elected)


def _sentence(beat: Heartbeat) -> str:
    state = beat.state if beat.is_recent or beat.state in ("stopped", "gone", "silent") else "silent"
    said = f"{state}, process {beat.pid} on {printable(beat.host)}, heard {seconds_ago(beat.heartbeat)}"
    elected = IndexerStats.load(beat.measured).elected
    if elected is None or state in ("stopped", "gone", "silent"):
        return said
    return f"{said}; {'does the rescans' if elected else 'another one does the rescans'}"


def ask_server(host: str, port: int) -> Server:
    """Ask there, for a moment, whether a server of plotindex answers."""
    name = host.strip("[]")
    return Server(f"[{name}]:{port}" if ":" in name else f"{name}:{port}", is_served(host, port, ANSWER_SECONDS))


def read_status(
    catalog: Catalog,
    layout: Layout,
    answered: Counts | None = None,
    lock: Path | None = None,
    server: Server | None = None,
) -> Status:
    """What the catalogue says of itself and its indexer; `answered` is what servers say of themselves.

    `lock` is the lock file of the indexer, which says more of it than the catalogue; `server` what `ask_server` found.

    Raises:
        CatalogError: it cannot be read.
    """
    header = catalog.header()
    sessions, plots = catalog.counts()
    beats = catalog.heartbeats()
    beat = beats[0] if beats else None
    alive = read_indexer_lock(lock) if lock else None
    file = catalog.database.file
    if file and alive and not alive.trouble:
        # On a disk where it can write nothing at all it cannot tell of that, either.
        alive = alive._replace(trouble=_of_disk(file))
    measured = IndexerStats.load(beat.measured if beat else None)
    trouble = (wal_problem(file) if file else None) or _trouble(beat, alive, measured)
    if not trouble and catalog.database.is_shared and not any(map(_is_elected, beats)):
        trouble = "No indexer looks at everything now: one takes that over within ten seconds, or its log says why not."
    if not trouble:
        trouble = next(filter(None, map(_trouble_beside, beats[1:])), None)
    if not trouble and not header.is_of(layout):
        trouble = "The catalogue was built with another project_pattern or suffixes: start the indexer with these."
    return Status(
        root=header.root,
        database=catalog.database.shown,
        sessions=sessions,
        plots=plots,
        clock=header.clock,
        indexer=beat._replace(state=indexer_state(beat, alive)) if beat else None,
        beside=beats[1:],
        measured=measured,
        answered=answered,
        excess=catalog.truncations(MOST_NAMED),
        server=server,
        trouble=trouble,
    )


def _trouble_beside(beat: Heartbeat) -> str | None:
    if beat.is_recent or beat.state == "stopped":
        return None
    return f"The indexer on {printable(beat.host)} is silent, so hits say `unwatched`: start it there again."


def _of_disk(path: Path) -> str:
    try:
        disk = os.statvfs(path.parent)
    except OSError:
        return ""
    shown = printable(str(path))
    if disk.f_flag & os.ST_RDONLY:
        return f"The database {shown} cannot be written (Read-only file system): mount its disk for writing."
    return "" if disk.f_bavail else f"The database {shown} cannot be written (disk is full): make room on its disk."


def _trouble(beat: Heartbeat | None, alive: LockState | None, measured: IndexerStats) -> str | None:
    silence = indexer_problem(beat, alive)
    if silence or beat is None:
        return silence
    if beat.state == "blocked" and alive and alive.trouble:
        return alive.trouble
    if measured.closed:
        what = "1 folder is not watched" if measured.closed == 1 else f"{measured.closed} folders are not watched"
        return f"{what}: let the indexer read what `plotindex doctor` names."
    if beat.behind >= HEARTBEAT_SECONDS:
        return f"The indexer is {beat.behind:.0f} seconds behind: its log says which session keeps it busy."
    return {
        "watching": None,
        "polling": None,
        "starting": "The indexer is still looking at everything: ask again when it is done.",
        "lost": "The root is not there: mount it again or, if it is empty, run `plotindex rebuild --allow-empty`.",
    }.get(beat.state, f"The indexer is {beat.state}: its log says why.")


def _left_out(excess: Truncation) -> str:
    parts = []
    if excess.plots:
        parts.append(f"{excess.plots} plots of {printable(excess.session)}, over max_plots_per_session")
    if excess.folders:
        parts.append(f"{excess.folders} folders of {printable(excess.session)}, deeper than max_depth")
    return "; ".join(parts)


def _missed(beat: Heartbeat, measured: IndexerStats) -> str:
    if beat.missed is None:
        return f" in {measured.rescan:.1f} seconds"
    since = f"; {measured.missed} in all since it began" if measured.missed else ""
    found = f"{beat.missed} plots and {beat.missed_folders} folders that the watcher had missed{since}"
    return f" in {measured.rescan:.1f} seconds, and found {found}"


def _answered(counts: Counts | None) -> str:
    if counts is None:
        return f"nothing in the last {SHOWN} minutes, as far as servers tell"
    looked_up = counts.hits + counts.misses
    share = f", {100 * counts.hits / looked_up:.1f}% from the catalogue" if looked_up else ""
    return f"{looked_up} look-ups in the last {SHOWN} minutes{share}; {counts.scans} scans"


def parts_of(beat: Heartbeat, measured: IndexerStats) -> list[dict[str, Any]]:
    """Each means and how much it serves; ages are in seconds."""
    events = {"means": "events", "folders": beat.watched}
    if not measured.rolled_folders:
        return [events]
    rounds = {
        "means": "rounds",
        "sessions": measured.rolled_sessions,
        "folders": measured.rolled_folders,
        "polled": beat.polled,
        "by_folders": {"seconds": measured.folders_round, "age": measured.folders_age},
        "by_files": {"seconds": measured.files_round, "age": measured.files_age},
    }
    return [events, rounds]


def describe(measured: IndexerStats) -> str | None:
    """What the rolling rescan looks at, and how old the view of that can be; None where it is nothing."""
    if not measured.rolled_folders:
        return None
    what = f"{measured.rolled_folders} folders in {measured.rolled_sessions} sessions"
    if not measured.files_round:
        return f"{what}; the first round by files began {measured.files_age:.0f} seconds ago"
    news = f"what comes and goes is seen within {measured.folders_age:.0f} seconds"
    return f"{what}: {news}, what is rewritten within {measured.files_age:.0f}"
