"""Leader election among indexers: the leader holds an advisory lock of the server."""

import logging
import time
from collections.abc import Callable

from plotindex.errors import CatalogError
from plotindex.storage.postgres.connections import DedicatedConnection, DriverError

CHECK_SECONDS = 1.0
"""How often to try to take the lock, or to check that it is still held."""
SILENT_SECONDS = 6.0
"""The server takes the lock from a leader that has not checked for so long: stopped, cut off, or suspended."""

log = logging.getLogger(__name__)

_LOCK = "SELECT pg_try_advisory_lock(hashtextextended('plotindex rescans', to_regclass('catalogue')::oid::bigint))"


class LeaderElection:
    """One indexer's part in the election. The lock lasts as long as the connection that took it."""

    def __init__(self, connect: Callable[[float], DedicatedConnection]) -> None:
        """`connect` makes a connection that the server closes after so many idle seconds."""
        self._connect = connect
        self._connection: DedicatedConnection | None = None
        self._checked_at = -CHECK_SECONDS
        self._logged = ""
        self._is_leader = False

    def check(self) -> bool:
        """Whether this indexer is the leader; asks the server once a second."""
        if time.monotonic() - self._checked_at >= CHECK_SECONDS:
            try:
                self._is_leader = self._hold_lock()
            except (DriverError, CatalogError) as error:
                self.resign()
                reason = str(error).partition("\n")[0]
                if reason != self._logged:
                    self._logged = reason
                    log.warning("Leader election failed: %s", reason)
            self._checked_at = time.monotonic()
        return self._is_leader

    def _hold_lock(self) -> bool:
        if self._connection is not None and self._is_leader:
            # Any answer proves that the connection lives, and with it the lock.
            self._connection.fetch_value("SELECT 1")
            return True
        if self._connection is None:
            self._connection = self._connect(SILENT_SECONDS)
        return bool(self._connection.fetch_value(_LOCK))

    def resign(self) -> None:
        """Release the lock."""
        self._is_leader = False
        connection, self._connection = self._connection, None
        if connection is not None:
            connection.close()
