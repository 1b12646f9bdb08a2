"""Make the catalogue equal the tree within a scope. Nothing else writes plots.

A new file, a rename, a removed folder, a queue overflow, a rebuild and a healed miss differ only in their scope; the
indexer's scheduler takes the same steps in slices. The scope is scanned without the write lock. Then the lock is
always taken, the scan is compared with the rows as they are now, and each difference is checked on disk again before it
is written: new plots by the times of their folders, everything else path by path. The last to check decides what is
stored, so any number of writers converge.
"""

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack, closing
from functools import partial

from plotindex.errors import CatalogError, RootLostError
from plotindex.index.batch_writer import write_batch
from plotindex.index.diff import ScopeDiff
from plotindex.index.report import DEFAULT, Options, Report
from plotindex.index.root_identity import root_lost_message
from plotindex.storage import Catalog, IntegrityCheck
from plotindex.system import ABSENT_ERRNOS
from plotindex.tree import (
    IGNORED,
    MAX_PENDING_SESSIONS,
    ROOT_SCOPE,
    FolderCallback,
    Scope,
    Tree,
    WalkProcess,
    collapse,
    start_walk_process,
)

MAX_CHANGES = 4_000
"""Rows written in one transaction: it holds the lock for about 20 ms."""
MAX_SESSIONS = 1_000
"""Sessions in one transaction: PostgreSQL holds a lock for each."""


def reconcile(
    tree: Tree,
    catalog: Catalog,
    scopes: Iterable[str],
    options: Options = DEFAULT,
    progress: Callable[[int, int], None] | None = None,
) -> Report:
    """Make the catalogue equal the tree within each scope, a path relative to the root ("" is the whole root).

    `progress` is called with the number of completed scopes and of all scopes.

    Raises:
        RootLostError: the root is missing, or its path now leads to another directory; nothing was written after that.
        LockTimeoutError: other writers held the lock for longer than `options.timeout`.
        CatalogError: the catalogue cannot be read or written, or its disk has no room for new plots.
    """
    report = Report()
    catalog.space_problem = ""
    outermost = collapse(scopes)
    targets = list(_expand(outermost, tree, catalog, report))
    completed = 0
    integrity_check = IntegrityCheck(catalog.database, is_awaited=True) if "" in outermost else None
    with tree.open_reader() as reader, ExitStack() as stack:
        if walker := start_walk_process(tree, len(targets)):
            stack.enter_context(closing(walker))
        make_diff = partial(ScopeDiff, reader, report=report, options=options)
        for diffs in _scan_in_batches(_prefetch(targets, make_diff, walker)):
            if integrity_check:
                integrity_check.wait()
            # Close the folders after each batch: by the next one, their paths may lead elsewhere.
            reader.close()
            while diffs:
                completed += len(write_batch(diffs, tree, catalog, MAX_CHANGES, options).completed)
            if progress:
                progress(completed, len(targets))
    if integrity_check:
        integrity_check.wait(None)
    if catalog.space_problem:
        raise CatalogError(catalog.space_problem)
    report.sessions = len({scope.session for scope in targets})
    if outermost == [""] and "" not in report.unreadable:
        record_full_scan(tree, catalog, options)
    return report


def record_full_scan(tree: Tree, catalog: Catalog, options: Options = DEFAULT) -> None:
    """Record that a full scan is complete: the catalogue is complete for this grammar."""
    with catalog.writing(options.timeout) as writer:
        writer.record_grammar(tree.layout)
        writer.trim_removals(keep=0) if options.rewrite else writer.trim_removals()


def list_sessions(tree: Tree, catalog: Catalog, report: Report, on_folder: FolderCallback | None = None) -> list[str]:
    """Every session in the tree or in the catalogue; names that cannot be sessions are added to the report.

    Raises:
        RootLostError: the root is missing.
        CatalogError: the catalogue cannot be read.
    """
    try:
        left_out: dict[str, str] = {}
        names = tree.sessions(left_out, on_folder)
    except OSError as error:
        if error.errno in ABSENT_ERRNOS:
            raise RootLostError(root_lost_message(tree, "is missing")) from error
        report.unreadable[""] = error
        return []
    report.ignored += sum(reason == IGNORED for reason in left_out.values())
    report.unsupported.update({name: reason for name, reason in left_out.items() if reason != IGNORED})
    return sorted({*names, *catalog.sessions()})


def _expand(scopes: Iterable[str], tree: Tree, catalog: Catalog, report: Report) -> Iterator[Scope]:
    """The scopes, each within one session: the root becomes its sessions."""
    for path in scopes:
        for scope in tree.layout.scopes_at(path):
            if scope == ROOT_SCOPE:
                yield from map(Scope, list_sessions(tree, catalog, report))
            else:
                yield scope


def _prefetch(
    targets: Iterable[Scope], make_diff: Callable[..., ScopeDiff], walker: WalkProcess | None
) -> Iterator[ScopeDiff]:
    """A diff for each scope. Some are handed to the walk process in advance; while it is behind, this process scans."""
    prefetched: deque[ScopeDiff] = deque()
    for scope in targets:
        if len(prefetched) < MAX_PENDING_SESSIONS:
            prefetched.append(make_diff(scope, walker=walker))
        elif walker is not None and walker.is_behind:
            yield make_diff(scope)
        else:
            prefetched.append(make_diff(scope, walker=walker))
            yield prefetched.popleft()
    yield from prefetched


def _scan_in_batches(diffs: Iterable[ScopeDiff]) -> Iterator[deque[ScopeDiff]]:
    """Batches of scanned diffs, each for one transaction. A large session ends its batch, to limit memory."""
    batch: deque[ScopeDiff] = deque()
    plots = 0
    for diff in diffs:
        diff.scan()
        batch.append(diff)
        plots += diff.plots
        if plots >= MAX_CHANGES or len(batch) >= MAX_SESSIONS:
            yield batch
            batch, plots = deque(), 0
    if batch:
        yield batch
