"""Which of several indexers looks at everything now and then, and trims: whoever holds a lock of the server's."""

import logging
import time
from collections.abc import Callable

from plotindex.errors import CatalogError
from plotindex.storage.postgres.connections import Broken, Lone

ASK_SECONDS = 1.0
"""How often the lock is asked for, or whether it is held still."""
SILENT_SECONDS = 6.0
"""The server takes the lock from whoever has not asked for so long: stopped, cut off, or asleep."""

log = logging.getLogger(__name__)

_LOCK = "SELECT pg_try_advisory_lock(hashtextextended('plotindex rescans', to_regclass('catalogue')::oid::bigint))"


class Election:
    """One indexer's part in it. What it holds ends with the connection it has for that, on either side."""

    def __init__(self, connect: Callable[[float], Lone]) -> None:
        """`connect` makes a connection that the server ends after so many seconds of silence."""
        self._connect = connect
        self._connection: Lone | None = None
        self._asked_at = -ASK_SECONDS
        self._trouble = ""
        self.is_won = False

    def ask(self) -> bool:
        """Whether this indexer is the one; asked of the server once a second."""
        if time.monotonic() - self._asked_at >= ASK_SECONDS:
            try:
                self.is_won = self._ask()
            except (Broken, CatalogError) as error:
                self.resign()
                trouble = str(error).partition("\n")[0]
                if trouble != self._trouble:
                    self._trouble = trouble
                    log.warning("Whether this indexer is to look at everything cannot be asked: %s", trouble)
            self._asked_at = time.monotonic()
        return self.is_won

    def _ask(self) -> bool:
        if self._connection is not None and self.is_won:
            # An answer is the proof: the lock lasts as long as the connection.
            self._connection.ask("SELECT 1")
            return True
        if self._connection is None:
            self._connection = self._connect(SILENT_SECONDS)
        return bool(self._connection.ask(_LOCK))

    def resign(self) -> None:
        """Let another one be it."""
        self.is_won = False
        connection, self._connection = self._connection, None
        if connection is not None:
            connection.close()
