"""What changed, in words."""

import pytest

from plotindex.comparison.words import Texts, words_of_places, words_of_sizes, words_of_texts
from plotindex.rendering.comparison import Comparison, Extent, Likeness

EXTENT = Extent(880, 550, 1)


def texts(*text: str, title: str = "") -> Texts:
    return Texts(title, text)


@pytest.mark.parametrize(
    ("before", "after", "words"),
    [
        (["RMSE 0.12"], ["RMSE 0.19"], ["RMSE 0.12 → 0.19 (+0.07, +58.3 %)"]),
        (
            ["loss \N{MINUS SIGN}2 dB"],
            ["loss -3 dB"],
            ["loss \N{MINUS SIGN}2 → -3 dB (\N{MINUS SIGN}1, \N{MINUS SIGN}50 %)"],
        ),
        (["n = 0"], ["n = 4"], ["n = 0 → 4 (+4)"]),
        (["1 of 3, 0.5"], ["1 of 4, 0.5"], ["1 of 3 → 4, 0.5 (+1, +33.3 %)"]),
        (["1 of 3"], ["2 of 4"], ["1 of 3 → 2 of 4"]),
        (["time [h]"], ["time [s]"], ["time [h] → time [s]"]),
        (["series 2", "a"], ["a"], ["gone: series 2"]),
        (["a"], ["a", "measured"], ["new: measured"]),
        (["xyz"], ["measured"], ["gone: xyz", "new: measured"]),
        (["a", "b"], ["b", "a"], []),
        (["x" * 4000], ["y" * 10], []),
    ],
)
def test_texts_that_came_went_or_changed_are_told(before: list[str], after: list[str], words: list[str]) -> None:
    assert list(words_of_texts(texts(*before), texts(*after))) == words


def test_another_title_is_told_as_such() -> None:
    assert list(words_of_texts(texts("a", title="Run 1"), texts("a", title="Sites"))) == ["title: Run 1 → Sites"]
    assert list(words_of_texts(texts(title="Run 1"), texts(title="Run 2"))) == ["title: Run 1 → 2 (+1, +100 %)"]


def test_another_size_and_number_of_frames_are_told() -> None:
    assert list(words_of_sizes(EXTENT, EXTENT)) == []
    assert list(words_of_sizes(EXTENT, Extent(800, 500, 3))) == [
        "size: 880 × 550 → 800 × 500",  # noqa: RUF001
        "frames: 1 → 3",
    ]


def test_places_are_counted_only_where_something_changed_locally() -> None:
    assert words_of_places(Comparison(Likeness.CHANGED, 1.0, 1, True, (), EXTENT, EXTENT)) == "differs in 1 place"
    assert words_of_places(Comparison(Likeness.CHANGED, 1.0, 3, True, (), EXTENT, EXTENT)) == "differs in 3 places"
    assert (
        words_of_places(Comparison(Likeness.CHANGED, 1.0, 9, False, (), EXTENT, EXTENT))
        == "differs everywhere, cause unknown"
    )
