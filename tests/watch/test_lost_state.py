"""The state folder of a running indexer is deleted, or its disk has no inode left."""

import shutil
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import pytest

from plotindex.config.settings import Settings
from tests.support.namespaces import small_disk_at
from tests.support.processes import RunPlotindex, StartService, draw, wait_until


@pytest.fixture
def few_inodes(tmp_path: Path) -> Iterator[Path]:
    """The state folder on a disk with few inodes."""
    with small_disk_at(tmp_path / "state", "size=20m,nr_inodes=100") as folder:
        yield folder


def remove(folder: Path) -> None:
    """Remove a folder in which the services still create files."""

    def is_removed() -> bool:
        shutil.rmtree(folder, ignore_errors=True)
        return not folder.exists()

    wait_until(is_removed)


def rename(folder: Path) -> None:
    folder.rename(folder.parent.with_name("renamed"))


def replace_lock(folder: Path) -> None:
    (folder / "indexer.lock").rename(folder / "renamed")
    (folder / "indexer.lock").touch()


@pytest.mark.parametrize("harm", [remove, rename, replace_lock])
def test_indexer_exits_and_names_the_fix_when_its_state_is_lost(
    root: Path,
    settings: Settings,
    indexer: StartService,
    plotindex: RunPlotindex,
    harm: Callable[[Path], None],
) -> None:
    draw(root, "s/project_a/x.png")
    with indexer() as first:
        harm(settings.state_folder)
        assert first.process.wait(10) == 1
        assert "was deleted or replaced while the indexer was running: restart `plotindex watch`" in first.stderr
        assert "writable for this user" not in first.stderr
        assert "Traceback" not in first.stderr
    with indexer():
        assert plotindex("sync").returncode == 0
        assert plotindex("verify").returncode == 0


def test_no_inode_left_is_named_and_status_is_unwell_until_self_tests_run_again(
    few_inodes: Path, root: Path, settings: Settings, indexer: StartService, unprivileged: RunPlotindex
) -> None:
    # The process that the fixture `plotindex` forks does not see this test's mounts.
    draw(root, "s/project_a/x.png")
    with indexer() as running:
        assert unprivileged("sync").returncode == 0
        filling = few_inodes / "filling"
        filling.mkdir()

        def fill() -> bool:
            """Also the inode that a finished self-test has freed."""
            try:
                while True:
                    (filling / str(len(list(filling.iterdir())))).touch()
            except OSError:
                return "no inode left" in running.stderr

        fill()
        asked = unprivileged("sync", "--timeout", "5")
        assert asked.returncode == 1
        assert "no inode left" in asked.stderr
        assert "user" not in asked.stderr
        running.wait_for(fill, 60)
        # Other processes of the indexer may free one, too.
        wait_until(lambda: fill() and "no inode left" in unprivileged("status").stderr, 60)
        shutil.rmtree(filling)
        wait_until(lambda: unprivileged("status").returncode == 0)
        assert unprivileged("sync").returncode == 0


def kept_versions(plotindex: RunPlotindex) -> int:
    return len(plotindex("history", "list", "s", "x.png").stdout.splitlines())


@pytest.mark.parametrize(
    ("lost", "problem"),
    [
        (["history.db*"], "The history's database"),
        (["history"], "The history's folder"),
        (["history", "history.db*"], ""),
    ],
)
def test_a_history_that_is_removed_is_named_and_kept_again_once_it_is_back_or_all_of_it_is_gone(
    root: Path,
    settings: Settings,
    indexer: StartService,
    plotindex: RunPlotindex,
    tmp_path: Path,
    lost: Sequence[str],
    problem: str,
) -> None:
    draw(root, "s/project_a/x.png")
    with indexer():
        wait_until(lambda: kept_versions(plotindex) == 1)
        away = tmp_path / "away"
        away.mkdir()
        for path in [path for pattern in lost for path in settings.state_folder.glob(pattern)]:
            path.rename(away / path.name)
        draw(root, "s/project_a/x.png", b"another")
        if problem:
            wait_until(lambda: plotindex("status").returncode == 1)
            status = plotindex("status").stdout
            assert f"{problem} {settings.state_folder}/" in status
            assert " is missing" in status
            for path in away.iterdir():
                path.rename(settings.state_folder / path.name)
        wait_until(lambda: kept_versions(plotindex) == (2 if problem else 1), 30)
        wait_until(lambda: plotindex("status").returncode == 0)
