"""The self-test: a barrier that the indexer creates itself, which shows that events arrive."""

import logging
import time

from plotindex.system import ABSENT_ERRNOS, printable, write_error_remedy
from plotindex.watch.barriers import Barriers
from plotindex.watch.watcher import Watcher

SELF_TEST_SECONDS = 30.0
RETRY_SECONDS = 1.0
"""Pause before the next attempt while no self-test can start."""
SILENT_SECONDS = 10.0
"""Timeout of a self-test without any other event: the watcher is restarted."""

log = logging.getLogger(__name__)


class SelfTest:
    """Starts the self-tests of an indexer, and notices one that does not return."""

    def __init__(self, barriers: Barriers, watcher: Watcher) -> None:
        self._barriers = barriers
        self._watcher = watcher
        self._due = 0.0
        self.problem = ""
        """Why no self-test can start, with the fix; empty if one can."""

    def step(self, *, is_busy: bool) -> bool:
        """Start a self-test when one is due; return whether one timed out, unless the indexer is busy."""
        started, now = self._barriers.self_test_started, time.monotonic()
        if started is not None:
            return not is_busy and now - max(started, self._watcher.last_read) > SILENT_SECONDS
        if now >= self._due:
            problem = self._start()
            if problem and problem != self.problem:
                log.error("%s", problem)
            self.problem = problem
            self._due = now + (RETRY_SECONDS if problem else SELF_TEST_SECONDS)
        return False

    def _start(self) -> str:
        try:
            self._barriers.start_self_test()
        except OSError as error:
            folder = self._barriers.folder
            fix = write_error_remedy(error, folder, "make it writable for the indexer's user (chmod, chown)")
            if error.errno in ABSENT_ERRNOS:
                fix = "the indexer creates it again"
            return f"The self-test cannot create a file in {printable(str(folder))} ({error.strerror}): {fix}."
        return ""
