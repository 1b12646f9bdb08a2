"""Processes of `plotindex` that need not import it first: each is forked from one that has.

Half of what the tests cost would be Python's start. A command is a process all the same, in an environment, a folder
and a session of its own; it only finds imported what it would import.
"""

import atexit
import json
import os
import selectors
import signal
import socket
import subprocess
import sys
from collections.abc import Mapping, Sequence
from contextlib import suppress
from functools import cache
from importlib import import_module
from pathlib import Path
from tempfile import TemporaryFile

from tests import CHECKOUT

MESSAGE = 1 << 20


class Forks:
    """The process that has imported plotindex, for as long as this one lives."""

    def __init__(self) -> None:
        self._requests, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self._requests.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, MESSAGE)
        # What is imported here warns as loudly as in a process of its own.
        environment = {**os.environ, "PYTHONWARNINGS": "error"}
        command = [sys.executable, "-m", "tests.support.forking", str(theirs.fileno())]
        with theirs:
            self._process = subprocess.Popen(command, env=environment, cwd=CHECKOUT, pass_fds=[theirs.fileno()])
        atexit.register(self.close)

    def close(self) -> None:
        self._requests.close()
        self._process.wait()

    def run(
        self, args: Sequence[str | bytes | Path], environment: Mapping[str, str], cwd: Path, seconds: float
    ) -> "subprocess.CompletedProcess[str]":
        """As `run_plotindex` of tests.support.processes."""
        answers, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        words = [os.fsdecode(word) for word in args]
        with TemporaryFile() as stdout, TemporaryFile() as stderr, answers:
            with theirs:
                request = json.dumps([words, dict(environment), str(cwd)]).encode()
                socket.send_fds(self._requests, [request], [stdout.fileno(), stderr.fileno(), theirs.fileno()])
            pid = int(answers.recv(16))
            answers.settimeout(seconds)
            try:
                code = int(answers.recv(16))
            except TimeoutError as error:
                raise subprocess.TimeoutExpired(words, seconds) from error
            finally:
                with suppress(ProcessLookupError):
                    os.killpg(pid, signal.SIGKILL)
            told = []
            for file in (stdout, stderr):
                file.seek(0)
                told.append(file.read().decode(errors="surrogateescape"))
        return subprocess.CompletedProcess(words, code, *told)


@cache
def forks() -> Forks:
    """One for all the tests of a process."""
    return Forks()


def fork_on_request(requests: socket.socket) -> list[str] | None:
    """Fork for each request, and answer with the child's pid and exit code. In a child: return what it is to run."""
    selector = selectors.DefaultSelector()
    selector.register(requests, selectors.EVENT_READ)
    while True:
        for key, _ in selector.select():
            if key.data:
                selector.unregister(key.fd)
                bury(key.fd, *key.data)
                continue
            request, fds, _, _ = socket.recv_fds(requests, MESSAGE, 3)
            if not request:
                return None
            pid = os.fork()
            if not pid:
                selector.close()
                requests.close()
                words, environment, cwd = json.loads(request)
                return begin(words, environment, cwd, fds)
            for fd in fds[:2]:
                os.close(fd)
            os.write(fds[2], b"%d" % pid)
            selector.register(os.pidfd_open(pid), selectors.EVENT_READ, (pid, fds[2]))


def bury(pidfd: int, pid: int, answers: int) -> None:
    """Tell what a child that has ended has exited with."""
    os.close(pidfd)
    _, status = os.waitpid(pid, 0)
    with suppress(BrokenPipeError):
        os.write(answers, b"%d" % os.waitstatus_to_exitcode(status))
    os.close(answers)


def begin(words: list[str], environment: dict[str, str], cwd: str, fds: list[int]) -> list[str]:
    """Become what a new process would be."""
    os.setsid()
    os.chdir(cwd)
    os.environ.clear()
    os.environ.update(environment)
    for number, fd in enumerate(fds[:2], start=1):
        os.dup2(fd, number)
    os.closerange(3, 1024)
    return words


if __name__ == "__main__":
    from plotindex.cli.main import main

    # What the commands import when they run.
    for module in ("index", "ops.config_report", "watch"):
        import_module(f"plotindex.{module}")

    words = fork_on_request(socket.socket(fileno=int(sys.argv[1])))
    if words is not None:
        main(words, prog_name="plotindex")
