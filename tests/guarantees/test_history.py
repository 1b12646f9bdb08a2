"""The history with real processes: killed, on a full disk, of two users, after an upgrade, on two hosts."""

import json
import os
import signal
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from hashlib import blake2b
from pathlib import Path

import pytest
import requests

from plotindex.config.settings import Settings
from plotindex.history.access import History
from plotindex.history.store import HistoryStore
from plotindex.storage.tables import metadata
from plotindex.tree.tree import Tree
from tests.guarantees.test_two_users import INDEXER, SERVER, as_user, shared  # noqa: F401 - a fixture
from tests.storage.test_upgrades import DATA
from tests.support.history import keeper_of
from tests.support.postgres import connected, on_both_engines, on_postgresql
from tests.support.processes import RunPlotindex, StartService, draw, wait_until
from tests.tools.history_torture import torture


@pytest.fixture
def kept(settings: Settings, engine: str, tmp_path: Path, environment: dict[str, str]) -> Iterator[Settings]:
    """Settings with a history, on PostgreSQL in a shared folder."""
    if engine == "postgresql":
        (tmp_path / "shared").mkdir(mode=0o700)
        environment["PLOTINDEX_HISTORY_DIR"] = str(tmp_path / "shared")
        settings = replace(settings, history_dir=tmp_path / "shared")
    settings.make_state_folder()
    yield settings


def versions(settings: Settings, session: str, filename: str) -> list[bytes]:
    """The bytes of each kept version, the newest first."""
    store = HistoryStore.from_settings(settings)
    assert store is not None
    with closing(store.database):
        history = History(store, Tree(settings.root))
        page = history.versions(session, filename, None, 1000, is_limited=False)
        found = []
        for each in page.versions:
            opened = history.open(session, filename, each.plot.version, is_limited=False)
            assert opened is not None
            with os.fdopen(opened.fd, "rb") as file:
                found.append(file.read())
        return found


def check(settings: Settings) -> None:
    """Assert that each row has its bytes, and no bytes are without a row."""
    store = HistoryStore.from_settings(settings)
    assert store is not None
    with closing(store.database), store.reading() as reader:
        needed = {version.digest for version in reader.all_versions()}
        assert needed == reader.digests()
    files = {file.name: file.read_bytes() for file in settings.history_folder.iterdir() if len(file.name) == 32}
    assert {name: blake2b(content, digest_size=16).hexdigest() for name, content in files.items()} == {
        name: name for name in needed
    }
    assert {file.name for file in settings.history_folder.iterdir()} - files.keys() <= {"history.id", "writing.lock"}


@on_both_engines
def test_after_kills_full_disks_and_failing_writes_all_that_stood_is_kept(
    tmp_path: Path, environment: dict[str, str]
) -> None:
    url = environment.get("PLOTINDEX_DATABASE_URL")
    figures = torture(tmp_path, 1, 1, url, storm_seconds=3, calm_seconds=4)
    assert figures.differences == []
    assert figures.stood


def test_an_upgraded_catalogue_keeps_what_is_there_and_what_is_drawn(
    root: Path, settings: Settings, plotindex: RunPlotindex, indexer: StartService
) -> None:
    settings.make_state_folder()
    file = settings.state_folder / "catalog.db"
    with closing(sqlite3.connect(file)) as connection:
        connection.executescript((DATA / "catalogue-0001.sql").read_text())
        connection.execute("UPDATE catalogue SET root = ?, identity = NULL", (str(root),))
        connection.commit()
    draw(root, "first/project_a/hist.png", b"as it was")
    with indexer() as running:
        wait_until(lambda: versions(settings, "first", "hist.png") == [b"as it was"], 40)
        draw(root, "first/project_a/hist.png", b"drawn anew")
        wait_until(lambda: versions(settings, "first", "hist.png") == [b"drawn anew", b"as it was"], 40)
        status = json.loads(plotindex("status", "--json").stdout)
        assert status["history"]["versions"] == 2
        assert status["history"]["problem"] == ""
        told = plotindex("status").stdout
        assert "history    2 versions in 1 sessions, 8.2 KB of 1.1 GB; 0 plots are removed" in told
        assert "history_mb=0 turns it off" in told
    assert "Overwritten and deleted plots are kept from now on" in running.stderr
    check(settings)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can become two users: run the tests as root")
def test_a_server_of_another_user_reads_what_the_indexer_keeps(
    settings: Settings,
    root: Path,
    shared: Path,  # noqa: F811 - the fixture
    plotindex: RunPlotindex,
    indexer: StartService,
    server: StartService,
) -> None:
    os.chown(root, INDEXER, -1)
    draw(root, "s/project_a/x.png", b"one")
    with indexer(prefix=as_user(INDEXER)):
        token = plotindex("token", "create", "--name", "web", "--session", "s").stdout.strip()
        with server(prefix=as_user(SERVER)) as serving:
            client = requests.Session()
            client.headers["Authorization"] = f"Bearer {token}"

            def listed() -> list[dict[str, str]]:
                answer = client.get(f"{serving.url}/api/smartstat/history/s/x.png", timeout=10)
                return list(answer.json()["versions"])

            wait_until(lambda: listed()[0]["digest"], 40)
            draw(root, "s/project_a/x.png", b"two")
            wait_until(lambda: len(listed()) == 2 and listed()[0]["digest"], 40)
            contents = [client.get(serving.url + each["url"], timeout=10).content for each in listed()]
            assert contents == [b"two", b"one"]
    assert {file.stat().st_mode & 0o777 for file in settings.history_folder.iterdir()} <= {0o660, 0o640}


@on_postgresql
def test_on_a_shared_catalogue_the_leader_keeps_in_the_shared_folder(
    root: Path, kept: Settings, service: StartService, plotindex: RunPlotindex, tmp_path: Path
) -> None:
    draw(root, "s/project_a/x.png", b"one")
    others = {"PLOTINDEX_STATE_DIR": str(tmp_path / "other-state")}
    with service("watch") as first:
        wait_until(lambda: kept.history_folder.is_dir() and versions(kept, "s", "x.png") == [b"one"], 60)
        with service("watch", env=others) as second:
            second.wait_for(lambda: "Full scan finished" in second.stderr)
            assert keeper_of(second.pid) is None
            os.killpg(first.pid, signal.SIGKILL)
            draw(root, "s/project_a/x.png", b"two")
            wait_until(lambda: versions(kept, "s", "x.png") == [b"two", b"one"], 60)
    done = plotindex("history", "list", "s", env={"PLOTINDEX_HISTORY_DIR": ""})
    assert done.returncode == 2
    assert done.stderr == ("plotindex: The history is off: set history_dir to a folder that all nodes share.\n")
    # A new catalogue leaves the history's tables alone.
    with connected(str(kept.database)) as connection:
        for table in (*metadata.tables, "alembic_version"):
            connection.execute(f"DROP TABLE {table}".encode())
    with service("watch"):
        draw(root, "s/project_a/x.png", b"three")
        wait_until(lambda: versions(kept, "s", "x.png") == [b"three", b"two", b"one"], 60)
    check(kept)
