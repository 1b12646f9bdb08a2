"""Find plots that look like a picture, by the distance of hashes of how they look."""

from collections.abc import Generator, Iterator
from contextlib import closing
from heapq import nsmallest
from itertools import islice, takewhile
from operator import itemgetter
from typing import NamedTuple

from plotindex.storage.database import Database
from plotindex.storage.facts.reader import FactsReader
from plotindex.storage.search.text_search import present_copy
from plotindex.storage.statements import Connection, Prepared
from plotindex.tree import Plot, SessionFilter

MAX_DISTANCE = 64
"""Bits, of 576: what differs in more looks otherwise."""
ROWS_AT_ONCE = 10_000
MAX_CANDIDATES = 1_000
"""The nearest rows, of which those are returned that are of a present version."""


class AlikePlot(NamedTuple):
    """A plot with the same bytes, or that looks alike."""

    plot: Plot
    is_same: bool
    """Whether it has the same bytes."""
    distance: int
    """Bits in which the hashes differ."""
    is_current: bool = True
    """Whether it is the present version, not one that is kept."""

    @property
    def how(self) -> str:
        """Why it is a match, as the interfaces name it."""
        return "bytes" if self.is_same else "picture"


def find_alike(
    database: Database, digest: str, picture_hash: bytes, allows: SessionFilter, limit: int
) -> list[AlikePlot]:
    """The plots that a caller may see with these bytes, then those that look alike, the nearest first.

    Raises:
        CatalogError: they cannot be read.
    """
    with database.reading(is_long=True) as connection:
        copies = FactsReader(connection).with_digest(digest, allows)
        same = [AlikePlot(copy, is_same=True, distance=0) for copy in islice(copies, limit)]
        if not picture_hash or len(same) == limit:
            return same
        known = {match.plot for match in same}
        nearest = (match for match in _nearest(connection, picture_hash, allows) if match.plot not in known)
        return [*same, *islice(nearest, limit - len(same))]


def _nearest(connection: Connection, picture_hash: bytes, allows: SessionFilter) -> Iterator[AlikePlot]:
    wanted = int.from_bytes(picture_hash)
    best: list[tuple[int, int]] = []
    with closing(_hashes(connection, allows)) as rows:
        while some := list(islice(rows, ROWS_AT_ONCE)):
            # In C: a comparison takes a tenth of a microsecond.
            hashes = map(int.from_bytes, map(itemgetter(2), some))
            distances = map(int.bit_count, map(wanted.__xor__, hashes))
            near = [
                (distance, row[0]) for distance, row in zip(distances, some, strict=True) if distance <= MAX_DISTANCE
            ]
            best = nsmallest(MAX_CANDIDATES, best + near)
    for distance, number in best:
        for row in _ROW(connection, {"of_id": number}):
            if plot := present_copy(connection, row):
                yield AlikePlot(plot, is_same=False, distance=distance)


def _hashes(connection: Connection, allows: SessionFilter) -> Generator[tuple[int, str, bytes], None, None]:
    """Id, session and hash of each plot that the caller may see and that shows something."""
    if allows.is_all:
        yield from _ALL.stream(connection, {})
    elif allows.name is not None:
        if allows(allows.name):
            yield from _OF_SESSION.stream(connection, {"of_session": allows.name})
    else:
        rows = _FROM_SESSION.stream(connection, {"of_session": allows.prefix})
        below = takewhile(lambda row: row[1].startswith(allows.prefix), rows)
        yield from (row for row in below if allows(row[1]))


_HASHES = "SELECT id, session, picture_hash FROM facts WHERE length(picture_hash) > 0 AND flags NOT LIKE '%blank%'"
_ALL = Prepared(_HASHES)
_OF_SESSION = Prepared(f"{_HASHES} AND session = :of_session")
_FROM_SESSION = Prepared(f"{_HASHES} AND session >= :of_session ORDER BY session, filename, project")
_ROW = Prepared("SELECT id, session, filename, project, version FROM facts WHERE id = :of_id")
