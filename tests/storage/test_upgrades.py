"""Upgrades from each released schema and back, with data; versions side by side."""

import os
import sqlite3
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest
from alembic import command
from alembic.config import Config

from plotindex.errors import CatalogError, UnusableDatabaseError
from plotindex.index.lookup import CacheStatus, Lookup
from plotindex.index.reconcile import reconcile
from plotindex.storage.catalog import Catalog
from plotindex.storage.heartbeat import Heartbeat
from plotindex.storage.schema import SCHEMA, known_revisions, migrations_folder
from plotindex.storage.sqlite.database import SqliteDatabase
from plotindex.tree.plots import PlotKey
from plotindex.tree.tree import Tree
from tests.support.processes import draw

DATA = Path(__file__).parent / "data"
REVISIONS = sorted(known_revisions())
ODD = PlotKey("séance \u202e", "quo'te\".GIF")


def rows(database: Path) -> dict[str, list[tuple[object, ...]]]:
    """All rows, by table."""
    with closing(sqlite3.connect(database)) as connection:
        names = [name for (name,) in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")]
        return {name: sorted(connection.execute(f'SELECT * FROM "{name}"')) for name in names}


def tables(database: Path) -> list[tuple[str, str]]:
    with closing(sqlite3.connect(database)) as connection:
        rows = connection.execute("SELECT name, sql FROM sqlite_master WHERE sql IS NOT NULL")
        return sorted((name, " ".join(sql.split())) for name, sql in rows)


@pytest.fixture(params=REVISIONS)
def released(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[SqliteDatabase]:
    """A catalogue with data, written by the version with that schema."""
    file = tmp_path / f"{request.param}.db"
    with closing(sqlite3.connect(file)) as connection:
        connection.executescript((DATA / f"catalogue-{request.param}.sql").read_text())
        connection.execute("PRAGMA journal_mode = WAL")
    database = SqliteDatabase(file)
    yield database
    database.close()


def test_each_released_schema_upgrades_and_downgrades_without_loss(
    released: SqliteDatabase, empty_database: Path
) -> None:
    before, revision = rows(released.path), released.known_revision()
    assert revision is not None
    released.migrate()
    released.require_schema()
    catalog = Catalog(released)
    assert catalog.header().root == "/srv/plots"
    assert catalog.sessions() == ["first", "second", ODD.session]
    assert {plot.path for plot in catalog.plots("first")} == {
        "first/project_a/hist.png",
        "first/project_b/hist.png",
        "first/project_b/sub/deep.svg",
    }
    current = catalog.current(ODD)
    assert current is not None
    assert (current.project, current.mtime_ns) == ("project_x y", 1700000000123456794)
    assert catalog.heartbeats()[0].state == "stopped"
    if revision != SCHEMA:
        assert tables(released.path) == tables(empty_database)
    config = Config()
    config.set_main_option("script_location", str(migrations_folder()))
    with released.writing() as connection:
        config.attributes["connection"] = connection.alchemy
        command.downgrade(config, revision)
    assert rows(released.path) == before


def test_server_with_an_older_database_scans_and_logs_the_fix(
    tree: Tree, root: Path, released: SqliteDatabase, caplog: pytest.LogCaptureFixture
) -> None:
    draw(root, "s/project_a/x.png")
    with closing(sqlite3.connect(released.path)) as connection, connection:
        connection.execute("UPDATE catalogue SET root = ?", (str(root),))
    before = rows(released.path)
    opened, source = Lookup(tree, Catalog(released)).open("s", "x.png")
    assert opened is not None
    os.close(opened.fd)
    assert source is CacheStatus.MISS
    if before["alembic_version"] == [(SCHEMA,)]:
        return
    assert "has an older schema; run `plotindex migrate`" in caplog.text
    assert rows(released.path) == before


def test_older_version_writes_nothing_after_a_migration(
    tree: Tree, catalog: Catalog, root: Path, caplog: pytest.LogCaptureFixture
) -> None:
    draw(root, "s/project_a/x.png")
    reconcile(tree, catalog, [""])
    lookup = Lookup(tree, catalog)
    with closing(sqlite3.connect(catalog.database.path)) as connection, connection:
        connection.execute("UPDATE alembic_version SET version_num = '9999'")
    before = rows(catalog.database.path)
    draw(root, "s/project_a/y.png")
    with pytest.raises(UnusableDatabaseError, match=r"by a newer plotindex \(schema 9999\): upgrade plotindex"):
        reconcile(tree, catalog, ["s"])
    with pytest.raises(CatalogError, match="by a newer plotindex"):
        catalog.store_heartbeat(Heartbeat("host", 1, time.time(), time.time(), "watching"))
    for name in ("x.png", "y.png"):
        opened, source = lookup.open("s", name)
        assert opened is not None
        os.close(opened.fd)
        assert source is CacheStatus.MISS
    assert "by a newer plotindex" in caplog.text
    assert rows(catalog.database.path) == before
