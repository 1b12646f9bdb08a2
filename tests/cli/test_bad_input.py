"""Bad input: one sentence with the fix on stderr, exit 2, no traceback, no data lost.

Each test runs several commands with different code paths in parallel and reports each failure.
"""

import grp
import os
import re
import shutil
import socket
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from subprocess import CompletedProcess

import pytest

from plotindex.config.settings import Settings
from plotindex.index.reconcile import reconcile
from plotindex.storage.catalog import Catalog
from plotindex.tree.tree import Tree
from tests.support.processes import Refused, RunPlotindex, StartService, all_plots, assert_refused, draw, run_plotindex

YEAR_2514 = 17_179_869_184 * 10**9


def test_no_root(refused: Refused, settings: Settings) -> None:
    commands = ["rebuild", "token create --name x"]
    refused(commands, "No root is given", "--root", "PLOTINDEX_ROOT", PLOTINDEX_ROOT="")
    assert not settings.state_dir.exists()


def test_a_locale_in_which_names_are_not_utf8(root: Path, environment: dict[str, str]) -> None:
    given = {**environment, "LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"}

    def run(*args: str) -> "CompletedProcess[str]":
        return run_plotindex(args, given, root, command=[sys.executable, "-m", "plotindex"])

    assert_refused(run, ["rebuild", "find x", "watch"], "file names as ascii", "set LC_ALL=C.UTF-8")


def test_a_root_that_does_not_exist(refused: Refused, root: Path) -> None:
    root.rmdir()
    for commands in (["verify", "rebuild", "run"], ["watch"]):
        refused(commands, f"The root {root} is missing", "create it", "--root")
    assert not root.exists()


def test_a_root_that_is_a_file(refused: Refused, root: Path) -> None:
    root.rmdir()
    root.write_text("precious")
    for commands in (["verify", "rebuild"], ["watch"]):
        refused(commands, f"The root {root} is a file", "--root")
    assert root.read_text() == "precious"


def test_a_root_with_too_long_a_name(refused: Refused) -> None:
    refused(["rebuild"], "File name too long", options=("--root", "a" * 5000))


def test_a_root_with_an_odd_name_is_escaped(refused: Refused, tmp_path: Path) -> None:
    refused(["rebuild"], r"odd\x1b[31m\u202e is missing", options=("--root", tmp_path / "odd\x1b[31m\u202e"))


def test_a_root_that_cannot_be_read(unprivileged: RunPlotindex, root: Path) -> None:
    root.chmod(0)
    for commands in (["verify", "rebuild"], ["watch"]):
        assert_refused(unprivileged, commands, f"The root {root} cannot be read", "readable for this user")


def test_a_root_below_a_folder_that_cannot_be_searched(unprivileged: RunPlotindex, root: Path) -> None:
    root.chmod(0)
    assert_refused(unprivileged, ["rebuild"], "Permission denied", options=("--root", f"{root}/below"))


def test_a_root_that_can_no_longer_be_read_keeps_its_plots(
    unprivileged: RunPlotindex, root: Path, tree: Tree, catalog: Catalog
) -> None:
    draw(root, "a/project_1/x.png")
    reconcile(tree, catalog, [""])
    before = all_plots(catalog)
    root.chmod(0)
    assert_refused(
        unprivileged, ["rebuild", "rebuild --from-scratch --allow-empty", "verify"], str(root), "readable for this user"
    )
    assert all_plots(catalog) == before


def test_a_port_in_use(refused: Refused, catalog: Catalog) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = str(taken.getsockname()[1])
        refused(["serve", "run"], f"Cannot listen on 127.0.0.1 port {port} (", "--port", options=("--port", port))


def test_an_invalid_host(refused: Refused, catalog: Catalog) -> None:
    refused(["serve --host nobody.invalid", "run --host a..b", "serve --host 192.0.2.1"], "--host")


def test_an_invalid_number(refused: Refused) -> None:
    refused(["serve --port http"], "--port must be a whole number from 1 to 65535, not 'http'.")
    refused(["watch"], "PLOTINDEX_RESCAN_SECONDS must be a whole number", PLOTINDEX_RESCAN_SECONDS="hourly")


def test_an_unknown_setting_in_the_file_suggests_the_closest_name(refused: Refused, tmp_path: Path) -> None:
    (tmp_path / "plotindex.toml").write_text("rescan_second = 60\n")
    refused(["rebuild"], "plotindex.toml", "'rescan_second'", "do you mean rescan_seconds?")
    refused(["rebuild"], "other.toml", "--config", options=("--config", "other.toml"))


def test_an_invalid_duration(refused: Refused, settings: Settings) -> None:
    refused(["token create --name x --expires tomorrow"], "'tomorrow'", "30d")
    assert not (settings.state_folder / "tokens.json").exists()


def test_a_state_folder_that_cannot_be_created(refused: Refused, unprivileged: RunPlotindex, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    commands = ["rebuild", "token create --name x"]
    refused(commands, "cannot be created", "PLOTINDEX_STATE_DIR", PLOTINDEX_STATE_DIR=str(tmp_path / "file"))
    (tmp_path / "state").mkdir(mode=0o500)
    assert_refused(unprivileged, commands, "cannot be created (Permission denied)", "PLOTINDEX_STATE_DIR")


def test_a_state_folder_that_cannot_be_written(unprivileged: RunPlotindex, settings: Settings) -> None:
    settings.make_state_folder().chmod(0o500)
    assert_refused(unprivileged, ["rebuild", "watch", "run", "token create --name x"], str(settings.state_folder))


def test_a_state_folder_without_permission_names_who_has_it(
    unprivileged: RunPlotindex, settings: Settings, catalog: Catalog
) -> None:
    settings.state_dir.chmod(0o2070)
    commands = ["status", "find x", "serve", "watch", "token create --name x"]
    group = grp.getgrgid(settings.state_dir.stat().st_gid).gr_name
    assert_refused(unprivileged, commands, str(settings.state_folder), f"with sudo, or as a user of the group {group}.")


def test_tokens_that_cannot_be_read(unprivileged: RunPlotindex, settings: Settings) -> None:
    (settings.make_state_folder() / "tokens.json").touch(mode=0o000)
    assert_refused(unprivileged, ["token list", "token create --name x"], "tokens.json", "Permission denied")


@pytest.fixture
def far_future() -> Iterator[Path]:
    """An empty directory on a file system that can store times beyond 64 bits of nanoseconds; ext4 cannot."""
    folder = Path(tempfile.mkdtemp(dir="/dev/shm", prefix="plotindex-"))
    yield folder
    shutil.rmtree(folder)


def test_unsupported_plots_are_reported_and_the_rest_is_indexed(
    plotindex: RunPlotindex, indexer: StartService, far_future: Path
) -> None:
    draw(far_future, "a/project_1/good.png")
    draw(far_future, "a/project_1/late.png", mtime_ns=YEAR_2514)
    assert (far_future / "a/project_1/late.png").stat().st_mtime_ns == YEAR_2514
    for name in (b"a/project_1/\xff.png", b"\xff/project_1/x.png", b"a/project_\xff/x.png", b"a/project_1/\xff/x.png"):
        draw(far_future, os.fsdecode(name))
    named = {
        r"\udcff": "its name is not UTF-8",
        r"a/project_\udcff": "its name is not UTF-8",
        r"a/project_1/\udcff": "its name is not UTF-8",
        r"a/project_1/\udcff.png": "its name is not UTF-8",
        "a/project_1/late.png": "its time is beyond 64 bits and is indexed as the nearest valid one",
    }
    root = {"PLOTINDEX_ROOT": str(far_future)}
    done = plotindex("rebuild", env=root)
    assert done.returncode == 0
    assert dict(line.split(": ", 1) for line in done.stderr.splitlines()) == named
    assert re.fullmatch(r"1 sessions, 2 plots, 2 added, .* seconds; 5 warnings above\n", done.stdout), done.stdout
    with indexer(env=root) as running:
        for path, why in named.items():
            assert f"WARNING {path}: {why}\n" in running.stderr
        draw(far_future, "a/project_1/next.png")
        running.wait_for(lambda: plotindex("find", "next", env=root).returncode == 0)
    verified = plotindex("verify", env=root)
    assert (verified.returncode, verified.stdout) == (0, "")
