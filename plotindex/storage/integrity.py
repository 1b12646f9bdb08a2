"""Check every page of the database in the background."""

import os
import threading

from plotindex.errors import CatalogError
from plotindex.storage.database import Database
from plotindex.storage.sqlite import wal

YIELD_SECONDS = 1.0
"""How long a writer waits for the check before each transaction, once the log is large."""
LOW_PRIORITY = 19
"""Of a check that nobody waits for (nice(2), of one thread)."""


class IntegrityCheck:
    """A running check. Writing need not wait for its end: a damaged database is discarded as a whole."""

    def __init__(self, database: Database, *, is_awaited: bool) -> None:
        """`is_awaited`: somebody waits for its end; otherwise it has a low priority."""
        self._database = database
        self._is_awaited = is_awaited
        self._error: CatalogError | None = None
        self._done = threading.Event()
        threading.Thread(target=self._check, name="soundness", daemon=True).start()

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
            if not self._is_awaited:
                os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), LOW_PRIORITY)
            self._database.check_integrity()
        except CatalogError as error:
            self._error = error
        finally:
            self._done.set()
