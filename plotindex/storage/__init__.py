"""The database of the catalogue: tables, reads, writes and search, on SQLite and PostgreSQL.

May import: errors, system, tree. Other packages do not import SQLAlchemy.
"""

from plotindex.storage.catalog import Catalog, Excess
from plotindex.storage.database import AnyDatabase, check_url, open_database
from plotindex.storage.find import FoundPlot, Wanted, filenames, project_names, search, session_names
from plotindex.storage.heartbeat import HEARTBEAT_SECONDS, WELL, Heartbeat, is_heard, nearest_first
from plotindex.storage.integrity import IntegrityCheck
from plotindex.storage.listing import Allows, ChangesPage, Entry, Listing, entries_of, page_of
from plotindex.storage.overview import Overview
from plotindex.storage.schema import SCHEMA
from plotindex.storage.search.search import SearchResult
from plotindex.storage.search.updater import IndexUpdater
from plotindex.storage.sqlite.database import READ_SECONDS, Database
from plotindex.storage.sqlite.engine import KEPT_LOG_BYTES
from plotindex.storage.sqlite.wal import MOST_BYTES, log_bytes, overgrown
from plotindex.storage.stats import SECONDS, Histogram, IndexerStats
from plotindex.storage.writer import Change, Writer

__all__ = [
    "HEARTBEAT_SECONDS",
    "KEPT_LOG_BYTES",
    "MOST_BYTES",
    "READ_SECONDS",
    "SCHEMA",
    "SECONDS",
    "WELL",
    "Allows",
    "AnyDatabase",
    "Catalog",
    "Change",
    "ChangesPage",
    "Database",
    "Entry",
    "Excess",
    "FoundPlot",
    "Heartbeat",
    "Histogram",
    "IndexUpdater",
    "IndexerStats",
    "IntegrityCheck",
    "Listing",
    "Overview",
    "SearchResult",
    "Wanted",
    "Writer",
    "check_url",
    "entries_of",
    "filenames",
    "is_heard",
    "log_bytes",
    "nearest_first",
    "open_database",
    "overgrown",
    "page_of",
    "project_names",
    "search",
    "session_names",
]
