"""Sizes and times as people read them."""

import time

from plotindex.system.humanize import format_age, format_size


def test_sizes_have_the_largest_unit() -> None:
    assert [format_size(number) for number in (0, 999, 1000, 10_240, 512 << 20, 5 << 40)] == [
        "0 B",
        "999 B",
        "1.0 KB",
        "10 KB",
        "537 MB",
        "5498 GB",
    ]


def test_ages_have_the_largest_unit_and_times_ahead_say_so() -> None:
    now = time.time()
    assert [format_age((now - seconds) * 1e9) for seconds in (-7300, -90, -30, 7.5, 90, 7300, 200_000)] == [
        "in 2 h",
        "in 1 min",
        "0 s ago",
        "7 s ago",
        "1 min ago",
        "2 h ago",
        "2 d ago",
    ]
