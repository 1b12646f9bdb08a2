"""Shared test support: draw plots, wait for conditions, start processes."""

import os
import re
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, contextmanager, suppress
from pathlib import Path
from typing import TypeVar

from plotindex import pytest_plugin
from plotindex.index.report import Report
from plotindex.storage.catalog import Catalog
from plotindex.tree.plots import Plot
from tests.support.forking import fork_server

T = TypeVar("T")
RunPlotindex = Callable[..., "subprocess.CompletedProcess[str]"]
"""The type of the fixtures `plotindex` and `unprivileged`."""
_ports = iter(range(11_000, 32_000))
Index = Callable[[], Report]
"""The type of the fixture `index`."""
Refused = Callable[..., None]
"""The type of the fixture `refused`."""

REFUSAL_SECONDS = 10
"""Timeout of a command that should refuse to start."""
UNPRIVILEGED = """
import ctypes, os, sys
# prctl(2) PR_CAPBSET_DROP of CAP_DAC_OVERRIDE and CAP_DAC_READ_SEARCH: after exec, permissions apply to root, too.
# For any other user they apply anyway, and this call fails without harm.
for capability in (1, 2):
    ctypes.CDLL(None).prctl(24, capability, 0, 0, 0)
os.execv(sys.executable, [sys.executable, "-m", "plotindex", *sys.argv[1:]])
"""
"""A Python program that executes `plotindex` without the privilege to bypass permissions."""

PNG = pytest_plugin.PNG
"""The smallest valid PNG."""
SVG = b'<svg xmlns="http://www.w3.org/2000/svg" width="1" height="1"/>\n'


def draw(root: Path, path: str, content: bytes = PNG, *, mtime_ns: int | None = None) -> Path:
    """Write a plot at `path` below the root, creating its folders; set its mtime if given."""
    file = root / path
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_bytes(content)
    if mtime_ns is not None:
        os.utime(file, ns=(mtime_ns, mtime_ns))
    return file


def wait_until(condition: Callable[[], T], seconds: float = 20.0) -> T:
    """Poll `condition` until its result is true and return that; fail after `seconds`."""
    deadline = time.monotonic() + seconds
    while not (result := condition()):
        assert time.monotonic() < deadline, f"not true within {seconds} s; last result: {result!r}"
        time.sleep(0.01)
    return result


@contextmanager
def suspended(pid: int) -> Iterator[None]:
    """Suspend a process."""
    os.kill(pid, signal.SIGSTOP)
    try:
        yield
    finally:
        os.kill(pid, signal.SIGCONT)


def free_port() -> int:
    """A local port that nothing listens on, and that no other test process gets.

    Claimed by an abstract socket, since servers share ports (SO_REUSEPORT). Below the ephemeral range.
    """
    for port in _ports:
        with socket.socket() as probe, socket.socket(socket.AF_UNIX) as claim, suppress(OSError):
            claim.bind(f"\0a port of plotindex's tests: {port}")
            probe.bind(("127.0.0.1", port))
            # Keep the claim as long as this process lives.
            claim.detach()
            return port
    raise AssertionError("no port is free")


def is_free(port: int) -> bool:
    """Whether connecting to a local port fails."""
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) != 0


def answers(url: str) -> bool:
    """Whether the server at `url` answers /healthz."""
    try:
        with urllib.request.urlopen(f"{url}/healthz", timeout=2):
            return True
    except OSError:
        return False


def all_plots(catalog: Catalog) -> set[Plot]:
    """Every plot in the catalogue."""
    return {plot for session in catalog.sessions() for plot in catalog.plots(session)}


def clean_environment(folder: Path) -> dict[str, str]:
    """The environment without PLOTINDEX_ variables but PLOTINDEX_STATE_DIR, below `folder`; warnings are errors."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("PLOTINDEX_")}
    return {**kept, "PLOTINDEX_STATE_DIR": str(folder / "state"), "PYTHONWARNINGS": "error"}


def run_plotindex(
    args: Sequence[str | bytes | Path],
    environment: Mapping[str, str],
    cwd: Path,
    *,
    command: Sequence[str] | None = None,
    seconds: float = 60,
) -> "subprocess.CompletedProcess[str]":
    """Run `plotindex args…` in exactly this environment and folder; return its exit code, stdout and stderr.

    `command` is a program to start instead.

    Raises:
        TimeoutExpired: it ran for more than `seconds`; it was killed, with all its children.
    """
    if command is None:
        return fork_server().run(args, environment, cwd, seconds)
    with subprocess.Popen(
        [*command, *args],
        env=environment,
        cwd=cwd,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        encoding="utf-8",
        errors="surrogateescape",
        start_new_session=True,
    ) as process:
        try:
            stdout, stderr = process.communicate(timeout=seconds)
        finally:
            end_group(process.pid)
    return subprocess.CompletedProcess(process.args, process.returncode, stdout, stderr)


def end_group(pid: int) -> None:
    """End what is left of the processes that one which led its own session has started, and itself."""
    with suppress(ProcessLookupError):
        os.killpg(pid, signal.SIGKILL)


def children_running(pid: int, module: str) -> list[int]:
    """The children of a process that run this module."""
    found = []
    for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split():
        # It may end meanwhile.
        with suppress(FileNotFoundError, ProcessLookupError):
            if module.encode() in Path(f"/proc/{child}/cmdline").read_bytes().split(b"\0"):
                found.append(int(child))
    return found


class Service:
    """A long-running `plotindex …` and its output so far. Started by the fixture `service`."""

    def __init__(
        self,
        args: Sequence[str],
        environment: Mapping[str, str],
        cwd: Path,
        logs: Path,
        prefix: Sequence[str] = (),
        program: Sequence[str | Path] = (sys.executable, "-m", "plotindex"),
    ) -> None:
        self._files = logs.with_suffix(".stdout"), logs.with_suffix(".stderr")
        self.url = ""
        """http://127.0.0.1:PORT, when started by the fixture `server`."""
        with self._files[0].open("wb") as stdout, self._files[1].open("wb") as stderr:
            self.process = subprocess.Popen(
                [*prefix, *program, *args],
                env=environment,
                cwd=cwd,
                stdin=subprocess.DEVNULL,
                stdout=stdout,
                stderr=stderr,
                start_new_session=True,
            )

    @property
    def pid(self) -> int:
        return self.process.pid

    @property
    def stdout(self) -> str:
        return self._files[0].read_text(errors="replace")

    @property
    def stderr(self) -> str:
        return self._files[1].read_text(errors="replace")

    def wait_for(self, condition: Callable[[], T], seconds: float = 20.0) -> T:
        """As `wait_until`, but fail with its output as soon as the service exits."""

        def alive() -> T:
            result = condition()
            assert result or self.process.poll() is None, f"the service exited: {self.stdout}\n{self.stderr}"
            return result

        return wait_until(alive, seconds)

    def stop(self, number: signal.Signals = signal.SIGTERM, seconds: float = 10.0) -> int:
        """Send a signal and return the exit code; fail after `seconds`."""
        self.process.send_signal(number)
        return self.process.wait(seconds)

    def clean_up(self) -> None:
        """Terminate the service and kill all its children."""
        if self.process.poll() is None:
            self.process.terminate()
            with suppress(subprocess.TimeoutExpired):
                self.process.wait(10)
        end_group(self.pid)
        self.process.wait()


def at_once(run: RunPlotindex, *commands: Sequence[str | bytes | Path]) -> "list[subprocess.CompletedProcess[str]]":
    """Run several commands concurrently."""
    with ThreadPoolExecutor() as pool:
        return list(pool.map(lambda command: run(*command), commands))


def assert_refused(
    run: RunPlotindex, commands: list[str], *says: str, options: tuple[str | Path | bytes, ...] = ()
) -> None:
    """Assert that each command exits with 2 and one sentence that contains all of `says`."""

    def problem(command: str) -> str | None:
        try:
            done = run(*command.split(), *options)
        except subprocess.TimeoutExpired:
            return f"`{command}` keeps running"
        sentence = done.stderr.removeprefix("plotindex: ")
        right = (
            (done.returncode, done.stdout) == (2, "")
            and done.stderr.startswith("plotindex: ")
            and re.fullmatch(r".*[.?]\n", sentence)
            and all(text in sentence for text in says)
        )
        return None if right else f"`{command}` exits {done.returncode}, {done.stdout}{done.stderr[-500:]}"

    with ThreadPoolExecutor() as pool:
        problems = [problem for problem in pool.map(problem, commands) if problem]
    assert not problems, "\n".join([*problems, f"not as expected: {says}"])


StartService = Callable[..., AbstractContextManager[Service]]
"""The type of the fixtures `service`, `indexer` and `server`."""
