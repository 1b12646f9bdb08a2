"""Find plots by name, project and age; complete names for a shell."""

from collections.abc import Iterable, Iterator, Sequence
from typing import Any, NamedTuple

from sqlalchemy import CTE, ColumnElement, Select, Text, and_, bindparam, case, column, func, or_, select, true, values

from plotindex.storage.database import Database
from plotindex.storage.rows import OF_PROJECT, PLOT
from plotindex.storage.search.name_search import NameSearch
from plotindex.storage.search.trigrams import can_be_in_name, trigrams_of
from plotindex.storage.tables import plot, session
from plotindex.system import is_encodable
from plotindex.tree import SESSION_PROJECT, Plot, PlotKey, glob_matcher, is_glob, literal_runs


class PlotFilter(NamedTuple):
    """Conditions, which must all hold; None or empty: any. Times are nanoseconds since the epoch."""

    text: str = ""
    """A part of the path in any case; or a glob that the file's name, the filename or the path matches."""
    session: str | None = None
    project: str | None = None
    """A name, or a glob that it matches."""
    since: int | None = None
    before: int | None = None


class FoundPlot(NamedTuple):
    """A plot, and whether it is its key's current copy."""

    plot: Plot
    current: bool


MAX_PATH_CHARS = 40_000
"""No path is longer; and SQLite refuses longer patterns."""
MAX_PROJECTS = 1_000
"""A part of a path that more projects contain does not narrow the search."""
MAX_KEYS = 10_000
"""With more candidates a scan of all rows finds the first plot sooner."""
MAX_PROJECT_KEYS = 100_000
KEYS_PER_QUERY = 1_000
MAX_RUNS = 8
"""Literal parts of a text that narrow its search, the longest ones."""
MAX_RUN_DEPTH = 8
"""Components of a path in each of these: databases limit the terms of a query."""

_copy = plot.alias()
_CURRENT = (
    select(_copy.c.project)
    .where(_copy.c.session == plot.c.session, _copy.c.filename == plot.c.filename)
    .order_by(_copy.c.mtime_ns.desc(), _copy.c.project.desc())
    .limit(1)
    .scalar_subquery()
)


def find_plots(database: Database, wanted: PlotFilter) -> Iterator[FoundPlot]:
    """Plots by session and filename, of each key the newest first. Raises CatalogError when they cannot be read."""
    if not all(can_be_in_name(name or "") and len(name or "") <= MAX_PATH_CHARS for name in wanted[:3]):
        return
    query = select(*PLOT, plot.c.project == _CURRENT).where(*_conditions(wanted))
    query = query.order_by(plot.c.session, plot.c.filename, plot.c.mtime_ns.desc(), plot.c.project.desc())
    matches_name = glob_matcher(wanted.text) if is_glob(wanted.text) else None
    matches_project = glob_matcher(wanted.project) if is_glob(wanted.project or "") else None
    keys = _candidate_keys(database, wanted.text) if wanted.session is None else None
    with database.reading(is_long=True) as connection:
        queries = [query] if keys is None else _queries_for(query, keys)
        for part in queries:
            with connection.execute(part, execution_options={"yield_per": 1000}) as rows:
                for *fields, current in rows:
                    found = Plot._make(fields)
                    if matches_project and not matches_project(found.project):
                        continue
                    parts = found.filename.rpartition("/")[2], found.filename, found.path
                    if matches_name and not any(map(matches_name, parts)):
                        continue
                    yield FoundPlot(found, bool(current))


def _candidate_keys(database: Database, text: str) -> set[PlotKey] | None:
    """The keys whose paths may contain the literal parts of `text`; None if these are not few.

    Each part lies in the filename, which the search by name finds; or in the session and project, or across their
    end, which few projects have.
    """
    runs = _narrowing_runs(text)
    if not trigrams_of(runs) or not all(map(can_be_in_name, runs)):
        return None
    projects = zip(runs, _projects_with(database, runs), strict=True)
    narrowing = [(run, own) for run, own in projects if len(own) <= MAX_PROJECTS]
    keys = NameSearch(database).keys_with([run.removeprefix("/") for run, _ in narrowing], MAX_KEYS)
    if keys is None:
        return None
    with database.reading() as connection:
        for name, project in {project for _, own in narrowing for project in own}:
            rows = connection.execute(_FILENAMES, {"of_session": name, "of_project": project}).scalars()
            keys.update(PlotKey(name, filename) for filename in rows)
            if len(keys) > MAX_PROJECT_KEYS:
                return None
    return keys


def _narrowing_runs(text: str) -> list[str]:
    """Literal substrings of every path that matches `text`, in order, and few."""
    shortened = ("/".join(run.split("/")[:MAX_RUN_DEPTH]) for run in literal_runs(text))
    runs = [run for run in shortened if run.removeprefix("/")]
    longest = sorted(range(len(runs)), key=lambda at: len(runs[at]))[-MAX_RUNS:]
    return [runs[at] for at in sorted(longest)]


def _projects_with(database: Database, runs: Sequence[str]) -> list[list[tuple[str, str]]]:
    """For each run the projects, with their sessions, whose path contains it or ends with its beginning."""
    path = _path_of_project(_PROJECTS.c.session, _PROJECTS.c.project)
    have = []
    for run in runs:
        beginnings = [run[: at + 1] for at, sign in enumerate(run) if at and sign == "/"]
        have.append(
            or_(
                path.icontains(run, autoescape=True),
                *[path.iendswith(beginning, autoescape=True) for beginning in beginnings],
            )
        )
    found: list[list[tuple[str, str]]] = [[] for _ in runs]
    query = select(*_PROJECTS.c, *have).where(_PROJECTS.c.project.is_not(None), or_(*have))
    with database.reading() as connection:
        for name, project, *matches in connection.execute(query):
            for own, is_match in zip(found, matches, strict=True):
                if is_match:
                    own.append((name, project))
    return found


def _queries_for(query: Select[Any], keys: Iterable[PlotKey]) -> Iterator[Select[Any]]:
    """The query restricted to these keys, some at a time, in its order."""
    ordered = sorted(keys, key=lambda key: (key.session.encode(), key.filename.encode()))
    for start in range(0, len(ordered), KEYS_PER_QUERY):
        some = values(column("session", Text), column("filename", Text)).data(ordered[start : start + KEYS_PER_QUERY])
        given = some.cte("given")
        # With a list of pairs (IN) SQLite would read every plot.
        yield query.where(plot.c.session == given.c.session, plot.c.filename == given.c.filename)


def _path_of_project(session: ColumnElement[str], project: ColumnElement[str]) -> ColumnElement[str]:
    """The beginning of the paths of its plots."""
    return session + "/" + case((project == SESSION_PROJECT, ""), else_=project + "/")


def _each_project() -> CTE:
    """Every session with each of its projects, and with None, by one step in an index for each."""
    first = select(func.min(plot.c.project)).where(plot.c.session == session.c.session).scalar_subquery()
    found = select(session.c.session, first.label("project")).cte("found", recursive=True)
    following = select(func.min(plot.c.project)).where(
        plot.c.session == found.c.session, plot.c.project > found.c.project
    )
    return found.union_all(select(found.c.session, following.scalar_subquery()).where(found.c.project.is_not(None)))


_PROJECTS = _each_project()
_FILENAMES = select(plot.c.filename).where(plot.c.session == bindparam("of_session"), OF_PROJECT)


def _conditions(wanted: PlotFilter) -> Iterator[ColumnElement[bool]]:
    if wanted.text and not is_glob(wanted.text):
        path = _path_of_project(plot.c.session, plot.c.project) + plot.c.filename
        yield path.icontains(wanted.text, autoescape=True)
    if wanted.session is not None:
        yield plot.c.session == wanted.session
    if wanted.project is not None and not is_glob(wanted.project):
        yield plot.c.project == wanted.project
    if wanted.since is not None:
        yield plot.c.mtime_ns >= wanted.since
    if wanted.before is not None:
        yield plot.c.mtime_ns < wanted.before


def session_names(database: Database, prefix: str) -> Iterator[str]:
    """The sessions with this prefix."""
    return _names(database, session.c.session, prefix)


def filenames(database: Database, name: str, prefix: str) -> Iterator[str]:
    """The filenames in a session with this prefix."""
    return _names(database, plot.c.filename, prefix, plot.c.session == name)


def project_names(database: Database, name: str | None, prefix: str) -> Iterator[str]:
    """The projects of a session with this prefix; without a session, of the one with the newest plot."""
    latest = select(session.c.session).order_by(session.c.mtime_ns.desc()).limit(1).scalar_subquery()
    return _names(database, plot.c.project, prefix, plot.c.session == (latest if name is None else name))


def _names(
    database: Database, column: ColumnElement[str], prefix: str, where: ColumnElement[bool] | None = None
) -> Iterator[str]:
    """The distinct values of a column with this prefix, by one step in an index for each."""
    if not is_encodable(prefix):
        return
    of = true() if where is None else where
    with database.reading() as connection:
        name = connection.execute(select(func.min(column)).where(of, column >= prefix)).scalar()
        while name is not None and name.startswith(prefix):
            yield name
            name = connection.execute(select(func.min(column)).where(and_(of, column > name))).scalar()
