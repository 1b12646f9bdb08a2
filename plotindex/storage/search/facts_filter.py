"""What the plots of one session show, within a time limit: a session may have 100,000, each with 4 KB of text."""

from plotindex.storage.database import Database
from plotindex.storage.name_filter import EntryCondition
from plotindex.storage.rows import Entry
from plotindex.storage.search.flag_search import FLAGS, flagged_in
from plotindex.storage.search.fulltext_sql import time_limit
from plotindex.storage.search.text_search import texts_in
from plotindex.storage.statements import Connection
from plotindex.tree import Allows, Plot

FILTER_SECONDS = 2.0


class FactsFilter:
    """Filters entries: their current copy shows a text and has a flag. An empty condition always holds."""

    def __init__(self, session: str, text: str, flag: str, allows: Allows) -> None:
        self._session = session
        self._text = text
        self._flag = flag
        self._allows = allows

    def __call__(self, connection: Connection) -> EntryCondition:
        """The condition, as of this transaction.

        Raises:
            SearchTimeoutError: the session has too much text.
        """
        found: list[set[Plot]] = []
        with time_limit(connection, FILTER_SECONDS):
            if self._text:
                found.append(set(texts_in(connection, self._text, self._session)))
            if self._flag:
                found.append(set(flagged_in(connection, self._flag, self._allows, self._session)))

        def keeps(entry: Entry) -> bool:
            return all(entry.copies[0] in plots for plots in found)

        return keeps


def flags_of_session(database: Database, session: str, allows: Allows) -> dict[Plot, list[str]]:
    """The flags of the copies in a session that have any, as a caller sees them.

    Raises:
        SearchTimeoutError: the session has too many plots.
        CatalogError: they cannot be read.
    """
    found: dict[Plot, list[str]] = {}
    with database.reading() as connection, time_limit(connection, FILTER_SECONDS):
        for flag in FLAGS:
            for plot in flagged_in(connection, flag, allows, session):
                found.setdefault(plot, []).append(flag)
    return found


def texts_of_session(database: Database, session: str, text: str) -> dict[Plot, str]:
    """The copies in a session that show all words of a text, and where.

    Raises:
        SearchTimeoutError: the session has too much text.
        CatalogError: they cannot be read.
    """
    with database.reading() as connection, time_limit(connection, FILTER_SECONDS):
        return texts_in(connection, text, session)
