"""Paths that are unreadable or have unsupported names or times: counted, and logged once each."""

import logging

from plotindex.index import Report
from plotindex.system import printable

MAX_PATHS = 10_000

log = logging.getLogger(__name__)


class PathErrors:
    """The errors since the last full scan."""

    def __init__(self) -> None:
        self.unreadable: set[str] = set()
        self.unsupported: set[str] = set()
        self._logged: set[str] = set()

    def clear(self) -> None:
        self.unreadable.clear()
        self.unsupported.clear()

    def add(self, report: Report) -> None:
        for path, error in report.unreadable.items():
            self._add(self.unreadable, path, str(error.strerror))
        for path, reason in report.unsupported.items():
            self._add(self.unsupported, path, reason)

    def _add(self, paths: set[str], path: str, reason: str) -> None:
        if len(paths) < MAX_PATHS:
            paths.add(path)
        line = f"{printable(path) or 'the root'}: {reason}"
        if line in self._logged or len(self._logged) > MAX_PATHS:
            return
        self._logged.add(line)
        if len(self._logged) > MAX_PATHS:
            log.warning("More than %d paths have errors; no further ones are logged.", MAX_PATHS)
        else:
            log.warning("%s", line)
