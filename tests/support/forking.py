"""Fork `plotindex` commands from a server process that has imported it.

Starting Python would be half the cost of the tests. Each command is still a process with its own environment,
working directory and session.
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


class ForkServer:
    """A process that has imported plotindex and forks on request; it lives as long as this one."""

    def __init__(self) -> None:
        self._requests, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self._requests.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, MESSAGE)
        # Imports here must warn as in a process of their own.
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
        arguments = [os.fsdecode(word) for word in args]
        with TemporaryFile() as stdout, TemporaryFile() as stderr, answers:
            with theirs:
                request = json.dumps([arguments, dict(environment), str(cwd)]).encode()
                socket.send_fds(self._requests, [request], [stdout.fileno(), stderr.fileno(), theirs.fileno()])
            pid = int(answers.recv(16))
            answers.settimeout(seconds)
            try:
                code = int(answers.recv(16))
            except TimeoutError as error:
                raise subprocess.TimeoutExpired(arguments, seconds) from error
            finally:
                with suppress(ProcessLookupError):
                    os.killpg(pid, signal.SIGKILL)
            output = []
            for file in (stdout, stderr):
                file.seek(0)
                output.append(file.read().decode(errors="surrogateescape"))
        return subprocess.CompletedProcess(arguments, code, *output)


@cache
def fork_server() -> ForkServer:
    """The fork server of this test process."""
    return ForkServer()


def serve_forks(requests: socket.socket) -> list[str] | None:
    """Fork for each request and reply with the child's pid, then its exit code. In a child, return its arguments."""
    selector = selectors.DefaultSelector()
    selector.register(requests, selectors.EVENT_READ)
    while True:
        for key, _ in selector.select():
            if key.data:
                selector.unregister(key.fd)
                report_exit(key.fd, *key.data)
                continue
            request, fds, _, _ = socket.recv_fds(requests, MESSAGE, 3)
            if not request:
                return None
            pid = os.fork()
            if not pid:
                selector.close()
                requests.close()
                arguments, environment, cwd = json.loads(request)
                return become_child(arguments, environment, cwd, fds)
            for fd in fds[:2]:
                os.close(fd)
            os.write(fds[2], b"%d" % pid)
            selector.register(os.pidfd_open(pid), selectors.EVENT_READ, (pid, fds[2]))


def report_exit(pidfd: int, pid: int, answers: int) -> None:
    """Send the exit code of a child that has exited."""
    os.close(pidfd)
    _, status = os.waitpid(pid, 0)
    with suppress(BrokenPipeError):
        os.write(answers, b"%d" % os.waitstatus_to_exitcode(status))
    os.close(answers)


def become_child(arguments: list[str], environment: dict[str, str], cwd: str, fds: list[int]) -> list[str]:
    """Set up a forked child as a new process."""
    os.setsid()
    os.chdir(cwd)
    os.environ.clear()
    os.environ.update(environment)
    for number, fd in enumerate(fds[:2], start=1):
        os.dup2(fd, number)
    os.closerange(3, 1024)
    return arguments


if __name__ == "__main__":
    from plotindex.cli.main import main

    # Modules that commands import lazily.
    for module in ("index", "ops.config_report", "watch"):
        import_module(f"plotindex.{module}")

    arguments = serve_forks(socket.socket(fileno=int(sys.argv[1])))
    if arguments is not None:
        main(arguments, prog_name="plotindex")
