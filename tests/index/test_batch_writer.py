"""Transactions of a reconcile: what they read and stat."""

import os
from collections import deque
from collections.abc import Sequence
from pathlib import Path

import pytest

from plotindex.index.batch_writer import write_batch
from plotindex.index.diff import ScopeDiff
from plotindex.index.report import Report
from plotindex.storage.catalog import Catalog
from plotindex.storage.rows import ScopeRow
from plotindex.storage.writer import Writer
from plotindex.tree.scopes import Scope
from plotindex.tree.tree import Tree, TreeReader
from tests.guarantees.test_convergence import plots_by_hand
from tests.support.processes import Index, all_plots, draw

PLOTS = 1_200


def draw_many(root: Path, session: str, number: int = PLOTS) -> list[Path]:
    return [draw(root, f"{session}/project_a/{each}.png", b"") for each in range(number)]


def scanned(tree: Tree, session: str) -> ScopeDiff:
    with tree.open_reader() as reader:
        diff = ScopeDiff(reader, Scope(session), Report())
        assert diff.scan()
    return diff


def test_rows_are_not_read_again_and_again_when_few_changes_fit_into_a_transaction(
    root: Path, tree: Tree, catalog: Catalog, index: Index, monkeypatch: pytest.MonkeyPatch
) -> None:
    files = draw_many(root, "s")
    index()
    for file in files:
        os.utime(file, ns=(7, 7))
    read = 0
    original = Writer.rows

    def rows(writer: Writer, scope: Scope, after: tuple[str, str] | None, most: int) -> Sequence[ScopeRow]:
        nonlocal read
        found = original(writer, scope, after, most)
        read += len(found)
        return found

    monkeypatch.setattr(Writer, "rows", rows)
    queue = deque([scanned(tree, "s")])
    while queue:
        write_batch(queue, tree, catalog, 50)
    assert all_plots(catalog) == plots_by_hand(root)
    assert read < 5 * PLOTS


def test_new_plots_of_a_session_that_is_gone_are_not_looked_up_one_by_one(
    root: Path, tree: Tree, catalog: Catalog, monkeypatch: pytest.MonkeyPatch
) -> None:
    draw_many(root, "s")
    queue = deque([scanned(tree, "s")])
    (root / "s").rename(root / "t")
    monkeypatch.setattr(TreeReader, "stat_plot", None)
    while queue:
        write_batch(queue, tree, catalog, 500)
    assert all_plots(catalog) == set()
