"""What the tests share: plots to draw, conditions to wait for, processes to start."""

import os
import re
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, suppress
from pathlib import Path
from typing import TypeVar

from plotindex import pytest_plugin
from plotindex.index.report import Report
from plotindex.storage.catalog import Catalog
from plotindex.tree.plots import Plot
from tests.support.forking import forks

T = TypeVar("T")
RunPlotindex = Callable[..., "subprocess.CompletedProcess[str]"]
"""The type of the fixtures `plotindex` and `unprivileged`."""
_ports = iter(range(10_000, 32_000))
Index = Callable[[], Report]
"""The type of the fixture `index`."""
Refused = Callable[..., None]
"""The type of the fixture `refused`."""

PATIENCE = 10
"""Seconds after which a command that is to be refused counts as one that goes on."""
UNPRIVILEGED = """
import ctypes, os, sys
# prctl(2) PR_CAPBSET_DROP of CAP_DAC_OVERRIDE and CAP_DAC_READ_SEARCH: from the next program on, permissions count for
# root, too. For any other user they count already, and this fails without harm.
for capability in (1, 2):
    ctypes.CDLL(None).prctl(24, capability, 0, 0, 0)
os.execv(sys.executable, [sys.executable, "-m", "plotindex", *sys.argv[1:]])
"""
"""A Python program that is `plotindex`, with no privilege to pass by permissions."""

PNG = pytest_plugin.PNG
"""The smallest real PNG."""
SVG = b'<svg xmlns="http://www.w3.org/2000/svg" width="1" height="1"/>\n'


def draw(root: Path, path: str, content: bytes = PNG, *, mtime_ns: int | None = None) -> Path:
    """Write a plot at `path` below the root, with its folders; give it a time when one is named."""
    file = root / path
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_bytes(content)
    if mtime_ns is not None:
        os.utime(file, ns=(mtime_ns, mtime_ns))
    return file


def wait_until(condition: Callable[[], T], seconds: float = 20.0) -> T:
    """Return what `condition` returns as soon as that is true; fail when it is not within `seconds`."""
    deadline = time.monotonic() + seconds
    while not (result := condition()):
        assert time.monotonic() < deadline, f"not within {seconds} seconds; at last it was {result!r}"
        time.sleep(0.01)
    return result


def free_port() -> int:
    """A port of this machine on which nobody listens, and which no other process of tests is given.

    Servers share a port rather than refuse it (SO_REUSEPORT). All are below what the system gives out by itself.
    """
    for port in _ports:
        with socket.socket() as probe, socket.socket(socket.AF_UNIX) as claim, suppress(OSError):
            claim.bind(f"\0a port of plotindex's tests: {port}")
            probe.bind(("127.0.0.1", port))
            # It is kept as long as this process lives.
            claim.detach()
            return port
    raise AssertionError("no port is free")


def is_free(port: int) -> bool:
    """Whether nobody answers on that port of this machine."""
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) != 0


def answers(url: str) -> bool:
    """Whether a server answers there."""
    try:
        with urllib.request.urlopen(f"{url}/healthz", timeout=2):
            return True
    except OSError:
        return False


def all_plots(catalog: Catalog) -> set[Plot]:
    """Every plot in the catalogue."""
    return {plot for session in catalog.sessions() for plot in catalog.plots(session)}


def own_environment(folder: Path) -> dict[str, str]:
    """No PLOTINDEX_ variable but PLOTINDEX_STATE_DIR, which is below `folder`; Python's warnings are errors."""
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

    When it goes on for longer than `seconds`, it is ended with all it started, and this raises TimeoutExpired.
    `command` is a whole program to start in its place.
    """
    if command is None:
        return forks().run(args, environment, cwd, seconds)
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


class Service:
    """A long-running `plotindex …`, with all that it has written so far. Started by the fixture `service`."""

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
        """Where it serves: http://127.0.0.1:PORT, when the fixture `server` started it."""
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
        """As `wait_until`, but fail at once, with what it said, when the service ends."""

        def alive() -> T:
            result = condition()
            assert result or self.process.poll() is None, f"it ended: {self.stdout}\n{self.stderr}"
            return result

        return wait_until(alive, seconds)

    def stop(self, number: signal.Signals = signal.SIGTERM, seconds: float = 10.0) -> int:
        """Send it a signal and return its exit code; fail when it has not ended within `seconds`."""
        self.process.send_signal(number)
        return self.process.wait(seconds)

    def clean_up(self) -> None:
        """End it and whatever it has started."""
        if self.process.poll() is None:
            self.process.terminate()
            with suppress(subprocess.TimeoutExpired):
                self.process.wait(10)
        end_group(self.pid)
        self.process.wait()


def at_once(run: RunPlotindex, *commands: Sequence[str | bytes | Path]) -> "list[subprocess.CompletedProcess[str]]":
    """Run several commands side by side, none of which minds the others."""
    with ThreadPoolExecutor() as pool:
        return list(pool.map(lambda command: run(*command), commands))


def are_refused(
    run: RunPlotindex, commands: list[str], *says: str, options: tuple[str | Path | bytes, ...] = ()
) -> None:
    """Assert that each command ends with exit 2 and one sentence that says so much."""

    def problem(command: str) -> str | None:
        try:
            done = run(*command.split(), *options)
        except subprocess.TimeoutExpired:
            return f"`{command}` goes on"
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
