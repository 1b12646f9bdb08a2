"""Plots are served while the catalogue is damaged, deleted or locked."""

import sqlite3
import time
from contextlib import closing
from pathlib import Path

import pytest
import requests

from plotindex.auth.tokens import Tokens
from plotindex.config.settings import Settings
from plotindex.errors import CatalogError, LockTimeoutError
from plotindex.index.reconcile import reconcile
from plotindex.storage.catalog import Catalog
from plotindex.storage.sqlite.writer_queue import WriterQueue
from plotindex.tree.plots import Plot
from plotindex.tree.tree import Tree
from tests.guarantees.test_convergence import plots_by_hand
from tests.support.processes import RunPlotindex, Service, StartService, all_plots, draw, wait_until

PAGE = 8192
AT_ONCE = 2.0
"""Timeout in seconds of each request: none waits for the faulty database."""


class Browser:
    """Requests plots from a server, with a token for all sessions."""

    def __init__(self, settings: Settings) -> None:
        secret = Tokens(settings.make_state_folder() / "tokens.json").create("web")
        self.headers = {"Authorization": f"Bearer {secret}"}

    def get(self, server: Service, path: str) -> requests.Response:
        url = f"{server.url}/api/smartstat/plots/{path}"
        return requests.get(url, headers=self.headers, timeout=AT_ONCE)

    def __call__(self, server: Service, path: str) -> tuple[int, bytes, str]:
        """Status, content, and the source in Cache-Status."""
        response = self.get(server, path)
        return response.status_code, response.content, response.headers["Cache-Status"].partition("; ")[2]

    def is_hit(self, server: Service, path: str) -> bool:
        """Whether the answer is from the catalogue; asserts that it is correct."""
        status, content, source = self(server, path)
        assert (status, content) == (200, path.encode()), content
        return source == "hit"


@pytest.fixture
def browser(settings: Settings) -> Browser:
    return Browser(settings)


@pytest.fixture
def paths(root: Path) -> list[str]:
    """Plots for several pages of the database, each with its path as its content."""
    found = [f"s{number % 3}/{number:04}.png" for number in range(600)]
    for path in found:
        draw(root, path.replace("/", "/project_a/"), path.encode())
    return found


class Healing:
    """A root with a catalogue to be damaged, and checks that it is repaired."""

    def __init__(self, tree: Tree, catalog: Catalog) -> None:
        self.tree, self.root, self.catalog = tree, tree.root, catalog
        self.database = catalog.database.path
        self.aside = self.database.with_name("catalog.db.damaged")

    def rebuild(self) -> None:
        """As `plotindex rebuild` does; leaves the database closed."""
        self.catalog.initialise(str(self.root), self.tree.layout)
        reconcile(self.tree, self.catalog, [""])
        self.catalog.database.close()

    def damage(self, first: int, last: int | None = None) -> None:
        """Overwrite pages of the database while others have it open."""
        self.catalog.database.close()
        with closing(sqlite3.connect(self.database)) as connection:
            # Pages still in the log would not be damaged.
            wait_until(lambda: connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone() == (0, 0, 0))
        with self.database.open("r+b") as file:
            last = last or file.seek(0, 2) // PAGE
            file.seek(first * PAGE)
            file.write(b"damage! " * (PAGE // 8) * (last - first))

    def is_done(self, *logs: Service) -> None:
        """Check that the damaged database is kept, the new one equals the tree, and this was logged once."""
        self.catalog.database.close()
        wait_until(lambda: self.database.exists() and self.indexed() == plots_by_hand(self.root))
        with closing(sqlite3.connect(self.database)) as connection:
            assert connection.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
        told = "".join(log.stderr for log in logs)
        assert told.count(f"{self.database} was damaged; it is kept as {self.aside}.") == 1, told
        assert "Traceback" not in told
        self.aside.unlink()

    def indexed(self) -> set[Plot]:
        try:
            self.catalog.database.check_replaced()
            return all_plots(self.catalog)
        except CatalogError:
            return set()


@pytest.fixture
def healing(tree: Tree, catalog: Catalog) -> Healing:
    return Healing(tree, catalog)


@pytest.mark.parametrize(("first", "last"), [(0, 1), (1, None)], ids=["its head", "all behind its head"])
def test_damaged_catalogue_is_quarantined_and_rebuilt_while_the_server_scans(
    healing: Healing,
    browser: Browser,
    paths: list[str],
    indexer: StartService,
    server: StartService,
    first: int,
    last: int | None,
) -> None:
    with indexer() as watching, server() as serving:
        wait_until(lambda: browser.is_hit(serving, paths[0]))
        healing.damage(first, last)
        draw(healing.root, "s0/project_a/new.png", b"s0/new.png")
        assert browser(serving, "s0/new.png")[:2] == (200, b"s0/new.png")
        wait_until(lambda: healing.aside.exists() and browser.is_hit(serving, paths[1]))
        assert browser.is_hit(serving, "s0/new.png")
        healing.is_done(watching, serving)


def test_damage_met_only_by_lookups_is_repaired(
    healing: Healing, browser: Browser, paths: list[str], indexer: StartService, server: StartService
) -> None:
    """Without changes the indexer reads none of these pages."""
    with indexer() as watching, server() as serving:
        with closing(sqlite3.connect(healing.database)) as connection:
            query = "SELECT pageno FROM dbstat WHERE name = 'ix_plot_current'"
            pages = [row[0] for row in connection.execute(query)]
        for page in pages:
            healing.damage(page - 1, page)
        for path in paths[::50]:
            browser.is_hit(serving, path)
        wait_until(lambda: healing.aside.exists() and all(browser.is_hit(serving, path) for path in paths[::50]))
        healing.is_done(watching, serving)


def test_only_indexer_and_rebuild_quarantine_a_catalogue_damaged_at_the_start(
    healing: Healing,
    browser: Browser,
    paths: list[str],
    plotindex: RunPlotindex,
    indexer: StartService,
    server: StartService,
) -> None:
    healing.rebuild()
    healing.damage(0)
    for command in (["status"], ["find", "0001"], ["verify"]):
        done = plotindex(*command)
        assert (done.returncode, done.stdout) == (2, "")
        assert f"{healing.database} is damaged: a running indexer or `plotindex rebuild` recreates it." in done.stderr
    assert not healing.aside.exists()
    done = plotindex("rebuild")
    assert (done.returncode, done.stdout.partition(" in ")[0]) == (
        0,
        "3 sessions, 600 plots, 600 added, 0 changed, 0 removed",
    )
    assert f"it is kept as {healing.aside}." in done.stderr
    healing.damage(2, 5)
    with indexer() as watching, server() as serving:
        wait_until(lambda: browser.is_hit(serving, paths[0]))
        healing.is_done(watching, serving)


def test_deleted_catalogue_is_answered_by_scan_until_rebuilt(
    healing: Healing, browser: Browser, paths: list[str], server: StartService
) -> None:
    healing.rebuild()
    with server() as serving:
        assert browser(serving, paths[0]) == (200, paths[0].encode(), "hit; detail=unwatched")
        healing.database.unlink()
        wait_until(lambda: browser(serving, paths[0]) == (200, paths[0].encode(), "fwd=miss"))
        assert browser(serving, "s0/none.png") == (404, b'{"error":"Plot not found"}\n', "fwd=miss")
        healing.rebuild()
        wait_until(lambda: browser(serving, paths[0]) == (200, paths[0].encode(), "hit; detail=unwatched"))
        assert "Traceback" not in serving.stderr
    assert healing.indexed() == plots_by_hand(healing.root)


def test_exclusive_lock_of_another_program_delays_no_request(
    healing: Healing, browser: Browser, paths: list[str], server: StartService
) -> None:
    healing.rebuild()
    other = sqlite3.connect(healing.database)
    other.execute("PRAGMA locking_mode = EXCLUSIVE")
    other.execute("UPDATE catalogue SET clock = clock + 1")
    with closing(other), server() as serving:
        for path in paths[:3]:
            assert browser(serving, path) == (200, path.encode(), "fwd=miss")
        # Only the first request in a second waits for the database.
        began = time.monotonic()
        for path in paths[3:20]:
            assert browser(serving, path) == (200, path.encode(), "fwd=miss")
        assert time.monotonic() - began < AT_ONCE
        assert browser(serving, "s0/none.png")[0] == 404
        other.rollback()
        other.close()
        wait_until(lambda: browser(serving, paths[0])[2] == "hit; detail=unwatched")
        assert "is locked by another program" in serving.stderr
        assert "Traceback" not in serving.stderr


def test_long_transaction_of_another_program_delays_no_request(
    healing: Healing, browser: Browser, paths: list[str], server: StartService
) -> None:
    healing.rebuild()
    with closing(sqlite3.connect(healing.database, isolation_level=None)) as other, server() as serving:
        other.execute("BEGIN IMMEDIATE")
        other.execute("DELETE FROM plot")
        for number in range(10):
            path = f"s1/new-{number}.png"
            draw(healing.root, f"s1/project_a/new-{number}.png", path.encode())
            assert browser(serving, path) == (200, path.encode(), "fwd=miss")
            assert browser(serving, paths[number]) == (200, paths[number].encode(), "hit; detail=unwatched")
        other.execute("ROLLBACK")
        wait_until(lambda: browser(serving, "s1/new-0.png")[2] == "hit; detail=unwatched")
        assert "Traceback" not in serving.stderr


def test_indexer_waiting_for_another_program_stops_on_request(healing: Healing, indexer: StartService) -> None:
    def is_waiting() -> bool:
        try:
            with WriterQueue(healing.catalog.database.path).turn(timeout=0):
                return False
        except LockTimeoutError:
            return True

    with indexer() as watching, closing(sqlite3.connect(healing.database, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        draw(healing.root, "s/project_a/x.png")
        wait_until(is_waiting)
        assert watching.stop(seconds=6) == 0
        assert "Traceback" not in watching.stderr
