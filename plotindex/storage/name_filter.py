"""Filter sorted rows by name within a time limit."""

import time
from collections.abc import Callable, Iterable, Iterator
from typing import TypeVar

from plotindex.storage.catalog import SessionRow
from plotindex.tree import name_matcher

SEARCH_SECONDS = 0.25
"""Time limit of a search through names, after which it returns what it has."""

Row = TypeVar("Row")


class NameFilter:
    """Filters rows by name until its time is up. Without a query every row passes, for however long it takes."""

    def __init__(self, query: str, seconds: float = SEARCH_SECONDS) -> None:
        self.matches = name_matcher(query)
        self._deadline = time.monotonic() + seconds if query else float("inf")
        self.stopped_after: str | None = None
        """The last name that was compared, if time was up before the end."""
        self.stopped_at: SessionRow | None = None
        """Of sessions: the row with that name."""

    @property
    def is_late(self) -> bool:
        """Whether time is up."""
        return time.monotonic() >= self._deadline

    def filter(self, rows: Iterable[Row], name_of: Callable[[Row], str]) -> Iterator[Row]:
        """The rows that match, of rows sorted by name; all rows of at least one name are compared."""
        last, is_match = None, False
        for row in rows:
            name = name_of(row)
            if name != last:
                if last is not None and self.is_late:
                    self.stopped_after = last
                    return
                last, is_match = name, self.matches(name)
            if is_match:
                yield row

    def filter_sessions(self, rows: Iterable[SessionRow], allows: Callable[[str], bool]) -> Iterator[SessionRow]:
        """The rows that match and that the caller may see; stops only after a session that the caller may see."""
        for row in rows:
            is_late, is_match = self.is_late, self.matches(row.session)
            if not (is_match or is_late) or not allows(row.session):
                continue
            if is_match:
                yield row
            if is_late:
                self.stopped_after, self.stopped_at = row.session, row
                return
