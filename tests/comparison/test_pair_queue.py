"""Whose pair is compared next, and for how long."""

import pytest

from plotindex.comparison import pair_queue
from plotindex.comparison.difference import Pair
from plotindex.comparison.pair_queue import PairQueue
from plotindex.comparison.sides import SideFile, SidePlot
from plotindex.tree.plots import Plot

SECOND = 10**9


def pairs(session: str, count: int) -> list[Pair]:
    files = [SideFile(Plot(session, "project_a", f"{number}.png", 1, 1, 1, 1), None, False) for number in range(count)]
    return [Pair(SidePlot(file, (file,), (file.plot,)), None) for file in files]


@pytest.mark.parametrize("polls", [False, True])
def test_who_asks_again_and_again_keeps_half_of_the_time(polls: bool) -> None:
    queue, theirs, compared = PairQueue(), pairs("theirs", 40), 0
    queue.put("mine", "request", pairs("mine", 1000))
    queue.put("theirs", "request", theirs)
    seconds = 0.0
    while compared < len(theirs):
        queued = queue.take()
        assert queued is not None
        taken = 5.0 if queued.caller == "mine" else 0.5
        compared += queued.caller == "theirs"
        seconds += taken
        queue.charge(queued.caller, int(taken * SECOND))
        if polls:
            queue.put("theirs", "request", theirs[compared:])
    # 20 s of its own, and as much again, but for one pair that had begun.
    assert seconds <= 2 * 20 + 5


def test_a_caller_who_waited_for_nothing_has_no_claim_on_that_time() -> None:
    queue = PairQueue()
    queue.put("mine", "request", pairs("mine", 1000))
    for _ in range(10):
        assert queue.take() is not None
        queue.charge("mine", SECOND)
    queue.put("theirs", "request", pairs("theirs", 1000))
    callers = []
    for _ in range(10):
        queued = queue.take()
        assert queued is not None
        queue.charge(queued.caller, SECOND)
        callers.append(queued.caller)
    assert callers.count("theirs") == 5


def test_what_nobody_asks_for_any_more_is_not_compared(monkeypatch: pytest.MonkeyPatch) -> None:
    queue = PairQueue()
    monkeypatch.setattr(pair_queue, "KEEP_SECONDS", -1.0)
    queue.put("gone", "request", pairs("gone", 3))
    monkeypatch.undo()
    queue.put("here", "request", pairs("here", 1))
    queued = queue.take()
    assert queued is not None
    assert queued.caller == "here"
    assert queue.take() is None
    assert not queue


def test_one_callers_pairs_are_dropped_alone() -> None:
    queue = PairQueue()
    queue.put("mine", "request", pairs("mine", 3))
    queue.put("theirs", "request", pairs("theirs", 1))
    queue.drop("mine")
    queued = queue.take()
    assert queued is not None
    assert queued.caller == "theirs"
    assert queue.take() is None
