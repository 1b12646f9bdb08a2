"""Files with several names."""

from plotindex.storage.writer import Change
from plotindex.tree.plots import Plot
from plotindex.tree.walk import HardLinkedPlot
from plotindex.watch.hardlinks import MAX_NAMES, HardLinks


def plot(path: str, *, size: int = 1, inode: int = 7) -> Plot:
    session, project, filename = path.split("/", 2)
    return Plot(session, project, filename, size, 0, 0, inode)


def linked(*paths: str, names: int | None = None) -> list[HardLinkedPlot]:
    return [HardLinkedPlot(plot(path), names or len(paths)) for path in paths]


def test_a_change_through_one_name_is_a_change_of_the_others() -> None:
    links = HardLinks()
    links.add(linked("s/p/a", "t/p/b", "s/p/c"), 0, is_reported=True)
    assert links.unresolved == {7}
    assert sorted(links.affected([Change(plot("s/p/a"), plot("s/p/a", size=2))])) == ["s/p/c", "t/p/b"]
    assert links.affected([Change(plot("s/p/other", inode=8), plot("s/p/other", size=2, inode=8))]) == []
    assert sorted(links.affected([Change(plot("s/p/a"), None)])) == ["s/p/c", "t/p/b"]
    # It is no name of that file any more.
    assert links.affected([Change(plot("t/p/b"), None)]) == ["s/p/c"]


def test_names_that_changed_together_are_looked_at_again_only_where_they_disagree() -> None:
    links = HardLinks()
    links.add(linked("s/p/a", "s/p/b"), 0, is_reported=True)
    same = [Change(plot(path), plot(path, size=2)) for path in ("s/p/a", "s/p/b")]
    assert links.affected(same) == []
    assert sorted(links.affected([same[0], Change(plot("s/p/b"), plot("s/p/b", size=3))])) == ["s/p/a", "s/p/b"]
    assert links.resolve([plot("s/p/a"), plot("s/p/b")]) == []
    assert sorted(links.resolve([plot("s/p/a"), plot("s/p/b", size=2)])) == ["s/p/a", "s/p/b"]


def test_very_many_names_stand_for_their_sessions_and_are_told_once() -> None:
    links = HardLinks()
    names = [f"{'st'[number % 2]}/p/{number}" for number in range(MAX_NAMES + 10)]
    links.add(linked(*names), 0, is_reported=True)
    changes = [Change(plot(name), plot(name, size=2)) for name in names[:5]]
    assert sorted(links.affected(changes)) == ["s", "t"]


def test_a_file_with_a_name_that_is_not_known_is_to_be_looked_at_until_it_has_none() -> None:
    links = HardLinks()
    links.add(linked("s/p/a", names=2), 100.0, is_reported=True)
    links.add(linked("s/p/b", names=3), 100.0, is_reported=False)
    assert links.take_incomplete(101.0, is_recent=True) == ["s/p/a"]
    assert links.take_incomplete(101.0, is_recent=True) == []
    assert links.incomplete_count == 1
    assert links.take_incomplete(101.0, is_recent=False) == ["s/p/b"]
