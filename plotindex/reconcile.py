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
    whole = outermost == [""]
    targets = list(_targets(tree, catalog, outermost, report))
    settled = 0
    for looks in _batches(_Look(tree, scope, options, report) for scope in targets):
        _settle(looks, tree, catalog, options, report)
        settled += len(looks)
        if progress:
            progress(settled, len(targets))
    report.sessions = len({scope.session for scope in targets})
    if whole and "" not in report.unreadable:
        with catalog.writing(options.timeout) as writer:
            writer.record(layout=tree.layout)
            writer.trim(keep=0) if options.rewrite else writer.trim()
    return report


def _targets(tree: Tree, catalog: Catalog, scopes: Iterable[str], report: Report) -> Iterator[Scope]:
    """The scopes to look at, each within one session; the root is taken session by session."""
    for given in scopes:
        scope = tree.layout.parse_scope(given)
        if scope == ROOT_SCOPE:
            try:
                names = tree.sessions(report.odd)
            except OSError as error:
                if error.errno in ABSENT:
                    raise RootLostError(_lost(tree, "is not there")) from error
                report.unreadable[""] = error
                return
            yield from (Scope(name) for name in sorted({*names, *catalog.sessions()}))
        elif scope is not None:
            yield scope


class Suspect(NamedTuple):
    """A path where the look and the catalogue do not say the same, and the row as it is now."""

    session: str
    project: str
    filename: str
    row: Plot | None


class _Look:
    """What one scope held when it was looked at without the lock, and how far it has been settled."""

    def __init__(self, tree: Tree, scope: Scope, options: Options, report: Report) -> None:
        assert scope.session is not None
        self.scope = scope
        self.session = scope.session
        walk = tree.walk(scope)
        self._found = {(plot.filename, plot.project): plot for plot in walk.plots}
        self._order = sorted(self._found)
        self._unreadable = walk.unreadable
        self._rewrite = options.rewrite
        self._after: tuple[str, str] | None = None
        self.plots = len(self._order)
        report.unreadable.update(walk.unreadable)
        report.odd.update(walk.odd)

    def advance(self, writer: Writer, suspects: list[Suspect]) -> tuple[bool, int]:
        """Compare the next rows; return whether the scope is settled, and how many rows were compared."""
        rows = writer.rows(self.scope, self._after, ROWS_AT_ONCE)
        start = bisect_right(self._order, self._after) if self._after else 0
        ahead = self._order[start : start + ROWS_AT_ONCE]
        bounds = [_position(rows[-1])] if len(rows) == ROWS_AT_ONCE else []
        if len(ahead) == ROWS_AT_ONCE:
            bounds.append(ahead[-1])
        bound = min(bounds, default=None)
        if self._rewrite or rows != [self._found[position] for position in ahead]:
            known = {_position(row): row for row in rows}
            for position in sorted(known.keys() | ahead):
                if bound is not None and position > bound:
                    break
                if len(suspects) == MOST_CHANGES:
                    return False, len(rows)
                row = known.get(position)
                if self._differs(position, row):
                    filename, project = position
                    suspects.append(Suspect(self.session, project, filename, row))
                self._after = position
        self._after = bound
        return bound is None, len(rows) + len(ahead)

    def _differs(self, position: tuple[str, str], row: Plot | None) -> bool:
        found = self._found.get(position)
        if found is None and self._unreadable:
            path = f"{self.session}/{position[1]}/{position[0]}"
            return not any(covers(outer, path) for outer in self._unreadable)
        return self._rewrite or found != row


def _position(plot: Plot) -> tuple[str, str]:
    return plot.filename, plot.project


def _batches(looks: Iterable[_Look]) -> Iterator[list[_Look]]:
    """Looks enough for one transaction, or a single one that needs several: memory is bounded by one session."""
    batch: list[_Look] = []
    plots = 0
    for look in looks:
        batch.append(look)
        plots += look.plots
        if plots >= MOST_CHANGES or len(batch) >= MOST_CHANGES:
            yield batch
            batch, plots = [], 0
    if batch:
        yield batch


def _settle(looks: list[_Look], tree: Tree, catalog: Catalog, options: Options, report: Report) -> None:
    pending = deque(looks)
    report.plots += sum(look.plots for look in looks)
    while pending:
        with catalog.writing(options.timeout) as writer, tree.looking() as glance:
            suspects: list[Suspect] = []
            finished: list[str] = []
            compared = 0
            while pending and len(suspects) < MOST_CHANGES and compared < MOST_ROWS:
                settled, rows = pending[0].advance(writer, suspects)
                compared += rows
                if settled:
                    finished.append(pending.popleft().session)
            changes = list(_look_again(suspects, glance, options, report))
            if changes:
                _confirm_root(tree, writer, options)
                writer.apply(changes)
            for session in finished if options.rewrite else ():
                writer.recount(session)
        _tell(changes, report)


def _tell(changes: list[Change], report: Report) -> None:
    """Add what was committed to the report."""
    for before, after in changes:
        report.added += before is None
        report.removed += after is None
        report.changed += before is not None and after is not None and before != after
        plot = after or before
        if plot and before != after and len(report.differing) < MOST_NAMED:
            report.differing.append(plot.path)


def _look_again(suspects: list[Suspect], glance: Glance, options: Options, report: Report) -> Iterator[Change]:
    # Sorted by folder, so that each folder is opened once.
    for session, project, filename, row in sorted(suspects):
        try:
            now = glance(session, project, filename)
        except OSError as error:
            report.unreadable[f"{session}/{project}/{filename}"] = error
            continue
        if now != row or (options.rewrite and now):
            yield Change(row, now)


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
