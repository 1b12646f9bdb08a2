"""Reading every page of the database, while something else is done."""

import threading

from plotindex.errors import CatalogError
from plotindex.storage.database import Database
from plotindex.storage.sqlite import wal

LONG_SECONDS = 1.0
"""So long does whoever writes wait for it before each transaction, when the log has grown long."""


class IntegrityCheck:
    """A check that has begun. What is written before it ends is no loss: of a damaged database nothing is kept."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._error: CatalogError | None = None
        self._ended = threading.Event()
        threading.Thread(target=self._check, name="soundness", daemon=True).start()

    @property
    def is_done(self) -> bool:
        """Whether it has ended, whatever was found."""
        return self._ended.is_set()

    def wait(self, seconds: float | None = 0.0) -> bool:
        """Wait for its end, with None as long as it takes; return whether it has come.

        Raises:
            DamagedDatabaseError: the database is damaged.
            CatalogError: it cannot be read.
        """
        file = self._database.file
        if file is not None and wal.is_long(file):
            # As long as somebody reads, all that is written makes the log longer.
            seconds = None if seconds is None else max(seconds, LONG_SECONDS)
        has_ended = self._ended.wait(seconds)
        if self._error is not None:
            raise self._error
        return has_ended

    def _check(self) -> None:
        try:
            self._database.check_integrity()
        except CatalogError as error:
            self._error = error
        finally:
            self._ended.set()
