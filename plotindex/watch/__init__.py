"""The indexer service: watch the tree, queue scopes, reconcile them, and report a heartbeat.

May import: errors, system, tree, config, storage, index.
"""

from typing import TYPE_CHECKING

from plotindex.faces import lazy_names

if TYPE_CHECKING:
    from plotindex.watch.background_process import background_processes
    from plotindex.watch.barriers import wait_for_sync
    from plotindex.watch.indexer import Indexer

__all__ = [
    "Indexer",
    "background_processes",
    "wait_for_sync",
]

__getattr__ = lazy_names(
    __name__,
    {
        "background_process": "background_processes",
        "barriers": "wait_for_sync",
        "indexer": "Indexer",
    },
)
