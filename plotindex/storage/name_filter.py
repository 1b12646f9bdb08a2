"""Filter sorted rows by a query within a time limit."""

import time
from collections.abc import Callable, Iterable, Iterator

from plotindex.storage.catalog import SessionRow
from plotindex.storage.rows import Entry
from plotindex.tree import query_matcher

EntryCondition = Callable[[Entry], bool]
SEARCH_SECONDS = 0.25
"""Time limit of a search through names, after which it returns what it has."""


class NameFilter:
    """Filters rows by name until its time is up. Without a query every row passes, for however long it takes."""

    def __init__(self, query: str, seconds: float = SEARCH_SECONDS, keeps: EntryCondition | None = None) -> None:
        """`keeps` is another condition for entries."""
        self._has_query = bool(query)
        self._keeps = keeps or (lambda _: True)
        self.matches = query_matcher(query)
        self._deadline = time.monotonic() + seconds if query else float("inf")
        self.stopped_after: str | None = None
        """The last name that was compared, if time was up before the end."""
        self.stopped_at: SessionRow | None = None
        """Of sessions: the row with that name."""

    @property
    def is_late(self) -> bool:
        """Whether time is up."""
        return time.monotonic() >= self._deadline

    def filter_entries(self, entries: Iterable[Entry]) -> Iterator[Entry]:
        """The entries whose filename or projects match, of entries by filename; at least one is compared."""
        if not self._has_query:
            yield from filter(self._keeps, entries)
            return
        last = None
        for entry in entries:
            if last is not None and self.is_late:
                self.stopped_after = last
                return
            last = entry.key.filename
            if self.matches(entry.names) and self._keeps(entry):
                yield entry

    def filter_sessions(self, rows: Iterable[SessionRow], allows: Callable[[str], bool]) -> Iterator[SessionRow]:
        """The rows that match and that the caller may see; stops only after a session that the caller may see."""
        for row in rows:
            is_late, is_match = self.is_late, self.matches([row.session])
            if not (is_match or is_late) or not allows(row.session):
                continue
            if is_match:
                yield row
            if is_late:
                self.stopped_after, self.stopped_at = row.session, row
                return
