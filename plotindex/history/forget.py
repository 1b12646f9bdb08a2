"""Forget what was kept of a session or a key, for good."""

from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

from plotindex.history.store import HistoryStore
from plotindex.rendering.cache import PAIR_END, cache_key
from plotindex.rendering.thumbnails import WIDTHS
from plotindex.storage import SqliteDatabase, forgotten_mark
from plotindex.system import open_private_folder
from plotindex.tree import Plot, PlotKey, Scope, Tree


class Forgotten(NamedTuple):
    """What was forgotten."""

    versions: int
    contents: int
    """Files of bytes that nothing else needed."""
    pictures: int


def forget(store: HistoryStore, tree: Tree, thumbnails: Path, session: str, filename: str | None = None) -> Forgotten:
    """Remove the rows, bytes and pictures of all versions; keep none of them again, nor the plots that are there now.

    Raises:
        HistoryError: the history cannot be written, or a reader holds its log.
        SettingsError: its folder is not this user's.
        OSError: the plots that are there now cannot be read.
    """
    present = _present_plots(tree, session, filename)
    with store.locked(), store.folder.opened() as contents:
        with store.writing() as writer:
            kept = writer.reader.all_versions(session, filename)
            plots = [version.plot for version in kept]
            writer.forget({forgotten_mark(plot) for plot in (*plots, *present)})
            freed = writer.remove(version.id for version in kept)
            writer.remove_copies(session, filename)
        contents.delete_all(freed)
        if isinstance(store.database, SqliteDatabase):
            store.database.truncate_log()
    return Forgotten(len(kept), len(freed), _delete_pictures(thumbnails, plots))


def _present_plots(tree: Tree, session: str, filename: str | None) -> Sequence[Plot]:
    if filename is None:
        return tree.walk(Scope(session)).plots
    return tree.find(PlotKey(session, filename))


def _delete_pictures(folder: Path, plots: Sequence[Plot]) -> int:
    """Delete the cached pictures of these versions; return how many there were."""
    names = {cache_key(plot, width) for plot in plots for width in WIDTHS}
    with suppress(FileNotFoundError, NotADirectoryError), open_private_folder(folder) as opened:
        present = set(opened.names())
        cached = names & present
        # Comparisons tell texts of plots, and their names do not tell which.
        for name in cached | {name for name in present if name.endswith(PAIR_END)}:
            opened.delete(name)
        return len(cached)
    return 0
