"""The master process: Granian's, with one listening socket for all workers.

Granian opens one socket per worker (SO_REUSEPORT); connections queued in it are lost when that worker exits. The shared
socket survives every worker.
"""

import asyncio
import logging
import multiprocessing
import os
import socket
import time
import weakref
from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from mmap import mmap
from multiprocessing.connection import wait
from typing import Any

from granian._granian import SocketHolder
from granian.constants import HTTPModes, Interfaces, Loops
from granian.http import HTTP1Settings
from granian.log import LogLevels
from granian.server.mp import MPServer, WorkerProcess

from plotindex.config import PARSERS, Settings, SettingsReloader, variable_name
from plotindex.system import SystemdNotifier, has_terminal
from plotindex.web.server.drain import DRAIN_SIGNAL
from plotindex.web.server.sockets import allow_connections

HEAD_MILLISECONDS = 10_000
"""Timeout for a request's head; also for the next request on an open connection."""
MAX_HEAD_BYTES = 1 << 15
"""More is 431. A signed URL of a name of 4 KB, percent-encoded, has 13 KB, and may be the Referer, too."""
STOP_SECONDS = 10
"""Timeout for a worker's open requests when the service stops."""
RELOAD_SECONDS = 30
"""Timeout for a worker's open requests when a new worker has replaced it."""
EXIT_SECONDS = 1.0
"""Timeout for the kernel to end a worker that has closed its files."""
OVERLAP_SECONDS = 1.0
"""How long a new worker and the old one both accept connections."""
RETRY_SECONDS = (0.1, 0.5, 2.0)
"""Delays before another start of a worker that exited before it could serve; after the last, the server exits."""

log = logging.getLogger(__name__)


class PipeEvent:
    """An event that a signal handler may set; `threading.Event` can deadlock there (self-pipe)."""

    def __init__(self) -> None:
        self._read_fd, self._write_fd = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)

    def set(self) -> None:
        # Full: already set.
        with suppress(BlockingIOError):
            os.write(self._write_fd, b"!")

    def wait(self, timeout: float | None = None) -> bool:
        return bool(wait([self._read_fd], timeout))

    def clear(self) -> None:
        with suppress(BlockingIOError):
            while os.read(self._read_fd, 4096):
                pass


class Master(MPServer):
    """Serves until SIGTERM or SIGINT.

    SIGHUP reloads the settings and replaces the workers, one after the other; with a terminal it stops the server.
    """

    def __init__(self, listener: socket.socket, reloader: SettingsReloader, notifier: SystemdNotifier) -> None:
        settings = reloader.settings
        self._listener = listener
        self._reloader = reloader
        self._notifier = notifier
        self._has_terminal = has_terminal()
        super().__init__(
            "plotindex.web.server.service:load_application",
            factory=True,
            interface=Interfaces.ASGINL,
            loop=Loops.uvloop,
            http=HTTPModes.http1,
            http1_settings=HTTP1Settings(header_read_timeout=HEAD_MILLISECONDS, max_buffer_size=MAX_HEAD_BYTES),
            backpressure=allow_connections(),
            address=settings.host,
            port=settings.port,
            workers=settings.workers,
            log_level=LogLevels.warning,
            respawn_interval=OVERLAP_SECONDS,
            workers_kill_timeout=STOP_SECONDS,
        )
        self.main_loop_interrupt = PipeEvent()  # type: ignore[assignment]  # has the methods of an event that it calls
        # Relies on private behaviour of the pinned Granian (pyproject.toml): `_init_shared_socket` creates the workers'
        # socket; `_spawn_worker` creates the worker that `terminate` and `join` are called on; `_reload` returns when
        # all workers are replaced; `shutdown` stops them, and exits with 1 if `interrupt_children` is not empty.
        self.on_reload(self._reload_settings)
        # Workers inherit the socket, and the settings through the environment.
        multiprocessing.set_start_method("fork", force=True)
        _export_settings(settings)

    def signal_handler_reload(self, *args: object) -> None:
        if self._has_terminal:
            # SIGHUP: the terminal was closed.
            self.signal_handler_interrupt()
            return
        self._reloader.request()
        super().signal_handler_reload(*args)

    def shutdown(self, exit_code: int = 0) -> None:
        self._notifier.notify_stopping()
        super().shutdown(exit_code)

    def _spawn_worker(self, *args: Any, **options: Any) -> WorkerProcess:  # noqa: ANN401 - as Granian
        # Memory shared with the worker.
        is_serving = mmap(-1, 1)
        options["callback_loader"] = partial(_load, options["callback_loader"], is_serving)
        worker: WorkerProcess = super()._spawn_worker(*args, **options)
        worker.is_serving = is_serving  # type: ignore[attr-defined]  # Granian chooses the class
        # Weak: a reference cycle would keep the pipes of exited workers open.
        reference = weakref.ref(worker)
        worker.terminate = partial(_terminate, reference)  # type: ignore[method-assign]  # Granian chooses the class
        worker.join = partial(_join, reference)  # type: ignore[method-assign]  # as before
        return worker

    def _serve_loop(self, *args: Any) -> None:  # noqa: ANN401 - as Granian
        """Until a signal to stop: reload, and start another worker for one that exited.

        Granian's own loop ends the server when a worker is killed twice within seconds.
        """
        failures = Counter[int]()
        while not self.interrupt_signal:
            self.main_loop_interrupt.wait()
            self.main_loop_interrupt.clear()
            if self.reload_signal:
                self._reload(*args)
            self.interrupt_children.clear()
            for worker in [worker for worker in self.wrks if not worker.is_alive()]:
                failures[worker.idx] = 0 if _has_served(worker) else failures[worker.idx] + 1
                if failures[worker.idx] > len(RETRY_SECONDS):
                    log.error(
                        "A worker exited %s times before it could serve (exit code %s); stopping. "
                        "Fix the cause logged above, then start plotindex again.",
                        *(failures[worker.idx], worker.inner.exitcode),
                    )
                    self.interrupt_children.append(worker.idx)
                    return
                if failures[worker.idx]:
                    self.main_loop_interrupt.wait(RETRY_SECONDS[failures[worker.idx] - 1])
                if not self.interrupt_signal:
                    self._respawn_workers([worker.idx], *args)

    def _init_shared_socket(self) -> None:
        self._ssp = self._sso = None
        # False: not a Unix socket.
        self._shd = SocketHolder(self._listener.fileno(), False, self.backlog)  # type: ignore[assignment,call-arg]  # wrong in its stub

    def _reload_settings(self) -> None:
        settings = self._reloader.reload_if_requested()
        if settings is not None:
            _export_settings(settings)

    def _reload(self, *args: Any) -> None:  # noqa: ANN401 - as Granian
        self._notifier.notify_reloading()
        self.workers_kill_timeout = RELOAD_SECONDS
        try:
            super()._reload(*args)
        finally:
            self.workers_kill_timeout = STOP_SECONDS
            self._notifier.notify_reloaded()


def _load(load: Callable[[], Any], is_serving: mmap) -> Any:  # noqa: ANN401 - as Granian
    """The application, in a worker process, which serves once its event loop runs."""
    application = load()
    asyncio.get_event_loop().call_soon(is_serving.write_byte, 1)
    return application


def _has_served(worker: WorkerProcess) -> bool:
    return bool(worker.is_serving[0])  # type: ignore[attr-defined]  # set when it was spawned


def _terminate(reference: "weakref.ref[WorkerProcess]") -> None:
    """Ask a worker to drain; one that has not started yet exits at once."""
    worker = reference()
    if worker is None:
        return
    worker.interrupt_by_parent = True
    pid = worker.inner.pid
    if pid is not None and worker.is_alive():
        # It may exit in between.
        with suppress(ProcessLookupError):
            os.kill(pid, DRAIN_SIGNAL)


def _join(reference: "weakref.ref[WorkerProcess]", timeout: float | None = None) -> None:
    """Wait for a worker. Its pipe closes before it can be reaped; Granian would kill it in between."""
    worker = reference()
    if worker is None or not wait([worker.inner.sentinel], timeout):
        return
    deadline = time.monotonic() + EXIT_SECONDS
    while worker.is_alive() and time.monotonic() < deadline:
        time.sleep(0.001)


def _export_settings(settings: Settings) -> None:
    """Replace the settings in the environment, from which workers read them."""
    for name in PARSERS:
        os.environ.pop(variable_name(name), None)
    os.environ.update(settings.as_environment())
