"""The two sides of a comparison: a session, or a project of it, now or at a moment of its history."""

from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import NamedTuple

from plotindex.config import parse_time
from plotindex.errors import SettingsError
from plotindex.history.access import History
from plotindex.storage import Catalog, FactsReader, one_of_each, stem_of
from plotindex.system import printable
from plotindex.tree import Plot

Exists = Callable[[str, str | None], bool]
"""Whether there is a session, or a project of it."""


class UnknownSideError(SettingsError):
    """There is no such session or project."""


class Side(NamedTuple):
    """What to compare."""

    session: str
    project: str | None
    """None for the current copies of the session."""
    moment: int | None
    """In nanoseconds since the epoch; None for now."""


class SideFile(NamedTuple):
    """One format of a plot on one side."""

    plot: Plot
    digest: str | None
    """None where only its bytes tell."""
    is_kept: bool
    """Whether its bytes are to be read from the history."""


class SidePlot(NamedTuple):
    """A plot on one side, in one or several formats."""

    shown: SideFile
    files: tuple[SideFile, ...]
    """The shown one among them."""
    copies: tuple[Plot, ...]
    """Those of all projects of this side with the filename of the shown one, the newest first."""


def parse_side(text: str, exists: Exists, now_ns: int) -> Side:
    """Parse SESSION or SESSION/PROJECT, each with or without @WHEN.

    Raises:
        UnknownSideError: there is none.
    """
    name, at, when = text.rpartition("@")
    session, project = _split(text)
    if not at or exists(session, project):
        return Side(session, project, None)
    try:
        moment = parse_time("The time after @", when, now_ns)
    except SettingsError:
        return Side(session, project, None)
    return Side(*_split(name), moment)


def side_names(text: str) -> list[str]:
    """The sessions that a side may mean, whichever exist."""
    return [_split(name)[0] for name in dict.fromkeys((text, text.rpartition("@")[0])) if name]


def read_side(side: Side, catalog: Catalog, history: History, *, is_limited: bool) -> dict[str, SidePlot]:
    """The plots of a side by their filename without suffix.

    Raises:
        UnknownSideError: there is no such session or project.
        UnknownMomentError: the history began later.
        CatalogError: the catalogue or the history cannot be read.
    """
    if side.moment is None:
        with catalog.database.reading() as connection:
            digests = FactsReader(connection).digests(side.session)
        files = [
            SideFile(plot, digests.get((plot.project, plot.filename, bytes.fromhex(plot.version))), False)
            for plot in catalog.plots(side.session)
        ]
    else:
        kept = history.at(side.session, side.moment, is_limited=is_limited)
        files = [SideFile(version.plot, version.digest, True) for version in kept]
    if side.project is not None:
        files = [file for file in files if file.plot.project == side.project]
    if not files:
        name = side.session if side.project is None else f"{side.session}/{side.project}"
        raise UnknownSideError(f"There are no plots of {printable(name)}{'' if side.moment is None else ' then'}.")
    return _by_name(files)


def _by_name(files: Iterable[SideFile]) -> dict[str, SidePlot]:
    """Of each key the current copy; of keys that differ in their suffix alone those of one project."""
    copies: defaultdict[str, list[SideFile]] = defaultdict(list)
    for file in files:
        copies[file.plot.filename].append(file)
    groups: defaultdict[str, list[SideFile]] = defaultdict(list)
    for filename, same in copies.items():
        same.sort(key=_age, reverse=True)
        groups[stem_of(filename)].append(same[0])
    return {stem: _as_plot(group, copies) for stem, group in groups.items()}


def _as_plot(group: Sequence[SideFile], copies: Mapping[str, Sequence[SideFile]]) -> SidePlot:
    project = max(group, key=_age).plot.project
    siblings = {file.plot.filename: file for file in group if file.plot.project == project}
    [shown] = one_of_each(file.plot for file in siblings.values())
    same = tuple(file.plot for file in copies[shown.filename])
    return SidePlot(siblings[shown.filename], tuple(siblings.values()), same)


def _age(file: SideFile) -> tuple[int, str]:
    return file.plot.mtime_ns, file.plot.project


def _split(text: str) -> tuple[str, str | None]:
    session, slash, project = text.partition("/")
    return session, project if slash else None
