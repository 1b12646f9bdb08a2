"""Start, await and stop measured processes."""

import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import psutil

CHECKOUT = Path(__file__).resolve().parent.parent


class BenchmarkSite:
    """A temporary root and its state folder, passed to child processes by environment variables."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.root = folder / "plots"
        self.root.mkdir(parents=True)
        # Ignore the caller's settings; `cwd` below avoids a plotindex.toml.
        own = {name: value for name, value in os.environ.items() if not name.startswith("PLOTINDEX_")}
        self.environment = {
            **own,
            "PYTHONPATH": str(CHECKOUT),
            "PLOTINDEX_ROOT": str(self.root),
            "PLOTINDEX_STATE_DIR": str(folder / "state"),
        }

    def run(self, *command: str, check: bool = True) -> "subprocess.CompletedProcess[str]":
        """Run a Python module and wait for it: run("plotindex", "status")."""
        result = subprocess.run(
            python(*command), cwd=self.folder, env=self.environment, capture_output=True, text=True, check=False
        )
        if check and result.returncode:
            raise RuntimeError(f"{' '.join(command)} ended with {result.returncode}: {result.stderr}")
        return result

    @contextmanager
    def started(self, *command: str, log: str, interpreter: str = sys.executable) -> Iterator[psutil.Process]:
        """Run a Python module as a service, killed with its children on exit; its output goes to the file `log`."""
        with (self.folder / log).open("wb") as output:
            process = subprocess.Popen(
                [interpreter, "-m", *command], cwd=self.folder, env=self.environment, stdout=output, stderr=output
            )
            try:
                yield psutil.Process(process.pid)
            finally:
                _stop(process)

    def wait_until_watching(self, timeout: float = 120) -> None:
        """Wait until `plotindex status` exits with 0.

        Raises:
            RuntimeError: it does not within `timeout` seconds.
        """
        until = time.monotonic() + timeout
        while (status := self.run("plotindex", "status", check=False)).returncode:
            if time.monotonic() > until:
                raise RuntimeError(f"The indexer is not well: {status.stderr}")
            time.sleep(0.2)

    def wait_for_output(self, process: psutil.Process, log: str, timeout: float = 30) -> None:
        """Wait until a service has written its first line.

        Raises:
            RuntimeError: it ends before, or does not within `timeout` seconds.
        """
        until = time.monotonic() + timeout
        while "\n" not in (output := (self.folder / log).read_text()):
            if time.monotonic() > until or process.status() == psutil.STATUS_ZOMBIE:
                raise RuntimeError(f"A service did not start: {output}")
            time.sleep(0.01)

    def wait_until_listening(self, process: psutil.Process, port: int, log: str, timeout: float = 30) -> None:
        """Wait until a service accepts connections.

        Raises:
            RuntimeError: it ends, or does not within `timeout` seconds.
        """
        until = time.monotonic() + timeout
        while True:
            try:
                socket.create_connection(("127.0.0.1", port), timeout=1).close()
                return
            except OSError:
                if time.monotonic() > until or process.status() == psutil.STATUS_ZOMBIE:
                    raise RuntimeError(f"A server does not listen: {(self.folder / log).read_text()}") from None
                time.sleep(0.05)


def python(*command: str) -> Sequence[str]:
    return [sys.executable, "-m", *command]


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _stop(process: "subprocess.Popen[bytes]") -> None:
    try:
        family = psutil.Process(process.pid).children(recursive=True)
    except psutil.NoSuchProcess:
        family = []
    process.terminate()
    try:
        process.wait(10)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
    for left in psutil.wait_procs(family, timeout=2)[1]:
        left.kill()
