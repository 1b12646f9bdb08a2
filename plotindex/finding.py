"""Looking for plots by name, project and age; and the names that a shell can complete."""

from collections.abc import Iterator
from typing import NamedTuple

from sqlalchemy import ColumnElement, and_, func, select, true

from plotindex.beneath import ABSENT
from plotindex.catalog import Catalog
from plotindex.layout import Plot, glob_matcher, is_glob, is_text
from plotindex.opening import AnyDatabase
from plotindex.tables import plot, session
from plotindex.tree import Tree
from plotindex.writer import PLOT


class Wanted(NamedTuple):
    """What is looked for; what is None or empty does not matter. Times are nanoseconds since the epoch."""

    text: str = ""
    """A part of the path in any case or, when it is a glob, what the filename or the path matches."""
    session: str | None = None
    project: str | None = None
    """Its name, or a glob that it matches."""
    since: int | None = None
    before: int | None = None


class Found(NamedTuple):
    """A plot, and whether it is its key's current copy."""

    plot: Plot
    current: bool


_copy = plot.alias()
_CURRENT = (
    select(_copy.c.project)
    .where(_copy.c.session == plot.c.session, _copy.c.filename == plot.c.filename)
    .order_by(_copy.c.mtime_ns.desc(), _copy.c.project.desc())
    .limit(1)
    .scalar_subquery()
)


def search(database: AnyDatabase, wanted: Wanted) -> Iterator[Found]:
    """Plots, by session and filename, of each key the newest first. Raises CatalogError when they cannot be read."""
    if not all(is_text(name or "") for name in wanted[:3]):
        return
    query = select(*PLOT, plot.c.project == _CURRENT).where(*_conditions(wanted))
    query = query.order_by(plot.c.session, plot.c.filename, plot.c.mtime_ns.desc(), plot.c.project.desc())
    of_name = glob_matcher(wanted.text) if is_glob(wanted.text) else None
    of_project = glob_matcher(wanted.project) if is_glob(wanted.project or "") else None
    with (
        database.reading(is_long=True) as connection,
        connection.execution_options(yield_per=1000).execute(query) as rows,
    ):
        for *fields, current in rows:
            found = Plot._make(fields)
            if of_project and not of_project(found.project):
                continue
            if of_name and not of_name(found.filename) and not of_name(found.path):
                continue
            yield Found(found, bool(current))


def _conditions(wanted: Wanted) -> Iterator[ColumnElement[bool]]:
    if wanted.text and not is_glob(wanted.text):
        path = plot.c.session + "/" + plot.c.project + "/" + plot.c.filename
        yield path.icontains(wanted.text, autoescape=True)
    if wanted.session is not None:
        yield plot.c.session == wanted.session
    if wanted.project is not None and not is_glob(wanted.project):
        yield plot.c.project == wanted.project
    if wanted.since is not None:
        yield plot.c.mtime_ns >= wanted.since
    if wanted.before is not None:
        yield plot.c.mtime_ns < wanted.before


def is_away(tree: Tree, catalog: Catalog) -> bool:
    """Whether the root is gone or, as under a lost mount, another folder in which no session of the catalogue is.

    Raises:
        CatalogError: the catalogue cannot be read.
    """
    recorded = catalog.header().identity
    try:
        if recorded in (None, tree.identity()):
            return not tree.is_there()
        return not any(map(tree.has_session, catalog.sessions()))
    except OSError as error:
        return error.errno in ABSENT


def session_names(database: AnyDatabase, beginning: str) -> Iterator[str]:
    """Names of sessions that begin so."""
    return _names(database, session.c.session, beginning)


def filenames(database: AnyDatabase, name: str, beginning: str) -> Iterator[str]:
    """Filenames of a session that begin so."""
    return _names(database, plot.c.filename, beginning, plot.c.session == name)


def project_names(database: AnyDatabase, name: str | None, beginning: str) -> Iterator[str]:
    """Names of a session's projects that begin so; without a session, of that in which something was drawn last."""
    latest = select(session.c.session).order_by(session.c.mtime_ns.desc()).limit(1).scalar_subquery()
    return _names(database, plot.c.project, beginning, plot.c.session == (latest if name is None else name))


def _names(
    database: AnyDatabase, column: ColumnElement[str], beginning: str, where: ColumnElement[bool] | None = None
) -> Iterator[str]:
    """The values of a column that begin so, one after the other: each is one step of an index, however often it is."""
    if not is_text(beginning):
        return
    of = true() if where is None else where
    with database.reading() as connection:
        name = connection.execute(select(func.min(column)).where(of, column >= beginning)).scalar()
        while name is not None and name.startswith(beginning):
            yield name
            name = connection.execute(select(func.min(column)).where(and_(of, column > name))).scalar()
