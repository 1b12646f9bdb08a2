"""The books of the watcher."""

from hypothesis import given
from hypothesis import strategies as st

from plotindex.tree.scopes import is_within
from plotindex.watch.watch_table import WatchMap

paths = st.lists(st.sampled_from("ab"), max_size=4).map("/".join)
moves = st.one_of(st.tuples(st.just("put"), paths, st.integers(1, 9)), st.tuples(st.just("remove"), paths, st.just(0)))


@given(st.lists(moves))
def test_each_path_has_one_watch_and_each_watch_its_paths(steps: list[tuple[str, str, int]]) -> None:
    watch_map = WatchMap()
    expected: dict[str, int] = {}
    for step, path, descriptor in steps:
        former = expected.pop(path, None)
        if step == "put":
            expected[path] = descriptor
            unused = watch_map.put(path, descriptor)
        else:
            unused = watch_map.remove(path)
        assert unused == (None if former in expected.values() else former)
        assert len(watch_map) == len(expected)
        for watched in range(10):
            assert sorted(watch_map.paths(watched)) == sorted(p for p, w in expected.items() if w == watched)
        for session in ("", "a", "b"):
            assert watch_map.count_in(session) == sum(p.partition("/")[0] == session for p in expected)
        for top in ("", "a", "a/b"):
            assert sorted(watch_map.at_and_below(top)) == sorted(p for p in expected if is_within(p, {top}))


def test_nothing_is_kept_of_paths_that_are_forgotten() -> None:
    watch_map = WatchMap()
    for number in range(1000):
        watch_map.put(f"s{number}/project_a/sub", number)
        watch_map.remove(f"s{number}/project_a/sub")
    assert vars(WatchMap()) == vars(watch_map)
