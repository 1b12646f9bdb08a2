"""Prometheus metrics: counters of the server processes, and the state of the catalogue and its indexers.

Several worker processes share their counters by files in PROMETHEUS_MULTIPROC_DIR.
"""

import os
from collections import Counter as Totals
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from functools import partial
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
from prometheus_client.registry import Collector

from plotindex import __version__
from plotindex.errors import CatalogError
from plotindex.history.store import HistoryStore
from plotindex.index import CacheStatus
from plotindex.ops.counter_files import CounterFiles, CounterKey
from plotindex.ops.followers import HistoryStatus, InspectionStatus, count_names_behind
from plotindex.storage import BUCKETS, Catalog, Heartbeat, IndexerStats, wal_bytes
from plotindex.storage import Histogram as StoredHistogram

MULTIPROC_VARIABLE = "PROMETHEUS_MULTIPROC_DIR"
STATES = ("starting", "watching", "polling", "blocked", "lost", "stopped")
FAST_BUCKETS = (0.00005, 0.0001, 0.00025, 0.0005, *BUCKETS[:13])
"""In seconds, for what mostly takes less than a millisecond."""


class Metrics:
    """Counters of one server's worker processes."""

    def __init__(self) -> None:
        folder = os.environ.get(MULTIPROC_VARIABLE)
        self._files = CounterFiles(Path(folder)) if folder else None
        # The library would map its own files in that folder.
        values.ValueClass = values.MutexValue
        self._registry = CollectorRegistry()
        lookups = Histogram(
            "plotindex_lookup_duration_seconds",
            "Duration of a lookup, from a key to an open file. By source: hit, unwatched (a hit without a running "
            "indexer), miss (not indexed), stale (file is gone); the last two cause a scan.",
            ["source"],
            buckets=FAST_BUCKETS,
            registry=self._registry,
        )
        self._lookups = {source: lookups.labels(source.name.lower()) for source in CacheStatus}
        self._scans = Histogram(
            "plotindex_scan_duration_seconds",
            "Duration of a scan of all projects of a session for one filename.",
            buckets=FAST_BUCKETS,
            registry=self._registry,
        )
        self._by_route: dict[tuple[str, int], Counter] = {}
        self._responses = Counter(
            "plotindex_http_responses",
            "Responses by route and status code.",
            ["route", "code"],
            registry=self._registry,
        )

    def count_lookup(self, source: CacheStatus, seconds: float) -> None:
        self._lookups[source].observe(seconds)

    def count_scan(self, seconds: float) -> None:
        self._scans.observe(seconds)

    def count_responses(self, route: str, code: int, count: int) -> None:
        counter = self._by_route.get((route, code))
        if counter is None:
            counter = self._by_route[route, code] = self._responses.labels(route, code)
        counter.inc(count)

    def publish(self) -> None:
        """Let the other processes see the counters of this one."""
        if self._files is not None:
            self._files.write(self._counters())

    def exposition(self, catalog: Catalog, accept: str, history: HistoryStore | None = None) -> tuple[str, bytes]:
        """Content type and body of /metrics, for all workers, in the format of the Accept header."""
        registry = CollectorRegistry()
        registry.register(_FunctionCollector(self._collect))
        registry.register(_FunctionCollector(partial(_collect_catalogue, catalog)))
        registry.register(_FunctionCollector(partial(_collect_followers, catalog, history)))
        encode, content_type = choose_encoder(accept)
        return content_type, encode(registry)

    def _counters(self) -> dict[CounterKey, float]:
        return {
            CounterKey(family.name, sample.name, tuple(sample.labels.items())): sample.value
            for family in self._registry.collect()
            for sample in family.samples
            if not sample.name.endswith("_created")
        }

    def _collect(self) -> Iterator[Metric]:
        """The counters of all processes."""
        totals = Totals(self._counters())
        for counters in self._files.read_others() if self._files is not None else ():
            totals.update(counters)
        for family in self._registry.collect():
            total = Metric(family.name, family.documentation, family.type)
            for key, value in totals.items():
                if key.family == family.name:
                    total.add_sample(key.name, dict(key.labels), value)
            yield total


class _FunctionCollector(Collector):
    def __init__(self, collect: Callable[[], Iterable[Metric]]) -> None:
        self._collect = collect

    def collect(self) -> Iterable[Metric]:
        return self._collect()


def _collect_catalogue(catalog: Catalog) -> Iterator[Metric]:
    """Metrics read from the catalogue and its disk."""
    yield InfoMetricFamily("plotindex_build", "Version of plotindex.", value={"version": __version__})
    try:
        catalog.database.check_replaced()
        sessions, plots = catalog.counts()
        beats = catalog.heartbeats()
    except CatalogError:
        yield _gauge("catalogue_up", "Whether the catalogue can be read (1 or 0).", 0)
        return
    yield _gauge("catalogue_up", "Whether the catalogue can be read (1 or 0).", 1)
    yield _gauge("sessions", "Sessions with plots.", sessions)
    yield _gauge("plots", "Plots; each copy counts.", plots)
    if path := catalog.database.file:
        with suppress(OSError):
            yield _gauge("database_bytes", "Size of the database.", path.stat().st_size)
        yield _gauge("database_log_bytes", "Size of the write-ahead log (WAL).", wal_bytes(path))
        disk = os.statvfs(path.parent)
        yield _gauge("database_disk_free_bytes", "Free space on the database's disk.", disk.f_bavail * disk.f_frsize)
    up = [beat for beat in beats if beat.is_recent and beat.state != "stopped"]
    yield _gauge("indexers", "Indexers with a heartbeat in the last 15 seconds.", len(up))
    if beats:
        yield from _collect_indexer(beats[0])


def _collect_followers(catalog: Catalog, store: HistoryStore | None) -> Iterator[Metric]:
    """How far the consumers of the changes are behind, and what the history keeps."""
    behind = GaugeMetricFamily(
        "plotindex_behind_changes", "Changes that a consumer has not taken yet.", labels=["consumer"]
    )
    behind.add_metric(["names"], count_names_behind(catalog))
    with suppress(CatalogError):
        inspection = InspectionStatus.read(catalog)
        behind.add_metric(["inspection"], inspection.behind)
        if inspection.state is not None:
            yield _gauge("inspection_waiting", "Plots that are not inspected yet.", inspection.state.waiting)
            left = inspection.state.days_left * 86_400
            yield _gauge("inspection_left_seconds", "Time until all plots are inspected, at the present pace.", left)
    try:
        history = HistoryStatus.read(catalog, store)
    except CatalogError:
        history = None
    if history is not None:
        behind.add_metric(["history"], history.behind)
        yield _gauge("history_up", "Whether the history can be read and is kept (1 or 0).", not history.problem)
        yield _gauge("history_versions", "Kept versions.", history.totals.versions)
        yield _gauge("history_bytes", "Disk space of kept versions.", history.totals.bytes)
        yield _gauge("history_pending", "Versions that wait to be kept.", history.totals.pending)
        for name, what, count in (
            ("kept", "Versions kept since the history was begun.", history.state.kept),
            ("lost", "Versions overwritten or removed before they were read.", history.state.lost),
        ):
            yield CounterMetricFamily(f"plotindex_history_{name}", what, value=count)
    yield behind


def _collect_indexer(beat: Heartbeat) -> Iterator[Metric]:
    stats = IndexerStats.load(beat.measured)
    state = GaugeMetricFamily("plotindex_indexer_state", "1 for the state of the indexer.", labels=["state"])
    for name in STATES:
        state.add_metric([name], float(name == beat.state))
    yield state
    for name, what, value in (
        (
            "up",
            "Whether an indexer had a heartbeat in the last 15 seconds (1 or 0).",
            beat.is_recent and beat.state != "stopped",
        ),
        ("start_time_seconds", "Start time of the indexer.", beat.started),
        ("heartbeat_timestamp_seconds", "Time of the indexer's last heartbeat.", beat.heartbeat),
        ("rescan_timestamp_seconds", "Time of the last full scan.", beat.reconciled),
        ("rescan_duration_seconds", "Duration of the last full scan.", stats.rescan),
        ("self_test_timestamp_seconds", "Time when a self-test last passed.", beat.proven),
        ("watched_folders", "Watched folders.", beat.watched),
        ("watch_limit", "Maximum of watched folders (fs.inotify.max_user_watches, max_watches).", beat.watch_limit),
        ("unwatched_folders", "Folders that are polled instead of watched.", beat.unwatched),
        ("pending_scopes", "Scopes that wait to be reconciled.", beat.pending),
        ("behind_seconds", "Age of the oldest pending scope.", beat.behind),
        (
            "others_behind_seconds",
            "The same, except in sessions that are late by their own changes.",
            beat.others_behind,
        ),
        ("missed_plots", "Plots found by the last full scan that the watcher had missed.", beat.missed),
        ("missed_folders", "Unwatched folders found by the last full scan.", beat.missed_folders),
        ("unreadable_paths", "Unreadable paths; their plots are kept.", beat.unreadable),
        ("odd_paths", "Paths with an unsupported name or time.", beat.odd),
        ("closed_folders", "Folders the indexer may not read; their plots are kept.", stats.closed),
        ("rolled_folders", "Folders covered by the rolling rescan.", stats.rolled_folders),
    ):
        if value is not None:
            yield _gauge(f"indexer_{name}", what, value)
    yield _gauge("database_log_pinned_bytes", "Part of the WAL that a reader keeps from being truncated.", stats.pinned)
    for name, what, by_folders, by_files in (
        (
            "round",
            "Duration of the rolling rescan's last round, by folder times and by files.",
            *(stats.folders_round, stats.files_round),
        ),
        (
            "view_age",
            "Maximum staleness there: of new and removed plots (folders), and of in-place rewrites (files).",
            *(stats.folders_age, stats.files_age),
        ),
    ):
        family = GaugeMetricFamily(f"plotindex_indexer_{name}_seconds", what, labels=["by"])
        family.add_metric(["folders"], by_folders)
        family.add_metric(["files"], by_files)
        yield family
    for name, what, count in (
        ("overflows", "Overflows of the inotify event queue.", beat.overflows),
        ("restarts_of_watching", "Restarts of the watcher after a failure.", beat.replaced),
        ("missed", "Plots and folders found by full scans that the watcher had missed.", stats.missed),
    ):
        yield CounterMetricFamily(f"plotindex_indexer_{name}", what, value=count)
    yield _histogram("reconcile_duration_seconds", "Duration of each step of a reconcile.", stats.reconcile)
    yield _histogram("delay_seconds", "Delay from the last change of a plot's file to its row.", stats.delay)


def _gauge(name: str, what: str, value: float) -> Metric:
    return GaugeMetricFamily(f"plotindex_{name}", what, value=float(value))


def _histogram(name: str, what: str, stored: StoredHistogram) -> Metric:
    return HistogramMetricFamily(f"plotindex_{name}", what, buckets=stored.cumulative(), sum_value=stored.sum)
