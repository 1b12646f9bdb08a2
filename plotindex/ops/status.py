"""The state of the catalogue and its indexers, for `plotindex status`."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

from plotindex.index import indexer_state, read_indexer_lock
from plotindex.ops.followers import HistoryStatus, InspectionStatus, count_names_behind
from plotindex.ops.health import find_trouble, grammar_trouble
from plotindex.ops.probe import is_serving
from plotindex.ops.request_counts import SHOWN_MINUTES, Counts
from plotindex.storage import HEARTBEAT_SECONDS, Catalog, Heartbeat, IndexerStats, Truncation
from plotindex.system import format_age, host_port, printable
from plotindex.tree import Layout, Tree, describe_misplaced

PROBE_SECONDS = 0.5
MAX_EXCESS = 20
"""Sessions that are listed with too many plots or too deep folders."""
NOT_RUNNING = ("stopped", "gone", "silent")


class Excess(NamedTuple):
    """What of a session is not indexed, and the settings that leave it out."""

    truncation: Truncation
    settings: list[str]


class Server(NamedTuple):
    """Whether a plotindex server answers at an address."""

    address: str
    answers: bool


@dataclass(frozen=True)
class Status:
    """The report of `plotindex status`."""

    root: str
    database: str
    sessions: int
    plots: int
    clock: int
    indexer: Heartbeat | None
    others: list[Heartbeat]
    """Indexers of other hosts that share the catalogue."""
    stats: IndexerStats
    """What the indexer has measured since it started."""
    requests: Counts | None
    """Requests of all servers in the last minutes; None if none were counted."""
    excess: list[Excess]
    """At most MAX_EXCESS sessions that are not indexed completely."""
    server: Server | None
    """The server at the address of the settings; None if it was not probed."""
    names_behind: int
    """Changes that are not in the index of names yet."""
    history: HistoryStatus | None
    """What is kept of earlier versions; None if the history is off."""
    inspection: InspectionStatus | None
    """How far inspection is; None if it is off."""
    trouble: str | None
    """What is wrong, with the command that fixes it; None if nothing is."""

    def as_json(self) -> dict[str, Any]:
        same = {name: getattr(self, name) for name in ("root", "database", "sessions", "plots", "clock", "trouble")}
        return {
            **same,
            "well": self.trouble is None,
            "indexer": self._indexer_as_json(),
            "beside": [_summary(beat) for beat in self.others],
            "server": self.server._asdict() if self.server else None,
            "answered": self.requests._asdict() if self.requests else None,
            "names_behind": self.names_behind,
            "history": self.history.as_json() if self.history else None,
            "inspection": self.inspection.as_json() if self.inspection else None,
            "left_out": [{**each.truncation._asdict(), "settings": each.settings} for each in self.excess],
        }

    def _indexer_as_json(self) -> dict[str, Any] | None:
        if self.indexer is None:
            return None
        return {
            **self.indexer._asdict(),
            "measured": None,
            "missed_total": self.stats.missed,
            "rescan_seconds": self.stats.rescan,
            "log_pinned_bytes": self.stats.pinned,
            "elected": self.stats.elected,
            "closed": self.stats.closed,
            "others_behind": self.indexer.others_behind,
            "busy": self.stats.busy or None,
            "ignored": self.stats.ignored,
            "parts": _coverage(self.indexer, self.stats),
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
                f"indexer    {_describe_indexer(beat)}",
                f"watching   {beat.watched} folders of at most {beat.watch_limit}; {beat.unwatched} unwatched; "
                f"queue overflows: {beat.overflows}; watcher restarts: {beat.replaced}",
                f"pending    {_describe_pending(beat, self.stats)}",
                f"full scan  {_describe_scan(beat, self.stats)}",
                f"self-test  {f'passed {format_age(beat.proven * 1e9)}' if beat.proven else 'not run yet'}",
                f"errors     {beat.unreadable} unreadable paths, {beat.odd} unsupported names or times",
            ]
            if self.stats.ignored:
                lines.append(f"ignored    {self.stats.ignored} folders or plots, by the setting ignore")
            lines += [f"other      {_describe_indexer(other)}" for other in self.others]
            if self.stats.rolled_folders:
                lines.append(f"rolling    {_describe_rolling(self.stats)}")
            if beat.polled:
                lines.append(f"polled     {beat.polled}")
        if self.server:
            answer = "answers" if self.server.answers else "no answer"
            lines.append(f"server     {answer} at {printable(self.server.address)}")
        lines.append(f"requests   {_describe_requests(self.requests)}")
        if self.names_behind:
            lines.append(f"search     {self.names_behind} changes behind")
        if self.history:
            lines.append(f"history    {self.history.as_text()}")
        if self.inspection:
            lines.append(f"inspected  {self.inspection.as_text()}")
        lines += [f"left out   {_describe_excess(excess)}" for excess in self.excess]
        return "\n".join([*lines, f"healthy    {'no' if self.trouble else 'yes'}"])


def probe_server(host: str, port: int) -> Server:
    """Probe for a plotindex server for at most PROBE_SECONDS."""
    return Server(host_port(host, port), is_serving(host, port, PROBE_SECONDS))


def read_status(
    catalog: Catalog,
    layout: Layout,
    requests: Counts | None = None,
    lock: Path | None = None,
    server: Server | None = None,
    *,
    history: HistoryStatus | None = None,
    inspection: InspectionStatus | None = None,
) -> Status:
    """The status of a catalogue. `lock` is the indexer's lock file, which is more up to date than the catalogue.

    Raises:
        CatalogError: the catalogue cannot be read.
    """
    header = catalog.header()
    sessions, plots = catalog.counts()
    beats = catalog.heartbeats()
    beat = beats[0] if beats else None
    held = read_indexer_lock(lock) if lock else None
    trouble = find_trouble(catalog, beats, held) or grammar_trouble(header, layout)
    if not trouble and history:
        trouble = history.problem or None
    if not trouble and not plots:
        trouble = describe_misplaced(Tree(Path(header.root), layout)) or None
    return Status(
        root=header.root,
        database=catalog.database.shown,
        sessions=sessions,
        plots=plots,
        clock=header.clock,
        indexer=beat._replace(state=indexer_state(beat, held)) if beat else None,
        others=beats[1:],
        stats=IndexerStats.load(beat.measured if beat else None),
        requests=requests,
        excess=[Excess(each, _limiting_settings(catalog, layout, each)) for each in catalog.truncations(MAX_EXCESS)],
        server=server,
        names_behind=count_names_behind(catalog),
        history=history,
        inspection=inspection,
        trouble=trouble,
    )


def _summary(beat: Heartbeat) -> dict[str, Any]:
    same = {name: getattr(beat, name) for name in ("host", "pid", "state", "heartbeat", "watched", "unwatched")}
    return {**same, "elected": IndexerStats.load(beat.measured).elected}


def _coverage(beat: Heartbeat, stats: IndexerStats) -> list[dict[str, Any]]:
    """Coverage by events and by the rolling rescan, with its staleness in seconds."""
    events = {"means": "events", "folders": beat.watched}
    if not stats.rolled_folders:
        return [events]
    rounds = {
        "means": "rounds",
        "sessions": stats.rolled_sessions,
        "folders": stats.rolled_folders,
        "polled": beat.polled,
        "by_folders": {"seconds": stats.folders_round, "age": stats.folders_age},
        "by_files": {"seconds": stats.files_round, "age": stats.files_age},
    }
    return [events, rounds]


def _describe_indexer(beat: Heartbeat) -> str:
    state = beat.state if beat.is_recent or beat.state in NOT_RUNNING else "silent"
    text = f"{state}, process {beat.pid} on {printable(beat.host)}, last heartbeat {format_age(beat.heartbeat * 1e9)}"
    elected = IndexerStats.load(beat.measured).elected
    if elected is None or state in NOT_RUNNING:
        return text
    return f"{text}; {'leader: runs the rescans' if elected else 'follower'}"


def _describe_pending(beat: Heartbeat, stats: IndexerStats) -> str:
    text = f"{beat.pending} changes, the oldest for {beat.behind:.0f} s"
    if beat.behind < HEARTBEAT_SECONDS or not stats.busy:
        return text
    return f"{text} in {printable(stats.busy)}; other sessions {beat.others_behind:.0f} s"


def _describe_scan(beat: Heartbeat, stats: IndexerStats) -> str:
    if beat.reconciled is None:
        return "not finished yet"
    text = f"{format_age(beat.reconciled * 1e9)}, took {stats.rescan:.1f} s"
    if beat.missed is None:
        return text
    total = f" ({stats.missed} in total since the indexer started)" if stats.missed else ""
    return f"{text}; missed by the watcher: {beat.missed} plots, {beat.missed_folders} folders{total}"


def _describe_rolling(stats: IndexerStats) -> str:
    folders = f"{stats.rolled_folders} folders in {stats.rolled_sessions} sessions"
    if not stats.files_round:
        return f"{folders}; the first round by files started {stats.files_age:.0f} s ago"
    staleness = f"new and removed plots appear within {stats.folders_age:.0f} s"
    return f"{folders}: {staleness}, in-place rewrites within {stats.files_age:.0f} s"


def _describe_requests(counts: Counts | None) -> str:
    if counts is None:
        return f"none counted in the last {SHOWN_MINUTES} minutes"
    lookups = counts.hits + counts.misses
    share = f", {100 * counts.hits / lookups:.1f}% from the catalogue" if lookups else ""
    return f"{lookups} lookups in the last {SHOWN_MINUTES} minutes{share}; {counts.scans} scans"


def _limiting_settings(catalog: Catalog, layout: Layout, truncation: Truncation) -> list[str]:
    """The settings that leave out plots of a session: of its two bounds, the one that it is nearer to."""
    settings = ["max_depth", "max_filename_bytes"] if truncation.folders else []
    row = catalog.session_row(truncation.session) if truncation.plots else None
    if row is None:
        return ["max_plots_per_session", "max_names_mb", *settings] if truncation.plots else settings
    share = row.plots / layout.max_plots
    is_by_names = not layout.is_within_names(row.plots + 1) and (
        catalog.names_bytes(truncation.session) / layout.max_names_bytes > share
    )
    return ["max_names_mb" if is_by_names else "max_plots_per_session", *settings]


def _describe_excess(excess: Excess) -> str:
    (session, _, plots, folders), settings = excess
    parts = []
    if plots:
        over = " or ".join(name for name in settings if name in ("max_plots_per_session", "max_names_mb"))
        parts.append(f"{plots} plots of {printable(session)}, over {over}")
    if folders:
        beyond = "deeper than max_depth or with filenames over max_filename_bytes"
        parts.append(f"{folders} plots or folders of {printable(session)}, {beyond}")
    return "; ".join(parts)
