"""Paths that cannot be looked at, or are not indexed as they are: each is named in the log once."""

import logging

from plotindex.index import Report
from plotindex.system import printable

MOST_NAMED = 10_000

log = logging.getLogger(__name__)


class PathErrors:
    """What was met since the last look at everything."""

    def __init__(self) -> None:
        self.unreadable: set[str] = set()
        self.odd: set[str] = set()
        self._named: set[str] = set()

    def clear(self) -> None:
        """Everything is looked at anew."""
        self.unreadable.clear()
        self.odd.clear()

    def add(self, report: Report) -> None:
        for path, error in report.unreadable.items():
            self._meet(self.unreadable, path, str(error.strerror))
        for path, why in report.odd.items():
            self._meet(self.odd, path, why)

    def _meet(self, kind: set[str], path: str, why: str) -> None:
        if len(kind) < MOST_NAMED:
            kind.add(path)
        line = f"{printable(path) or 'the root'}: {why}"
        if line in self._named or len(self._named) > MOST_NAMED:
            return
        self._named.add(line)
        if len(self._named) > MOST_NAMED:
            log.warning("More than %d paths have errors; not logging any further ones.", MOST_NAMED)
        else:
            log.warning("%s", line)
