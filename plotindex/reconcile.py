"""Make the catalogue equal the tree within a scope. The only writer of plots.

A new file, a rename, a vanished folder, a queue overflow, a rebuild and a healed miss are this one call with
another scope. Looking is done without the lock. Then the lock is always taken, even when the look found nothing
to do; what was found is compared with the rows as they are then, and each path that differs is looked at
again. So the last to look is the last to write, and any number of writers converge without talking.
"""

from bisect import bisect_right
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from typing import NamedTuple

from plotindex.beneath import ABSENT
from plotindex.catalog import Catalog
from plotindex.errors import RootLostError
from plotindex.layout import ROOT_SCOPE, Plot, Scope, collapse, covers, printable
from plotindex.tree import Glance, Tree
from plotindex.walk import Enter
from plotindex.writer import Change, Writer

MOST_CHANGES = 1_000
"""Rows that one transaction writes at most: so long, at most, does anybody wait for a turn."""
MOST_ROWS = 10_000
"""Rows that one transaction compares at most."""
ROWS_AT_ONCE = 2_000
MOST_NAMED = 10_000
"""Differing paths that a report names at most."""


@dataclass
class Report:
    """What a reconcile saw and did."""

    sessions: int = 0
    plots: int = 0
    added: int = 0
    changed: int = 0
    removed: int = 0
    differing: list[str] = field(default_factory=list)
    """The paths that were added, changed or removed; of very many only the first."""
    unreadable: dict[str, OSError] = field(default_factory=dict)
    """Path -> why it could not be looked at: what the catalogue knows of it was kept."""
    odd: dict[str, str] = field(default_factory=dict)
    """Path -> why it is not indexed as it is."""

    def add(self, change: Change) -> None:
        """Count a change that was committed."""
        before, after = change
        self.added += before is None
        self.removed += after is None
        self.changed += before is not None and after is not None and before != after
        plot = after or before
        if plot and before != after and len(self.differing) < MOST_NAMED:
            self.differing.append(plot.path)

    @property
    def differences(self) -> int:
        return self.added + self.changed + self.removed


@dataclass(frozen=True)
class Options:
    """How a reconcile treats what it finds."""

    rewrite: bool = False
    """Write every row anew, not only those that differ."""
    allow_empty: bool = False
    """Believe a root that shares no session with the catalogue."""
    timeout: float | None = None
    """Seconds to wait for a turn to write; None waits as long as it takes."""


DEFAULT = Options()


def reconcile(
    tree: Tree,
    catalog: Catalog,
    scopes: Iterable[str],
    options: Options = DEFAULT,
    progress: Callable[[int, int], None] | None = None,
) -> Report:
    """Make the catalogue equal the tree within each scope, a path relative to the root ("" is all of it).

    `progress` is called with the number of scopes settled and to settle.

    Raises:
        RootLostError: the root is gone or foreign; from then on nothing was written.
        LockTimeoutError: others held the catalogue for longer than `options.timeout`.
        CatalogError: the catalogue cannot be read or written.
    """
    report = Report()
    outermost = collapse(scopes)
    targets = list(_targets(tree, catalog, outermost, report))
    settled = 0
    for looks in _batches(Look(tree, scope, report, options) for scope in targets):
        while looks:
            settled += len(settle(looks, tree, catalog, options).finished)
        if progress:
            progress(settled, len(targets))
    report.sessions = len({scope.session for scope in targets})
    if outermost == [""] and "" not in report.unreadable:
        finish(tree, catalog, options)
    return report


def finish(tree: Tree, catalog: Catalog, options: Options = DEFAULT) -> None:
    """Record that all was looked at: the catalogue now answers for this grammar."""
    with catalog.writing(options.timeout) as writer:
        writer.record(layout=tree.layout)
        writer.trim(keep=0) if options.rewrite else writer.trim()


def sessions_to_look_at(tree: Tree, catalog: Catalog, report: Report, enter: Enter | None = None) -> list[str]:
    """Every session that there is, in the tree or in the catalogue. What cannot be one is told in the report.

    Raises:
        RootLostError: the root is not there.
        CatalogError: the catalogue cannot be read.
    """
    try:
        names = tree.sessions(report.odd, enter)
    except OSError as error:
        if error.errno in ABSENT:
            raise RootLostError(_lost(tree, "is not there")) from error
        report.unreadable[""] = error
        return []
    return sorted({*names, *catalog.sessions()})


def _targets(tree: Tree, catalog: Catalog, scopes: Iterable[str], report: Report) -> Iterator[Scope]:
    """The scopes to look at, each within one session; the root is taken session by session."""
    for given in scopes:
        scope = tree.layout.parse_scope(given)
        if scope == ROOT_SCOPE:
            yield from map(Scope, sessions_to_look_at(tree, catalog, report))
        elif scope is not None:
            yield scope


class Suspect(NamedTuple):
    """A path where the look and the catalogue do not say the same, and the row as it is now."""

    session: str
    project: str
    filename: str
    row: Plot | None
    beyond: bool
    """Whether it lies beyond the bounds of what is indexed, so that it counts as absent."""
    report: Report


class Look:
    """What one scope held when it was looked at without the lock, and how far it has been settled."""

    def __init__(
        self, tree: Tree, scope: Scope, report: Report, options: Options = DEFAULT, enter: Enter | None = None
    ) -> None:
        assert scope.session is not None
        self.scope = scope
        self.session = scope.session
        self.report = report
        self._walk = tree.walking(scope, enter, tree.layout.max_plots)
        self._layout = tree.layout
        self._rewrite = options.rewrite
        self._found: list[Plot] = []
        self._after: tuple[str, str] | None = None
        self._begun = False
        self._cut: str | None = None

    @property
    def plots(self) -> int:
        return len(self._found)

    @property
    def linked(self) -> list[Plot]:
        """Plots found that have a second name."""
        return self._walk.linked

    @property
    def closed(self) -> dict[str, OSError]:
        """Folders that could not be looked into."""
        return self._walk.closed

    def go_on(self, until: float = float("inf")) -> bool:
        """Look on until done or `time.monotonic()` is past `until`; return whether done."""
        if not self._walk.go_on(until):
            return False
        self._found, self._walk.plots = self._walk.plots, []
        self._found.sort(key=_position)
        self.report.plots += self.plots
        self.report.unreadable.update(self._walk.unreadable)
        self.report.odd.update(self._walk.odd)
        return True

    def close(self) -> None:
        """Let go of what an unfinished look holds open."""
        self._walk.close()

    def advance(self, writer: Writer, suspects: list[Suspect], most: int) -> tuple[bool, int]:
        """Compare the next rows, for at most so many suspects; return whether settled, and the rows compared."""
        self._obey_bounds(writer)
        rows = writer.rows(self.scope, self._after, ROWS_AT_ONCE)
        start = bisect_right(self._found, self._after, key=_position) if self._after else 0
        ahead = self._found[start : start + ROWS_AT_ONCE]
        full = [part[-1] for part in (rows, ahead) if len(part) == ROWS_AT_ONCE]
        bound = min(map(_position, full), default=None)
        if self._rewrite or rows != ahead:
            known = {_position(row): row for row in rows}
            found = {_position(plot): plot for plot in ahead}
            for position in sorted(known.keys() | found.keys()):
                if bound is not None and position > bound:
                    break
                if len(suspects) >= most:
                    return False, len(rows)
                row = known.get(position)
                if self._differs(position, found.get(position), row):
                    filename, project = position
                    beyond = self._is_beyond(filename)
                    suspects.append(Suspect(self.session, project, filename, row, beyond, self.report))
                self._after = position
        self._after = bound
        return bound is None, len(rows) + len(ahead)

    def _obey_bounds(self, writer: Writer) -> None:
        """Let go of what was found beyond the bounds; a look at a whole session says anew where they are."""
        if not self._begun and self.scope.project is None:
            writer.record_excess(self.session, self._walk.cut, self._walk.left_out, self._walk.deep)
        elif not self._begun and self._walk.deep:
            writer.note_deep_folders(self.session)
        self._begun = True
        cut = writer.cut(self.session)
        if cut is not None and cut != self._cut:
            self._found = [plot for plot in self._found if plot.filename < cut]
        self._cut = cut

    def _is_beyond(self, filename: str) -> bool:
        return self._layout.is_too_deep(filename) or (self._cut is not None and filename >= self._cut)

    def _differs(self, position: tuple[str, str], found: Plot | None, row: Plot | None) -> bool:
        if found is None and self._walk.unreadable:
            path = f"{self.session}/{position[1]}/{position[0]}"
            return not any(covers(outer, path) for outer in self._walk.unreadable)
        return self._rewrite or found != row


def _position(plot: Plot) -> tuple[str, str]:
    return plot.filename, plot.project


def _batches(looks: Iterable[Look]) -> Iterator[deque[Look]]:
    """Looks enough for one transaction, or a single one that needs several: memory is bounded by one session."""
    batch: deque[Look] = deque()
    plots = 0
    for look in looks:
        look.go_on()
        batch.append(look)
        plots += look.plots
        if plots >= MOST_CHANGES or len(batch) >= MOST_CHANGES:
            yield batch
            batch, plots = deque(), 0
    if batch:
        yield batch


class Settled(NamedTuple):
    """What one transaction settled and changed."""

    finished: list[Look]
    changes: list[Change]


def settle(
    looks: deque[Look], tree: Tree, catalog: Catalog, options: Options = DEFAULT, most: int = MOST_CHANGES
) -> Settled:
    """One transaction of at most so many changes: settled looks leave the queue, an unsettled one goes to its end.

    Raises as `reconcile` does.
    """
    finished: list[Look] = []
    suspects: list[Suspect] = []
    compared = 0
    with catalog.writing(options.timeout) as writer, tree.looking() as glance:
        while looks and len(suspects) < most and compared < MOST_ROWS:
            settled, rows = looks[0].advance(writer, suspects, most)
            compared += rows
            if not settled:
                looks.rotate(-1)
                break
            finished.append(looks.popleft())
        told = list(_look_again(suspects, glance, options))
        changes = [change for change, _ in told]
        if changes:
            _confirm_root(tree, writer, options)
            writer.apply(changes)
        for session, plots in list(writer.tallies.items()):
            if plots > tree.layout.max_plots:
                beyond = writer.leave_out_beyond(session, tree.layout.max_plots)
                writer.apply([Change(plot, None) for plot in beyond])
        for look in finished if options.rewrite else ():
            writer.recount(look.session)
    for change, report in told:
        report.add(change)
    return Settled(finished, changes)


def _look_again(suspects: list[Suspect], glance: Glance, options: Options) -> Iterator[tuple[Change, Report]]:
    # Sorted by folder, so that each folder is opened once.
    for session, project, filename, row, beyond, report in sorted(suspects, key=lambda suspect: suspect[:3]):
        try:
            now = None if beyond else glance(session, project, filename)
        except OSError as error:
            report.unreadable[f"{session}/{project}/{filename}"] = error
            continue
        if now != row or (options.rewrite and now):
            yield Change(row, now), report


def _confirm_root(tree: Tree, writer: Writer, options: Options) -> None:
    """Refuse to write what was seen below a root that is not the catalogue's.

    A root without its file system looks empty, and an empty root means that every plot was deleted. The same
    identity, or one session in common, tells a root that may be believed. Asked after the looks it is for.
    """
    try:
        identity = tree.identity()
    except OSError as error:
        raise RootLostError(_lost(tree, f"cannot be seen ({error.strerror})")) from error
    header = writer.header()
    if header is not None and identity == header.identity:
        return
    sessions = writer.sessions()
    if sessions and not options.allow_empty and not any(map(tree.has_session, sessions)):
        raise RootLostError(_lost(tree, "shares no session with the catalogue"))
    writer.record(identity=identity)


def _lost(tree: Tree, what: str) -> str:
    return (
        f"The root {printable(str(tree.root))} {what}, so nothing was written: mount it again or, "
        "if its plots are really gone, run `plotindex rebuild --allow-empty`."
    )
