"""Follow the catalogue's changes: nothing is missed, whatever batches, trims and replaced catalogues come between."""

from collections.abc import Sequence

from hypothesis import example, given, settings
from hypothesis import strategies as st
from sqlalchemy import delete, select

from plotindex.storage.catalog import Catalog
from plotindex.storage.catalog_header import Header
from plotindex.storage.follower import Consumer, CopyChange, Follower, Position
from plotindex.storage.statements import Connection
from plotindex.storage.tables import follower, plot, session
from plotindex.storage.writer import Change
from plotindex.tree.grammar import Layout
from plotindex.tree.plots import Plot
from tests.support.postgres import NewDatabase, on_both_engines


class Copies(Consumer):
    """Keeps the copies that there are; in its first rounds also those of an earlier catalogue."""

    name = "copies"
    positions = "follower"

    def __init__(self) -> None:
        self.known: dict[tuple[str, str, str], int] = {}
        """Each copy, and the round in which it was met."""
        self.rounds = 0

    def begin(self, connection: Connection, source: Connection, header: Header) -> Position:
        self.rounds += 1
        return Position(0, "", "", "", header.trimmed, self.rounds)

    def take(self, connection: Connection, source: Connection, changes: Sequence[CopyChange], round_: int) -> None:
        rows = {tuple(row) for row in source.execute(select(plot.c.session, plot.c.filename, plot.c.project))}
        for _, *place, _ in changes:
            copy = (place[0], place[1], place[2])
            if copy in rows:
                self.known[copy] = self.rounds
            else:
                self.known.pop(copy, None)

    def sweep(self, connection: Connection, source: Connection, round_: int, limit: int) -> int:
        stale = [copy for copy, met in self.known.items() if met < self.rounds]
        for copy in stale[:limit]:
            del self.known[copy]
        return round_ if len(stale) > limit else 0


copies = st.tuples(st.sampled_from("st"), st.sampled_from("xy"), st.sampled_from("pqr"))
steps = st.lists(
    st.one_of(
        st.lists(copies, min_size=1, max_size=6, unique=True),
        st.integers(1, 3),
        st.sampled_from(["trim", "lose the position", "new catalogue"]),
    ),
    max_size=12,
)


@on_both_engines
@settings(max_examples=40, deadline=None)
@given(steps=steps)
@example(steps=[[("s", "x", "p"), ("s", "x", "q")], 1, 1, 1])
@example(steps=[[("s", "x", "p")], 3, [("s", "x", "p"), ("t", "x", "p")], "trim", "new catalogue", 1])
def test_each_change_is_taken_whatever_comes_between(
    new_database: NewDatabase, engine: str, steps: list[list[tuple[str, str, str]] | int | str]
) -> None:
    with new_database(engine) as database:
        catalog, consumer = Catalog(database), Copies()
        catalog.record_root("/srv", Layout(), 1)
        follow = Follower(catalog, consumer)
        there: set[tuple[str, str, str]] = set()
        for step in steps:
            if isinstance(step, list):
                # Each copy that is named is drawn or, if it is there, deleted: all in one commit.
                toggle(catalog, there, step)
            elif isinstance(step, int):
                follow.step(step)
            elif step == "trim":
                with catalog.writing() as writer:
                    writer.trim_removals(keep=0)
            elif step == "lose the position":
                with database.writing() as connection:
                    connection.execute(delete(follower))
            else:
                with catalog.writing() as writer:
                    writer.expire_cursors(2)
                    connection = writer.connection
                    connection.execute(delete(plot))
                    connection.execute(delete(session))
                there = set()
        assert follow.run(60)
        assert set(consumer.known) == there
        assert follow.count_behind() == 0


def toggle(catalog: Catalog, there: set[tuple[str, str, str]], named: list[tuple[str, str, str]]) -> None:
    rows = {copy: Plot(copy[0], copy[2], copy[1], 1, 1, 1, 1) for copy in named}
    changes = [Change(row, None) if copy in there else Change(None, row) for copy, row in rows.items()]
    with catalog.writing() as writer:
        writer.apply(changes)
    there ^= set(named)


def test_it_says_how_many_changes_it_is_behind(catalog: Catalog) -> None:
    follow = Follower(catalog, Copies())
    toggle(catalog, set(), [("s", "x", "p"), ("s", "y", "p"), ("t", "x", "p")])
    assert follow.count_behind() == 3
    assert follow.step(2)
    assert follow.count_behind() == 1
    assert follow.run(60)
    assert follow.count_behind() == 0
