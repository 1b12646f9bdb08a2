"""The database of a catalogue: what SQLite and PostgreSQL offer alike."""

from abc import ABC, abstractmethod
from collections.abc import Collection, Mapping
from contextlib import AbstractContextManager
from functools import cache
from pathlib import Path
from typing import Any, ClassVar

from plotindex.errors import CatalogError, DamagedDatabaseError, UnusableDatabaseError
from plotindex.storage.commit_notifications import CommitNotifications
from plotindex.storage.schema import CATALOGUE, Schema, known_revisions
from plotindex.storage.statements import Connection, Prepared


class Database(ABC):
    """One database. Opens and creates nothing before it is used.

    Every method that uses the database raises CatalogError where it cannot be read or written.
    """

    is_shared: ClassVar[bool]
    """Whether indexers and servers of several hosts may use it at once."""
    file: Path | None = None
    """The database file; None on a server."""
    path: Path
    """The same, for callers that have checked `file`; unset on a server."""
    _commits: CommitNotifications

    def __init__(self, shown: str, schema: Schema = CATALOGUE) -> None:
        self.schema = schema
        self.shown = shown
        """Its name in messages, without any password."""
        self.generation = 0
        """How many databases were found at this place, one after the other."""

    @abstractmethod
    def writing(
        self, timeout: float | None = None, sessions: Collection[str] = ()
    ) -> AbstractContextManager[Connection]:
        """One write transaction, with these sessions locked. `timeout` in seconds is for the lock.

        Raises:
            LockTimeoutError: others held the lock for longer.
            ConflictError: a concurrent transaction won; nothing was written; try again.
        """

    @abstractmethod
    def reading(self, *, is_long: bool = False) -> AbstractContextManager[Connection]:
        """One read transaction: every statement in it sees the same commit. A long one may read every row."""

    @abstractmethod
    def fetch_one(self, query: Prepared, values: Mapping[str, object]) -> Any:  # noqa: ANN401 - a row of the driver
        """The first row of a query in text, or None, outside of any transaction. For the hot path."""

    @abstractmethod
    def migrate(self) -> None:
        """Create the tables, or bring them to this version's schema, in one transaction.

        Raises:
            UnusableDatabaseError: it belongs to a newer plotindex or another program.
        """

    @abstractmethod
    def check_replaced(self) -> None:
        """Reconnect if another database, or a file of it, has replaced the open one; count it in `generation`.

        Raises:
            CatalogError: there is no database.
            DamagedDatabaseError: it was found damaged before.
        """

    @abstractmethod
    def mark_damaged(self) -> DamagedDatabaseError:
        """Record that the database returned nonsense; return the error to raise."""

    def exists(self) -> bool:
        """Whether the database file exists; True for a server."""
        return self.file is None or self.file.exists()

    @abstractmethod
    def describe(self) -> dict[str, Any]:
        """Version, schema and sizes, for a support bundle."""

    @abstractmethod
    def close(self) -> None:
        """Close every connection. The next use opens new ones."""

    @abstractmethod
    def _table_names(self, connection: Connection) -> set[str]:
        """The tables in the database."""

    def _is_plausible(self, connection: Connection) -> bool:  # noqa: ARG002 - of the interface
        """Whether the values that describe the catalogue have the types of their columns; a server enforces these."""
        return True

    def check_integrity(self) -> None:  # noqa: B027 - a server checks its own pages
        """Read every page and row.

        Raises:
            DamagedDatabaseError: a page is damaged, or a value is of another type than its column.
        """

    def mark_as_own(self) -> None:  # noqa: B027 - nothing on a server is ever quarantined
        """Record that the open file is a catalogue of plotindex, so that it may be quarantined once damaged."""

    def quarantine(self, timeout: float | None = None) -> bool:  # noqa: ARG002 - see above
        """Rename a damaged database if it is certainly plotindex's; return whether it was.

        Raises:
            LockTimeoutError: others held the catalogue for longer than `timeout` seconds.
        """
        return False

    def space_problem(self, growth: int = 0) -> str:  # noqa: ARG002 - of the interface
        """Why the disk has no room for rows of `growth` bytes, with the fix; empty if it has, or on a server."""
        return ""

    def pinned_wal_bytes(self) -> int:
        """Bytes of the write-ahead log that cannot be checkpointed, because a reader still uses them."""
        return 0

    def notify(self, connection: Connection) -> None:  # noqa: B027 - writers of a file are watched
        """Wake the clients in `wait_for_commit` once this transaction commits."""

    @property
    def notifications(self) -> int:
        """How many commits were reported so far."""
        return self._commits.count

    def wait_for_commit(self, seen: int, seconds: float) -> bool:
        """Wait until more than `seen` commits were reported; return whether there may be new ones.

        False after `seconds` without one. True after a moment where commits are not reported: look for yourself.
        """
        return self._commits.wait(seen, seconds)

    def is_leader(self) -> bool:
        """Whether this indexer does the full scans and trims, as one of several."""
        return True

    def clock_skew(self, connection: Connection) -> float:  # noqa: ARG002 - of the interface
        """Seconds by which the database's clock is ahead of this host's."""
        return 0.0

    def known_revision(self) -> str | None:
        """The schema revision, if this version can use or migrate it; None for an empty database.

        Raises:
            UnusableDatabaseError: the database belongs to a newer plotindex or another program.
            DamagedDatabaseError: it lacks tables, or has rows that only another program writes.
        """
        with self.reading() as connection:
            tables = self._table_names(connection)
            own = self.schema.own_tables(tables)
            revision = self._read_revision(connection) if self.schema.version_table in own else None
            is_newest = revision == self.schema.revision
            if is_newest and not (tables >= self.schema.tables and self._is_plausible(connection)):
                raise self.mark_damaged()
        foreign = own if self.is_shared else tables
        if revision is None and foreign - {self.schema.version_table}:
            raise UnusableDatabaseError(
                f"The database {self.shown} has tables of another program: name another one with --database."
            )
        if revision is not None and revision not in known_revisions(self.schema):
            raise self._other_schema(revision)
        return revision

    def require_schema(self) -> None:
        """Check, without changing anything, that the database has this version's schema.

        Raises:
            CatalogError: it has an older schema, or no tables.
            UnusableDatabaseError: it belongs to a newer plotindex or another program.
        """
        revision = self.known_revision()
        if revision is None:
            raise no_tables(self.shown)
        if revision != self.schema.revision:
            raise self._other_schema(revision)

    def check_revision(self, connection: Connection) -> None:
        """Check, within a write transaction, that no other version of plotindex has migrated the database meanwhile.

        Raises:
            UnusableDatabaseError: a newer one has.
            CatalogError: an older database was put in its place.
        """
        revision = self._read_revision(connection) or ""
        if revision != self.schema.revision:
            raise self._other_schema(revision)

    def _read_revision(self, connection: Connection) -> str | None:
        revision: str | None = _revision_of(self.schema.version_table).value(connection)
        return revision

    def _other_schema(self, revision: str) -> CatalogError:
        if revision in known_revisions(self.schema):
            return CatalogError(
                f"The database {self.shown} has an older schema; run `plotindex migrate` with the same options."
            )
        away = "move the file away" if self.file else "drop its tables"
        return UnusableDatabaseError(
            f"The database {self.shown} was migrated by a newer plotindex (schema {revision}): upgrade plotindex or, "
            f"to stay with this one, {away} and {self.schema.fresh}; nothing was changed."
        )


def no_tables(shown: str) -> CatalogError:
    return CatalogError(f"The database {shown} has no tables yet: start `plotindex watch`, or run `plotindex migrate`.")


@cache
def _revision_of(version_table: str) -> Prepared:
    return Prepared(f"SELECT version_num FROM {version_table}")
