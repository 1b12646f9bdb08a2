"""Walk sessions in a second process, while this one compares and writes: for scopes of many sessions."""

import fcntl
import logging
import os
import select
import subprocess
import time
from collections import deque
from contextlib import suppress

from plotindex.system import minimal_environment, python_command
from plotindex.tree.scopes import Scope
from plotindex.tree.tree import Tree, TreeReader
from plotindex.tree.walk import WAITING, FolderCallback, Walk, WalkSteps
from plotindex.tree.walk_protocol import KEEPALIVE, LENGTH, arguments_for, unpack

MIN_SESSIONS = 50
"""Fewer are not worth a process."""
MAX_PENDING_SESSIONS = 16
"""Sessions requested and not yet collected."""
PIPE_BYTES = 1 << 20
"""The most that an unprivileged process may set (pipe(7))."""
MAX_BUFFERED_BYTES = 1 << 23
"""With more uncollected results, nothing more is requested."""
POLL_SECONDS = 0.001
SILENCE_TIMEOUT_SECONDS = 5.0
"""Without any message for so long, the process is given up; this process walks what was pending."""
STOP_TIMEOUT_SECONDS = 1.0
"""A process that waits for a disk does not end sooner when killed."""
READ_BYTES = 1 << 20

log = logging.getLogger(__name__)


class WalkProcess:
    """A child process that walks sessions in the order requested. Callers go on without it when it dies.

    Not thread-safe.
    """

    def __init__(self, tree: Tree, *, for_requests: bool = False) -> None:
        """With `for_requests` it has a low priority, and outlives the thread that starts it, but not this process."""
        arguments = arguments_for(tree, for_requests=for_requests)
        command = python_command("-s", "-m", "plotindex.tree.walk_worker", *arguments)
        self._process = subprocess.Popen(  # noqa: S603 - this program itself
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=minimal_environment(), bufsize=0
        )
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._requests, self._responses = self._process.stdin, self._process.stdout
        os.set_blocking(self._responses.fileno(), False)
        with suppress(OSError):
            # With a smaller pipe, the two processes would take turns.
            fcntl.fcntl(self._responses.fileno(), fcntl.F_SETPIPE_SZ, PIPE_BYTES)
        # Not select(2): a server has more descriptors than it can name.
        self._poll = select.poll()
        self._poll.register(self._responses, select.POLLIN)
        self._pending: deque[str] = deque()
        self._results: dict[str, bytes] = {}
        self._cancelled: set[str] = set()
        self._buffer = bytearray()
        self._received_at = time.monotonic()
        self.is_alive = True

    @property
    def is_full(self) -> bool:
        """Whether nothing more should be requested at the moment."""
        buffered = sum(map(len, self._results.values()))
        return len(self._pending) + len(self._results) >= MAX_PENDING_SESSIONS or buffered >= MAX_BUFFERED_BYTES

    @property
    def is_behind(self) -> bool:
        """Whether sessions are pending and no result is ready: walking another one here is quicker."""
        self._receive(0.0)
        return bool(self._pending) and not self._results

    def request(self, session: str) -> bool:
        """Request a walk of a session, or the copies of a key (`session/filename`); return whether it was accepted."""
        name = session.encode()
        if session in self._pending:
            # A cancelled request: its result may be too old.
            return False
        try:
            self._requests.write(LENGTH.pack(len(name)) + name)
        except OSError:
            self._give_up()
            return False
        if not self._pending:
            self._received_at = time.monotonic()
        self._pending.append(session)
        return True

    def collect(self, session: str, walk: Walk) -> bool:
        """Fill `walk` with the result for a session; return whether there was one."""
        if session not in self._results:
            # Only for the next result; not while another session's is ready.
            is_next = not self._results and self._pending and self._pending[0] == session
            self._receive(POLL_SECONDS if is_next else 0.0)
        result = self._results.pop(session, None)
        if result is not None:
            unpack(result, walk)
        return result is not None

    def wait_for(self, request: str) -> bytes | None:
        """Wait for the response to a request; None if the process dies."""
        while self.is_alive and request not in self._results:
            self._receive(SILENCE_TIMEOUT_SECONDS)
        return self._results.pop(request, None)

    def cancel(self, session: str) -> None:
        """Discard the result for a session, now or when it arrives."""
        if self._results.pop(session, None) is None and session in self._pending:
            self._cancelled.add(session)

    def close(self) -> None:
        """Kill the process."""
        self.is_alive = False
        with suppress(OSError):
            self._requests.close()
        self._responses.close()
        self._process.kill()
        with suppress(subprocess.TimeoutExpired):
            self._process.wait(STOP_TIMEOUT_SECONDS)

    def abandon(self) -> None:
        """Forget the process, in a forked child: only the parent can end it and wait for it."""
        self.is_alive = False
        self._requests.close()
        self._responses.close()
        # Otherwise Popen would warn.
        self._process.returncode = 0

    def _give_up(self) -> None:
        if self.is_alive:
            log.debug("the walk process has ended; its pending sessions are walked by this process")
            self.close()

    def _receive(self, seconds: float) -> None:
        if not self.is_alive:
            return
        if not self._poll.poll(seconds * 1000):
            if self._pending and time.monotonic() - self._received_at > SILENCE_TIMEOUT_SECONDS:
                self._give_up()
            return
        self._received_at = time.monotonic()
        part = self._responses.read(READ_BYTES)
        if not part:
            self._give_up()
            return
        self._buffer += part
        while len(self._buffer) >= LENGTH.size:
            (length,) = LENGTH.unpack_from(self._buffer)
            if length == KEEPALIVE:
                del self._buffer[: LENGTH.size]
                continue
            if len(self._buffer) < LENGTH.size + length:
                return
            session = self._pending.popleft()
            if session in self._cancelled:
                self._cancelled.discard(session)
            else:
                self._results[session] = bytes(memoryview(self._buffer)[LENGTH.size : LENGTH.size + length])
            del self._buffer[: LENGTH.size + length]


def start_walk_process(tree: Tree, sessions: int) -> WalkProcess | None:
    """Start a process to walk so many sessions, or None where it is not worth it or cannot start. Close it."""
    if sessions >= MIN_SESSIONS and len(os.sched_getaffinity(0)) > 1:
        with suppress(OSError):
            return WalkProcess(tree)
    return None


class ParallelWalk(Walk):
    """A walk of a whole session by a `WalkProcess`; only folders are opened here, if `on_folder` is given."""

    def __init__(
        self,
        reader: TreeReader,
        scope: Scope,
        walk_process: WalkProcess,
        on_folder: FolderCallback | None,
    ) -> None:
        tree = reader.tree
        super().__init__(
            tree.layout,
            tree.folder,
            reader.stat,
            scope,
            on_folder=on_folder,
            is_bounded=True,
            reliable_device=tree.reliable_ctime_device(),
        )
        self._walk_process = walk_process
        self._is_requested = on_folder is None and walk_process.is_alive and walk_process.request(scope.session or "")

    def close(self) -> None:
        super().close()
        self._walk_process.cancel(self.scope.session or "")

    def _walk(self, session: str, scope: Scope) -> WalkSteps:
        process = self._walk_process
        watched = None
        if self._on_folder is not None and process.is_alive:
            # Watch first, list second: later additions to a watched folder cause events.
            self._folders_only = True
            yield from super()._walk(session, scope)
            self._folders_only = False
            watched = self.folders
            while process.is_alive and process.is_full and not process.is_behind:
                yield WAITING
            self._is_requested = process.is_alive and not process.is_full and process.request(session)
        while self._is_requested and process.is_alive:
            if process.collect(session, self):
                if watched is None or self.folders <= watched:
                    return
                # Some folder is not watched: it is new, or the first pass missed it.
                break
            yield WAITING
        self._reset()
        yield from super()._walk(session, scope)

    def _reset(self) -> None:
        self.rows, self.hard_linked, self.stamps, self.unstamped = [], [], {}, []
        self.cutoff, self.truncated, self.excluded, self.ignored = None, 0, 0, 0
