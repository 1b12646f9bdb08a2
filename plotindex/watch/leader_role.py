"""Leader election between the indexers of a shared catalogue."""

import logging

from plotindex.storage import Database

log = logging.getLogger(__name__)


class Leadership:
    """Whether this indexer is the leader, which runs the periodic full scans, polls shared file systems and trims."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self.elected: bool | None = None
        """Result of the last election; None before, and where the catalogue is not shared."""

    @property
    def is_leader(self) -> bool:
        return self.elected is not False

    def check(self) -> bool:
        """Take part in the election; return whether leadership passed to this indexer from another one.

        Raises:
            CatalogError: the database cannot be reached.
        """
        if not self._database.is_shared:
            return False
        before, self.elected = self.elected, self._database.is_leader()
        is_acquired = self.elected and before is False
        if is_acquired:
            log.info("Leadership acquired: this indexer now runs the periodic full scans.")
        elif before and not self.elected:
            log.warning("Leadership lost: another indexer now runs the periodic full scans.")
        return is_acquired
