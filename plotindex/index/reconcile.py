"""Make the catalogue equal the tree within a scope. The only writer of plots.

A new file, a rename, a vanished folder, a queue overflow, a rebuild and a healed miss are this one call with
another scope. Looking is done without the lock. Then the lock is always taken, even when the look found nothing
to do; what was found is compared with the rows as they are then, and each path that differs is looked at
again. So the last to look is the last to write, and any number of writers converge without talking.
"""

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack, closing
from functools import partial
from typing import NamedTuple

from plotindex.errors import ConflictError, RootLostError
from plotindex.index.diff import DifferenceBatch, NewPlots, ScopeDiff, Suspect
from plotindex.index.report import DEFAULT, Options, Report
from plotindex.index.root_identity import check_root, lost_root
from plotindex.storage import Catalog, Change, IntegrityCheck
from plotindex.system import ABSENT_ERRNOS
from plotindex.tree import (
    MOST_AHEAD,
    ROOT_SCOPE,
    Enter,
    Glance,
    Plot,
    Row,
    Scope,
    Tree,
    WalkProcess,
    collapse,
    scout_for,
)

MAX_CHANGES = 4_000
"""Rows that one transaction writes at most: so long, at most, does anybody wait for a turn, some 20 ms."""
MOST_SESSIONS = 1_000
"""Sessions that one transaction settles at most: on a server it holds a lock for each."""
ROWS_PER_CHANGE = 8
"""So many times as many rows does one transaction compare, but not more than these."""
MAX_COMPARED_ROWS = 8_000
MAX_ATTEMPTS = 3
"""So often is a transaction tried that the database takes back."""


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
    soundness = IntegrityCheck(catalog.database) if "" in outermost else None
    with tree.looking() as glance, ExitStack() as ending:
        if scout := scout_for(tree, len(targets)):
            ending.enter_context(closing(scout))
        make = partial(ScopeDiff, glance, report=report, options=options)
        for looks in _batches(_ahead(targets, make, scout)):
            if soundness:
                soundness.wait()
            # A folder is kept open within one batch, no longer: its path may lead elsewhere by then.
            glance.close()
            while looks:
                settled += len(write_batch(looks, tree, catalog, MAX_CHANGES, options).finished)
            if progress:
                progress(settled, len(targets))
    if soundness:
        soundness.wait(None)
    report.sessions = len({scope.session for scope in targets})
    if outermost == [""] and "" not in report.unreadable:
        record_full_scan(tree, catalog, options)
    return report


def record_full_scan(tree: Tree, catalog: Catalog, options: Options = DEFAULT) -> None:
    """Record that all was looked at: the catalogue now answers for this grammar."""
    with catalog.writing(options.timeout) as writer:
        writer.record_header(layout=tree.layout)
        writer.trim_removals(keep=0) if options.rewrite else writer.trim_removals()


def list_sessions(tree: Tree, catalog: Catalog, report: Report, enter: Enter | None = None) -> list[str]:
    """Every session that there is, in the tree or in the catalogue. What cannot be one is told in the report.

    Raises:
        RootLostError: the root is not there.
        CatalogError: the catalogue cannot be read.
    """
    try:
        names = tree.sessions(report.odd, enter)
    except OSError as error:
        if error.errno in ABSENT_ERRNOS:
            raise RootLostError(lost_root(tree, "is not there")) from error
        report.unreadable[""] = error
        return []
    return sorted({*names, *catalog.sessions()})


def _targets(tree: Tree, catalog: Catalog, scopes: Iterable[str], report: Report) -> Iterator[Scope]:
    """The scopes to look at, each within one session; the root is taken session by session."""
    for given in scopes:
        scope = tree.layout.parse_scope(given)
        if scope == ROOT_SCOPE:
            yield from map(Scope, list_sessions(tree, catalog, report))
        elif scope is not None:
            yield scope


def _ahead(targets: Iterable[Scope], make: Callable[..., ScopeDiff], scout: WalkProcess | None) -> Iterator[ScopeDiff]:
    """Looks at these, some made before they are needed: the scout looks at them, or this process where it is behind."""
    made: deque[ScopeDiff] = deque()
    for scope in targets:
        if len(made) < MOST_AHEAD:
            made.append(make(scope, scout=scout))
        elif scout is not None and scout.is_behind:
            yield make(scope)
        else:
            made.append(make(scope, scout=scout))
            yield made.popleft()
    yield from made


def _batches(looks: Iterable[ScopeDiff]) -> Iterator[deque[ScopeDiff]]:
    """Looks enough for one transaction, or a single one that needs several: memory is bounded by one session."""
    batch: deque[ScopeDiff] = deque()
    plots = 0
    for look in looks:
        look.scan()
        batch.append(look)
        plots += look.plots
        if plots >= MAX_CHANGES or len(batch) >= MOST_SESSIONS:
            yield batch
            batch, plots = deque(), 0
    if batch:
        yield batch


class BatchResult(NamedTuple):
    """What one transaction settled and changed."""

    finished: list[ScopeDiff]
    changes: list[Change]
    added: list[Row]
    """Plots where the catalogue knew none, but for those that are among the changes."""
    roomy: list[str]
    """Sessions of which something is left out, though there is room for it now: a look at all of it lets it in."""


def write_batch(
    looks: deque[ScopeDiff], tree: Tree, catalog: Catalog, most: int, options: Options = DEFAULT
) -> BatchResult:
    """One transaction of at most so many changes: settled looks leave the queue, an unsettled one goes to its end.

    Raises as `reconcile` does.
    """
    waiting = [(look, look.mark()) for look in looks]
    for chances in range(MAX_ATTEMPTS - 1, -1, -1):
        try:
            return _settle(looks, tree, catalog, most, options)
        except ConflictError:
            if not chances:
                raise
            for look, mark in waiting:
                look.return_to(mark)
            looks.clear()
            looks.extend(look for look, _ in waiting)
    raise AssertionError("it has returned or raised")


def _settle(looks: deque[ScopeDiff], tree: Tree, catalog: Catalog, most: int, options: Options) -> BatchResult:
    sessions = {look.session for look in looks}
    finished: list[ScopeDiff] = []
    found = DifferenceBatch(most)
    compared, most_compared = 0, min(most * ROWS_PER_CHANGE, MAX_COMPARED_ROWS)
    with catalog.writing(options.timeout, sessions) as writer, tree.looking() as glance:
        while looks and found.room > 0 and compared < most_compared:
            settled, count = looks[0].advance(writer, found)
            compared += count
            if not settled:
                looks.rotate(-1)
                break
            finished.append(looks.popleft())
        certain = [(news.look.report, _certain(news, found, glance)) for news in found.news]
        added = [(report, rows) for report, rows in certain if rows]
        again = list(_look_again(found.suspects, glance, options))
        changes = [change for change, _ in again]
        if changes or added:
            check_root(tree, writer, options)
            writer.apply(changes, [rows for _, rows in added])
        most_plots = tree.layout.max_plots
        roomy = [
            name for name, plots in writer.plot_counts.items() if plots < most_plots and writer.cutoff(name) is not None
        ]
        for session, plots in list(writer.plot_counts.items()):
            if plots > most_plots:
                beyond = writer.truncate_to(session, most_plots)
                writer.apply([Change(plot, None) for plot in beyond])
        for look in finished if options.rewrite else ():
            writer.recount(look.session)
    for change, report in again:
        report.add(change)
    for report, rows in added:
        report.add_rows(rows)
    return BatchResult(finished, changes, [row for _, rows in added for row in rows], roomy)


def _certain(news: NewPlots, found: DifferenceBatch, glance: Glance) -> list[Row]:
    """Those of the news that are still there, since their folders have the same names; the others are suspects.

    Of one that was rewritten meanwhile another look tells: there is a row then with which it is compared.
    """
    look = news.look
    folders = look.stamped_folders(news.rows).items()
    changed = {folder for folder, stamp in folders if not (stamp and glance.is_still(look.session, folder, stamp))}
    if not changed:
        return news.rows
    certain = []
    for row in news.rows:
        if f"{row[1]}/{row[2]}".rpartition("/")[0] in changed:
            found.suspect(look.suspect((row[2], row[1]), None))
        else:
            certain.append(row)
    return certain


def _look_again(suspects: list[Suspect], glance: Glance, options: Options) -> Iterator[tuple[Change, Report]]:
    # Sorted by folder, so that each folder is opened once.
    for session, project, filename, row, beyond, report in sorted(suspects, key=lambda suspect: suspect[:3]):
        try:
            now = None if beyond else glance(session, project, filename)
        except OSError as error:
            report.unreadable[f"{session}/{project}/{filename}"] = error
            continue
        if now != row or (options.rewrite and now):
            yield Change(row and Plot._make(row), now), report
