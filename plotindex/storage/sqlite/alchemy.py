"""SQLAlchemy on an open connection to an SQLite file."""

import sqlite3
from typing import Any

from sqlalchemy import Connection, StaticPool, create_engine

from plotindex.storage.sqlite.read_only import ReadConnection


def open_alchemy(driver: ReadConnection) -> Connection:
    """SQLAlchemy's connection on the driver's own, within its transaction."""
    if driver.engine is None:
        lent = _Lent(driver)
        driver.engine = create_engine(
            "sqlite://", creator=lambda: lent, poolclass=StaticPool, pool_reset_on_return=None, module=sqlite3
        )
    return driver.engine.connect()


class _Lent:
    """A connection whose transaction is another's: it is neither ended nor closed."""

    def __init__(self, driver: ReadConnection) -> None:
        self._driver = driver

    def __getattr__(self, name: str) -> Any:  # noqa: ANN401 - of the driver
        return getattr(self._driver, name)

    def commit(self) -> None:
        pass

    def rollback(self) -> None:
        pass

    def close(self) -> None:
        pass
