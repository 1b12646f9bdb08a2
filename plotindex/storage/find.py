"""Find plots by name, project and age; complete names for a shell."""

from collections.abc import Collection, Iterable, Iterator, Sequence
from contextlib import closing
from typing import NamedTuple

from plotindex.storage.database import Database
from plotindex.storage.search.name_search import NameSearch
from plotindex.storage.search.trigrams import ESCAPE, can_be_in_name, like_pattern, trigrams_of
from plotindex.storage.statements import Prepared
from plotindex.system import is_encodable
from plotindex.tree import SESSION_PROJECT, Plot, PlotKey, fold_case, glob_matcher, is_glob, literal_runs


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

_FOUND = (
    f"SELECT {', '.join(f'plot.{name}' for name in Plot._fields)}, plot.project = (SELECT project FROM plot AS copy "
    "WHERE copy.session = plot.session AND copy.filename = plot.filename "
    "ORDER BY copy.mtime_ns DESC, copy.project DESC LIMIT 1) FROM plot"
)
_ORDER = "ORDER BY plot.session, plot.filename, plot.mtime_ns DESC, plot.project DESC"


def find_plots(database: Database, wanted: PlotFilter, among: Collection[Plot] | None = None) -> Iterator[FoundPlot]:
    """Plots by session and filename, of each key the newest first; only those `among` others, if these are given.

    Raises:
        CatalogError: they cannot be read.
    """
    if not all(can_be_in_name(name or "") and len(name or "") <= MAX_PATH_CHARS for name in wanted[:3]):
        return
    conditions = _conditions(wanted)
    matches_name = glob_matcher(wanted.text) if is_glob(wanted.text) else None
    matches_project = glob_matcher(wanted.project) if is_glob(wanted.project or "") else None
    keys: Collection[PlotKey] | None = None
    if among is not None:
        keys = {PlotKey(plot.session, plot.filename) for plot in among}
    elif wanted.session is None:
        keys = _candidate_keys(database, wanted.text)
    with database.reading(is_long=True) as connection:
        for query, values in [_query(conditions)] if keys is None else _queries_for(conditions, keys):
            with closing(query.stream(connection, values)) as rows:
                for *fields, current in rows:
                    found = Plot._make(fields)
                    if among is not None and found not in among:
                        continue
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
            filenames = _FILENAMES.column(connection, {"of_session": name, "of_project": project})
            keys.update(PlotKey(name, filename) for filename in filenames)
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
    values: dict[str, str] = {}
    have = []
    for run in runs:
        beginnings = [run[: at + 1] for at, sign in enumerate(run) if at and sign == "/"]
        patterns = [like_pattern([fold_case(run)]), *(like_pattern([fold_case(each)])[:-1] for each in beginnings)]
        names = [f"pattern{len(values) + at}" for at in range(len(patterns))]
        values |= dict(zip(names, patterns, strict=True))
        have.append(" OR ".join(f"lower({_path_of_project('found')}) LIKE :{name} ESCAPE '{ESCAPE}'" for name in names))
    query = Prepared(f"{_EACH_PROJECT} SELECT session, project, {', '.join(have)} FROM found WHERE project IS NOT NULL")
    found: list[list[tuple[str, str]]] = [[] for _ in runs]
    with database.reading() as connection:
        for name, project, *matches in query.stream(connection, values):
            for own, is_match in zip(found, matches, strict=True):
                if is_match:
                    own.append((name, project))
    return found


Conditions = tuple[list[str], dict[str, object]]
"""Conditions in SQL, and their parameters."""


def _query(conditions: Conditions, given: str = "", and_given: str = "") -> tuple[Prepared, dict[str, object]]:
    texts, values = conditions
    return Prepared(f"{given}{_FOUND}{and_given} WHERE {' AND '.join(texts) or 'true'} {_ORDER}"), values


def _path_of_project(table: str) -> str:
    """The beginning of the paths of its plots, in SQL."""
    project = f"CASE {table}.project WHEN '{SESSION_PROJECT}' THEN '' ELSE {table}.project || '/' END"
    return f"{table}.session || '/' || {project}"


def _queries_for(conditions: Conditions, keys: Iterable[PlotKey]) -> Iterator[tuple[Prepared, dict[str, object]]]:
    """The query restricted to these keys, some at a time, in its order."""
    texts, values = conditions
    texts = [*texts, "plot.session = given.session", "plot.filename = given.filename"]
    ordered = sorted(keys, key=lambda key: (key.session.encode(), key.filename.encode()))
    for start in range(0, len(ordered), KEYS_PER_QUERY):
        some = dict(enumerate(ordered[start : start + KEYS_PER_QUERY]))
        given = ", ".join(f"(:session{number}, :filename{number})" for number in some)
        of_keys = {f"{field}{number}": text for number, key in some.items() for field, text in key._asdict().items()}
        # With a list of pairs (IN) SQLite would read every plot.
        yield _query((texts, {**values, **of_keys}), f"WITH given (session, filename) AS (VALUES {given}) ", ", given")


_EACH_PROJECT = """WITH RECURSIVE found (session, project) AS (
    SELECT session, (SELECT min(project) FROM plot WHERE plot.session = session.session) FROM session
    UNION ALL
    SELECT session, (SELECT min(project) FROM plot WHERE plot.session = found.session AND plot.project > found.project)
    FROM found WHERE project IS NOT NULL
)"""
"""Every session with each of its projects, and with None, by one step in an index for each."""
_FILENAMES = Prepared("SELECT filename FROM plot WHERE session = :of_session AND project = :of_project")


def _conditions(wanted: PlotFilter) -> Conditions:
    texts: list[str] = []
    if wanted.text and not is_glob(wanted.text):
        texts.append(f"lower({_path_of_project('plot')} || plot.filename) LIKE :like ESCAPE '{ESCAPE}'")
    if wanted.session is not None:
        texts.append("plot.session = :session")
    if wanted.project is not None and not is_glob(wanted.project):
        texts.append("plot.project = :project")
    if wanted.since is not None:
        texts.append("plot.mtime_ns >= :since")
    if wanted.before is not None:
        texts.append("plot.mtime_ns < :before")
    return texts, {**wanted._asdict(), "like": like_pattern([fold_case(wanted.text)])}


def session_names(database: Database, prefix: str) -> Iterator[str]:
    """The sessions with this prefix."""
    return _names(database, _SESSION_NAMES, prefix)


def filenames(database: Database, name: str, prefix: str) -> Iterator[str]:
    """The filenames in a session with this prefix."""
    return _names(database, _FILENAMES_OF, prefix, name)


def project_names(database: Database, name: str | None, prefix: str) -> Iterator[str]:
    """The projects of a session with this prefix; without a session, of the one with the newest plot."""
    return _names(database, _PROJECTS_OF, prefix, name)


def _steps(column: str, table: str, condition: str = "true") -> tuple[Prepared, Prepared]:
    """The first value of a column from a text on, and the first one behind a text."""
    query = f"SELECT min({column}) FROM {table} WHERE {condition} AND {column}"
    return Prepared(f"{query} >= :text"), Prepared(f"{query} > :text")


_LATEST_SESSION = Prepared("SELECT session FROM session ORDER BY mtime_ns DESC LIMIT 1")
_SESSION_NAMES = _steps("session", "session")
_FILENAMES_OF = _steps("filename", "plot", "session = :of_session")
_PROJECTS_OF = _steps("project", "plot", "session = :of_session")


def _names(
    database: Database, steps: tuple[Prepared, Prepared], prefix: str, of_session: str | None = None
) -> Iterator[str]:
    """The distinct values of a column with this prefix, by one step in an index for each."""
    if not is_encodable(prefix):
        return
    first, following = steps
    with database.reading() as connection:
        values = {"of_session": _LATEST_SESSION.value(connection) if of_session is None else of_session}
        name = first.value(connection, {**values, "text": prefix})
        while name is not None and name.startswith(prefix):
            yield name
            name = following.value(connection, {**values, "text": name})
