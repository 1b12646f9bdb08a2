"""A second process for looks at very many sessions: it walks them, while this one compares and writes."""

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
from plotindex.tree.tree import Glance, Tree
from plotindex.tree.walk import WAITING, Enter, Steps, Walk
from plotindex.tree.walk_worker import LENGTH, STILL_LOOKING, arguments_for, unpack

FEWEST_SESSIONS = 50
"""For fewer it is not worth a process."""
MOST_AHEAD = 16
"""Sessions that it has been asked for and that have not been taken."""
PIPE_BYTES = 1 << 20
"""What it may tell before anybody listens: as much as whoever is not root may have (pipe(7))."""
MOST_HELD_BYTES = 1 << 23
"""When what was told and not taken has so many bytes, it is asked for no more."""
WAIT_SECONDS = 0.001
SILENT_SECONDS = 5.0
"""When nothing at all has come for so long, what was asked for is looked at here."""
END_SECONDS = 1.0
"""How long its end is waited for: one that waits for a disk does not end."""
READ_BYTES = 1 << 20

log = logging.getLogger(__name__)


class WalkProcess:
    """The process, and what it was asked for. When it ends, whoever uses it goes on without it. For one thread."""

    def __init__(self, tree: Tree) -> None:
        command = python_command("-s", "-m", "plotindex.tree.walk_worker", *arguments_for(tree))
        self._process = subprocess.Popen(  # noqa: S603 - this program itself
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=minimal_environment(), bufsize=0
        )
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._questions, self._answers = self._process.stdin, self._process.stdout
        os.set_blocking(self._answers.fileno(), False)
        with suppress(OSError):
            # With less, it and this process would work in turns.
            fcntl.fcntl(self._answers.fileno(), fcntl.F_SETPIPE_SZ, PIPE_BYTES)
        self._asked: deque[str] = deque()
        self._told: dict[str, bytes] = {}
        self._unwanted: set[str] = set()
        self._read = bytearray()
        self._heard_at = time.monotonic()
        self.is_alive = True

    @property
    def is_busy(self) -> bool:
        """Whether it was asked for so many sessions that it should be asked for no more now."""
        held = sum(map(len, self._told.values()))
        return len(self._asked) + len(self._told) >= MOST_AHEAD or held >= MOST_HELD_BYTES

    @property
    def is_behind(self) -> bool:
        """Whether nothing of what it was asked for is told yet: then it is quicker to look at something else here."""
        self._listen(0.0)
        return bool(self._asked) and not self._told

    def ask(self, session: str) -> bool:
        """Let it look at a session; return whether it will."""
        name = session.encode()
        if session in self._asked:
            # For somebody who has given up; what it sees then may be too old.
            return False
        try:
            self._questions.write(LENGTH.pack(len(name)) + name)
        except OSError:
            self._lose()
            return False
        if not self._asked:
            self._heard_at = time.monotonic()
        self._asked.append(session)
        return True

    def take(self, session: str, walk: Walk) -> bool:
        """Let a walk say what was seen in a session, once that is told; return whether it is."""
        if session not in self._told:
            # What is told of another session can be taken at once.
            self._listen(0.0 if self._told else WAIT_SECONDS)
        answer = self._told.pop(session, None)
        if answer is not None:
            unpack(answer, walk)
        return answer is not None

    def forget(self, session: str) -> None:
        """Nobody wants to know any more what was seen in a session."""
        if self._told.pop(session, None) is None and session in self._asked:
            self._unwanted.add(session)

    def close(self) -> None:
        """End it."""
        self.is_alive = False
        with suppress(OSError):
            self._questions.close()
        self._answers.close()
        self._process.kill()
        with suppress(subprocess.TimeoutExpired):
            self._process.wait(END_SECONDS)

    def _lose(self) -> None:
        if self.is_alive:
            log.debug("the process that looks ahead has ended; what it was asked for is looked at here")
            self.close()

    def _listen(self, seconds: float) -> None:
        if not self.is_alive:
            return
        ready, _, _ = select.select([self._answers], [], [], seconds)
        if not ready:
            if self._asked and time.monotonic() - self._heard_at > SILENT_SECONDS:
                self._lose()
            return
        self._heard_at = time.monotonic()
        part = self._answers.read(READ_BYTES)
        if not part:
            self._lose()
            return
        self._read += part
        while len(self._read) >= LENGTH.size:
            (length,) = LENGTH.unpack_from(self._read)
            if length == STILL_LOOKING:
                del self._read[: LENGTH.size]
                continue
            if len(self._read) < LENGTH.size + length:
                return
            session = self._asked.popleft()
            if session in self._unwanted:
                self._unwanted.discard(session)
            else:
                self._told[session] = bytes(memoryview(self._read)[LENGTH.size : LENGTH.size + length])
            del self._read[: LENGTH.size + length]


def scout_for(tree: Tree, sessions: int) -> WalkProcess | None:
    """A scout for so many sessions, where it is of use and can be had. Its caller closes it."""
    if sessions >= FEWEST_SESSIONS and len(os.sched_getaffinity(0)) > 1:
        with suppress(OSError):
            return WalkProcess(tree)
    return None


class ScoutedWalk(Walk):
    """A walk of a whole session, of which only the folders are entered here, where that is asked for."""

    def __init__(self, glance: Glance, scope: Scope, scout: WalkProcess, enter: Enter | None, most: int | None) -> None:
        tree = glance.tree
        stamping = tree.stamping_device()
        super().__init__(tree.layout, tree.folder, glance.status, scope, enter=enter, most=most, stamping=stamping)
        self._scout = scout
        self._is_asked = enter is None and scout.is_alive and scout.ask(scope.session or "")

    def close(self) -> None:
        super().close()
        self._scout.forget(self.scope.session or "")

    def _walk(self, session: str, scope: Scope) -> Steps:
        entered = None
        if self._enter is not None and self._scout.is_alive:
            # Watch first, list second: what comes into a folder from here on is told of.
            self._skips_plots = True
            yield from super()._walk(session, scope)
            self._skips_plots = False
            entered = self.folders
            while self._scout.is_alive and self._scout.is_busy and not self._scout.is_behind:
                yield WAITING
            self._is_asked = self._scout.is_alive and not self._scout.is_busy and self._scout.ask(session)
        while self._is_asked and self._scout.is_alive:
            if self._scout.take(session, self):
                if entered is None or self.folders <= entered:
                    return
                # One of them is not watched, since it is new or since the first look did not see it.
                break
            yield WAITING
        self._begin_anew()
        yield from super()._walk(session, scope)

    def _begin_anew(self) -> None:
        self.rows, self.linked, self.stamps, self.unstamped = [], [], {}, []
        self.cut, self.left_out, self.deep = None, 0, 0
