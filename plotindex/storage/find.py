"""Looking for plots by name, project and age; and the names that a shell can complete."""

from collections.abc import Iterable, Iterator, Sequence
from typing import Any, NamedTuple

from sqlalchemy import CTE, ColumnElement, Select, Text, and_, bindparam, column, func, or_, select, true, values

from plotindex.storage.database import Database
from plotindex.storage.search.search import NameSearch
from plotindex.storage.search.trigrams import can_be_in_name, trigrams_of
from plotindex.storage.tables import plot, session
from plotindex.storage.writer import PLOT
from plotindex.system import is_encodable
from plotindex.tree import Plot, PlotKey, glob_matcher, is_glob, literal_runs


class PlotFilter(NamedTuple):
    """What is looked for; what is None or empty does not matter. Times are nanoseconds since the epoch."""

    text: str = ""
    """A part of the path in any case or, when it is a glob, what its last part, the filename or the path matches."""
    session: str | None = None
    project: str | None = None
    """Its name, or a glob that it matches."""
    since: int | None = None
    before: int | None = None


class FoundPlot(NamedTuple):
    """A plot, and whether it is its key's current copy."""

    plot: Plot
    current: bool


LONGEST_PATH = 40_000
"""No path below a root has so many characters; and SQLite refuses longer patterns."""
MOST_PROJECTS = 1_000
"""A part of a path that more projects have is no help in finding a few keys."""
MOST_KEYS = 10_000
"""Where a name may match so many keys, reading all soon comes upon the first."""
MOST_OF_PROJECTS = 100_000
KEYS_AT_ONCE = 1_000

_copy = plot.alias()
_CURRENT = (
    select(_copy.c.project)
    .where(_copy.c.session == plot.c.session, _copy.c.filename == plot.c.filename)
    .order_by(_copy.c.mtime_ns.desc(), _copy.c.project.desc())
    .limit(1)
    .scalar_subquery()
)


def find_plots(database: Database, wanted: PlotFilter) -> Iterator[FoundPlot]:
    """Plots, by session and filename, of each key the newest first. Raises CatalogError when they cannot be read."""
    if not all(can_be_in_name(name or "") and len(name or "") <= LONGEST_PATH for name in wanted[:3]):
        return
    query = select(*PLOT, plot.c.project == _CURRENT).where(*_conditions(wanted))
    query = query.order_by(plot.c.session, plot.c.filename, plot.c.mtime_ns.desc(), plot.c.project.desc())
    of_name = glob_matcher(wanted.text) if is_glob(wanted.text) else None
    of_project = glob_matcher(wanted.project) if is_glob(wanted.project or "") else None
    keys = _likely_keys(database, wanted.text) if wanted.session is None else None
    with database.reading(is_long=True) as connection:
        queries = [query] if keys is None else _narrowed(query, keys)
        for part in queries:
            with connection.execute(part, execution_options={"yield_per": 1000}) as rows:
                for *fields, current in rows:
                    found = Plot._make(fields)
                    if of_project and not of_project(found.project):
                        continue
                    parts = found.filename.rpartition("/")[2], found.filename, found.path
                    if of_name and not any(map(of_name, parts)):
                        continue
                    yield FoundPlot(found, bool(current))


def _likely_keys(database: Database, text: str) -> set[PlotKey] | None:
    """The few keys that can have what is looked for in their paths; None where these are not few.

    Whatever each path has to hold is in its filename, and the search knows which have it, or it is in the name of the
    session or the project, or goes beyond that, and of all projects these are few.
    """
    runs = [run for run in literal_runs(text) if run.removeprefix("/")]
    if not trigrams_of(runs) or not all(map(can_be_in_name, runs)):
        return None
    projects = zip(runs, _projects_with(database, runs), strict=True)
    some = [(run, own) for run, own in projects if len(own) <= MOST_PROJECTS]
    keys = NameSearch(database).keys_with([run.removeprefix("/") for run, _ in some], MOST_KEYS)
    if keys is None:
        return None
    with database.reading() as connection:
        for name, project in {project for _, own in some for project in own}:
            rows = connection.execute(_FILENAMES, {"of_session": name, "of_project": project}).scalars()
            keys.update(PlotKey(name, filename) for filename in rows)
            if len(keys) > MOST_OF_PROJECTS:
                return None
    return keys


def _projects_with(database: Database, runs: Sequence[str]) -> list[list[tuple[str, str]]]:
    """For each run the projects whose path holds it, or ends so that a filename may go on; each with its session."""
    path = _PROJECTS.c.session + "/" + _PROJECTS.c.project + "/"
    have = []
    for run in runs:
        ends = [run[: at + 1] for at, sign in enumerate(run) if at and sign == "/"]
        goes_on = [path.iendswith(end, autoescape=True) for end in ends]
        have.append(or_(path.icontains(run, autoescape=True), *goes_on))
    found: list[list[tuple[str, str]]] = [[] for _ in runs]
    query = select(*_PROJECTS.c, *have).where(_PROJECTS.c.project.is_not(None), or_(*have))
    with database.reading() as connection:
        for name, project, *holds in connection.execute(query):
            for own, is_one in zip(found, holds, strict=True):
                if is_one:
                    own.append((name, project))
    return found


def _narrowed(query: Select[Any], keys: Iterable[PlotKey]) -> Iterator[Select[Any]]:
    """The query for these keys alone, some at a time, in its order."""
    ordered = sorted(keys, key=lambda key: (key.session.encode(), key.filename.encode()))
    for start in range(0, len(ordered), KEYS_AT_ONCE):
        some = values(column("session", Text), column("filename", Text)).data(ordered[start : start + KEYS_AT_ONCE])
        given = some.cte("given")
        # A list of pairs (IN) would have SQLite read every plot.
        yield query.where(plot.c.session == given.c.session, plot.c.filename == given.c.filename)


def _each_project() -> CTE:
    """Every session with each of its projects, and with None: each is one step of an index."""
    first = select(func.min(plot.c.project)).where(plot.c.session == session.c.session).scalar_subquery()
    found = select(session.c.session, first.label("project")).cte("found", recursive=True)
    following = select(func.min(plot.c.project)).where(
        plot.c.session == found.c.session, plot.c.project > found.c.project
    )
    return found.union_all(select(found.c.session, following.scalar_subquery()).where(found.c.project.is_not(None)))


_PROJECTS = _each_project()
_FILENAMES = select(plot.c.filename).where(
    plot.c.session == bindparam("of_session"), plot.c.project == bindparam("of_project")
)


def _conditions(wanted: PlotFilter) -> Iterator[ColumnElement[bool]]:
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


def session_names(database: Database, beginning: str) -> Iterator[str]:
    """Names of sessions that begin so."""
    return _names(database, session.c.session, beginning)


def filenames(database: Database, name: str, beginning: str) -> Iterator[str]:
    """Filenames of a session that begin so."""
    return _names(database, plot.c.filename, beginning, plot.c.session == name)


def project_names(database: Database, name: str | None, beginning: str) -> Iterator[str]:
    """Names of a session's projects that begin so; without a session, of that in which something was drawn last."""
    latest = select(session.c.session).order_by(session.c.mtime_ns.desc()).limit(1).scalar_subquery()
    return _names(database, plot.c.project, beginning, plot.c.session == (latest if name is None else name))


def _names(
    database: Database, column: ColumnElement[str], beginning: str, where: ColumnElement[bool] | None = None
) -> Iterator[str]:
    """The values of a column that begin so, one after the other: each is one step of an index, however often it is."""
    if not is_encodable(beginning):
        return
    of = true() if where is None else where
    with database.reading() as connection:
        name = connection.execute(select(func.min(column)).where(of, column >= beginning)).scalar()
        while name is not None and name.startswith(beginning):
            yield name
            name = connection.execute(select(func.min(column)).where(and_(of, column > name))).scalar()
