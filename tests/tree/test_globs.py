"""Globs: the semantics of fnmatch, in time linear in the name."""

import time
from fnmatch import fnmatchcase

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from plotindex.tree import glob_matcher, literal_runs
from plotindex.tree.globs import MAX_REGEX_WIDTH

parts = st.sampled_from(
    ["*", "?", "a", "b", "[ab]", "[!a]", "[", "]", "!", "-", "[a-c]", "[z-a]", "[]a]", "\n", "é", "."]
)
patterns = st.lists(parts, max_size=12).map("".join)
names = st.text(st.sampled_from("abcé.\n/[]!-"), max_size=12)
wide_patterns = st.tuples(
    st.sampled_from(["*", "*a", "b*?", "?*"]),
    st.lists(st.sampled_from(["?", "a", "b", "[ab]", "[!a]"]), min_size=MAX_REGEX_WIDTH, max_size=30).map("".join),
    st.sampled_from(["*", "*b", "??*", "*?a"]),
).map("".join)
LONGEST = ("a" * 250 + "/") * 30 + "a" * 230


@settings(max_examples=500)
@given(patterns, names)
@example("", "")
@example("**", "")
@example("*?*a", "ba")
@example("a*?", "a")
@example("*ab*b", "ab")
@example("*[", "a[")
@example("*a?*?b*", "aab")
@example("[!]*]*", "x")
def test_a_glob_matches_the_names_that_fnmatch_matches(pattern: str, name: str) -> None:
    assert glob_matcher(pattern)(name) is fnmatchcase(name, pattern)


@settings(max_examples=200)
@given(wide_patterns, st.text(st.sampled_from("ab/"), min_size=10, max_size=60))
def test_a_glob_with_a_wide_part_between_stars_matches_the_names_that_fnmatch_matches(pattern: str, name: str) -> None:
    assert glob_matcher(pattern)(name) is fnmatchcase(name, pattern)


@given(st.lists(st.sampled_from(["*", "*?", "?*", "**"]), min_size=1, max_size=3), st.data())
def test_a_glob_matches_what_was_made_from_it(stars: list[str], data: st.DataObject) -> None:
    text = "ab?[ab]" * 5
    made = "abxb" * 5
    pattern, name = text, made
    for star in stars:
        pattern += star + text
        name += data.draw(st.text("ab", min_size=1, max_size=5)) + made
    assert glob_matcher(pattern)(name)
    assert fnmatchcase(name, pattern)


@pytest.mark.parametrize(
    "pattern",
    [
        "*" + "?" * 480 + "b",
        "*" + "?" * 480 + "b*",
        "*a" * 240 + "b",
        "*a" * 240 + "b*",
        "*" + "a?" * 240 + "b*",
        "*" + "[ab]" * 120 + "c*",
        "*" + "[!b]" * 120 + "b*",
        "*" + "a" * 490 + "b*",
        "*?" * 240 + "b*",
        "*" + "a" * 15 + "?b*" + "a" * 200 + "?b*",
        "*" + "*".join(["a" * 15 + "[ab]"] * 25) + "b*",
    ],
)
def test_no_glob_takes_more_than_a_few_milliseconds_for_the_longest_name(pattern: str) -> None:
    matches = glob_matcher(pattern)
    matches(LONGEST)
    started = time.process_time()
    for _ in range(10):
        assert not matches(LONGEST)
    assert time.process_time() - started < 0.03


@given(patterns, names)
def test_the_literal_runs_of_a_glob_are_in_every_name_that_it_matches(pattern: str, name: str) -> None:
    if fnmatchcase(name, pattern):
        at = 0
        for run in literal_runs(pattern):
            at = name.index(run, at) + len(run)
