"""Log which versions cannot be read: a script can make thousands of such files."""

import logging
import time
from collections.abc import Iterable

from plotindex.history.version_reader import ReadResult
from plotindex.system import printable

LOG_SECONDS = 60.0

log = logging.getLogger(__name__)


class ProblemLog:
    """Logs one line a minute."""

    def __init__(self) -> None:
        self._count = 0
        self._log_at = 0.0

    def add(self, results: Iterable[ReadResult]) -> None:
        """Log what could not be read, now or with the next ones."""
        problems = [each for each in results if each.problem]
        self._count += len(problems)
        if problems and time.monotonic() >= self._log_at:
            path, reason = printable(problems[-1].pending.plot.path), problems[-1].problem
            log.warning("History: cannot read %d versions, the last one of %s (%s).", self._count, path, reason)
            self._count, self._log_at = 0, time.monotonic() + LOG_SECONDS
