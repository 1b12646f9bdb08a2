"""Inspect the plots of one root: those that changed first, then the backlog, both from the newest to the oldest.

Sessions take turns, those first whose plots have taken the least time: one that draws without pause, or what takes
long, delays no other.
"""

import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from types import MappingProxyType
from typing import NamedTuple

from plotindex.history.kept_content import KeptContent
from plotindex.index import require_same_root
from plotindex.inspection.examine import Examined, Later, examine
from plotindex.rendering.renderer_client import RendererClient
from plotindex.storage import (
    BacklogPage,
    Catalog,
    FactsReader,
    FactsWriter,
    Follower,
    InspectionConsumer,
    Place,
    StoredFacts,
    place_of,
)
from plotindex.tree import SETTLE_NS, Plot, Tree

BATCH = 64
"""Plots whose facts are written by one transaction."""
PAGE = 200
"""Plots of the backlog that are read at once."""
SECOND_NS = 1_000_000_000
RETRY_SECONDS = {Later.YOUNG: 2, Later.AWAITED: 2, Later.CHANGED: 10, Later.BUSY: 60, Later.UNREADABLE: 600}
"""How long a plot waits that could not be inspected; each time the renderer was busy, twice as long as before."""
MAX_RETRY_SECONDS = 86_400
MAX_BUSY_PLACES = 10_000
"""Plots of which this is remembered."""
FOLLOW_SECONDS = 0.5
"""How long it takes changes at a time: what is not known to have changed has no turn."""
BACKLOG_STEPS = 8
"""One of so many steps is for the backlog, also while there are changes."""
MAX_BUSY = 3
"""After so many plots in a row for which the renderer was busy, it counts as unavailable."""
KEPT_NS = 86_400 * SECOND_NS
"""How long the facts of a removed copy stay, so that it need not be read again where it was moved to."""
KEPT_GONE = 5_000
"""Of so many removed copies, the latest ones: a fact takes up to 14 KB of the catalogue."""
CLEAN_SECONDS = 600.0
ROWS_AT_ONCE = 500


class Step(NamedTuple):
    """What one step has done."""

    inspected: int
    is_more: bool
    """Whether there is more to do at once."""
    problem: str = ""
    """Why nothing can be inspected at the moment."""


class Claim(NamedTuple):
    """What to do next."""

    plots: Sequence[Plot]
    gone: Sequence[Place] = ()
    """Due copies that are no longer in the catalogue."""
    page: BacklogPage | None = None
    """The page of the backlog that the plots are of."""
    turns: Mapping[Place, str] = MappingProxyType({})
    """Whose turn each of the changed plots is."""


class Inspector:
    """Inspects the plots of one root, one at a time. Of all processes, one does."""

    def __init__(
        self,
        catalog: Catalog,
        tree: Tree,
        renderer: RendererClient,
        kept: KeptContent | None = None,
        *,
        has_backlog: bool = True,
    ) -> None:
        """`kept` is what the history reads; without it, each plot is read."""
        self._kept = kept or KeptContent(None)
        self._catalog = catalog
        self._tree = tree
        self._renderer = renderer
        self._has_backlog = has_backlog
        self._follower = Follower(catalog, InspectionConsumer())
        self._clean_at = 0.0
        self._steps = 0
        self._last_turn = ""
        self._used: dict[str, float] = {}
        """Seconds by turn, of those that wait."""
        self._busy: Counter[Place] = Counter()
        """How often the renderer was busy with a plot."""

    def step(self, seconds: float, is_stopped: Callable[[], bool] = lambda: False) -> Step:
        """Take the changes; inspect plots for some seconds, and write their facts.

        Inspects no further plot once `is_stopped`.

        Raises:
            RootLostError: the root is another one, or missing.
            CatalogError: the catalogue cannot be used.
        """
        require_same_root(self._tree, self._catalog)
        is_more = not self._follower.run(FOLLOW_SECONDS)
        claim = self._claim()
        examined, is_unavailable = self._examine(claim, time.monotonic() + seconds, is_stopped)
        if examined or claim.gone or claim.page:
            self._write(claim, examined)
        if time.monotonic() >= self._clean_at:
            self._clean()
        if examined and claim.turns:
            self._last_turn = claim.turns[place_of(examined[-1].plot)]
        inspected = sum(isinstance(each.result, StoredFacts) for each in examined)
        if is_unavailable:
            return Step(inspected, is_more=False, problem="Plots are not inspected: the renderer cannot be used.")
        return Step(inspected, is_more or bool(claim.plots or claim.page))

    def is_waiting(self) -> bool:
        """Whether changed plots are due soon: younger ones may still change."""
        with self._catalog.database.reading() as connection:
            return FactsReader(connection).count_due(time.time_ns() + 2 * SETTLE_NS) > 0

    def _claim(self) -> Claim:
        self._steps += 1
        with self._catalog.database.reading() as connection:
            reader = FactsReader(connection)
            due = reader.due(time.time_ns(), BATCH, self._last_turn)
            is_for_backlog = self._has_backlog and (not due or self._steps % BACKLOG_STEPS == 0)
            page = reader.backlog_page(PAGE) if is_for_backlog else None
            if page or not due:
                return Claim(page.plots[:BATCH] if page else (), page=page)
            found = {place: reader.plot(place) for place, _ in due}
            turns = dict(due)
            # The time in which a session had nothing to inspect is not made up for.
            least = min((self._used[turn] for turn in set(turns.values()) & self._used.keys()), default=0.0)
            self._used = {turn: self._used.get(turn, least) for turn in turns.values()}
            plots = [plot for plot in found.values() if plot]
            plots.sort(key=lambda plot: self._used[turns[place_of(plot)]])
            return Claim(plots, [place for place, plot in found.items() if not plot], turns=turns)

    def _examine(self, claim: Claim, deadline: float, is_stopped: Callable[[], bool]) -> tuple[list[Examined], bool]:
        """Examine plots until the deadline; also return whether the renderer is unavailable."""
        examined: list[Examined] = []
        busy = 0
        for plot in claim.plots:
            began = time.monotonic()
            if is_stopped() or busy == MAX_BUSY or (examined and began >= deadline):
                break
            examined.append(examine(self._tree, self._renderer, self._kept, plot, self._find_facts))
            if claim.turns:
                self._used[claim.turns[place_of(plot)]] += time.monotonic() - began
            busy = busy + 1 if examined[-1].result is Later.BUSY else 0
        return examined, busy == MAX_BUSY

    def _find_facts(self, digest: str, plot: Plot) -> StoredFacts | None:
        with self._catalog.database.reading() as connection:
            return FactsReader(connection).reusable(digest, plot)

    def _write(self, claim: Claim, examined: Sequence[Examined]) -> None:
        now = time.time_ns()
        with self._catalog.writing() as catalog_writer:
            writer = FactsWriter(catalog_writer.connection)
            writer.store([(each.plot, each.result) for each in examined if isinstance(each.result, StoredFacts)])
            for plot, result in examined:
                if isinstance(result, Later):
                    writer.pend(place_of(plot), now + self._retry_seconds(place_of(plot), result) * SECOND_NS)
            for place in claim.gone:
                writer.drop_pending(place)
            if claim.page and len(examined) == len(claim.page.plots):
                writer.move_backlog(claim.page.start, claim.page.next)

    def _retry_seconds(self, place: Place, reason: Later) -> int:
        if reason is not Later.BUSY:
            return RETRY_SECONDS[reason]
        if len(self._busy) >= MAX_BUSY_PLACES:
            self._busy.clear()
        self._busy[place] += 1
        return min(RETRY_SECONDS[reason] << (self._busy[place] - 1), MAX_RETRY_SECONDS)

    def _clean(self) -> None:
        """Delete facts of copies removed long ago, or of too many."""
        now, is_more = time.time_ns(), True
        while is_more:
            with self._catalog.writing() as catalog_writer:
                writer = FactsWriter(catalog_writer.connection)
                is_more = writer.delete_gone(now - KEPT_NS, KEPT_GONE, ROWS_AT_ONCE)
                # The clock may have been set back.
                writer.cap_due(now + MAX_RETRY_SECONDS * SECOND_NS)
        self._clean_at = time.monotonic() + CLEAN_SECONDS
