"""Read facts, within one transaction of the catalogue. Only those of the version that a copy has are returned."""

from collections.abc import Iterator, Sequence
from contextlib import closing
from itertools import zip_longest
from typing import Any, NamedTuple

from plotindex.storage.facts import sql
from plotindex.storage.facts.rows import (
    BacklogPosition,
    DuePlace,
    InspectionState,
    Place,
    StoredFacts,
    backlog_values,
    place_of,
    place_values,
    version_bytes,
)
from plotindex.storage.rows import read_copy
from plotindex.storage.session_selection import selected_values, selection_of
from plotindex.storage.statements import Connection
from plotindex.tree import Allows, Plot, SessionFilter

MAX_REUSED = 100
"""Facts with one digest that are looked at for one with the same suffix."""


class BacklogPage(NamedTuple):
    """Plots before a position, the last changed first."""

    start: BacklogPosition
    plots: list[Plot]
    """Those to inspect."""
    next: BacklogPosition
    """Where the page ends."""


class FactsReader:
    """Reads within one transaction."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def facts(self, plot: Plot) -> StoredFacts | None:
        """The facts of this version."""
        rows = sql.OF_PLACE(self._connection, place_values(place_of(plot)))
        if not rows or bytes(rows[0][0]) != version_bytes(plot):
            return None
        return StoredFacts.from_row(rows[0][1:])

    def digests(self, session: str) -> dict[tuple[Any, ...], str]:
        """The digests of a session's plots, as far as they were read, by project, filename and `version_bytes`."""
        rows = sql.DIGESTS(self._connection, {"of_session": session})
        return {
            (project, name, bytes(version)): bytes(digest).hex() for project, name, version, digest in rows if digest
        }

    def reusable(self, digest: str, plot: Plot) -> StoredFacts | None:
        """The facts of another copy of its session with these bytes and the same suffix.

        Those of other sessions would tell by the time that they save.
        """
        values = {"of_digest": bytes.fromhex(digest), "of_session": plot.session, "most": MAX_REUSED}
        for filename, *row in sql.REUSABLE(self._connection, values):
            if filename.lower().endswith(plot.suffix):
                return StoredFacts.from_row(row)
        return None

    def with_digest(self, digest: str, allows: Allows) -> Iterator[Plot]:
        """The copies that have these bytes now and that a caller may see, by session, filename and project."""
        if not digest:
            # Of plots whose bytes were not read.
            return
        allows = SessionFilter.of(allows)
        query = sql.WITH_DIGEST[selection_of(allows)[0]]
        values = {"of_digest": bytes.fromhex(digest), **selected_values(allows)}
        with closing(query.stream(self._connection, values)) as rows:
            for *fields, version in rows:
                plot = Plot._make(fields)
                if allows(plot.session) and bytes(version) == version_bytes(plot):
                    yield plot

    def due(self, now_ns: int, limit: int, after: str = "") -> list[DuePlace]:
        """Copies to inspect: of each turn the newest, of each the next one, ...; turns behind `after` come first."""
        values = {"upto": now_ns, "most": limit}
        turns = sql.DUE_TURNS.column(self._connection, {**values, "behind": after})
        if len(turns) < limit and after:
            first = sql.DUE_TURNS.column(self._connection, {**values, "behind": ""})
            turns += [turn for turn in first if turn not in turns][: limit - len(turns)]
        share = max(1, limit // max(1, len(turns)))
        found = []
        for turn in turns:
            rows = sql.DUE(self._connection, {"of_turn": turn, "upto": now_ns, "most": share})
            found.append([DuePlace(Place._make(row), turn) for row in rows])
        return [one for rank in zip_longest(*found) for one in rank if one]

    def count_due(self, upto_ns: int) -> int:
        """Changed copies to inspect that are due until then."""
        return int(sql.DUE_COUNT.value(self._connection, {"upto": upto_ns}))

    def plot(self, place: Place) -> Plot | None:
        """The plot there, in the catalogue."""
        return read_copy(self._connection, *place)

    def backlog_page(self, limit: int) -> BacklogPage | None:
        """The next plots of the backlog, without those inspected or pending; None at its end, and before its begin."""
        position = self._backlog()
        rows = sql.BEFORE(self._connection, {**backlog_values(position), "most": limit}) if position else []
        if position is None or not rows:
            return None
        clock, session, project, filename = rows[-1][:4]
        return BacklogPage(position, list(_uninspected(rows)), (clock, session, filename, project))

    def count_waiting(self) -> int:
        """Plots that are not inspected yet. Reads the index: some milliseconds for each 100,000."""
        pending, position = int(sql.PENDING_COUNT.value(self._connection)), self._backlog()
        if position is None:
            return pending
        values = backlog_values(position)
        both = sql.BACKLOG_PENDING_COUNT.value(self._connection, values) if pending else 0
        return pending + int(sql.BACKLOG_COUNT.value(self._connection, values)) - int(both)

    def state(self) -> InspectionState | None:
        rows = sql.STATE(self._connection)
        return InspectionState._make(rows[0]) if rows else None

    def _backlog(self) -> BacklogPosition | None:
        rows = sql.BACKLOG(self._connection)
        return tuple(rows[0]) if rows else None


def _uninspected(rows: Sequence[Sequence[Any]]) -> Iterator[Plot]:
    for _, *fields, version in rows:
        plot = Plot._make(fields)
        if version is None or bytes(version) != version_bytes(plot):
            yield plot
