"""Waiting for a plot that is not drawn yet."""

import os
import time

from plotindex.errors import CatalogError, SettingsError
from plotindex.index.liveness import require_indexer
from plotindex.storage import Catalog
from plotindex.system import printable
from plotindex.tree import Plot, PlotKey, Tree

LOOK_SECONDS = 0.05
CHECK_SECONDS = 1.0


def wait_for_plot(tree: Tree, catalog: Catalog, session: str, filename: str, timeout: float) -> Plot | None:
    """The current copy of a key as soon as there is one, or None when there is none within `timeout` seconds.

    Raises:
        SettingsError: no plot can have that name.
        CatalogError: the catalogue cannot be read; or it has no such plot, and nobody indexes.
    """
    key = tree.layout.parse_key(session, filename)
    if key is None:
        suffixes = " ".join(sorted(tree.layout.suffixes))
        named = printable(f"{session}/{filename}")
        raise SettingsError(f"{named} can be no plot: name a session, and a path below its projects, with {suffixes}.")
    deadline = time.monotonic() + timeout
    check_at = time.monotonic()
    while True:
        found = _look(tree, catalog, key)
        if found is not None or time.monotonic() >= deadline:
            return found
        if time.monotonic() >= check_at:
            require_indexer(catalog)
            check_at = time.monotonic() + CHECK_SECONDS
        time.sleep(min(LOOK_SECONDS, max(0.0, deadline - time.monotonic())))


def _look(tree: Tree, catalog: Catalog, key: PlotKey) -> Plot | None:
    try:
        catalog.database.check_replaced()
        row = catalog.current(key)
    except CatalogError:
        # The indexer may be making it anew; when there is none, `require_indexer` says so.
        return None
    opened = tree.open(key, row.project) if row else None
    if opened is None:
        return None
    os.close(opened.fd)
    return opened.plot
