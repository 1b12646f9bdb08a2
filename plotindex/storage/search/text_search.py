"""Search what plots show: titles and texts that inspection found in the present versions of copies.

A plot without text answers by that of its siblings. Each word must be in the texts of one file, in any case of ASCII.
"""

from collections.abc import Generator, Iterable, Iterator, Sequence
from contextlib import closing, suppress
from functools import cache
from itertools import islice

from plotindex.storage.catalog_header import read_header
from plotindex.storage.database import Database
from plotindex.storage.facts.rows import lines_of, version_bytes
from plotindex.storage.rows import PLOT, read_copy
from plotindex.storage.search.fulltext_sql import (
    TEXTS,
    TEXTS_OF_SESSION,
    NameRow,
    SearchTimeoutError,
    TrigramIndex,
    time_limit,
)
from plotindex.storage.search.trigrams import can_be_in_name, like_pattern
from plotindex.storage.siblings import possible_siblings
from plotindex.storage.statements import Connection, Prepared
from plotindex.tree import Plot, fold_case, query_words

LATEST_SECONDS = 0.1


class TextQuery:
    """The words of a search, each taken literally."""

    def __init__(self, query: str) -> None:
        self.words = query_words(query)

    @property
    def can_match(self) -> bool:
        return bool(self.words) and all(map(can_be_in_name, self.words))

    def where(self, title: str, text: str) -> str:
        """The lines with the words; empty unless each word is in one."""
        lines = [("title", title), *(("text", line) for line in lines_of(text))]
        folded = [fold_case(line) for _, line in lines]
        found = dict.fromkeys(next((at for at, line in enumerate(folded) if word in line), None) for word in self.words)
        if None in found:
            return ""
        return "; ".join(f"{lines[at][0]}: {lines[at][1]}" for at in found if at is not None)


def find_texts(database: Database, query: str, session: str | None = None) -> dict[Plot, str]:
    """The copies that show all words of a query, in all sessions or in one, and where.

    Raises:
        CatalogError: they cannot be read.
    """
    with database.reading(is_long=True) as connection:
        return texts_in(connection, query, session)


def texts_in(connection: Connection, query: str, session: str | None) -> dict[Plot, str]:
    """As `find_texts`, within one transaction. Of a session, no other one's texts are read."""
    own: dict[Plot, str] = {}
    others: dict[Plot, str] = {}
    header = read_header(connection)
    if header is None:
        return own
    for plot, where in texts_by_change(connection, query, session):
        own[plot] = where
        for other in _siblings(connection, plot, header.suffixes.split()):
            # Of several siblings one with the words in its title.
            others[other] = max(where, others.get(other, ""))
    return {**others, **own}


def latest_texts(database: Database, query: str, limit: int, session: str | None = None) -> dict[Plot, str]:
    """As many copies whose own texts have all words of a query as are found within a tenth of a second, and where.

    Raises:
        CatalogError: they cannot be read.
    """
    found: dict[Plot, str] = {}
    with database.reading() as connection, suppress(SearchTimeoutError), time_limit(connection, LATEST_SECONDS):
        found.update(islice(texts_by_change(connection, query, session), limit))
    return found


def texts_by_change(connection: Connection, query: str, session: str | None) -> Iterator[tuple[Plot, str]]:
    """The copies whose own texts have all words of a query, and where; the last inspected first, in all sessions."""
    wanted = TextQuery(query)
    if not wanted.can_match:
        return
    with closing(_candidates(connection, wanted, session)) as rows:
        for row in rows:
            where = wanted.where(row[5], row[6])
            plot = present_copy(connection, row) if where else None
            if plot:
                yield plot, where


def present_copy(connection: Connection, row: NameRow) -> Plot | None:
    """The copy that a row of facts is about, if it has that version now."""
    _, session, filename, project, version = row[:5]
    plot = read_copy(connection, session, filename, project)
    return plot if plot and version_bytes(plot) == bytes(version) else None


def _candidates(connection: Connection, wanted: TextQuery, session: str | None) -> Generator[NameRow, None, None]:
    if session is None:
        return TrigramIndex(TEXTS).candidates(connection, [[word] for word in wanted.words])
    like = like_pattern([max(wanted.words, key=len)])
    return TEXTS_OF_SESSION[connection.kind].stream(connection, {"of_session": session, "like": like})


def _siblings(connection: Connection, plot: Plot, suffixes: Sequence[str]) -> Iterable[Plot]:
    """The siblings of a copy that are in the catalogue."""
    suffix = plot.filename.rpartition(".")[2]
    if not (suffix.islower() or suffix.isupper()):
        return []
    names = possible_siblings(plot.filename, suffixes)
    values = {f"name{number}": name for number, name in enumerate(names)}
    rows = _copies_named(len(names))(connection, {**values, "of_session": plot.session, "of_project": plot.project})
    return map(Plot._make, rows)


@cache
def _copies_named(count: int) -> Prepared:
    names = ", ".join(f":name{number}" for number in range(count)) or "NULL"
    return Prepared(
        f"SELECT {PLOT} FROM plot WHERE session = :of_session AND project = :of_project AND filename IN ({names})"
    )
