"""The history of one root: its database, its folder, and what may be read of it."""

import secrets
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Self

from plotindex.config import Settings
from plotindex.errors import CatalogError, DamagedDatabaseError
from plotindex.history.contents import ContentFolder, HistoryError
from plotindex.history.session_folder import identify
from plotindex.storage import HISTORY, Database, HistoryReader, HistoryWriter, KeptSession, open_database
from plotindex.system import exclusive_lock, printable
from plotindex.tree import Tree

LOCK_FILE = "writing"
"""Locked by whoever writes the folder."""
READ_SECONDS = 5.0


class HistoryStore:
    """The database and the folder. Opens and creates nothing before it is used."""

    @classmethod
    def from_settings(cls, settings: Settings, timeout: float = READ_SECONDS) -> Self | None:
        """The history of a root; None if it is off. `timeout` is for a foreign program that locks the database."""
        if not settings.has_history:
            return None
        database = open_database(settings.history_location, timeout, schema=HISTORY)
        return cls(database, ContentFolder(settings.history_folder))

    def __init__(self, database: Database, folder: ContentFolder) -> None:
        self.database = database
        self.folder = folder
        self._checked = -1
        """The generation of the database whose schema was checked."""

    def migrate(self) -> None:
        """Create or migrate the database. Raises HistoryError."""
        with self._explained():
            self.database.migrate()

    def prepare(self) -> None:
        """Create or migrate the database, and bind it to its folder.

        Raises:
            HistoryError: one of them is missing, damaged, or belongs to another one.
        """
        self._is_begun()
        self.migrate()
        with self.reading() as reader:
            is_new = reader.state() is None
        if is_new and self.folder.is_new():
            identity = secrets.token_hex(16)
            self.folder.create(identity)
            with self.writing() as writer:
                writer.create_state(identity)
        self.check_folder()

    def check_folder(self) -> None:
        """Check that the folder is there, and is the one of the database. Raises HistoryError."""
        with self.reading() as reader:
            state = reader.state()
        known = self.folder.read_id()
        if state is None or known != state.folder:
            raise HistoryError(
                f"The history's folder {printable(str(self.folder.path))} does not belong to its database "
                f"{self.database.shown}: restore both from a backup, or move both away to begin another history."
            )

    @contextmanager
    def reading(self) -> Iterator[HistoryReader]:
        """One read transaction. Raises HistoryError."""
        with self._explained():
            self._check_database()
            with self.database.reading() as connection:
                yield HistoryReader(connection)

    @contextmanager
    def writing(self) -> Iterator[HistoryWriter]:
        """One write transaction. Raises HistoryError."""
        with self._explained(), self.database.writing() as connection:
            self.database.check_revision(connection)
            yield HistoryWriter(connection)

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Be the only process that writes the folder. Raises SettingsError."""
        with exclusive_lock(self.folder.path / LOCK_FILE):
            yield

    def exists(self) -> bool:
        """Whether the history was begun. Raises HistoryError."""
        if not self._is_begun():
            return False
        with self._explained():
            # The process that keeps it may have made the file, and no table yet.
            if self._checked < 0 and self.database.known_revision() is None and self.folder.is_new():
                return False
        with self.reading() as reader:
            has_state = reader.state() is not None
        if not has_state and not self.folder.is_new():
            self.check_folder()
        return has_state

    def is_whole(self) -> bool:
        """Whether its database and its folder are there, and belong to each other."""
        try:
            self.check_folder()
        except (CatalogError, OSError):
            return False
        return True

    def _is_begun(self) -> bool:
        """Whether there are both a database and a folder. Raises HistoryError: of the two only the folder is left."""
        if self.database.file is None:
            return self.database.exists() and self.folder.path.is_dir()
        if self.database.exists():
            return True
        if not self.folder.is_new():
            raise HistoryError(
                f"The history's database {self.database.shown} is missing: restore it from a backup, or move "
                f"{printable(str(self.folder.path))} away to begin another history."
            )
        return False

    def _check_database(self) -> None:
        """Reconnect to a database that has replaced the open one; check the schema of each once."""
        if self.database.file is not None:
            self.database.check_replaced()
        if self._checked != self.database.generation:
            self.database.require_schema()
            self._checked = self.database.generation

    @contextmanager
    def _explained(self) -> Iterator[None]:
        try:
            yield
        except HistoryError:
            raise
        except DamagedDatabaseError as error:
            raise HistoryError(
                f"The history's database {self.database.shown} is damaged: restore it from a backup, or move it and "
                f"{printable(str(self.folder.path))} away to begin another history."
            ) from error
        except CatalogError as error:
            raise HistoryError(str(error)) from error


def visible_folders(reader: HistoryReader, tree: Tree, session: str, *, is_limited: bool) -> Sequence[KeptSession]:
    """The folders of this name whose versions a caller may see, the newest first.

    One who may see every session sees all; others see the folder that has the name now, and none before it: a reused
    name does not show what was drawn by others.

    Raises:
        OSError: the session cannot be looked at.
    """
    folders = reader.sessions(session)
    if not is_limited:
        return folders
    now = identify(tree, session) if folders else None
    return [
        folder for folder in folders[:1] if folder.ended is None and now is not None and folder.identity.is_same(now)
    ]
