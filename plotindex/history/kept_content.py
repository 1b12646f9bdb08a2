"""What the history has read of a plot, for others that need the same bytes: the plot is read once for both."""

from collections.abc import Callable
from contextlib import suppress
from typing import NamedTuple, TypeVar

from plotindex.errors import CatalogError
from plotindex.history.store import HistoryStore
from plotindex.storage import HistoryReader, KeptSession
from plotindex.tree import Plot

T = TypeVar("T")


class OpenContent(NamedTuple):
    """The stored bytes of a version; the caller closes the descriptor."""

    digest: str
    """That they had when they were stored."""
    fd: int


class KeptContent:
    """The versions that the history has read, and those that it is about to read.

    Where the history is off, or cannot be read, it has none: each plot can still be read itself.
    """

    def __init__(self, store: HistoryStore | None) -> None:
        self._store = store

    def is_awaited(self, plot: Plot) -> bool:
        """Whether a version of this copy is yet to be kept."""
        return self._ask(plot, HistoryReader.is_pending) or False

    def open(self, plot: Plot) -> OpenContent | None:
        """The stored bytes of exactly this version; None if it is not kept."""
        digest = self._ask(plot, HistoryReader.digest_of)
        if digest is None or self._store is None:
            return None
        with suppress(CatalogError, OSError), self._store.folder.opened() as contents:
            return OpenContent(digest, contents.open(digest))
        return None

    def _ask(self, plot: Plot, question: Callable[[HistoryReader, KeptSession, Plot], T]) -> T | None:
        """Ask about a plot in the folder that has the name of its session now."""
        with suppress(CatalogError, OSError):
            if self._store is None or not self._store.exists():
                return None
            with self._store.reading() as reader:
                folder = next(iter(reader.sessions(plot.session)), None)
                return question(reader, folder, plot) if folder else None
        return None
