"""Wait until a plot exists."""

import os
import time
from pathlib import Path

from plotindex.errors import CatalogError, SettingsError
from plotindex.index.liveness import require_indexer
from plotindex.storage import Catalog, FactsReader
from plotindex.system import printable
from plotindex.tree import Plot, PlotKey, Tree

POLL_SECONDS = 0.05
INDEXER_CHECK_SECONDS = 1.0


def wait_for_plot(
    tree: Tree,
    catalog: Catalog,
    session: str,
    filename: str,
    timeout: float,
    *,
    lock: Path | None = None,
    not_blank: bool = False,
) -> Plot | None:
    """The current copy of a key as soon as it exists, or None after `timeout` seconds.

    `lock` is the lock file of this host's indexer. `not_blank`: as soon as inspection has found it to show something.

    Raises:
        SettingsError: the name is not that of a plot.
        CatalogError: the plot does not exist and no indexer runs, or the catalogue cannot be read.
    """
    key = tree.layout.parse_key(session, filename)
    if key is None:
        suffixes = " ".join(sorted(tree.layout.suffixes))
        raise SettingsError(
            f"{printable(f'{session}/{filename}')} is not a valid plot: "
            f"expected a session, and a path below its projects that ends with one of {suffixes}."
        )
    deadline = time.monotonic() + timeout
    check_at = time.monotonic()
    while True:
        plot = _find_current(tree, catalog, key)
        if plot is not None and not_blank and not _shows_something(catalog, plot):
            plot = None
        if plot is not None or time.monotonic() >= deadline:
            return plot
        if time.monotonic() >= check_at:
            require_indexer(catalog, lock)
            check_at = time.monotonic() + INDEXER_CHECK_SECONDS
        time.sleep(min(POLL_SECONDS, max(0.0, deadline - time.monotonic())))


def _find_current(tree: Tree, catalog: Catalog, key: PlotKey) -> Plot | None:
    try:
        catalog.database.check_replaced()
        row = catalog.current(key)
    except CatalogError:
        # The indexer may be rebuilding it. If no indexer runs, `require_indexer` raises.
        return None
    opened = tree.open(key, row.project) if row else None
    if opened is None:
        return None
    os.close(opened.fd)
    return opened.plot


def _shows_something(catalog: Catalog, plot: Plot) -> bool:
    try:
        with catalog.database.reading() as connection:
            found = FactsReader(connection).facts(plot)
    except CatalogError:
        return False
    return found is not None and not found.flags & {"blank", "broken"}
