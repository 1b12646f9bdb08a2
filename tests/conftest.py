"""Fixtures: a root, its catalogue, and the command that works on both. Each test has its own."""

import shutil
import sqlite3
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from functools import partial
from itertools import count
from pathlib import Path
from subprocess import CompletedProcess
from tempfile import TemporaryDirectory

import hypothesis
import pytest
from playwright.sync_api import Browser

from plotindex.config.settings import Settings, load_settings
from plotindex.index.reconcile import reconcile
from plotindex.storage.catalog import Catalog
from plotindex.storage.database import Database
from plotindex.storage.factory import open_database
from plotindex.storage.sqlite.database import SqliteDatabase
from plotindex.tree.tree import Tree
from tests.support.browser import chromium
from tests.support.namespaces import small_disk_at
from tests.support.postgres import NewDatabase, Server, server_of_tests, value_of
from tests.support.processes import (
    PATIENCE,
    UNPRIVILEGED,
    Index,
    Refused,
    RunPlotindex,
    Service,
    StartService,
    answers,
    are_refused,
    free_port,
    own_environment,
    run_plotindex,
)

# How long an example takes is the machine's matter.
hypothesis.settings.register_profile("plotindex", deadline=None)
hypothesis.settings.load_profile("plotindex")

SLOW_FOLDERS = {"browser", "cli", "guarantees", "project", "rendering"}
QUICK_FILES = {"test_imports.py", "test_pages.py"}
SLOW_FIXTURES = {"browser", "plotindex", "postgres", "refused", "service", "small_disk", "unprivileged"}
"""Fixtures that start programs, servers or browsers."""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark the tests that `make check` leaves out: it takes less than a minute."""
    for item in items:
        in_slow_folder = item.path.parent.name in SLOW_FOLDERS and item.path.name not in QUICK_FILES
        needs_process = bool(SLOW_FIXTURES & set(getattr(item, "fixturenames", ())))
        if in_slow_folder or needs_process or "nginx" in item.path.name or "postgresql" in item.name:
            item.add_marker(pytest.mark.slow)


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """An empty directory for the sessions."""
    folder = tmp_path / "plots"
    folder.mkdir()
    return folder


@pytest.fixture
def engine() -> str:
    """Which kind of database the catalogue of this test is in; `on_both_engines` says each of them."""
    return "sqlite"


@pytest.fixture(scope="session")
def postgres() -> Iterator[Server]:
    """A PostgreSQL server of this process's own."""
    with server_of_tests() as server:
        yield server


@pytest.fixture
def environment(tmp_path: Path, engine: str, request: pytest.FixtureRequest) -> Iterator[dict[str, str]]:
    """The environment of this test's commands."""
    environment = own_environment(tmp_path)
    if engine == "sqlite":
        yield environment
        return
    server: Server = request.getfixturevalue("postgres")
    with server.database() as url:
        yield {**environment, "PLOTINDEX_DATABASE_URL": url, "PLOTINDEX_SECRET_KEY": "one-key-of-all-the-nodes"}


@pytest.fixture
def settings(root: Path, environment: dict[str, str], tmp_path: Path) -> Settings:
    """The settings that the commands of this test have."""
    assert not (tmp_path / "plotindex.toml").exists()
    return load_settings({"root": str(root)}, environment)


@pytest.fixture
def tree(settings: Settings) -> Tree:
    """The root's tree, in this process."""
    return Tree(settings.root, settings.layout)


@pytest.fixture
def catalog(settings: Settings) -> Iterator[Catalog]:
    """The root's catalogue, in this process: new, migrated and empty; the one that the commands of this test use."""
    settings.make_state_folder()
    database = open_database(settings.catalog_location)
    database.migrate()
    catalog = Catalog(database)
    catalog.record_root(str(settings.root), settings.layout, 1)
    yield catalog
    database.close()


@pytest.fixture
def index(tree: Tree, catalog: Catalog) -> Index:
    """Make the root's catalogue equal its tree, in this process: `plotindex rebuild` without the start of a program."""
    return lambda: reconcile(tree, catalog, [""])


@pytest.fixture(scope="session")
def empty_database(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A migrated database to copy: migrating one for each example of Hypothesis would take most of the time."""
    file = tmp_path_factory.mktemp("empty") / "catalog.db"
    database = SqliteDatabase(file)
    database.migrate()
    database.close()
    return file


@pytest.fixture(scope="session")
def new_database(empty_database: Path, request: pytest.FixtureRequest) -> NewDatabase:
    """`with new_database(engine) as database:` is a database that has plotindex's tables, and nothing in them."""

    @contextmanager
    def make(engine: str) -> Iterator[Database]:
        if engine == "postgresql":
            server: Server = request.getfixturevalue("postgres")
            with server.emptied() as shared:
                yield shared
            return
        with TemporaryDirectory() as folder:
            database = open_database(Path(shutil.copy(empty_database, folder)))
            yield database
            database.close()

    return make


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    """A real browser; skips where none is."""
    with chromium() as browser:
        yield browser


@pytest.fixture
def plotindex(root: Path, environment: dict[str, str], tmp_path: Path) -> RunPlotindex:
    """Run `plotindex *args` on the root, in tmp_path, for at most `seconds`; `env` adds to its environment."""

    def run(
        *args: str | bytes | Path, env: Mapping[str, str] | None = None, seconds: float = 60
    ) -> CompletedProcess[str]:
        given = {**environment, "PLOTINDEX_ROOT": str(root), **(env or {})}
        return run_plotindex(args, given, tmp_path, seconds=seconds)

    return run


@pytest.fixture
def unprivileged(root: Path, environment: dict[str, str], tmp_path: Path) -> RunPlotindex:
    """As the fixture `plotindex`, with no privilege to pass by permissions."""

    def run(*args: str) -> "CompletedProcess[str]":
        given = {**environment, "PLOTINDEX_ROOT": str(root), "PLOTINDEX_PORT": str(free_port())}
        command = (sys.executable, "-c", UNPRIVILEGED)
        return run_plotindex(args, given, tmp_path, command=command, seconds=PATIENCE)

    return run


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """The folder of the state is a disk of its own, in a mount namespace: a small one."""
    with small_disk_at(tmp_path / "state") as folder:
        yield folder


@pytest.fixture
def refused(plotindex: RunPlotindex) -> Refused:
    """`are_refused`, by the fixture `plotindex`."""

    def check(commands: list[str], *says: str, options: tuple[str | Path | bytes, ...] = (), **env: str) -> None:
        def run(*args: str) -> "CompletedProcess[str]":
            given = {"PLOTINDEX_PORT": str(free_port()), **env}
            done: CompletedProcess[str] = plotindex(*args, env=given, seconds=PATIENCE)
            return done

        are_refused(run, commands, *says, options=options)

    return check


@pytest.fixture
def service(root: Path, environment: dict[str, str], tmp_path: Path) -> StartService:
    """`with service(*args) as running:` starts a long-running command on the root, and ends it with all it started.

    `prefix` is a command that becomes the other in the end, such as `unshare`.
    """
    numbers = count(1)

    @contextmanager
    def start(*args: str, env: Mapping[str, str] | None = None, prefix: Sequence[str] = ()) -> Iterator[Service]:
        given = {**environment, "PLOTINDEX_ROOT": str(root), **(env or {})}
        running = Service(args, given, tmp_path, tmp_path / f"service-{next(numbers)}", prefix)
        try:
            yield running
        finally:
            running.clean_up()

    return start


@pytest.fixture
def indexer(service: StartService, environment: dict[str, str]) -> StartService:
    """`with indexer() as running:` is `plotindex watch`, once it has looked at everything and watches."""

    @contextmanager
    def start(*args: str, env: Mapping[str, str] | None = None, prefix: Sequence[str] = ()) -> Iterator[Service]:
        with service("watch", *args, env=env, prefix=prefix) as running:
            running.wait_for(lambda: "Full scan finished" in running.stderr)
            url = environment.get("PLOTINDEX_DATABASE_URL")
            places = [url] if url else Path(environment["PLOTINDEX_STATE_DIR"]).glob("*/catalog.db")
            for place in places:
                running.wait_for(partial(is_watched_by, place, running.pid))
            yield running

    return start


@pytest.fixture
def server(service: StartService) -> StartService:
    """`with server() as running:` is `plotindex serve` on a free port, once it answers at `running.url`."""

    @contextmanager
    def start(*args: str, env: Mapping[str, str] | None = None, prefix: Sequence[str] = ()) -> Iterator[Service]:
        port = free_port()
        with service("serve", "--port", str(port), *args, env=env, prefix=prefix) as running:
            running.url = f"http://127.0.0.1:{port}"
            running.wait_for(lambda: answers(running.url))
            yield running

    return start


def is_watched_by(database: str | Path, pid: int) -> bool:
    """Whether the catalogue says that this process watches."""
    if isinstance(database, str):
        return bool(value_of(database, "SELECT count(*) FROM indexer WHERE state = 'watching' AND pid = %s", pid))
    with closing(sqlite3.connect(database)) as connection:
        query = "SELECT count(*) FROM indexer WHERE state = 'watching' AND pid = ?"
        return bool(connection.execute(query, (pid,)).fetchone()[0])
