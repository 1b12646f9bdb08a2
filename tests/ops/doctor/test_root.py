"""Checks of the root and the clocks."""

import os
import time
from pathlib import Path

import pytest

from plotindex.config.settings import Polling, Settings
from plotindex.ops.doctor.clocks import clock_offset, root_clock_finding, state_clock_finding
from plotindex.ops.doctor.context import open_context
from plotindex.ops.doctor.root import check_folders, mount_finding
from plotindex.system.mounts import Mount
from tests.ops.doctor.test_checks import findings_of
from tests.support.namespaces import mount, own_mounts
from tests.support.processes import Index, draw

NS = 1_000_000_000


def test_lost_root_is_bad_and_one_that_shares_sessions_is_accepted(
    settings: Settings, root: Path, index: Index
) -> None:
    assert findings_of(settings, "root-identity")[0].verdict == "ok"
    draw(root, "s/project_a/x.png")
    index()
    assert "as recorded in the catalogue" in findings_of(settings, "root-identity")[0].seen
    with own_mounts():
        mount("-t", "tmpfs", "none", root)
        (finding,) = findings_of(settings, "root-identity")
        assert (finding.verdict, "The root is not the recorded one: it is tmpfs:" in finding.seen) == ("bad", True)
        assert "rebuild --allow-empty" in finding.remedy
        draw(root, "s/project_a/x.png")
        (finding,) = findings_of(settings, "root-identity")
        assert (finding.verdict, "accepted, since it has sessions" in finding.seen) == ("warn", True)
    assert findings_of(settings, "root-identity")[0].verdict == "ok"
    (root / "s").rename(root.parent / "s")
    root.rmdir()
    (finding,) = findings_of(settings, "root-identity")
    assert (finding.verdict, "it is missing, was " in finding.seen) == ("bad", True)


def test_file_as_root_is_bad(settings: Settings) -> None:
    settings.root.rmdir()
    settings.root.touch()
    (finding,) = findings_of(settings, "root")
    assert (finding.verdict, finding.remedy) == ("bad", "set --root to the directory that holds the sessions")


def test_mounts_below_the_root_are_listed(settings: Settings, root: Path) -> None:
    for name in ("s/project_a", "s/other", "t"):
        (root / name).mkdir(parents=True)
    with own_mounts():
        for name in ("s/project_a", "s/other", "t"):
            mount("-t", "tmpfs", "none", root / name)
        names = [finding.seen.partition(" is on ")[0] for finding in findings_of(settings, "root-file-system")]
    assert sorted(names) == ["The root", "s/project_a", "t"]


@pytest.mark.parametrize(
    ("fs_type", "polling", "verdict", "text"),
    [
        ("xfs", Polling.AUTO, "ok", "a local file system"),
        ("xfs", Polling.NEVER, "ok", "a local file system"),
        ("nfs4", Polling.AUTO, "warn", "a network file system: changes made by other hosts are found by polling"),
        (
            "fuse.odd\x1b",
            Polling.ALWAYS,
            "warn",
            "fuse.odd\\x1b (host:/x), a file system that is not known to be local",
        ),
        ("cifs", Polling.NEVER, "bad", "polling is never"),
    ],
)
def test_network_mounts_need_polling(fs_type: str, polling: Polling, verdict: str, text: str) -> None:
    finding = mount_finding("", Mount(1, "/x", fs_type, "host:/x"), polling, 30)
    assert finding.verdict == verdict
    assert text in finding.seen


def test_unreadable_folders_are_counted_and_the_first_is_named(settings: Settings, root: Path) -> None:
    for name in ("a", "b"):
        draw(root, f"s/project_{name}/x.png")
    with open_context(settings) as context:
        assert next(check_folders(context)).seen == "All 4 folders that can hold plots can be read"
        context.survey.unreadable["s/project_a"] = PermissionError(13, "Permission denied")
        (finding,) = check_folders(context)
    assert finding.verdict == "warn"
    assert "1 folder cannot be read" in finding.seen
    assert "s/project_a (Permission denied)" in finding.seen


def test_plot_with_an_mtime_in_the_future_is_reported(settings: Settings, root: Path, index: Index) -> None:
    draw(root, "s/project_a/x.png", mtime_ns=2**62)
    index()
    future, now = findings_of(settings, "clock")
    assert (future.verdict, "2116-" in future.seen, "s/project_a/x.png" in future.seen) == ("warn", True, True)
    assert now.verdict == "ok"


def test_change_in_the_future_shows_a_clock_difference(settings: Settings, root: Path) -> None:
    now = time.time_ns()
    assert root_clock_finding(now + 1 * NS, "s", now).verdict == "ok"
    finding = root_clock_finding(now + 90 * NS, "s\x1b", now)
    assert (finding.verdict, "at least 90 seconds ahead" in finding.seen) == ("warn", True)
    assert "s\\x1b was changed at" in finding.seen


def test_clock_offset_leaves_no_file(tmp_path: Path) -> None:
    before = os.listdir(tmp_path)
    assert abs(clock_offset(tmp_path)) < 2
    assert os.listdir(tmp_path) == before
    assert [state_clock_finding(ahead).verdict for ahead in (0.0, 5.0, -5.0)] == ["ok", "warn", "warn"]
