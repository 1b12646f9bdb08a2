"""Checks of the kernel's limits."""

import ctypes
import os
import re
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from plotindex.config.settings import Settings
from plotindex.ops.doctor import kernel
from plotindex.ops.doctor.context import open_context
from plotindex.ops.doctor.findings import Finding
from plotindex.ops.doctor.kernel import (
    Limit,
    Usage,
    instances_finding,
    open_files_finding,
    queue_finding,
    read_limit,
    read_usage,
    watches_finding,
)
from tests.ops.doctor.test_checks import findings_of
from tests.support.processes import StartService, draw, run_plotindex

IN_CREATE = 0x100
STRANGER = 51_777
WATCHES = Limit("fs.inotify.max_user_watches", 10_000)
INSTANCES = Limit("fs.inotify.max_user_instances", 128)
OWN_LIMIT = """
echo 3 > /proc/sys/user/max_inotify_watches && exec "$@"
"""
few = st.integers(0, 1_000_000)


@contextmanager
def watching(*folders: Path) -> Iterator[int]:
    """An inotify descriptor of this process that watches these."""
    libc = ctypes.CDLL(None, use_errno=True)
    fd = libc.inotify_init1(os.O_CLOEXEC)
    try:
        for folder in folders:
            assert libc.inotify_add_watch(fd, os.fsencode(folder), IN_CREATE) >= 0
        yield fd
    finally:
        os.close(fd)


def raised_limit(finding: Finding) -> Limit:
    """The limit as it is after the remedy."""
    found = re.match(
        r"`sysctl -w ([a-z_.]+)=(\d+)`, and to keep it `echo \1=\2 >> /etc/sysctl.d/60-plotindex.conf`", finding.remedy
    )
    assert found, finding.remedy
    return Limit(found[1], int(found[2]))


def test_watches_of_a_process_are_counted(tmp_path: Path) -> None:
    before = read_usage(os.geteuid())
    with watching(tmp_path, Path("/tmp"), Path("/")):
        after = read_usage(os.geteuid())
    pid = os.getpid()
    assert after.watches[pid] - before.watches.get(pid, 0) == 3
    assert after.instances[pid] - before.instances.get(pid, 0) == 1


def test_watches_of_other_users_are_not_counted(tmp_path: Path) -> None:
    if os.geteuid():
        pytest.skip("only root can start a process of another user: run the tests as root")
    hears, tells = os.pipe()
    with watching(tmp_path, Path("/")):
        child = os.fork()
        if child == 0:
            try:
                os.setresuid(STRANGER, STRANGER, STRANGER)
                os.write(tells, b"!")
                signal.pause()
            finally:
                os._exit(0)
        try:
            assert os.read(hears, 1) == b"!"
            usage = read_usage(STRANGER)
        finally:
            os.kill(child, signal.SIGKILL)
            os.waitpid(child, 0)
            os.close(hears)
            os.close(tells)
    assert usage == Usage({child: 2}, {child: 1})


def test_lowest_limit_keeps_its_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(kernel, "PROC", tmp_path)
    for name, value in {"fs/inotify/max_user_watches": 8192, "user/max_inotify_watches": 100}.items():
        (tmp_path / "sys" / name).parent.mkdir(parents=True)
        (tmp_path / "sys" / name).write_text(f"{value}\n")
    names = "fs.inotify.max_user_watches", "user.max_inotify_watches"
    assert read_limit(*names) == Limit("user.max_inotify_watches", 100)
    (tmp_path / "sys/user/max_inotify_watches").write_text("2147483647\n")
    assert read_limit(*names) == Limit("fs.inotify.max_user_watches", 8192)
    assert read_limit("fs.inotify.none") is None


@pytest.mark.parametrize(
    ("others", "need", "verdict", "number"),
    [
        (0, 5_000, "ok", None),
        (9_000, 500, "ok", None),
        (0, 5_001, "warn", 524_288),
        (9_000, 1_000, "warn", 524_288),
        (9_000, 1_001, "warn", 524_288),
        (200_000, 100_000, "warn", 1_048_576),
    ],
)
def test_watches_for_the_tree_and_for_twice_its_size(others: int, need: int, verdict: str, number: int | None) -> None:
    usage = Usage({1: others, 2: need}, {1: 1, 2: 1})
    finding = watches_finding(usage, 2, need, WATCHES)
    assert finding.verdict == verdict, finding
    assert (raised_limit(finding).value if finding.remedy else None) == number
    assert f"needs {need} watches, and {2 * need} at twice" in finding.seen


@given(few, few, few, st.integers(1, 2_000_000))
def test_remedy_fixes_the_problem(others: int, need: int, overflows: int, value: int) -> None:
    usage = Usage({1: others}, {1: others})
    findings: dict[str, Callable[[Limit], Finding]] = {
        "watches": lambda limit: watches_finding(usage, None, need, limit),
        "instances": lambda limit: instances_finding(usage, None, limit),
        "queue": lambda limit: queue_finding(0 if limit.value > value else overflows, limit),
    }
    for name, judge in findings.items():
        finding = judge(Limit(f"fs.inotify.{name}", value))
        if finding.verdict != "ok":
            limit = raised_limit(finding)
            assert limit.value > value
            assert judge(limit).verdict == "ok", (finding, judge(limit))


def test_own_instance_does_not_count_as_another_programs() -> None:
    usage = Usage({}, {1: 127, 2: 1})
    assert instances_finding(usage, 2, INSTANCES).verdict == "warn"
    assert instances_finding(usage, None, INSTANCES).verdict == "bad"
    assert instances_finding(Usage({}, {1: 120}), None, INSTANCES).verdict == "ok"


def test_unreadable_processes_are_reported() -> None:
    assert "(2 of them could not be read)" in watches_finding(Usage({}, {}, unreadable=2), None, 1, WATCHES).seen


@pytest.mark.parametrize(
    ("soft", "verdict"), [("20", "bad"), ("256", "warn"), ("1024", "ok"), ("unlimited", "ok"), ("?", "warn")]
)
def test_open_files_limit(soft: str, verdict: str) -> None:
    text = re.sub(r"(Max open files +)\w+", rf"\g<1>{soft}", Path("/proc/self/limits").read_text())
    finding = open_files_finding(text, "The indexer")
    assert (finding.verdict, bool(finding.remedy)) == (verdict, verdict != "ok"), finding


def test_limit_of_a_namespace_is_reported(root: Path, environment: Mapping[str, str], tmp_path: Path) -> None:
    draw(root, "s/project_a/x.png")
    command = ("unshare", "--user", "--map-root-user", "sh", "-c", OWN_LIMIT, "sh", sys.executable, "-m", "plotindex")
    if subprocess.run([*command[:6], "sh", "true"], capture_output=True, check=False).returncode:
        pytest.skip("no user namespace can be made here: allow them (kernel.unprivileged_userns_clone)")
    done = run_plotindex(["doctor", "--root", root], environment, tmp_path, command=command)
    assert done.returncode == 0, done.stdout
    (line,) = (line for line in done.stdout.splitlines() if "inotify-watches" in line)
    assert line.startswith("warn  inotify-watches       This tree needs 4 watches, and 8 at twice its size; ")
    assert "user.max_inotify_watches is 3," in line
    assert "`sysctl -w user.max_inotify_watches=524288`" in line


def test_polling_always_needs_no_watches(settings: Settings) -> None:
    (finding,) = findings_of(replace(settings, polling="always"), "inotify-watches")
    assert finding == Finding("ok", "inotify-watches", "Nothing is watched, since polling is always")


def test_max_watches_lowers_the_need() -> None:
    finding = watches_finding(Usage({}, {}), None, 20_001, WATCHES, 5_000)
    assert (finding.verdict, finding.remedy) == ("ok", "")
    assert "max_watches leaves 15000 folders to the rolling rescan" in finding.seen
    assert watches_finding(Usage({1: 6_000}, {}), None, 20_001, WATCHES, 5_000).verdict == "warn"


def test_watches_and_limits_of_a_running_indexer(root: Path, settings: Settings, indexer: StartService) -> None:
    draw(root, "s/project_a/sub/x.png")
    with indexer() as running:
        with open_context(settings) as context:
            assert context.indexer_pid == running.pid
            assert read_usage(context.user).watches[running.pid] == context.survey.folders + 1
        findings = findings_of(settings, "inotify-watches", "open-files", "indexer")
        assert {finding.verdict for finding in findings} == {"ok"}, findings
        assert any("The indexer may have" in finding.seen for finding in findings)
        assert findings[-1].seen.startswith(f"The indexer is watching: process {running.pid} on ")
        running.stop()
    (finding,) = findings_of(settings, "indexer")
    assert finding == Finding("warn", "indexer", "No indexer is running", "start `plotindex watch`")
