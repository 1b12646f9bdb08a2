"""Rounds keep to their share of one core."""

from collections.abc import Iterator

from plotindex.watch.throttled_round import ThrottledRound


def test_each_round_keeps_to_its_share_and_tells_how_long_it_takes() -> None:
    scanned: list[str] = []

    def find(session: str) -> Iterator[list[str]]:
        scanned.append(session)
        yield [session]

    each = ThrottledRound(find)
    each.start(["t", "s"])
    assert each.step(0.05) == ["s"]
    each.charge(1.0, 0.05)
    assert 18 < each.seconds_to_next(0) <= 20
    assert each.step(0.05) == ["t"]
    assert each.is_open
    assert each.step(0.05) == []
    assert (each.is_open, scanned) == (False, ["s", "t"])
    assert each.seconds == 0
    assert 3000 < each.seconds_to_next(3600) <= 3600
    each.start([])
    assert each.seconds > 0
    assert each.rate > 1
