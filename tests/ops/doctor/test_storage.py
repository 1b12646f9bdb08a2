"""Checks of the database and the disks."""

import os
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pytest

from plotindex.config.settings import Settings
from plotindex.ops.doctor import context
from plotindex.ops.doctor.findings import Finding
from plotindex.ops.doctor.storage import Room, database_mount_finding, log_finding, room_findings, search_finding
from plotindex.storage.catalog import Catalog
from plotindex.storage.postgres.database import PostgresDatabase
from plotindex.storage.sqlite.transactions import PAGE_BYTES
from plotindex.storage.sqlite.wal import KEPT_WAL_BYTES, MAX_WAL_BYTES
from plotindex.system.mounts import Mount
from plotindex.tree.grammar import Layout
from tests.ops.doctor.test_checks import findings_of
from tests.support.namespaces import small_disk_at
from tests.support.postgres import NewDatabase, on_postgresql, query_value
from tests.support.processes import Index, draw


@pytest.fixture
def database(settings: Settings, root: Path, index: Index) -> Path:
    """A catalogue of one plot."""
    draw(root, "s/project_a/x.png")
    index()
    return settings.state_folder / "catalog.db"


@pytest.fixture
def tiny_disk(tmp_path: Path) -> Iterator[Path]:
    """The folder of the state is a disk of 2 MB and few inodes."""
    with small_disk_at(tmp_path / "state", "size=2m,nr_inodes=50,mode=700") as folder:
        yield folder


def execute(database: Path, *statements: str) -> None:
    with closing(sqlite3.connect(database, isolation_level=None)) as connection:
        for statement in statements:
            connection.execute(statement)


def database_findings(settings: Settings) -> list[Finding]:
    return findings_of(settings, "database")


def test_intact_catalogue(settings: Settings, database: Path) -> None:
    findings = database_findings(settings)
    assert [(finding.verdict, finding.check) for finding in findings] == [
        ("ok", "database"),
        ("ok", "database-integrity"),
        ("ok", "journal-mode"),
    ]
    assert f"{database} opens: schema" in findings[0].seen
    assert "1 plot in 1 session" in findings[0].seen


def test_other_journal_mode_is_bad(settings: Settings, database: Path, index: Index) -> None:
    with closing(sqlite3.connect(database)) as connection:
        assert connection.execute("PRAGMA journal_mode").fetchone() == ("wal",)
    # Nobody else has it open.
    copy = database.with_name("copy.db")
    execute(database, f"VACUUM INTO '{copy}'")
    found = findings_of(replace(settings, database=f"sqlite:///{copy}"), "database")[-1]
    assert (found.verdict, found.check) == ("bad", "journal-mode")
    assert "delete, not WAL" in found.seen


@pytest.mark.parametrize(
    ("statements", "verdict", "seen", "remedy"),
    [
        (
            ["UPDATE alembic_version SET version_num = '0001'"],
            "warn",
            "has an older schema",
            "run `plotindex migrate`",
        ),
        (
            ["UPDATE alembic_version SET version_num = '9999'"],
            "bad",
            "was migrated by a newer plotindex",
            "upgrade plotindex",
        ),
        (
            ["UPDATE catalogue SET root = '/elsewhere'"],
            "bad",
            "belongs to the root /elsewhere",
            "name another --database",
        ),
        (["DELETE FROM catalogue"], "warn", "is not initialised", "run `plotindex rebuild`"),
        (["DROP TABLE alembic_version"], "bad", "has tables of another program", "name another one"),
        (["DROP TABLE plot"], "bad", "is damaged", "recreates it"),
    ],
)
def test_unusable_catalogue_has_a_remedy(
    settings: Settings, database: Path, statements: list[str], verdict: str, seen: str, remedy: str
) -> None:
    execute(database, *statements)
    (finding,) = database_findings(settings)
    assert (finding.verdict, finding.check) == (verdict, "database")
    assert seen in finding.seen
    assert remedy in finding.remedy


def test_checks_on_an_older_schema_have_remedies(settings: Settings, database: Path) -> None:
    execute(
        database, "UPDATE alembic_version SET version_num = '0001'", "ALTER TABLE indexer RENAME COLUMN polled TO other"
    )
    findings = {finding.check: finding for finding in findings_of(settings)}
    assert findings["indexer"].seen.startswith("could not be checked: ")
    assert [finding for finding in findings.values() if finding.verdict != "ok" and not finding.remedy] == []


@on_postgresql
def test_missing_trigram_index_is_reported(new_database: NewDatabase, engine: str, settings: Settings) -> None:
    with new_database(engine) as database:
        Catalog(database).initialise(str(settings.root), Layout())
        assert isinstance(database, PostgresDatabase)
        url = database.url.render_as_string(hide_password=False)
        (opens, search) = findings_of(replace(settings, database=url), "database")
        has_trigrams = bool(query_value(url, "SELECT count(*) FROM pg_indexes WHERE indexname = 'name_trigram'"))
    assert (opens.check, opens.verdict) == ("database", "ok")
    assert search == search_finding(has_trigrams=has_trigrams)
    assert [search_finding(has_trigrams=has).verdict for has in (True, False)] == ["ok", "warn"]


def test_damaged_page_is_found(settings: Settings, database: Path) -> None:
    execute(database, "PRAGMA wal_checkpoint(TRUNCATE)")
    with database.open("r+b") as file:
        length = os.fstat(file.fileno()).st_size
        # The last page, with its header: behind that an empty page may hold anything.
        file.seek(length - PAGE_BYTES)
        file.write(b"\xff" * PAGE_BYTES)
    finding = database_findings(settings)[-1]
    assert (finding.verdict, "damaged" in finding.seen) == ("bad", True), finding


def test_locked_database_is_reported(
    settings: Settings, database: Path, catalog: Catalog, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(context, "LOCK_TIMEOUT", 0.1)
    catalog.database.close()
    with closing(sqlite3.connect(database, isolation_level=None)) as connection:
        connection.execute("PRAGMA locking_mode = EXCLUSIVE")
        connection.execute("BEGIN EXCLUSIVE")
        (finding,) = database_findings(settings)
    assert (finding.verdict, "locked by another program" in finding.seen) == ("warn", True)
    assert "fuser" in finding.remedy


def test_missing_database_folder_is_bad(settings: Settings, tmp_path: Path) -> None:
    (finding,) = database_findings(replace(settings, database=f"sqlite:///{tmp_path}/none/catalog.db"))
    assert (finding.verdict, finding.remedy) == ("bad", "create it, or set another --database")


@pytest.mark.parametrize(
    ("fs_type", "verdict"), [("ext4", "ok"), ("tmpfs", "ok"), ("nfs4", "bad"), ("cifs", "bad"), ("fuse.new", "warn")]
)
def test_database_on_a_network_file_system_is_bad(fs_type: str, verdict: str) -> None:
    finding = database_mount_finding(Path("/far"), Mount(1, "/far", fs_type, "host:/far"))
    assert finding.verdict == verdict
    assert ("--database sqlite:////" in finding.remedy) == (verdict != "ok")


def test_pinned_log_is_reported(settings: Settings, database: Path) -> None:
    (finding,) = findings_of(settings, "database-log")
    assert finding.verdict == "ok"
    assert log_finding(KEPT_WAL_BYTES, MAX_WAL_BYTES, "x").verdict == "ok"
    finding = log_finding(KEPT_WAL_BYTES + 1, MAX_WAL_BYTES, "/x/catalog.db")
    assert (finding.verdict, "`fuser -v /x/catalog.db`" in finding.remedy) == ("warn", True)
    assert log_finding(MAX_WAL_BYTES + 1, MAX_WAL_BYTES, "x").verdict == "bad"


def test_full_disk_is_bad(tiny_disk: Path, settings: Settings, database: Path) -> None:
    findings = {finding.check: finding for finding in findings_of(settings, "disk-space")}
    assert findings["disk-space"].verdict == "bad", findings
    assert str(tiny_disk) in findings["disk-space"].seen
    assert findings["disk-inodes"].verdict == "bad", findings
    assert findings_of(settings, "database-file-system")[0].verdict == "ok"


def test_database_and_thumbnails_on_two_disks(tiny_disk: Path, settings: Settings, tmp_path: Path) -> None:
    findings = findings_of(replace(settings, database=f"sqlite:///{tmp_path}/catalog.db"), "disk-space")
    contents = {finding.seen.partition(" are free for ")[2].partition(" at ")[0] for finding in findings}
    assert contents == {"database", "thumbnails"}
    thumbnails = [finding for finding in findings if " for thumbnails at " in finding.seen]
    # Without them plots are served all the same.
    assert {finding.verdict for finding in thumbnails} == {"warn"}


def test_cached_thumbnails_need_no_more_space(settings: Settings, database: Path) -> None:
    folder = settings.state_folder / "thumbnails"
    before = findings_of(settings, "disk-space")[0].seen.rpartition("may still grow by ")[2]
    folder.mkdir()
    (folder / "kept").write_bytes(bytes(8 << 20))
    after = findings_of(settings, "disk-space")[0].seen.rpartition("may still grow by ")[2]
    assert (before, after) == ("604 MB", "596 MB")


@pytest.mark.parametrize(
    ("free", "inodes", "expected"),
    [
        (KEPT_WAL_BYTES - 1, None, ["bad", "ok"]),
        (KEPT_WAL_BYTES, 100_000, ["warn", "ok"]),
        (100 * KEPT_WAL_BYTES, 100_000, ["ok", "ok"]),
        (100 * KEPT_WAL_BYTES, 9_999, ["ok", "warn"]),
        (100 * KEPT_WAL_BYTES, 99, ["ok", "bad"]),
    ],
)
def test_verdict_depends_on_the_space_still_needed(free: int, inodes: int | None, expected: list[str]) -> None:
    room = Room("database", "/x", free, 2 * KEPT_WAL_BYTES, inodes)
    assert [finding.verdict for finding in room_findings(room)] == expected
