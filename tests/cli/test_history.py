"""`plotindex history`, and its backup, with a running indexer."""

import json
import os
import re
import signal
from pathlib import Path

from plotindex.config.settings import Settings
from tests.support.processes import RunPlotindex, Service, StartService, children_running, draw, wait_until

VERSIONS = re.compile(r"[0-9a-f]{16}  \S+Z +\d+ B  project_a")


def kept(plotindex: RunPlotindex, *key: str) -> list[dict[str, object]]:
    done = plotindex("history", "list", *key, "--json")
    return list(json.loads(done.stdout))


def wait_for_versions(plotindex: RunPlotindex, count: int, *key: str) -> None:
    wait_until(lambda: len(kept(plotindex, *key)) == count, 40)


def test_what_is_overwritten_and_deleted_is_listed_and_can_be_had_again(
    root: Path, plotindex: RunPlotindex, indexer: StartService, tmp_path: Path, settings: Settings
) -> None:
    draw(root, "s/project_a/x.png", b"one")
    with indexer() as running:
        running.wait_for(lambda: "Overwritten and deleted plots are kept from now on, up to" in running.stderr)
        wait_for_versions(plotindex, 1, "s", "x.png")
        draw(root, "s/project_a/x.png", b"two")
        wait_for_versions(plotindex, 2, "s", "x.png")
        kill_keeper(running)
        (root / "s/project_a/x.png").unlink()
        draw(root, "s/project_a/y.png", b"three")
        wait_for_versions(plotindex, 1, "s", "y.png")
        wait_until(lambda: kept(plotindex, "s")[0]["gone"])
        lines = plotindex("history", "list", "s", "x.png").stdout.splitlines()
        assert len(lines) == 2
        assert all(map(VERSIONS.fullmatch, lines))
        listed = plotindex("history", "list", "s").stdout
        assert re.fullmatch(r" +2 .*x\.png  removed .*\n +1 .*y\.png\n", listed), listed
        version = lines[1].split()[0]
        assert plotindex("history", "get", "s", "x.png", version, "-o", "old.png").returncode == 0
        assert (tmp_path / "old.png").read_bytes() == b"one"
        again = plotindex("history", "get", "s", "x.png", version, "-o", "old.png")
        assert (again.returncode, again.stderr) == (2, "plotindex: old.png exists: name another file with -o.\n")
        assert plotindex("history", "get", "s", "x.png", version, "-o", "-").stdout == "one"
        none = plotindex("history", "get", "s", "x.png", "0" * 16, "-o", "none.png")
        assert (none.returncode, none.stderr) == (1, f"plotindex: Version {'0' * 16} of s/x.png is not kept.\n")
        assert plotindex("token", "create", "--name", "t").returncode == 0
        backup = plotindex("backup", "--history", "all.tar")
        assert backup.stderr.startswith("Backed up 3 versions of plots in 3 files.\n")
        done = plotindex("history", "forget", "s", "x.png", "--yes")
        assert done.stdout == (
            "Forgot 2 versions of s/x.png: 2 files and 0 pictures deleted. Backups still have them.\n"
        )
        assert kept(plotindex, "s", "x.png") == []
        assert plotindex("history", "list", "s", "x.png").returncode == 1
        none = plotindex("history", "forget", "s", "x.png", "--yes")
        assert (none.returncode, none.stderr) == (
            1,
            "plotindex: No version of s/x.png is kept. What is there now is kept only when it changes.\n",
        )
        assert len(kept(plotindex, "s", "y.png")) == 1
        restored = plotindex("restore", "all.tar")
        assert restored.stderr.startswith("Restored 0 versions of plots; others were kept already, or forgotten.\n")
        assert kept(plotindex, "s", "x.png") == []
    assert "Traceback" not in running.stderr


def keepers(running: Service) -> list[int]:
    """The processes that keep the history for an indexer."""
    return children_running(running.pid, "plotindex.history.process")


def kill_keeper(running: Service) -> None:
    """SIGKILL the process that keeps, which the indexer starts again."""
    [old] = wait_until(lambda: keepers(running))
    os.kill(old, signal.SIGKILL)
    wait_until(lambda: [pid for pid in keepers(running) if pid != old])
    assert "The history process ended with -9; restarting it in" in running.stderr


def test_the_history_can_be_off(root: Path, plotindex: RunPlotindex, indexer: StartService, settings: Settings) -> None:
    draw(root, "s/project_a/x.png")
    with indexer(env={"PLOTINDEX_HISTORY_MB": "0"}):
        assert plotindex("sync").returncode == 0
    assert not (settings.state_folder / "history.db").exists()
    done = plotindex("history", "list", "s", env={"PLOTINDEX_HISTORY_MB": "0"})
    assert (done.returncode, done.stderr) == (2, "plotindex: The history is off: set history_mb.\n")
    done = plotindex("history", "list", "s")
    assert (done.returncode, done.stderr) == (1, "plotindex: No version of s is kept.\n")
