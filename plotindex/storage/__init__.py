"""The database of the catalogue: tables, reads, writes and search, on SQLite and PostgreSQL.

May import: errors, system, tree. Other packages do not import SQLAlchemy.
"""

from plotindex.storage.catalog import Catalog, SessionRow
from plotindex.storage.catalog_header import Header, grammar_of
from plotindex.storage.database import Database
from plotindex.storage.factory import open_database
from plotindex.storage.find import FoundPlot, PlotFilter, filenames, find_plots, project_names, session_names
from plotindex.storage.heartbeat import HEARTBEAT_SECONDS, Heartbeat
from plotindex.storage.integrity import IntegrityCheck
from plotindex.storage.listing import ChangesPage, Entry, Listing, entries_of, page_of
from plotindex.storage.name_filter import NameFilter
from plotindex.storage.overview import Overview
from plotindex.storage.schema import SCHEMA
from plotindex.storage.search.name_search import SearchResult
from plotindex.storage.search.updater import IndexUpdater
from plotindex.storage.sqlite.database import READ_SECONDS, SqliteDatabase
from plotindex.storage.sqlite.disk_space import wal_bytes
from plotindex.storage.sqlite.wal import KEPT_WAL_BYTES, max_wal_bytes, wal_problem
from plotindex.storage.stats import BUCKETS, Histogram, IndexerStats
from plotindex.storage.truncated_sessions import Truncation
from plotindex.storage.urls import check_url
from plotindex.storage.writer import Change, Writer

__all__ = [
    "BUCKETS",
    "HEARTBEAT_SECONDS",
    "KEPT_WAL_BYTES",
    "READ_SECONDS",
    "SCHEMA",
    "Catalog",
    "Change",
    "ChangesPage",
    "Database",
    "Entry",
    "FoundPlot",
    "Header",
    "Heartbeat",
    "Histogram",
    "IndexUpdater",
    "IndexerStats",
    "IntegrityCheck",
    "Listing",
    "NameFilter",
    "Overview",
    "PlotFilter",
    "SearchResult",
    "SessionRow",
    "SqliteDatabase",
    "Truncation",
    "Writer",
    "check_url",
    "entries_of",
    "filenames",
    "find_plots",
    "grammar_of",
    "max_wal_bytes",
    "open_database",
    "page_of",
    "project_names",
    "session_names",
    "wal_bytes",
    "wal_problem",
]
