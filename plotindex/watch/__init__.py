"""The indexer service: watch the tree, queue scopes, reconcile them, and report a heartbeat.

May import: errors, system, tree, config, storage, index.
"""

from plotindex.watch.barriers import wait_for_answer
from plotindex.watch.indexer import Indexer, Rhythm

__all__ = [
    "Indexer",
    "Rhythm",
    "wait_for_answer",
]
