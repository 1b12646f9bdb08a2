"""The rule of what is kept of one copy."""

from hypothesis import given
from hypothesis import strategies as st

from plotindex.history.retention import DAY_NS, HOUR_NS, RECENT_STEP_NS, SECOND_NS, KeptVersions, superfluous

NOW = 20_000 * DAY_NS + 12 * HOUR_NS
ages = st.one_of(
    st.integers(-10, 120).map(lambda minutes: minutes * 60 * SECOND_NS),
    st.integers(0, 48).map(lambda hours: hours * HOUR_NS),
    st.integers(0, 400).map(lambda days: days * DAY_NS),
)
seen_times = st.lists(st.builds(lambda age, more: NOW - age - more, ages, st.integers(0, 10**9)), unique=True).map(
    lambda times: sorted(times, reverse=True)
)
rules = st.builds(KeptVersions, st.integers(1, 6), st.integers(0, 120))


def kept(seen: list[int], rule: KeptVersions, gone: int | None = None) -> list[int]:
    dropped = set(superfluous(seen, NOW, rule, gone))
    return [since for position, since in enumerate(seen) if position not in dropped]


@given(seen_times, rules)
def test_what_is_kept_obeys_the_rule(seen: list[int], rule: KeptVersions) -> None:
    left = kept(seen, rule)
    recent = [since for since in seen if NOW - since <= HOUR_NS]
    # Of the last hour the newest ones, whatever else there is.
    assert left[: len(recent[: rule.versions])] == recent[: rule.versions]
    # Of each later period, one at most: the last.
    older = [since for since in left if since not in recent[: rule.versions]]
    for length, between in ((RECENT_STEP_NS, (-HOUR_NS, DAY_NS)), (DAY_NS, (DAY_NS + 1, 10**6 * DAY_NS))):
        steps = [since // length for since in older if between[0] <= NOW - since <= between[1]]
        assert len(steps) == len(set(steps))
    # None that ended so many days ago.
    if rule.days:
        until = dict(zip(seen[1:], seen, strict=False))
        assert all(NOW - until.get(since, NOW) <= (rule.days + 1) * DAY_NS for since in left)


@given(seen_times, rules)
def test_thinning_again_changes_nothing(seen: list[int], rule: KeptVersions) -> None:
    left = kept(seen, rule)
    assert kept(left, rule) == left


@given(seen_times.filter(bool), rules)
def test_the_version_that_a_plot_shows_is_kept_however_old(seen: list[int], rule: KeptVersions) -> None:
    assert kept(seen, rule)[0] == seen[0]


@given(seen_times.filter(bool), st.integers(1, 120))
def test_of_a_removed_plot_nothing_is_kept_after_its_days(seen: list[int], days: int) -> None:
    gone = NOW - days * DAY_NS - 1
    before = [since - (days + 1) * DAY_NS for since in seen]
    assert kept(before, KeptVersions(50, days), gone=gone) == []
    assert kept(before, KeptVersions(50, 0), gone=gone)[0] == before[0]
    assert kept(before, KeptVersions(50, days), gone=gone + 1)[0] == before[0]


def test_a_plot_redrawn_twice_a_second_for_a_day_leaves_two_hundred_versions() -> None:
    seen = [NOW - number * SECOND_NS // 2 for number in range(2 * 86_400)]
    left = kept(seen, KeptVersions(50, 90))
    assert len(left) == 50 + 24 * 6
    assert left[:50] == seen[:50]
