"""The index: reconcile a scope with the catalogue, and look up the file of a key.

May import: errors, system, tree, config, storage.
"""

from typing import TYPE_CHECKING

from plotindex.faces import lazy_names

if TYPE_CHECKING:
    from plotindex.index.background import start_background
    from plotindex.index.batch_writer import write_batch
    from plotindex.index.diff import ScopeDiff
    from plotindex.index.factory import REQUEST_DATABASE_SECONDS, make_lookup, make_tree, open_catalog, prepare_catalog
    from plotindex.index.indexer_lock import IndexerLock, LockState, hold_indexer_lock, read_indexer_lock
    from plotindex.index.liveness import indexer_problem, indexer_state, require_indexer
    from plotindex.index.lookup import CacheStatus, Lookup, LookupObserver, LookupResult
    from plotindex.index.reconcile import list_sessions, reconcile, record_full_scan
    from plotindex.index.removals import count_excluded
    from plotindex.index.report import Options, Report
    from plotindex.index.root_identity import is_root_lost, require_same_root
    from plotindex.index.scan_limiter import ScansBusyError
    from plotindex.index.verify import differences
    from plotindex.index.wait_for_plot import wait_for_plot

__all__ = [
    "REQUEST_DATABASE_SECONDS",
    "CacheStatus",
    "IndexerLock",
    "LockState",
    "Lookup",
    "LookupObserver",
    "LookupResult",
    "Options",
    "Report",
    "ScansBusyError",
    "ScopeDiff",
    "count_excluded",
    "differences",
    "hold_indexer_lock",
    "indexer_problem",
    "indexer_state",
    "is_root_lost",
    "list_sessions",
    "make_lookup",
    "make_tree",
    "open_catalog",
    "prepare_catalog",
    "read_indexer_lock",
    "reconcile",
    "record_full_scan",
    "require_indexer",
    "require_same_root",
    "start_background",
    "wait_for_plot",
    "write_batch",
]

__getattr__ = lazy_names(
    __name__,
    {
        "background": "start_background",
        "batch_writer": "write_batch",
        "diff": "ScopeDiff",
        "factory": "REQUEST_DATABASE_SECONDS make_lookup make_tree open_catalog prepare_catalog",
        "indexer_lock": "IndexerLock LockState hold_indexer_lock read_indexer_lock",
        "liveness": "indexer_problem indexer_state require_indexer",
        "lookup": "CacheStatus Lookup LookupObserver LookupResult",
        "reconcile": "list_sessions reconcile record_full_scan",
        "removals": "count_excluded",
        "report": "Options Report",
        "root_identity": "is_root_lost require_same_root",
        "scan_limiter": "ScansBusyError",
        "verify": "differences",
        "wait_for_plot": "wait_for_plot",
    },
)
