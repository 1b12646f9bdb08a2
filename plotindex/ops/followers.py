"""How far behind the catalogue its consumers are, and how much is kept: for status and metrics."""

from dataclasses import dataclass
from typing import Any, Self

from plotindex.errors import CatalogError
from plotindex.history.contents import HistoryError
from plotindex.history.store import HistoryStore
from plotindex.storage import (
    Catalog,
    FactsReader,
    Follower,
    HistoryConsumer,
    HistoryState,
    HistoryTotals,
    IndexUpdater,
    InspectionConsumer,
    InspectionState,
)
from plotindex.system import format_size


@dataclass(frozen=True)
class HistoryStatus:
    """What is kept, and how well."""

    totals: HistoryTotals
    state: HistoryState
    bound: int | None
    """In bytes; None where the caller does not have it."""
    behind: int
    """Changes that are not taken yet."""
    problem: str
    """Why nothing is kept; empty if it is."""

    @classmethod
    def read(cls, catalog: Catalog, store: HistoryStore | None, bound: int | None = None) -> Self | None:
        """The status of a history; None if it is off."""
        if store is None:
            return None
        totals, state = HistoryTotals(0, 0, 0, 0, 0), HistoryState("", 0, 0, "")
        try:
            if not store.exists():
                return cls(totals, state, bound, 0, "")
            store.check_folder()
            with store.reading() as reader:
                state, totals = reader.state() or state, reader.totals()
            return cls(totals, state, bound, count_behind(catalog, store), state.problem)
        except HistoryError as error:
            return cls(totals, state, bound, 0, str(error))

    def as_json(self) -> dict[str, Any]:
        same = self.totals._asdict()
        told = {"kept": self.state.kept, "lost": self.state.lost, "behind": self.behind, "problem": self.problem}
        return {**same, "bound": self.bound, **told}

    def as_text(self) -> str:
        versions, sessions, gone, size, pending = self.totals
        bound = f" of {format_size(self.bound)}" if self.bound else ""
        kept = f"{versions} versions in {sessions} sessions, {format_size(size)}{bound}; {gone} plots are removed"
        lost = f"; {self.state.lost} were overwritten too quickly to keep" if self.state.lost else ""
        waiting = f"; {self.behind} changes and {pending} versions behind" if self.behind or pending else ""
        return f"{kept}{lost}{waiting}{f'; {self.problem}' if self.problem else ''}; history_mb=0 turns it off"


@dataclass(frozen=True)
class InspectionStatus:
    """How far inspection is."""

    state: InspectionState | None
    """None before it has begun."""
    behind: int
    """Changes that are not taken yet."""

    @classmethod
    def read(cls, catalog: Catalog) -> Self:
        """The status. Raises CatalogError."""
        with catalog.database.reading() as connection:
            state = FactsReader(connection).state()
        return cls(state, Follower(catalog, InspectionConsumer()).count_behind())

    def as_json(self) -> dict[str, Any]:
        state = self.state
        return {
            "waiting": state.waiting if state else None,
            "days_left": round(state.days_left, 3) if state else None,
            "behind": self.behind,
            "problem": state.problem if state else "",
        }

    def as_text(self) -> str:
        if self.state is None:
            return "not begun; inspect=off turns it off"
        left = f", {_describe_days(self.state.days_left)} left" if self.state.waiting else ""
        behind = f"; {self.behind} changes behind" if self.behind else ""
        problem = f"; {self.state.problem}" if self.state.problem else ""
        return f"{self.state.waiting} plots wait{left}{behind}{problem}; inspect_share sets the pace"


def _describe_days(days: float) -> str:
    return f"{days:.1f} days" if days >= 1 else f"{max(days * 24, 0.1):.1f} hours"


def count_behind(catalog: Catalog, store: HistoryStore) -> int:
    """Changes that the history has not taken yet."""
    return Follower(catalog, HistoryConsumer(lambda _: None, 0), store.database).count_behind()


def count_names_behind(catalog: Catalog) -> int:
    """Changes that are not in the index of names yet; 0 where that cannot be read."""
    try:
        return IndexUpdater(catalog).count_behind()
    except CatalogError:
        return 0
