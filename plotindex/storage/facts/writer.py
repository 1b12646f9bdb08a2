"""Write facts, within one transaction of the catalogue."""

from collections.abc import Iterable, Sequence
from typing import Any

from plotindex.storage.facts import sql
from plotindex.storage.facts.rows import (
    SHARED_TURN,
    BacklogPosition,
    InspectionState,
    Place,
    StoredFacts,
    backlog_values,
    place_of,
    place_values,
    version_bytes,
)
from plotindex.storage.rows import read_copy
from plotindex.storage.statements import SQLITE, Connection
from plotindex.tree import Plot


class FactsWriter:
    """Writes within one write transaction."""

    def __init__(self, connection: Connection) -> None:
        self.connection = connection

    def store(self, found: Iterable[tuple[Plot, StoredFacts]]) -> int:
        """Store the facts of the versions that are still in the catalogue; return how many these are."""
        valid = {
            place_of(plot): (plot, facts)
            for plot, facts in found
            if read_copy(self.connection, *place_of(plot)) == plot
        }
        known = (row for place in valid for row in sql.KNOWN(self.connection, place_values(place)))
        self._delete([(number, title, text) for number, _, title, text in known])
        texts = []
        for place, (plot, facts) in valid.items():
            row = {**place._asdict(), "version": version_bytes(plot), **facts.to_row()}
            texts.append((int(sql.INSERT(self.connection, row)[0][0]), row["title"], row["text"]))
            self.drop_pending(place)
        if self.connection.kind == SQLITE:
            sql.INDEX.each(self.connection, _values_of(texts))
        return len(valid)

    def has_facts(self, plot: Plot) -> bool:
        """Whether this version is inspected."""
        rows = sql.KNOWN(self.connection, place_values(place_of(plot)))
        return bool(rows) and bytes(rows[0][1]) == version_bytes(plot)

    def pend(self, place: Place, due_ns: int) -> None:
        """Inspect a copy when that is due."""
        sql.PEND.count(self.connection, {**place_values(place), "due": due_ns, "shared": SHARED_TURN})

    def drop_pending(self, place: Place) -> None:
        """A copy need not be inspected."""
        sql.DROP_PENDING.count(self.connection, place_values(place))

    def cap_due(self, latest_ns: int) -> None:
        """Let no copy wait for longer, although the clock was set back."""
        sql.CAP_DUE.count(self.connection, {"latest": latest_ns})

    def mark_gone(self, place: Place, now_ns: int) -> None:
        """Record that a copy was removed. Its facts stay for a while: it may be there again under another name."""
        sql.MARK_GONE.count(self.connection, {**place_values(place), "now": now_ns})

    def keep(self, place: Place) -> None:
        """Record that a copy is there."""
        sql.KEEP.count(self.connection, place_values(place))

    def delete_gone(self, before_ns: int, kept: int, limit: int) -> bool:
        """Delete facts of copies removed before then, or beyond the latest `kept`; return whether there are more."""
        rows = sql.GONE(self.connection, {"before": before_ns, "most": limit})
        rows = rows or sql.GONE_BEYOND(self.connection, {"kept": kept, "most": limit})
        self._delete(rows)
        return len(rows) == limit

    def delete_without_plot(self, upto: int, limit: int) -> int:
        """Delete facts without a plot among the next ids, from `upto` down; return the id to go on from, or 0."""
        rows = sql.WITHOUT_PLOT(self.connection, {"upto": upto, "most": limit})
        self._delete([row[:3] for row in rows if not row[3]])
        return rows[-1][0] - 1 if len(rows) == limit else 0

    def begin_backlog(self, clock: int) -> None:
        """Inspect all plots of a catalogue with this clock."""
        sql.SET_BACKLOG.count(self.connection, backlog_values((clock + 1, "", "", "")))

    def move_backlog(self, start: BacklogPosition, position: BacklogPosition) -> None:
        """Continue the backlog there, if it was at `start` still."""
        if sql.BACKLOG(self.connection) == [start]:
            sql.SET_BACKLOG.count(self.connection, backlog_values(position))

    def set_state(self, state: InspectionState) -> None:
        sql.NO_STATE.count(self.connection)
        sql.SET_STATE.count(self.connection, state._asdict())

    def last_id(self) -> int:
        return int(sql.LAST_ID.value(self.connection) or 0)

    def _delete(self, rows: Sequence[Sequence[Any]]) -> None:
        """Delete facts, by id, title and text."""
        # FTS5 flushes its buffer whenever an id is not greater than the one before.
        ordered = sorted(tuple(row) for row in rows)
        if self.connection.kind == SQLITE:
            sql.UNINDEX.each(self.connection, _values_of(ordered))
        sql.DELETE.each(self.connection, [{"of_id": row[0]} for row in ordered])


def _values_of(rows: Iterable[Sequence[Any]]) -> list[dict[str, object]]:
    """Values for the index of texts; rows without text are not in it."""
    return [{"of_id": number, "title": title, "text": text} for number, title, text in rows if title or text]
