"""Which folders are watched when scans of several places overlap."""

from plotindex.watch.watched_folders import Watches


class Kernel:
    """As much of inotify(7) as there is behind the seam: one watch for each folder."""

    def __init__(self) -> None:
        self.watched: set[int] = set()

    def add(self, folder: int) -> int:
        self.watched.add(folder)
        return folder

    def remove(self, folder: int) -> None:
        self.watched.remove(folder)


def test_a_scan_overtaken_by_one_at_the_folders_new_place_removes_no_watch() -> None:
    """Seen in a torture: a scan below a project that was renamed meanwhile ended the watches there for good."""
    kernel, watches = Kernel(), Watches()
    watches.attach(kernel.add, kernel.remove, 0)
    watches.add("s/project_a", 1)
    watches.add("t/project_b", 1)
    watches.add("t/project_b/sub", 2)
    watches.prune(["t"], {"t/project_b", "t/project_b/sub"}, {})
    watches.add("s/project_a/sub", 2)
    watches.prune(["s"], {"s/project_a", "s/project_a/sub"}, {})
    assert set(watches.paths(2)) == {"t/project_b/sub", "s/project_a/sub"}
    watches.prune(["s"], set(), {})
    assert watches.paths(2) == ("t/project_b/sub",)
    assert watches.paths(1) == ("t/project_b",)
    assert kernel.watched == {1, 2}


def test_one_session_cannot_use_up_the_watches_of_the_others() -> None:
    kernel, watches = Kernel(), Watches()
    watches.attach(kernel.add, kernel.remove, 0)
    watches.limit = 80
    for number in range(100):
        watches.add(f"greedy/project_a/{number}", number)
    for number in range(100, 110):
        watches.add(f"modest/project_a/{number}", number)
    for session in ("greedy", "modest"):
        watches.prune([session], set(watches._map.at_and_below(session)), {})
    assert len(watches) == 40 + 10
    assert watches.snapshots.unwatched == 60
    assert watches.snapshots.sessions() == ["greedy"]
    watches.prune(["greedy"], set(), {})
    assert (len(watches), watches.snapshots.unwatched) == (10, 0)
