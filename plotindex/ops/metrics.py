"""Numbers for Prometheus: what the processes of a server count, and what the catalogue says.

With several worker processes each keeps its numbers in a file, as prometheus-client does it: PROMETHEUS_MULTIPROC_DIR
names the folder.
"""

import os
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

from prometheus_client import CollectorRegistry, Counter, Histogram, values
from prometheus_client.exposition import choose_encoder
from prometheus_client.metrics_core import (
    CounterMetricFamily,
    GaugeMetricFamily,
    HistogramMetricFamily,
    InfoMetricFamily,
    Metric,
)
from prometheus_client.multiprocess import MultiProcessCollector
from prometheus_client.registry import Collector

from plotindex import __version__
from plotindex.errors import CatalogError
from plotindex.index import CacheStatus
from plotindex.storage import BUCKET_SECONDS, Catalog, Heartbeat, IndexerStats, wal_bytes
from plotindex.storage import Histogram as Counted

FOLDER = "PROMETHEUS_MULTIPROC_DIR"
STATES = ("starting", "watching", "polling", "blocked", "lost", "stopped")
QUICK = (0.00005, 0.0001, 0.00025, 0.0005, *BUCKET_SECONDS[:13])
"""Bounds for what mostly takes less than a millisecond."""
SOURCES = {
    CacheStatus.HIT: "hit",
    CacheStatus.UNWATCHED: "unwatched",
    CacheStatus.MISS: "miss",
    CacheStatus.STALE: "stale",
}


class Metrics:
    """What the worker processes of one server count."""

    def __init__(self) -> None:
        # Chosen by the folder when the library was imported, and it may be known only now.
        values.ValueClass = values.get_value_class()  # type: ignore[no-untyped-call]  # it has no types
        self._registry = CollectorRegistry()
        lookups = Histogram(
            "plotindex_lookup_duration_seconds",
            "From a key to an open plot, or to none. By source: hit, unwatched (a hit that nobody keeps up to date), "
            "miss (no row), stale (its file is gone); the last two are answered by a scan.",
            ["source"],
            buckets=QUICK,
            registry=self._registry,
        )
        self._lookups = {source: lookups.labels(name) for source, name in SOURCES.items()}
        self._scans = Histogram(
            "plotindex_scan_duration_seconds",
            "Looking into every project of a session for one name.",
            buckets=QUICK,
            registry=self._registry,
        )
        self._by_route: dict[tuple[str, int], Counter] = {}
        self._responses = Counter(
            "plotindex_http_responses",
            "Answers by route and status code.",
            ["route", "code"],
            registry=self._registry,
        )

    def count_lookup(self, source: CacheStatus, seconds: float) -> None:
        self._lookups[source].observe(seconds)

    def count_scan(self, seconds: float) -> None:
        self._scans.observe(seconds)

    def count_response(self, route: str, code: int) -> None:
        counter = self._by_route.get((route, code))
        if counter is None:
            counter = self._by_route[route, code] = self._responses.labels(route, code)
        counter.inc()

    def exposition(self, catalog: Catalog, accept: str) -> tuple[str, bytes]:
        """Everything, of all workers, as `accept` has it: the content type and the content."""
        registry = CollectorRegistry()
        if FOLDER in os.environ:
            MultiProcessCollector(registry)  # type: ignore[no-untyped-call]  # as its manual has it
        else:
            registry.register(_All(self._registry.collect))
        registry.register(_All(lambda: describe_catalogue(catalog)))
        encode, content_type = choose_encoder(accept)
        return content_type, encode(registry)


class _All(Collector):
    def __init__(self, collect: Callable[[], Iterable[Metric]]) -> None:
        self._collect = collect

    def collect(self) -> Iterable[Metric]:
        return self._collect()


def describe_catalogue(catalog: Catalog) -> Iterator[Metric]:
    """What the catalogue and its indexer are like now."""
    yield InfoMetricFamily("plotindex_build", "Which plotindex answers.", value={"version": __version__})
    try:
        catalog.database.check_replaced()
        sessions, plots = catalog.counts()
        beats = catalog.heartbeats()
    except CatalogError:
        yield _gauge("catalogue_up", "Whether the catalogue can be read: 1, or 0.", 0)
        return
    yield _gauge("catalogue_up", "Whether the catalogue can be read: 1, or 0.", 1)
    yield _gauge("sessions", "Sessions that have plots.", sessions)
    yield _gauge("plots", "Plots, each project's copy by itself.", plots)
    if path := catalog.database.file:
        yield _gauge("database_bytes", "Size of the database.", _size_of(path))
        yield _gauge("database_log_bytes", "Size of the log beside the database (WAL).", wal_bytes(path))
        disk = os.statvfs(path.parent)
        yield _gauge("database_disk_free_bytes", "Room on the disk of the database.", disk.f_bavail * disk.f_frsize)
    heard = [beat for beat in beats if beat.is_recent and beat.state != "stopped"]
    yield _gauge("indexers", "Indexers that were heard within the last 15 seconds.", len(heard))
    if beats:
        yield from _describe_indexer(beats[0])


def _describe_indexer(beat: Heartbeat) -> Iterator[Metric]:
    heard = beat.is_recent and beat.state != "stopped"
    yield _gauge("indexer_up", "Whether an indexer was heard within the last 15 seconds: 1, or 0.", heard)
    state = GaugeMetricFamily("plotindex_indexer_state", "1 for the state that the indexer is in.", labels=["state"])
    for name in STATES:
        state.add_metric([name], float(name == beat.state))
    yield state
    for name, what, value in (
        ("indexer_start_time_seconds", "When the indexer was started.", beat.started),
        ("indexer_heartbeat_timestamp_seconds", "When the indexer was last heard.", beat.heartbeat),
        ("indexer_rescan_timestamp_seconds", "When everything had last been looked at.", beat.reconciled),
        ("indexer_self_test_timestamp_seconds", "When a self-test last came back.", beat.proven),
        ("indexer_watched_folders", "Folders that are watched.", beat.watched),
        (
            "indexer_watch_limit",
            "How many folders may be watched (fs.inotify.max_user_watches, max_watches).",
            beat.watch_limit,
        ),
        ("indexer_unwatched_folders", "Folders that are not watched; they are looked at instead.", beat.unwatched),
        ("indexer_pending_scopes", "What waits to be looked at.", beat.pending),
        ("indexer_behind_seconds", "For how long the oldest of it has waited.", beat.behind),
        ("indexer_missed_plots", "Plots that the last rescan found and the watcher had missed.", beat.missed),
        ("indexer_missed_folders", "Folders that the last rescan found unwatched.", beat.missed_folders),
        ("indexer_unreadable_paths", "Paths that cannot be looked at; what is known of them is kept.", beat.unreadable),
        ("indexer_odd_paths", "Paths that are not indexed as they are.", beat.odd),
    ):
        if value is not None:
            yield _gauge(name, what, value)
    measured = IndexerStats.load(beat.measured)
    yield _gauge("indexer_rescan_duration_seconds", "How long the last look at everything took.", measured.rescan)
    yield _gauge(
        "database_log_pinned_bytes", "What of the log a reader keeps from going into the database.", measured.pinned
    )
    yield _gauge(
        "indexer_closed_folders", "Folders that the indexer cannot look into; what is known is kept.", measured.closed
    )
    yield _gauge("indexer_rolled_folders", "Folders that the rolling rescan looks at.", measured.rolled_folders)
    for name, what, by_folders, by_files in (
        (
            "round",
            "How long the rolling rescan's last whole round took, by folders' times and by files.",
            *(measured.folders_round, measured.files_round),
        ),
        (
            "view_age",
            "For how long what came or went (folders) or was rewritten in place (files) can be unknown there.",
            *(measured.folders_age, measured.files_age),
        ),
    ):
        family = GaugeMetricFamily(f"plotindex_indexer_{name}_seconds", what, labels=["by"])
        family.add_metric(["folders"], by_folders)
        family.add_metric(["files"], by_files)
        yield family
    for name, what, count in (
        ("indexer_overflows", "How often the kernel's queue of events overflowed.", beat.overflows),
        ("indexer_restarts_of_watching", "How often watching was lost and begun anew.", beat.replaced),
        ("indexer_missed", "Plots and folders that rescans found and the watcher had missed.", measured.missed),
    ):
        yield CounterMetricFamily(f"plotindex_{name}", what, value=count)
    yield _histogram("reconcile_duration_seconds", "Each step of reconciling.", measured.reconcile)
    yield _histogram("delay_seconds", "From the last change of a plot's file to its row.", measured.delay)


def _gauge(name: str, what: str, value: float) -> Metric:
    return GaugeMetricFamily(f"plotindex_{name}", what, value=float(value))


def _histogram(name: str, what: str, counted: Counted) -> Metric:
    return HistogramMetricFamily(f"plotindex_{name}", what, buckets=counted.cumulative(), sum_value=counted.sum)


def _size_of(path: Path) -> int:
    try:
        return path.stat().st_size
    except OSError:
        return 0
