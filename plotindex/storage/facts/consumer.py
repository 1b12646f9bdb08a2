"""Follow the catalogue's changes: which copies are to be inspected, and which are gone. Opens no file."""

import time
from collections.abc import Sequence

from plotindex.storage.catalog_header import Header
from plotindex.storage.facts.rows import Place
from plotindex.storage.facts.writer import FactsWriter
from plotindex.storage.follower import Consumer, CopyChange, Position
from plotindex.storage.rows import read_copy
from plotindex.storage.statements import Connection
from plotindex.tree import SETTLE_NS


class InspectionConsumer(Consumer):
    """What follows the changes for inspection. Its round is the highest id of facts whose plot may be gone unseen.

    Where it begins, all earlier plots are the backlog, which is inspected backwards from there.
    """

    name = "inspection"
    positions = "follower"

    def begin(self, connection: Connection, source: Connection, header: Header) -> Position:  # noqa: ARG002 - of the interface
        writer = FactsWriter(connection)
        writer.begin_backlog(header.clock)
        return Position(header.clock + 1, "", "", "", header.trimmed, writer.last_id())

    def take(self, connection: Connection, source: Connection, changes: Sequence[CopyChange], round_: int) -> None:  # noqa: ARG002 - of the interface
        writer, now = FactsWriter(connection), time.time_ns()
        for change in changes:
            place = Place(change.session, change.filename, change.project)
            plot = read_copy(source, *place)
            if plot is None:
                writer.drop_pending(place)
                writer.mark_gone(place, now)
            elif writer.has_facts(plot):
                writer.drop_pending(place)
                writer.keep(place)
            else:
                writer.pend(place, min(plot.ctime_ns, now) + SETTLE_NS)

    def sweep(self, connection: Connection, source: Connection, round_: int, limit: int) -> int:  # noqa: ARG002 - of the interface
        return FactsWriter(connection).delete_without_plot(round_, limit)
