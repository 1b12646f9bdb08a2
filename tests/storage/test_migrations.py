"""Migrations: atomic, and equal to the tables in code."""

import hashlib
import os
import signal
import sqlite3
import stat
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import pytest
from alembic import command
from alembic.config import Config
from alembic.script import ScriptDirectory
from sqlalchemy import URL

from plotindex.errors import CatalogError, SettingsError
from plotindex.storage.history.tables import history_metadata
from plotindex.storage.schema import (
    CATALOGUE,
    HISTORY,
    SCHEMA,
    Schema,
    alembic_config,
    known_revisions,
    migrations_folder,
)
from plotindex.storage.sqlite.database import SqliteDatabase
from plotindex.storage.sqlite.schema import FILES
from plotindex.storage.tables import TRIGRAMS, metadata
from tests import CHECKOUT
from tests.support.processes import RunPlotindex, draw
from tests.tools.schema import migrated, statements, text

TABLES = {*metadata.tables, "alembic_version", *TRIGRAMS}
TABLES |= {f"{name}_{part}" for name in TRIGRAMS for part in ("config", "data", "idx")}


@pytest.fixture
def place(tmp_path: Path) -> Path:
    """The path of a new database."""
    return tmp_path / "some where%20#?.db"


def url(place: Path) -> str:
    return URL.create("sqlite", database=str(place)).render_as_string()


def run_alembic(place: Path, environment: dict[str, str], *args: str) -> "subprocess.CompletedProcess[str]":
    command = [sys.executable, "-m", "alembic", "-x", f"database={url(place)}", *args]
    return subprocess.run(
        command, cwd=CHECKOUT, env=environment, capture_output=True, text=True, timeout=60, check=False
    )


def migrate(place: Path) -> None:
    database = SqliteDatabase(place)
    try:
        database.migrate()
        database.require_schema()
    finally:
        database.close()


def tables(place: Path) -> set[str]:
    with closing(sqlite3.connect(place)) as connection:
        return {row[0] for row in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")}


def schema(place: Path) -> list[tuple[str, str]]:
    with closing(sqlite3.connect(place)) as connection:
        rows = connection.execute("SELECT name, sql FROM sqlite_master WHERE sql IS NOT NULL")
        return sorted((name, " ".join(sql.split())) for name, sql in rows)


def test_migrate_creates_a_private_file(place: Path) -> None:
    former = os.umask(0)
    try:
        migrate(place)
    finally:
        os.umask(former)
    assert tables(place) == TABLES
    assert {stat.S_IMODE(file.stat().st_mode) for file in place.parent.glob(f"{place.name}*")} == {0o600}
    before = place.read_bytes()
    migrate(place)
    assert place.read_bytes() == before


def test_the_tables_that_a_database_must_have_are_those_in_code() -> None:
    assert CATALOGUE.tables == metadata.tables.keys()
    assert HISTORY.tables == history_metadata.tables.keys()


def test_the_history_is_migrated_to_the_tables_in_code(place: Path) -> None:
    database = SqliteDatabase(place, schema=HISTORY)
    database.migrate()
    database.require_schema()
    with database.reading() as connection:
        command.check(alembic_config(connection.alchemy, HISTORY))
    database.close()


def test_schema_constant_is_the_newest_revision() -> None:
    config = Config()
    config.set_main_option("script_location", str(migrations_folder()))
    scripts = ScriptDirectory.from_config(config)
    assert scripts.get_heads() == [SCHEMA]
    assert {script.revision for script in scripts.walk_revisions()} == known_revisions()


def test_alembic_finds_no_difference_from_the_tables(place: Path, environment: dict[str, str]) -> None:
    migrate(place)
    same = run_alembic(place, environment, "check")
    assert (same.returncode, same.stdout) == (0, "No new upgrade operations detected.\n"), same.stderr
    with closing(sqlite3.connect(place)) as connection:
        connection.execute("DROP INDEX ix_plot_clock")
        connection.execute("ALTER TABLE session ADD COLUMN colour TEXT")
    differs = run_alembic(place, environment, "check")
    assert differs.returncode != 0
    assert "ix_plot_clock" in differs.stdout + differs.stderr
    assert "colour" in differs.stdout + differs.stderr


def test_downgrade_and_upgrade_restore_the_schema(place: Path, environment: dict[str, str]) -> None:
    migrate(place)
    before = schema(place)
    down = run_alembic(place, environment, "downgrade", "base")
    assert down.returncode == 0, down.stderr
    assert tables(place) == {"alembic_version"}
    up = run_alembic(place, environment, "upgrade", "head")
    assert up.returncode == 0, up.stderr
    assert schema(place) == before


def test_schema_downgraded_to_base_is_migrated_again(place: Path, environment: dict[str, str]) -> None:
    migrate(place)
    before = schema(place)
    assert run_alembic(place, environment, "downgrade", "base").returncode == 0
    migrate(place)
    assert schema(place) == before


def test_six_processes_can_create_one_database_at_once(root: Path, environment: dict[str, str], tmp_path: Path) -> None:
    draw(root, "a/project_1/x.png")
    command = [sys.executable, "-m", "plotindex", "rebuild", "--json", "--root", str(root)]
    running = [
        subprocess.Popen(command, env=environment, cwd=tmp_path, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        for _ in range(6)
    ]
    said = [process.communicate(timeout=60) for process in running]
    assert [process.returncode for process in running] == [0] * 6, said
    assert [error for _, error in said] == [b""] * 6
    [place] = (tmp_path / "state").glob("*/catalog.db")
    assert tables(place) == TABLES
    with closing(sqlite3.connect(place)) as connection:
        assert connection.execute("SELECT count(*) FROM plot").fetchone() == (1,)
        assert connection.execute("SELECT count(*) FROM catalogue").fetchone() == (1,)
        assert connection.execute("SELECT version_num FROM alembic_version").fetchall() == [(SCHEMA,)]


@pytest.mark.parametrize("kind", [CATALOGUE, HISTORY], ids=["catalogue", "history"])
def test_a_new_database_has_the_schema_that_the_migrations_make(tmp_path: Path, kind: Schema) -> None:
    assert FILES[kind].read_text() == text(kind), "run `make schema`"
    new = SqliteDatabase(tmp_path / "new.db", schema=kind)
    new.migrate()
    old = migrated(tmp_path / "migrated.db", kind)
    with new.reading() as one, old.reading() as other:
        assert statements(one, kind) == statements(other, kind)
        assert new.known_revision() == old.known_revision() == kind.revision
    new.close()
    old.close()


@pytest.mark.parametrize("is_new", [True, False])
@pytest.mark.parametrize(
    "statement", ["CREATE TABLE plot", "CREATE TABLE indexer", "CREATE VIRTUAL TABLE", "INSERT INTO alembic_version"]
)
def test_killed_migration_leaves_the_old_schema(place: Path, statement: str, is_new: bool) -> None:
    before = set()
    if not is_new:
        # As Alembic leaves it after a downgrade to nothing.
        before = {"alembic_version"}
        with closing(sqlite3.connect(place)) as connection:
            connection.execute("CREATE TABLE alembic_version (version_num VARCHAR(32) NOT NULL)")
    script = """
import signal, sys
from pathlib import Path
from plotindex.storage.sqlite import database as module

open_writer = module.open_writer

def open_traced(*arguments):
    connection = open_writer(*arguments)
    connection.set_trace_callback(stop_half_way)
    return connection

def stop_half_way(statement):
    if statement.strip().startswith(sys.argv[2]):
        print("half-way", flush=True)
        signal.pause()

module.open_writer = open_traced
module.SqliteDatabase(Path(sys.argv[1])).migrate()
"""
    command = [sys.executable, "-c", script, str(place), statement]
    with subprocess.Popen(command, stdout=subprocess.PIPE) as process:
        assert process.stdout
        assert process.stdout.readline() == b"half-way\n"
        process.kill()
        assert process.wait(10) == -signal.SIGKILL
    assert tables(place) == before
    migrate(place)
    assert tables(place) == TABLES


def test_newer_schema_is_refused_and_unchanged(plotindex: RunPlotindex, place: Path) -> None:
    migrate(place)
    with closing(sqlite3.connect(place)) as connection, connection:
        connection.execute("UPDATE alembic_version SET version_num = '9999'")
    before = hashlib.sha256(place.read_bytes()).digest()
    database = SqliteDatabase(place)
    with pytest.raises(SettingsError, match="by a newer plotindex"):
        database.migrate()
    with pytest.raises((CatalogError, SettingsError), match="by a newer plotindex"):
        database.require_schema()
    database.close()
    done = plotindex("migrate", "--database", url(place))
    assert done.returncode == 2
    assert done.stderr == (
        f"plotindex: The database {place} was migrated by a newer plotindex (schema 9999): "
        "upgrade plotindex or, to stay with this one, move the file away and run `plotindex rebuild`; "
        "nothing was changed.\n"
    )
    assert hashlib.sha256(place.read_bytes()).digest() == before


def test_writing_command_migrates_an_empty_database(plotindex: RunPlotindex, place: Path) -> None:
    place.touch()
    reads = plotindex("verify", "--database", url(place))
    assert reads.returncode != 0
    assert "plotindex migrate" in reads.stderr
    assert place.stat().st_size == 0
    done = plotindex("migrate", "--database", url(place))
    assert (done.returncode, done.stdout) == (0, "The database has the schema of this version.\n")
    assert tables(place) == TABLES
