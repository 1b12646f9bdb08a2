"""The indexer service: watch the tree, queue scopes, reconcile them, and report a heartbeat.

May import: errors, system, tree, config, storage, index.
"""

from plotindex.watch.barriers import wait_for_sync
from plotindex.watch.indexer import Indexer

__all__ = [
    "Indexer",
    "wait_for_sync",
]
