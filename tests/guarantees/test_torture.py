"""After any storm of changes, crash or queue overflow, the catalogue equals the tree."""

import os
import signal
from contextlib import closing
from pathlib import Path

from plotindex.tree.plots import Plot
from tests.support.processes import draw
from tests.tools.torture import (
    Figures,
    compare_answers,
    compare_plots,
    compare_watches,
    excused,
    folders_to_watch,
    site,
    torture,
)


def assert_equal(figures: Figures) -> None:
    assert figures.differences == []
    assert figures.rounds
    assert figures.changes > 100 * figures.rounds


def test_after_a_storm_of_changes_catalogue_watches_and_answers_equal_the_tree(tmp_path: Path) -> None:
    assert_equal(torture(tmp_path, 3, 1, round_seconds=2))


def test_after_a_storm_in_which_the_indexer_is_killed_again_and_again_all_equal_the_tree(tmp_path: Path) -> None:
    figures = torture(tmp_path, 4, 3, kill_every=1, kills=2, round_seconds=2)
    assert_equal(figures)
    assert figures.kills >= 2


def test_after_a_storm_in_which_the_kernels_queue_overflows_all_equal_the_tree(tmp_path: Path) -> None:
    figures = torture(tmp_path, 3, 4, overflow=True, round_seconds=3)
    assert_equal(figures)
    assert figures.overflows


def test_the_comparison_of_plots_names_each_that_differs() -> None:
    kept, touched, drawn = (Plot("s", "project_a", f"{number}.png", 1, 2, 3, 4) for number in range(3))
    assert list(compare_plots({kept, touched}, {kept, touched})) == []
    assert list(compare_plots({kept, touched}, {touched._replace(ctime_ns=5), drawn})) == [
        "s/project_a/0.png: in the catalogue, but not there",
        "s/project_a/1.png: of another version in the catalogue: ctime_ns 3 is 5",
        "s/project_a/2.png: not in the catalogue",
    ]


def test_only_size_and_times_of_plots_that_may_have_had_hard_links_are_excused() -> None:
    linked, single = (Plot("s", "project_a", name, 1, 2, 3, 4) for name in ("x.gif", "x.png"))
    other = linked._replace(filename="y.gif")
    rows = {linked, single, other}
    plots = {linked._replace(ctime_ns=5), single._replace(ctime_ns=5), other._replace(inode=5)}
    assert excused(rows, plots) == {linked._replace(ctime_ns=5), single, other}
    assert excused(rows, plots, {linked.inode}) == excused(rows, set()) == rows


def test_the_comparison_of_watches_names_each_that_differs(root: Path) -> None:
    for folder in ("s/project_a/sub", "s/data/sub"):
        (root / folder).mkdir(parents=True)
    folders = folders_to_watch(root)
    assert sorted(folders.values()) == ["s", "s/project_a", "s/project_a/sub", "the root"]
    assert list(compare_watches(set(folders), folders)) == []
    sub, data = ((root / folder).stat().st_ino for folder in ("s/project_a/sub", "s/data"))
    assert list(compare_watches(folders.keys() - {sub} | {data}, folders)) == [
        "s/project_a/sub: a folder that is not watched",
        f"inode {data}: watched, but no folder that can hold plots",
    ]


def test_the_comparison_of_answers_names_each_that_differs(tmp_path: Path) -> None:
    with site(tmp_path) as made, closing(made.serve()) as client:
        assert list(compare_answers(client, made.root)) == []
        os.killpg(made.indexer.pid, signal.SIGSTOP)
        draw(made.root, "flood/project_b/0.png", b"newer", mtime_ns=2**62)
        [difference] = compare_answers(client, made.root)
        os.killpg(made.indexer.pid, signal.SIGCONT)
        assert difference.startswith("flood 0.png: answered 200 plotindex; hit")
        assert difference.endswith("instead of the content of flood/project_b/0.png")
