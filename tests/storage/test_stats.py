"""Statistics of the indexer, stored and read."""

import json
import math

from hypothesis import given
from hypothesis import strategies as st

from plotindex.storage.stats import BUCKETS, Histogram, IndexerStats

durations = st.lists(st.floats(-1, 10_000))


@given(durations, durations)
def test_stats_round_trip(first: list[float], second: list[float]) -> None:
    measured = IndexerStats(missed=3, rescan=1.5)
    for seconds in first:
        measured.reconcile.observe(seconds)
    more = Histogram()
    for seconds in second:
        more.observe(seconds)
    measured.reconcile.add(more)
    read = IndexerStats.load(measured.dump())
    assert (read.missed, read.rescan, read.pinned) == (3, 1.5, 0)
    pairs = read.reconcile.cumulative()
    everything = [*first, *second]
    assert pairs[-1] == ("+Inf", len(everything))
    for bound, (text, count) in zip(BUCKETS, pairs, strict=False):
        assert (text, count) == (str(bound), sum(seconds <= bound for seconds in everything))


def test_stats_of_another_version_are_read_as_far_as_known() -> None:
    assert IndexerStats.load(None).dump() == IndexerStats().dump()
    odd = IndexerStats.load('{"missed": 2, "reconcile": {"counts": [1, 2], "sum": 3.0}, "later": 1}')
    assert (odd.missed, odd.reconcile.sum) == (2, 0.0)
    assert IndexerStats.load("[" * 10_000).dump() == IndexerStats().dump()


leaves = st.none() | st.booleans() | st.integers() | st.floats() | st.text()
odd_counts = st.fixed_dictionaries({"counts": st.lists(leaves, min_size=18, max_size=18), "sum": leaves})
odd_objects = st.dictionaries(
    st.sampled_from(["missed", "rescan", "pinned", "reconcile", "delay"]), leaves | odd_counts
)


@given((leaves | st.lists(leaves) | odd_objects).map(json.dumps) | st.text())
def test_invalid_stats_are_read_as_finite_numbers(text: str) -> None:
    read = IndexerStats.load(text)
    assert IndexerStats.load(read.dump()) is not None
    for number in (read.missed, read.rescan, read.pinned, read.delay.sum, read.reconcile.cumulative()[-1][1]):
        assert math.isfinite(float(number))
