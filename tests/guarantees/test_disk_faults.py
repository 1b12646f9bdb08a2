"""Full and read-only disks; missing, changing and unreadable roots and plots: reported and survived."""

import os
from collections.abc import Callable, Sequence
from contextlib import closing
from http.client import HTTPConnection, HTTPResponse, IncompleteRead
from pathlib import Path

import pytest

from plotindex.auth.keys import KeyFile
from plotindex.auth.logins import Logins
from plotindex.auth.tokens import Tokens
from plotindex.config.settings import Settings
from plotindex.errors import SettingsError
from plotindex.index.reconcile import reconcile
from plotindex.storage.catalog import Catalog
from plotindex.tree.tree import Tree
from tests.guarantees.test_convergence import plots_by_hand
from tests.guarantees.test_crash import fill
from tests.storage.test_database_faults import AT_ONCE, Browser
from tests.support.namespaces import mount
from tests.support.processes import Service, StartService, all_plots, draw, free_port, is_free, wait_until

LARGE = 30 << 20
UNPRIVILEGED = ["setpriv", "--bounding-set", "-dac_override,-dac_read_search"] if os.geteuid() == 0 else []
"""A command that executes another one, with permissions applied to root, too."""


@pytest.fixture
def browser(settings: Settings) -> Browser:
    return Browser(settings)


def draw_named(root: Path, *paths: str) -> None:
    """Draw plots whose content is their key."""
    for path in paths:
        session, _, filename = path.partition("/")
        draw(root, f"{session}/project_a/{filename}", path.encode())


def test_a_full_disk_stops_no_answer_and_the_indexer_continues_once_there_is_room(
    small_disk: Path, root: Path, catalog: Catalog, browser: Browser, indexer: StartService, server: StartService
) -> None:
    draw_named(root, "s/old.png", "s/gone.png")
    with indexer() as watching, server() as serving:
        wait_until(lambda: browser.is_hit(serving, "s/old.png"))
        filling = fill(small_disk)
        new = [f"t/{number}.png" for number in range(600)]
        draw_named(root, *new)
        (root / "s/project_a/gone.png").unlink()
        watching.wait_for(lambda: "disk is full" in watching.stderr)
        browser.is_hit(serving, "s/old.png")
        for path in new[::100]:
            browser.is_hit(serving, path)
        assert browser(serving, "s/gone.png")[0] == 404
        filling.unlink()
        wait_until(lambda: browser.is_hit(serving, "s/old.png") and browser.is_hit(serving, new[-1]))
        wait_until(lambda: all_plots(catalog) == plots_by_hand(root))
        assert "Traceback" not in watching.stderr + serving.stderr


def test_a_read_only_disk_stops_no_answer_and_the_indexer_continues_once_it_can_write(
    small_disk: Path, root: Path, catalog: Catalog, browser: Browser, indexer: StartService, server: StartService
) -> None:
    draw_named(root, "s/old.png")
    with indexer() as watching, server() as early:
        wait_until(lambda: browser.is_hit(early, "s/old.png"))
        mount("--bind", small_disk, small_disk)
        mount("-o", "remount,bind,ro", small_disk)
        draw_named(root, "s/new.png")
        watching.wait_for(lambda: "Read-only file system" in watching.stderr)
        with server() as late:
            for serving in (early, late):
                browser.is_hit(serving, "s/old.png")
                assert browser(serving, "s/new.png") == (200, b"s/new.png", "fwd=miss")
            mount("-o", "remount,bind,rw", small_disk)
            wait_until(lambda: browser.is_hit(early, "s/new.png") and browser.is_hit(late, "s/new.png"))
            assert all_plots(catalog) == plots_by_hand(root)
            assert "Traceback" not in watching.stderr + early.stderr + late.stderr


def is_refused(browser: Browser, server: Service, path: str) -> bool:
    """Whether the response is a 503 with a sentence that names nothing, and Retry-After."""
    response = browser.get(server, path)
    if response.status_code != 503:
        return False
    assert response.json().keys() == {"error"}
    assert "/" not in response.json()["error"]
    assert int(response.headers["Retry-After"]) > 0
    return True


def test_a_missing_root_and_an_unreadable_plot_are_503_until_they_are_back(
    root: Path, catalog: Catalog, browser: Browser, indexer: StartService, service: StartService, tmp_path: Path
) -> None:
    draw(root, "s/project_b/x.png", b"an older copy", mtime_ns=1)
    draw_named(root, "s/x.png", "s/y.png")
    port = free_port()
    with indexer() as watching, service("serve", "--port", str(port), prefix=UNPRIVILEGED) as serving:
        serving.url = f"http://127.0.0.1:{port}"
        wait_until(lambda: not is_free(port))
        wait_until(lambda: browser.is_hit(serving, "s/x.png"))
        (root / "s/project_a/x.png").chmod(0)
        assert is_refused(browser, serving, "s/x.png")
        assert browser.is_hit(serving, "s/y.png")
        (root / "s/project_a/x.png").chmod(0o644)
        assert browser.is_hit(serving, "s/x.png")
        root.rename(tmp_path / "away")
        assert is_refused(browser, serving, "s/x.png")
        assert is_refused(browser, serving, "s/none.png")
        (tmp_path / "away").rename(root)
        wait_until(lambda: browser(serving, "s/x.png")[0] == 200)
        wait_until(lambda: browser.is_hit(serving, "s/x.png"))
        assert browser(serving, "s/none.png")[0] == 404
        assert "Traceback" not in watching.stderr + serving.stderr


def test_a_plot_that_vanishes_after_the_look_up_is_answered_by_a_scan(
    root: Path, tree: Tree, catalog: Catalog, browser: Browser, server: StartService
) -> None:
    draw(root, "s/project_b/x.png", b"an older copy", mtime_ns=1)
    draw_named(root, "s/x.png", "s/y.png")
    reconcile(tree, catalog, [""])
    with server() as serving:
        (root / "s/project_a/x.png").unlink()
        (root / "s/project_a/y.png").unlink()
        assert browser(serving, "s/x.png") == (200, b"an older copy", "fwd=stale")
        assert browser(serving, "s/y.png") == (404, b'{"error":"Plot not found"}\n', "fwd=stale")
        assert browser(serving, "s/x.png") == (200, b"an older copy", "hit; detail=unwatched")
        assert "Traceback" not in serving.stderr


def test_a_full_disk_is_named_and_existing_state_files_stay(settings: Settings, small_disk: Path) -> None:
    tokens, keys = Tokens.from_settings(settings), KeyFile(settings.make_state_folder() / "secret.key")
    secret = tokens.create("first")
    keys.load_or_create()
    token = tokens.check(secret)
    assert token is not None
    logins = Logins.from_settings(settings)
    code = logins.create_code(token)
    changes = [
        lambda: tokens.create("second"),
        lambda: tokens.revoke("first"),
        keys.rotate,
        lambda: logins.create_code(token),
        lambda: logins.consume_code(code),
    ]
    before = sorted(path.name for path in settings.state_folder.iterdir())
    filling = fill(small_disk)
    refuse(changes, r"\(No space left on device\): make room on that disk\.")
    filling.unlink()
    mount("-o", "remount,ro", small_disk)
    refuse(changes, r"\(Read-only file system\): mount that disk writable")
    assert sorted(path.name for path in settings.state_folder.iterdir()) == before
    assert tokens.check(secret) == token


def refuse(changes: Sequence[Callable[[], object]], said: str) -> None:
    for change in changes:
        with pytest.raises(SettingsError, match=said):
            change()


def ask(connection: HTTPConnection, browser: Browser, path: str) -> HTTPResponse:
    """Request a plot without reading the response yet."""
    connection.request("GET", f"/api/smartstat/plots/{path}", headers=browser.headers)
    return connection.getresponse()


def test_a_plot_that_shrinks_while_sent_is_incomplete_and_one_that_grows_ends_at_its_length(
    root: Path, browser: Browser, server: StartService
) -> None:
    large = draw(root, "s/project_a/large.png", bytes(LARGE))
    draw_named(root, "s/x.png")
    with server() as serving, closing(HTTPConnection(serving.url[len("http://") :], timeout=AT_ONCE)) as connection:
        response = ask(connection, browser, "s/large.png")
        os.truncate(large, 1000)
        with pytest.raises(IncompleteRead):
            response.read()
        connection.close()
        assert browser(serving, "s/large.png")[:2] == (200, bytes(1000))
        large.write_bytes(bytes(LARGE))
        response = ask(connection, browser, "s/large.png")
        with large.open("ab") as file:
            file.write(b"more")
        assert response.read() == bytes(LARGE)
        # The connection stays usable for the next response.
        assert ask(connection, browser, "s/x.png").read() == b"s/x.png"
        # That there is no catalogue, twice, and where it serves; nothing of what happened here.
        assert len([line for line in serving.stderr.splitlines() if " GET " not in line]) == 3, serving.stderr
