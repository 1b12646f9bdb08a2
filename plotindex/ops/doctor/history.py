"""Checks of the history: that rows and bytes belong to each other, and that it is kept."""

import time
from collections.abc import Iterator

from plotindex.history.contents import HistoryError
from plotindex.history.store import HistoryStore
from plotindex.ops.doctor.context import LOCK_TIMEOUT, Context
from plotindex.ops.doctor.findings import Finding, bad, ok, quantity, split_remedy, warn
from plotindex.system import format_size, printable

KEEPING_SECONDS = 60.0
"""From a stored content to its row, at most, on a slow disk."""


def check_history(context: Context) -> Iterator[Finding]:
    """Check that the history can be read, and that neither rows nor bytes are alone."""
    settings = context.settings
    store = HistoryStore.from_settings(settings, LOCK_TIMEOUT)
    if store is None:
        if settings.history_mb:
            remedy = "set history_dir to a folder that all nodes share, or history_mb to 0"
            yield warn("history", "Overwritten and deleted plots are not kept: the catalogue is shared", remedy)
        else:
            yield ok("history", "The history is off (history_mb 0)")
        return
    try:
        if not store.exists():
            yield ok("history", "No version is kept yet")
            return
        yield from _findings(store, has_root=context.has_root)
    except HistoryError as error:
        seen, remedy = split_remedy(str(error))
        yield bad("history", seen, remedy or "see the log of `plotindex watch`")
    finally:
        store.database.close()


def _findings(store: HistoryStore, *, has_root: bool) -> Iterator[Finding]:
    store.check_folder()
    files, lost = _read(store)
    if files or lost:
        # What is being thinned meanwhile is alone for a moment: look at the rest again.
        again = _read(store)
        files, lost = files & again[0], lost & again[1]
    folder = printable(str(store.folder.path))
    if files:
        seen = f"{quantity(len(files), 'file')} of {folder} {'is' if len(files) == 1 else 'are'} of no kept version"
        yield warn("history", seen, "restart the indexer, which removes them")
    if lost:
        seen = f"The bytes of {quantity(len(lost), 'kept content')} are missing from {folder}"
        yield bad(
            "history",
            seen,
            "`plotindex restore` a backup with the history, or restart the indexer, which removes their rows",
        )
    with store.reading() as reader:
        totals, state = reader.totals(), reader.state()
    # Of a missing root the check `root` tells.
    if state is not None and state.problem and has_root:
        seen, remedy = split_remedy(state.problem)
        yield bad("history", f"Nothing is kept: {seen}", remedy or "see the log of `plotindex watch`")
    elif not files and not lost:
        verb = "is" if totals.versions == 1 else "are"
        yield ok("history", f"{quantity(totals.versions, 'version')} {verb} kept, {format_size(totals.bytes)}")


def _read(store: HistoryStore) -> tuple[set[str], set[str]]:
    """The contents that no row needs, and those needed that are not stored."""
    with store.folder.opened() as contents:
        stored = contents.digests()
        with store.reading() as reader:
            needed = reader.digests()
        # A new file may be waiting for its row.
        latest = time.time() - KEEPING_SECONDS
        return {digest for digest in stored - needed if 0 < contents.written_at(digest) < latest}, needed - stored
