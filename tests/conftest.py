"""Fixtures: for each test its own root and catalogue, and the command for both."""

import shutil
import sqlite3
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, closing, contextmanager
from functools import partial
from itertools import count
from pathlib import Path
from subprocess import CompletedProcess
from tempfile import TemporaryDirectory

import hypothesis
import pytest
from playwright.sync_api import Browser

from plotindex.config import load_settings
from plotindex.config.settings import Settings
from plotindex.index.reconcile import reconcile
from plotindex.storage.catalog import Catalog
from plotindex.storage.database import Database
from plotindex.storage.factory import open_database
from plotindex.storage.history.tables import history_metadata
from plotindex.storage.postgres.database import PostgresDatabase
from plotindex.storage.schema import HISTORY
from plotindex.storage.sqlite.database import SqliteDatabase
from plotindex.tree.tree import Tree
from tests.support.browser import chromium
from tests.support.namespaces import small_disk_at
from tests.support.postgres import NewDatabase, PostgresServer, query_value, run_postgres
from tests.support.processes import (
    REFUSAL_SECONDS,
    UNPRIVILEGED,
    Index,
    Refused,
    RunPlotindex,
    Service,
    StartService,
    answers,
    assert_refused,
    clean_environment,
    free_port,
    run_plotindex,
)

# The duration of an example depends on the machine.
hypothesis.settings.register_profile("plotindex", deadline=None)
hypothesis.settings.load_profile("plotindex")

NewHistory = Callable[[str, Database], AbstractContextManager[Database]]
"""The type of the fixture `new_history`."""
SLOW_FOLDERS = {"browser", "cli", "guarantees", "mcp", "project", "rendering", "watch"}
SLOW_FILES = {
    "test_concurrency.py",
    "test_host_apps.py",
    "test_reload.py",
    "test_wal.py",
    "test_direct_hits.py",
    "test_isolation.py",
    "test_migrations.py",
    "test_permissions.py",
}
QUICK_FILES = {"test_imports.py", "test_pages.py"}
SLOW_FIXTURES = {"browser", "plotindex", "postgres", "refused", "service", "small_disk", "unprivileged"}
"""Fixtures that start programs, servers or browsers."""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark the tests that `make check` leaves out: it takes less than a minute."""
    for item in items:
        in_slow_folder = item.path.parent.name in SLOW_FOLDERS and item.path.name not in QUICK_FILES
        needs_process = bool(SLOW_FIXTURES & set(getattr(item, "fixturenames", ())))
        is_long = in_slow_folder or item.path.name in SLOW_FILES
        if is_long or needs_process or "nginx" in item.path.name or "postgresql" in item.name:
            item.add_marker(pytest.mark.slow)


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """An empty directory for the sessions."""
    folder = tmp_path / "plots"
    folder.mkdir()
    return folder


@pytest.fixture
def engine() -> str:
    """The database engine of this test's catalogue; `on_both_engines` sets each in turn."""
    return "sqlite"


@pytest.fixture(scope="session")
def postgres() -> Iterator[PostgresServer]:
    """A PostgreSQL server for this test process."""
    with run_postgres() as server:
        yield server


@pytest.fixture
def environment(tmp_path: Path, engine: str, request: pytest.FixtureRequest) -> Iterator[dict[str, str]]:
    """The environment of this test's commands."""
    environment = clean_environment(tmp_path)
    if engine == "sqlite":
        yield environment
        return
    server: PostgresServer = request.getfixturevalue("postgres")
    with server.database() as url:
        yield {**environment, "PLOTINDEX_DATABASE_URL": url, "PLOTINDEX_SECRET_KEY": "one-key-of-all-the-nodes"}


@pytest.fixture
def settings(root: Path, environment: dict[str, str], tmp_path: Path) -> Settings:
    """The settings of this test's commands."""
    assert not (tmp_path / "plotindex.toml").exists()
    return load_settings({"root": str(root)}, environment)


@pytest.fixture
def tree(settings: Settings) -> Tree:
    """The root's tree, in this process."""
    return Tree(settings.root, settings.layout)


@pytest.fixture
def catalog(settings: Settings) -> Iterator[Catalog]:
    """The root's catalogue, migrated and empty, opened in this process; commands of this test use the same one."""
    settings.make_state_folder()
    database = open_database(settings.catalog_location)
    database.migrate()
    catalog = Catalog(database)
    catalog.record_root(str(settings.root), settings.layout, 1)
    yield catalog
    database.close()


@pytest.fixture
def index(tree: Tree, catalog: Catalog) -> Index:
    """Reconcile the whole root in this process, as `plotindex rebuild` does."""
    return lambda: reconcile(tree, catalog, [""])


@pytest.fixture(scope="session")
def empty_database(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A migrated database to copy: migrating one per Hypothesis example would take most of the time."""
    file = tmp_path_factory.mktemp("empty") / "catalog.db"
    database = SqliteDatabase(file)
    database.migrate()
    database.close()
    return file


@pytest.fixture(scope="session")
def new_database(empty_database: Path, request: pytest.FixtureRequest) -> NewDatabase:
    """`with new_database(engine) as database:` opens a migrated, empty database."""

    @contextmanager
    def make(engine: str) -> Iterator[Database]:
        if engine == "postgresql":
            server: PostgresServer = request.getfixturevalue("postgres")
            with server.emptied() as shared:
                yield shared
            return
        with TemporaryDirectory() as folder:
            database = open_database(Path(shutil.copy(empty_database, folder)))
            yield database
            database.close()

    return make


@pytest.fixture(scope="session")
def new_history() -> NewHistory:
    """`with new_history(engine, catalogue) as database:` opens the database of a new history."""

    @contextmanager
    def make(engine: str, catalogue: Database) -> Iterator[Database]:
        with TemporaryDirectory() as folder:
            place: str | Path = Path(folder, "history.db")
            if engine == "postgresql":
                assert isinstance(catalogue, PostgresDatabase)
                place = catalogue.url.render_as_string(hide_password=False)
            database = open_database(place, schema=HISTORY)
            yield database
            if engine == "postgresql":
                with database.writing() as connection:
                    history_metadata.drop_all(connection.alchemy)
                    connection.driver.execute(f"DROP TABLE IF EXISTS {HISTORY.version_table}")
            database.close()

    return make


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    """A real browser; skips if none is installed."""
    with chromium() as browser:
        yield browser


@pytest.fixture
def plotindex(root: Path, environment: dict[str, str], tmp_path: Path) -> RunPlotindex:
    """Run `plotindex *args` on the root, in tmp_path, for at most `seconds`; `env` extends its environment."""

    def run(
        *args: str | bytes | Path, env: Mapping[str, str] | None = None, seconds: float = 60
    ) -> CompletedProcess[str]:
        given = {**environment, "PLOTINDEX_ROOT": str(root), **(env or {})}
        return run_plotindex(args, given, tmp_path, seconds=seconds)

    return run


@pytest.fixture
def unprivileged(root: Path, environment: dict[str, str], tmp_path: Path) -> RunPlotindex:
    """As the fixture `plotindex`, without the privilege to bypass permissions."""

    def run(*args: str) -> "CompletedProcess[str]":
        given = {**environment, "PLOTINDEX_ROOT": str(root), "PLOTINDEX_PORT": str(free_port())}
        command = (sys.executable, "-c", UNPRIVILEGED)
        return run_plotindex(args, given, tmp_path, command=command, seconds=REFUSAL_SECONDS)

    return run


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """The state folder as a small disk of its own, in a mount namespace."""
    with small_disk_at(tmp_path / "state") as folder:
        yield folder


@pytest.fixture
def refused(plotindex: RunPlotindex) -> Refused:
    """`assert_refused` with the fixture `plotindex`."""

    def check(commands: list[str], *says: str, options: tuple[str | Path | bytes, ...] = (), **env: str) -> None:
        def run(*args: str) -> "CompletedProcess[str]":
            given = {"PLOTINDEX_PORT": str(free_port()), **env}
            done: CompletedProcess[str] = plotindex(*args, env=given, seconds=REFUSAL_SECONDS)
            return done

        assert_refused(run, commands, *says, options=options)

    return check


@pytest.fixture
def service(root: Path, environment: dict[str, str], tmp_path: Path) -> StartService:
    """`with service(*args) as running:` runs a long-running command on the root, and kills it with its children.

    `prefix` is a command that executes the other one, such as `unshare`.
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
    """`with indexer() as running:` is `plotindex watch` after its first full scan."""

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
    """`with server() as running:` is `plotindex serve` on a free port, answering at `running.url`."""

    @contextmanager
    def start(*args: str, env: Mapping[str, str] | None = None, prefix: Sequence[str] = ()) -> Iterator[Service]:
        port = free_port()
        with service("serve", "--port", str(port), *args, env=env, prefix=prefix) as running:
            running.url = f"http://127.0.0.1:{port}"
            running.wait_for(lambda: answers(running.url))
            yield running

    return start


def is_watched_by(database: str | Path, pid: int) -> bool:
    """Whether the catalogue lists this process as a watching indexer."""
    if isinstance(database, str):
        return bool(query_value(database, "SELECT count(*) FROM indexer WHERE state = 'watching' AND pid = %s", pid))
    with closing(sqlite3.connect(database)) as connection:
        query = "SELECT count(*) FROM indexer WHERE state = 'watching' AND pid = ?"
        return bool(connection.execute(query, (pid,)).fetchone()[0])
