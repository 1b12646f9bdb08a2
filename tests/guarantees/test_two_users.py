"""Indexer and server as two users of one state folder; and a server that cannot write at all."""

import gc
import os
import re
import shutil
import stat
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import requests

from plotindex.auth.tokens import Tokens
from plotindex.config.settings import Settings
from plotindex.errors import CatalogError
from plotindex.index.reconcile import reconcile
from plotindex.storage.catalog import Catalog
from plotindex.storage.sqlite.database import SqliteDatabase
from plotindex.storage.sqlite.read_only import stamp_of_closed
from plotindex.system.private_files import open_private, write_private
from plotindex.system.private_folder import make_private_folder
from plotindex.tree.plots import PlotKey
from plotindex.tree.tree import Tree
from tests import CHECKOUT
from tests.support.namespaces import mount, own_mounts
from tests.support.processes import Service, StartService, draw, run_plotindex, wait_until

INDEXER, SERVER, OPERATOR, GROUP = 4201, 4202, 4203, 4300

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="only root can become two users: run the tests as root")


def as_user(user: int) -> list[str]:
    """A command that executes another one as a user of the group, with the usual umask."""
    command = ["setpriv", f"--reuid={user}", f"--regid={GROUP}", "--clear-groups"]
    shell = ["sh", "-c", 'umask 022; exec "$@"', "sh"]
    if subprocess.run([*command, *shell, sys.executable, "-c", ""], capture_output=True, check=False).returncode:
        # The interpreter is in a private folder: this privilege lets other users read everything, but not write.
        command += ["--inh-caps=+dac_read_search", "--ambient-caps=+dac_read_search"]
    return [*command, *shell]


def read_only(folder: Path) -> list[str]:
    """A command that executes another one, with a folder mounted read-only."""
    script = 'mount --bind "$0" "$0" && mount -o remount,bind,ro "$0" && exec "$@"'
    return ["unshare", "--mount", "sh", "-c", script, str(folder)]


@pytest.fixture
def shared(settings: Settings, root: Path) -> Iterator[Path]:
    """The folder of all states, shared with the group by an operator; the root belongs to the indexer's user."""
    for folder in reversed(settings.state_dir.parents):
        if folder.stat().st_uid == os.geteuid() and str(folder).startswith("/tmp/pytest-of-"):
            folder.chmod(0o755)
    settings.state_dir.mkdir()
    os.chown(settings.state_dir, INDEXER, GROUP)
    settings.state_dir.chmod(0o2770)
    yield settings.state_dir
    shutil.rmtree(settings.state_dir)


class Asking:
    """An HTTP client with a token."""

    def __init__(self, token: str) -> None:
        self.token = token

    def __call__(self, server: Service, path: str) -> str:
        """The Cache-Status of a response that is asserted to be correct."""
        headers = {"Authorization": f"Bearer {self.token}"}
        answer = requests.get(f"{server.url}/api/smartstat/plots/{path}", headers=headers, timeout=10)
        assert (answer.status_code, answer.content) == (200, path.encode()), answer.content
        return answer.headers["Cache-Status"].partition("; ")[2]


def draw_named(root: Path, path: str) -> str:
    draw(root, path.replace("/", "/project_a/", 1), path.encode())
    return path


def test_two_users_share_one_state_whatever_their_umask(
    settings: Settings,
    root: Path,
    shared: Path,
    environment: dict[str, str],
    indexer: StartService,
    server: StartService,
) -> None:
    os.chown(root, INDEXER, GROUP)
    given = {**environment, "PLOTINDEX_ROOT": str(root)}

    def operate(*args: str) -> str:
        done = run_plotindex(args, given, root.parent, command=[*as_user(OPERATOR), sys.executable, "-m", "plotindex"])
        assert done.returncode == 0, done.stderr
        return done.stdout.strip()

    first, second, third = (draw_named(root, f"s/{name}.png") for name in ("first", "second", "third"))
    (root / "s/project_a/second.png").rename(hidden := root.parent / "second.png")
    (root / "s/project_a/third.png").unlink()
    with indexer(prefix=as_user(INDEXER)) as running:
        ask = Asking(operate("token", "create", "--name", "web", "--session", "s"))
        code = operate("token", "link", "web").partition("code=")[2]
        with server(prefix=as_user(SERVER)) as serving:
            assert wait_until(lambda: ask(serving, first) == "hit")
            assert requests.post(f"{serving.url}/login?code={code}", allow_redirects=False).status_code == 303
            draw_named(root, third)
            operate("sync")
            assert ask(serving, third) == "hit"
            assert running.stop() == 0
            wait_until(lambda: ask(serving, first) == "hit; detail=unwatched")
            hidden.rename(root / "s/project_a/second.png")
            assert ask(serving, second) == "fwd=miss"
            assert ask(serving, second) == "hit; detail=unwatched", "the server has not written what it found"
            with indexer(prefix=as_user(INDEXER)):
                wait_until(lambda: ask(serving, second) == "hit")
    wrong = [
        f"{file.relative_to(shared)} is {stat.filemode(status.st_mode)} {status.st_uid}:{status.st_gid}"
        for file in sorted(shared.rglob("*"))
        if (status := file.stat()).st_gid != GROUP
        or status.st_mode & stat.S_IRWXO
        or not status.st_mode & stat.S_IRGRP
        or (
            ".json" not in file.suffix
            and file.name not in ("secret.key", "history.id")
            # These are replaced, not written to.
            and file.parent.name != "thumbnails"
            and not status.st_mode & stat.S_IWGRP
        )
    ]
    assert not wrong
    assert {file.stat().st_uid for file in shared.rglob("*")} >= {INDEXER, SERVER, OPERATOR}


APPLICATION = """
from flask import Flask
from plotindex.web import PlotIndex

app = Flask("host")
PlotIndex(app, root={root!r}, may_see=lambda session: True)
answer = app.test_client().get("/api/smartstat/plots/s/first.png")
print(answer.headers["Cache-Status"], app.test_client().get("/api/smartstat/plots/s").status_code)
"""


def test_an_application_and_an_indexer_of_two_users_share_the_catalogue_as_documented(
    settings: Settings, root: Path, shared: Path, environment: dict[str, str], indexer: StartService
) -> None:
    [documented] = re.findall(
        r"<!-- executed by tests/guarantees/test_two_users.py -->\n```sh\n(.*?)```",
        (CHECKOUT / "docs/flask.md").read_text(),
        re.S,
    )
    install, export, watch = documented.splitlines()
    assert (export, watch) == ("export PLOTINDEX_STATE_DIR=/var/lib/plotindex", "plotindex watch --root /srv/plots")
    shared.rmdir()
    words = {"plotindex": str(INDEXER), "plots": str(GROUP), "/var/lib/plotindex": str(settings.state_dir)}
    subprocess.run([words.get(word, word) for word in install.split()], check=True)
    os.chown(root, INDEXER, GROUP)
    draw_named(root, "s/first.png")
    application = [*as_user(SERVER), sys.executable, "-c", APPLICATION.format(root=str(root))]

    def answer() -> str:
        done = subprocess.run(application, env=environment, capture_output=True, text=True, check=False, timeout=30)
        assert done.returncode == 0, done.stderr
        return done.stdout.strip()

    with indexer(prefix=as_user(INDEXER)):
        wait_until(lambda: answer() == "plotindex; hit 200")


@pytest.mark.parametrize("wall", ["permissions", "mount"])
def test_a_server_that_cannot_write_serves_while_the_indexer_comes_and_goes(
    settings: Settings, root: Path, shared: Path, indexer: StartService, server: StartService, wall: str
) -> None:
    prefix = as_user(SERVER) if wall == "permissions" else read_only(shared)
    if wall == "permissions":
        shared.chmod(0o2750)
    settings.make_state_folder()
    ask = Asking(Tokens.from_settings(settings).create("web"))
    path = draw_named(root, "s/first.png")
    options = ("--heal", "off")
    with server(*options, prefix=prefix) as serving:
        assert ask(serving, path) == "fwd=miss"
        with indexer() as running:
            wait_until(lambda: ask(serving, path) == "hit")
            later = draw_named(root, "s/later.png")
            wait_until(lambda: ask(serving, later) == "hit")
            assert running.stop() == 0
        wait_until(lambda: ask(serving, path) == "hit; detail=unwatched")
        login = requests.post(f"{serving.url}/login?code=x", allow_redirects=False)
        assert (login.status_code, "cannot write its state folder" in login.text) == (503, True)
        assert requests.post(f"{serving.url}/logout", allow_redirects=False).status_code == 303
    # The last one to close the database deletes its log, which this server cannot create.
    last = Catalog(SqliteDatabase(settings.catalog_location))
    last.record_root(str(root), settings.layout, 1)
    last.database.close()
    assert not list(shared.glob("*/catalog.db-wal"))
    with server(*options, prefix=prefix) as serving:
        wait_until(lambda: ask(serving, path) == "hit; detail=unwatched")
        with indexer():
            wait_until(lambda: ask(serving, path) == "hit")
            latest = draw_named(root, "s/latest.png")
            wait_until(lambda: ask(serving, latest) == "hit")
        assert not re.search("Traceback|damaged", serving.stderr)
    assert {file.stat().st_uid for file in shared.rglob("*")} == {INDEXER}, (
        "what root makes is not the folder's owner's"
    )


def test_a_read_during_a_write_is_not_trusted(settings: Settings, root: Path, tmp_path: Path, tree: Tree) -> None:
    folder, mirror = settings.make_state_folder(), tmp_path / "mirror"
    mirror.mkdir()
    draw(root, "s/project_a/hist.png", b"old")
    writer, key = Catalog(SqliteDatabase(folder / "catalog.db")), PlotKey("s", "hist.png")
    writer.initialise(str(root), settings.layout)
    reconcile(tree, writer, [""])
    writer.database.close()
    with own_mounts():
        mount("--bind", folder, mirror)
        mount("-o", "remount,bind,ro", mirror)
        reader = Catalog(SqliteDatabase(mirror / "catalog.db"))
        wait_until(lambda: stamp_of_closed(reader.database.path))
        before = reader.current(key)
        assert before is not None
        with pytest.raises(CatalogError, match="written while it was read"), reader.database.reading():
            draw(root, "s/project_a/hist.png", b"newer")
            reconcile(tree, writer, [""])
        found = reader.current(key)
        assert found is not None and found.size == 5
        # A reader does not recreate a missing log.
        reader.database.close()
        # The read that failed is in a cycle with its error, and has its connection open until then.
        gc.collect()
        writer.database.close()
        with pytest.raises(CatalogError, match="closed a moment ago"):
            reader.current(key)
        reader.database.close()


@pytest.mark.parametrize(
    ("mode", "made"), [(0o700, 0o700), (0o2700, 0o2700), (0o2755, 0o2700), (0o2770, 0o2770), (0o2750, 0o2750)], ids=oct
)
def test_only_a_folder_shared_with_its_group_shares_its_files(tmp_path: Path, mode: int, made: int) -> None:
    folder = tmp_path / "state"
    folder.mkdir()
    folder.chmod(mode)
    make_private_folder(folder / "root")
    os.close(open_private(folder / "root" / "lock"))
    write_private(folder / "root" / "secret.key", b"")
    modes = [stat.S_IMODE((folder / "root" / name).stat().st_mode) for name in (".", "lock", "secret.key")]
    assert modes == [made, 0o600 | made & 0o060, 0o600 | made & 0o040]
