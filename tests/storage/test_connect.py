"""What others put in the place of a database, also while it is being opened, is neither opened nor waited for."""

import os
import sqlite3
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import requests

from plotindex.auth.tokens import Tokens
from plotindex.config.settings import Settings
from plotindex.errors import CatalogError, UnusableDatabaseError
from plotindex.storage.catalog import Catalog
from plotindex.storage.sqlite.database import SqliteDatabase
from tests.support.processes import Index, RunPlotindex, StartService, draw, wait_until

OWNER = 51_201
FILES = ("", "-wal", "-shm", "-journal")


def write(database: SqliteDatabase) -> None:
    with database.writing() as connection:
        connection.driver.execute("CREATE TABLE written (x)")


def read(database: SqliteDatabase) -> None:
    with database.reading() as connection:
        connection.driver.execute("SELECT * FROM sqlite_master")


USES: list[Callable[[SqliteDatabase], object]] = [SqliteDatabase.migrate, write, read, SqliteDatabase.describe]


def closed_database(folder: Path) -> SqliteDatabase:
    """A database of another user, in that user's folder."""
    folder.mkdir(exist_ok=True)
    database = SqliteDatabase(folder / "catalog.db")
    database.migrate()
    database.close()
    if os.geteuid() == 0:
        for path in (folder, database.path):
            os.chown(path, OWNER, OWNER)
    return database


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give files to other users")
@pytest.mark.parametrize("content", ["empty", "database"])
@pytest.mark.parametrize("use", USES, ids=lambda use: use.__name__)
def test_a_link_swapped_in_at_the_last_moment_leads_nowhere(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, use: Callable[[SqliteDatabase], object], content: str
) -> None:
    database = closed_database(tmp_path / "state")
    treasure = closed_database(tmp_path / "treasure").path
    if content == "empty":
        os.truncate(treasure, 0)
    before = treasure.read_bytes()
    swaps: list[Path] = []
    connect: Callable[..., sqlite3.Connection] = sqlite3.connect

    def swap(*args: Any, **parameters: Any) -> sqlite3.Connection:
        aside = database.path.rename(database.path.with_name("aside"))
        database.path.symlink_to(treasure)
        os.lchown(database.path, OWNER, OWNER)
        try:
            return connect(*args, **parameters)
        finally:
            swaps.append(aside.replace(database.path))

    monkeypatch.setattr(sqlite3, "connect", swap)
    with pytest.raises(UnusableDatabaseError, match=r"catalog\.db is a symlink, which is not followed: delete it"):
        use(database)
    assert swaps
    assert treasure.read_bytes() == before
    queue = {".queue", ".turn"}
    assert {path.name for path in treasure.parent.iterdir() if path.suffix not in queue} == {"catalog.db"}


@pytest.mark.parametrize("prefer_immutable", [False, True])
@pytest.mark.parametrize("suffix", FILES)
@pytest.mark.parametrize("kind", ["folder", "symlink", "hard link"])
def test_each_file_of_a_database_is_a_regular_file_with_one_name(
    tmp_path: Path, kind: str, suffix: str, *, prefer_immutable: bool
) -> None:
    path = closed_database(tmp_path / "state").path
    file, treasure = path.with_name(path.name + suffix), tmp_path / "treasure"
    treasure.touch()
    file.unlink(missing_ok=True)
    if kind == "folder":
        file.mkdir()
    elif kind == "symlink":
        file.symlink_to(treasure)
        os.lchown(file, OWNER, OWNER)
    else:
        file.hardlink_to(treasure)
    database = SqliteDatabase(path, prefer_immutable=prefer_immutable)
    with pytest.raises(CatalogError) as raised:
        read(database)
    assert str(raised.value).startswith(f"{file} ")
    assert "delete it" in str(raised.value) or "remove it" in str(raised.value)
    assert treasure.read_bytes() == b""


def test_a_database_behind_a_symlink_of_this_user_is_opened(tmp_path: Path) -> None:
    path = closed_database(tmp_path / "large-disk").path
    (tmp_path / "state").mkdir()
    link = tmp_path / "state/catalog.db"
    link.symlink_to(path)
    database = SqliteDatabase(link)
    write(database)
    assert database.describe()["rows"]["written"] == 0
    database.close()


@pytest.mark.parametrize("suffix", FILES)
def test_a_pipe_in_the_place_of_a_database_file_blocks_no_command(
    root: Path, index: Index, catalog: Catalog, plotindex: RunPlotindex, suffix: str
) -> None:
    draw(root, "s/project_a/x.png")
    index()
    catalog.database.close()
    database = catalog.database.path
    file = database.with_name(database.name + suffix)
    file.unlink(missing_ok=True)
    os.mkfifo(file)
    for command in ("find x", "rebuild", "support-bundle bundle"):
        done = plotindex(*command.split(), seconds=15)
        assert done.returncode == (0 if "bundle" in command else 2), done.stderr
        assert "bundle" in command or f"{file} is not a regular file: remove it" in done.stderr


def test_services_answer_and_stop_while_a_pipe_has_the_name_of_the_journal(
    root: Path, settings: Settings, catalog: Catalog, indexer: StartService, server: StartService
) -> None:
    secret = Tokens(settings.make_state_folder() / "tokens.json").create("web")
    catalog.database.close()
    draw(root, "s/project_a/x.png")

    def get(url: str) -> str:
        place = f"{url}/api/smartstat/plots/s/x.png"
        answer = requests.get(place, headers={"Authorization": f"Bearer {secret}"}, timeout=5)
        assert answer.status_code == 200, answer.text
        return answer.headers["Cache-Status"]

    journal = catalog.database.path.with_name("catalog.db-journal")
    with indexer() as watching, server() as serving:
        wait_until(lambda: get(serving.url) == "plotindex; hit")
        os.mkfifo(journal)
        assert get(serving.url) == "plotindex; hit"
        assert (serving.stop(), watching.stop()) == (0, 0)
    with server() as serving:
        assert get(serving.url) == "plotindex; fwd=miss"
        serving.wait_for(lambda: f"{journal} is not a regular file: remove it" in serving.stderr)
        journal.unlink()
        wait_until(lambda: get(serving.url).startswith("plotindex; hit"))
        assert serving.stop() == 0
