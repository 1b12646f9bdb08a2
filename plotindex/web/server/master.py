"""The process that keeps the port and starts the workers: Granian's, with one socket that all of them share.

Granian gives each worker a socket of its own on the same port, and the connections that wait in it are lost when that
worker ends. The one that is opened here, or handed over by systemd, stays while workers come and go.
"""

import multiprocessing
import os
import socket
import time
import weakref
from contextlib import suppress
from functools import partial
from multiprocessing.connection import wait
from typing import Any

from granian._granian import SocketHolder
from granian.constants import Interfaces
from granian.log import LogLevels
from granian.server.mp import MPServer, WorkerProcess

from plotindex.config import PARSERS, Settings, SettingsReloader, variable
from plotindex.system import SystemdNotifier, has_terminal
from plotindex.web.server.drain import TURN_AWAY

STOP_SECONDS = 10
"""How long a worker may go on with what it has begun to answer, when the service ends."""
RELOAD_SECONDS = 30
"""How long it may when another one has taken its place."""
GONE_SECONDS = 1.0
"""How long the kernel may take to end one that has closed its files."""
OVERLAP_SECONDS = 1.0
"""How long a new worker and the one before it serve side by side."""


class Wake:
    """An event that a signal's handler may set: `threading.Event` can wait there for who was interrupted."""

    def __init__(self) -> None:
        self._waiting, self._setting = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)

    def set(self) -> None:
        # A pipe that is full is one that is set.
        with suppress(BlockingIOError):
            os.write(self._setting, b"!")

    def wait(self, timeout: float | None = None) -> bool:
        return bool(wait([self._waiting], timeout))

    def clear(self) -> None:
        with suppress(BlockingIOError):
            while os.read(self._waiting, 4096):
                pass


class Master(MPServer):
    """Serves until SIGTERM or SIGINT. SIGHUP starts new workers, one after the other, with settings read again."""

    def __init__(self, listener: socket.socket, rereading: SettingsReloader, notifier: SystemdNotifier) -> None:
        settings = rereading.settings
        self._listener = listener
        self._rereading = rereading
        self._notifier = notifier
        self._has_terminal = has_terminal()
        super().__init__(
            "plotindex.web.server.service:load_application",
            factory=True,
            interface=Interfaces.WSGI,
            address=settings.host,
            port=settings.port,
            workers=settings.workers,
            blocking_threads=settings.threads,
            log_level=LogLevels.warning,
            respawn_failed_workers=True,
            respawn_interval=OVERLAP_SECONDS,
            workers_kill_timeout=STOP_SECONDS,
        )
        self.main_loop_interrupt = Wake()  # type: ignore[assignment]  # has what is used of an event
        # What is not in Granian's interface, and so bound to its version (pyproject.toml): that `_init_shared_socket`
        # makes what workers listen on, that `_spawn_worker` makes what `terminate` and `join` are then called of, that
        # `_reload` returns when all of them are new, that `shutdown` ends them.
        self.on_reload(self._read_again)
        # Workers inherit the socket, and the settings by their environment.
        multiprocessing.set_start_method("fork", force=True)
        _hand_on(settings)

    def signal_handler_reload(self, *args: object) -> None:
        if self._has_terminal:
            # It was closed.
            self.signal_handler_interrupt()
            return
        self._rereading.ask()
        super().signal_handler_reload(*args)

    def shutdown(self, exit_code: int = 0) -> None:
        self._notifier.notify_stopping()
        super().shutdown(exit_code)

    def _spawn_worker(self, *args: Any, **options: Any) -> WorkerProcess:  # noqa: ANN401 - as Granian
        worker: WorkerProcess = super()._spawn_worker(*args, **options)
        # By no reference that is a circle: the pipes of workers that are gone would stay open.
        reference = weakref.ref(worker)
        worker.terminate = partial(_end, reference)  # type: ignore[method-assign]  # its class is chosen by Granian
        worker.join = partial(_join, reference)  # type: ignore[method-assign]  # as before
        return worker

    def _init_shared_socket(self) -> None:
        self._ssp = self._sso = None
        # By its descriptor; it is none of a Unix socket.
        self._shd = SocketHolder(self._listener.fileno(), False, self.backlog)  # type: ignore[assignment,call-arg]  # as it is

    def _read_again(self) -> None:
        settings = self._rereading.due()
        if settings is not None:
            _hand_on(settings)
            self.blocking_threads = settings.threads

    def _reload(self, *args: Any) -> None:  # noqa: ANN401 - as Granian
        self._notifier.notify_reloading()
        self.workers_kill_timeout = RELOAD_SECONDS
        try:
            super()._reload(*args)
        finally:
            self.workers_kill_timeout = STOP_SECONDS
            self._notifier.notify_reloaded()


def _end(reference: "weakref.ref[WorkerProcess]") -> None:
    """Have a worker end as `ending` does; one that has not begun ends at once."""
    worker = reference()
    if worker is None:
        return
    worker.interrupt_by_parent = True
    pid = worker.inner.pid
    if pid is not None and worker.is_alive():
        # It may end this very moment.
        with suppress(ProcessLookupError):
            os.kill(pid, TURN_AWAY)


def _join(reference: "weakref.ref[WorkerProcess]", timeout: float | None = None) -> None:
    """Wait for a worker. Its pipe is closed a moment before it is known to be gone, and Granian kills what is not."""
    worker = reference()
    if worker is None or not wait([worker.inner.sentinel], timeout):
        return
    until = time.monotonic() + GONE_SECONDS
    while worker.is_alive() and time.monotonic() < until:
        time.sleep(0.001)


def _hand_on(settings: Settings) -> None:
    """Workers read their settings from the environment, and nothing that is no longer set."""
    for name in PARSERS:
        os.environ.pop(variable(name), None)
    os.environ.update(settings.as_environment())
