"""Check every page of the database in the background."""

import threading

from plotindex.errors import CatalogError
from plotindex.storage.database import Database
from plotindex.storage.sqlite import wal

YIELD_SECONDS = 1.0
"""How long a writer waits for the check before each transaction, once the log is large."""


class IntegrityCheck:
    """A running check. Writing need not wait for its end: a damaged database is discarded as a whole."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._error: CatalogError | None = None
        self._done = threading.Event()
        threading.Thread(target=self._check, name="soundness", daemon=True).start()

    @property
    def is_done(self) -> bool:
        """Whether it has ended, with any result."""
        return self._done.is_set()

    def wait(self, seconds: float | None = 0.0) -> bool:
        """Wait for the end, with None indefinitely; return whether it has come.

        Raises:
            DamagedDatabaseError: the database is damaged.
            CatalogError: it cannot be read.
        """
        file = self._database.file
        if file is not None and wal.is_large(file):
            # The log cannot shrink while the check reads.
            seconds = None if seconds is None else max(seconds, YIELD_SECONDS)
        is_done = self._done.wait(seconds)
        if self._error is not None:
            raise self._error
        return is_done

    def _check(self) -> None:
        try:
            self._database.check_integrity()
        except CatalogError as error:
            self._error = error
        finally:
            self._done.set()
