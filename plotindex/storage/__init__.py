"""The database of the catalogue: tables, reads, writes and search, on SQLite and PostgreSQL.

May import: errors, system, tree. Other packages do not import SQLAlchemy.
"""

from typing import TYPE_CHECKING

from plotindex.faces import lazy_names

if TYPE_CHECKING:
    from plotindex.storage.catalog import Catalog, SessionRow
    from plotindex.storage.catalog_header import Header, grammar_of
    from plotindex.storage.database import Database
    from plotindex.storage.factory import open_database
    from plotindex.storage.facts.bursts import burst_start
    from plotindex.storage.facts.consumer import InspectionConsumer
    from plotindex.storage.facts.reader import BacklogPage, FactsReader
    from plotindex.storage.facts.rows import InspectionState, Place, StoredFacts, place_of
    from plotindex.storage.facts.writer import FactsWriter
    from plotindex.storage.find import FoundPlot, PlotFilter, filenames, find_plots, project_names, session_names
    from plotindex.storage.follower import Follower
    from plotindex.storage.heartbeat import HEARTBEAT_SECONDS, Heartbeat
    from plotindex.storage.history.consumer import HistoryConsumer
    from plotindex.storage.history.reader import HistoryReader, HistoryState, HistoryTotals, KeptKey, RemovedCopy
    from plotindex.storage.history.rows import (
        DIGEST_BYTES,
        FolderIdentity,
        KeptSession,
        KeptVersion,
        PendingVersion,
        disk_bytes,
        forgotten_mark,
        is_same_content,
    )
    from plotindex.storage.history.writer import HistoryWriter
    from plotindex.storage.integrity import IntegrityCheck
    from plotindex.storage.listing import MAX_COPIES, ChangesPage, Listing, entries_of, page_of, with_siblings
    from plotindex.storage.name_filter import NameFilter
    from plotindex.storage.overview import Overview
    from plotindex.storage.rows import Entry
    from plotindex.storage.schema import HISTORY, SCHEMA
    from plotindex.storage.search.facts_filter import FactsFilter, flags_of_session, texts_of_session
    from plotindex.storage.search.flag_search import DUPLICATE, FLAGS, STALE, find_flagged
    from plotindex.storage.search.fulltext_sql import SearchTimeoutError
    from plotindex.storage.search.name_search import SearchResult
    from plotindex.storage.search.picture_search import AlikePlot, find_alike
    from plotindex.storage.search.text_search import find_texts, latest_texts
    from plotindex.storage.search.updater import IndexUpdater
    from plotindex.storage.siblings import SHOWN_FIRST, one_of_each, stem_of
    from plotindex.storage.sqlite.database import READ_SECONDS, SqliteDatabase
    from plotindex.storage.sqlite.disk_space import room_for_others, wal_bytes
    from plotindex.storage.sqlite.wal import KEPT_WAL_BYTES, max_wal_bytes, wal_problem
    from plotindex.storage.stats import BUCKETS, Histogram, IndexerStats
    from plotindex.storage.truncated_sessions import Truncation
    from plotindex.storage.urls import check_url
    from plotindex.storage.writer import Change, Writer

__all__ = [
    "BUCKETS",
    "DIGEST_BYTES",
    "DUPLICATE",
    "FLAGS",
    "HEARTBEAT_SECONDS",
    "HISTORY",
    "KEPT_WAL_BYTES",
    "MAX_COPIES",
    "READ_SECONDS",
    "SCHEMA",
    "SHOWN_FIRST",
    "STALE",
    "AlikePlot",
    "BacklogPage",
    "Catalog",
    "Change",
    "ChangesPage",
    "Database",
    "Entry",
    "FactsFilter",
    "FactsReader",
    "FactsWriter",
    "FolderIdentity",
    "Follower",
    "FoundPlot",
    "Header",
    "Heartbeat",
    "Histogram",
    "HistoryConsumer",
    "HistoryReader",
    "HistoryState",
    "HistoryTotals",
    "HistoryWriter",
    "IndexUpdater",
    "IndexerStats",
    "InspectionConsumer",
    "InspectionState",
    "IntegrityCheck",
    "KeptKey",
    "KeptSession",
    "KeptVersion",
    "Listing",
    "NameFilter",
    "Overview",
    "PendingVersion",
    "Place",
    "PlotFilter",
    "RemovedCopy",
    "SearchResult",
    "SearchTimeoutError",
    "SessionRow",
    "SqliteDatabase",
    "StoredFacts",
    "Truncation",
    "Writer",
    "burst_start",
    "check_url",
    "disk_bytes",
    "entries_of",
    "filenames",
    "find_alike",
    "find_flagged",
    "find_plots",
    "find_texts",
    "flags_of_session",
    "forgotten_mark",
    "grammar_of",
    "is_same_content",
    "latest_texts",
    "max_wal_bytes",
    "one_of_each",
    "open_database",
    "page_of",
    "place_of",
    "project_names",
    "room_for_others",
    "session_names",
    "stem_of",
    "texts_of_session",
    "wal_bytes",
    "wal_problem",
    "with_siblings",
]

__getattr__ = lazy_names(
    __name__,
    {
        "catalog": "Catalog SessionRow",
        "catalog_header": "Header grammar_of",
        "database": "Database",
        "factory": "open_database",
        "facts.bursts": "burst_start",
        "facts.consumer": "InspectionConsumer",
        "facts.reader": "BacklogPage FactsReader",
        "facts.rows": "InspectionState Place StoredFacts place_of",
        "facts.writer": "FactsWriter",
        "find": "FoundPlot PlotFilter filenames find_plots project_names session_names",
        "follower": "Follower",
        "heartbeat": "HEARTBEAT_SECONDS Heartbeat",
        "history.consumer": "HistoryConsumer",
        "history.reader": "HistoryReader HistoryState HistoryTotals KeptKey RemovedCopy",
        "history.rows": (
            "DIGEST_BYTES FolderIdentity KeptSession KeptVersion PendingVersion disk_bytes forgotten_mark "
            "is_same_content"
        ),
        "history.writer": "HistoryWriter",
        "integrity": "IntegrityCheck",
        "listing": "MAX_COPIES ChangesPage Listing entries_of page_of with_siblings",
        "name_filter": "NameFilter",
        "overview": "Overview",
        "rows": "Entry",
        "schema": "HISTORY SCHEMA",
        "search.flag_search": "DUPLICATE FLAGS STALE find_flagged",
        "search.fulltext_sql": "SearchTimeoutError",
        "search.name_search": "SearchResult",
        "search.facts_filter": "FactsFilter flags_of_session texts_of_session",
        "search.picture_search": "AlikePlot find_alike",
        "search.text_search": "find_texts latest_texts",
        "search.updater": "IndexUpdater",
        "siblings": "SHOWN_FIRST one_of_each stem_of",
        "sqlite.database": "READ_SECONDS SqliteDatabase",
        "sqlite.disk_space": "room_for_others wal_bytes",
        "sqlite.wal": "KEPT_WAL_BYTES max_wal_bytes wal_problem",
        "stats": "BUCKETS Histogram IndexerStats",
        "truncated_sessions": "Truncation",
        "urls": "check_url",
        "writer": "Change Writer",
    },
)
