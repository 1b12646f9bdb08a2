"""The index: reconcile a scope with the catalogue, and look up the file of a key.

May import: errors, system, tree, config, storage.
"""

from plotindex.index.diff import ScopeDiff
from plotindex.index.factory import ANSWER_SECONDS, make_lookup, open_catalog, prepare_catalog, tree_of
from plotindex.index.indexer_lock import Indexing, indexing, sole_indexer
from plotindex.index.liveness import require_indexer, silence_of, state_of
from plotindex.index.lookup import Lookup, Observer, Source
from plotindex.index.reconcile import finish, reconcile, sessions_to_look_at, settle
from plotindex.index.report import Options, Report
from plotindex.index.root_identity import is_away
from plotindex.index.scan_limiter import ScansBusyError
from plotindex.index.verify import differences
from plotindex.index.wait import wait_for_plot

__all__ = [
    "ANSWER_SECONDS",
    "Indexing",
    "Lookup",
    "Observer",
    "Options",
    "Report",
    "ScansBusyError",
    "ScopeDiff",
    "Source",
    "differences",
    "finish",
    "indexing",
    "is_away",
    "make_lookup",
    "open_catalog",
    "prepare_catalog",
    "reconcile",
    "require_indexer",
    "sessions_to_look_at",
    "settle",
    "silence_of",
    "sole_indexer",
    "state_of",
    "tree_of",
    "wait_for_plot",
]
