"""The grammar of paths, keys and scopes."""

import re
from fnmatch import fnmatchcase

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from plotindex.system.text import printable
from plotindex.tree.grammar import Layout
from plotindex.tree.plots import INT64_MAX, INT64_MIN, PlotKey, clamp_int64, to_int64
from plotindex.tree.scopes import Scope, collapse, is_within

LAYOUT = Layout()
ALL_NAMES = Layout(ignore="")


def is_left_out(name: str) -> bool:
    """Whether the default of `ignore` leaves a name out, by the words of its documentation."""
    return (name[0] == "." and name[1:2] != ".") or name in ("__MACOSX", "@eaDir", "lost+found")


every_name = st.text(
    st.characters(exclude_categories=["Cs"], exclude_characters="/\0"), min_size=1, max_size=20
).filter(lambda name: name not in (".", ".."))
names = every_name.filter(lambda name: not is_left_out(name))
left_out = st.one_of(
    st.sampled_from([".git", ".ipynb_checkpoints", "@eaDir", "__MACOSX", "lost+found", ".~tmp~", ".stversions"]),
    names.filter(lambda name: name[0] != ".").map(".{}".format),
)
plot_names = st.builds(str.__add__, names, st.sampled_from([*sorted(LAYOUT.suffixes), ".PNG", ".Jpg"]))
filenames = st.builds(lambda folders, name: "/".join([*folders, name]), st.lists(names, max_size=4), plot_names)
anything = st.text(max_size=30)


@given(names, filenames)
def test_a_valid_key_parses_and_joins_back_to_itself(session: str, filename: str) -> None:
    assert LAYOUT.parse_key(session, filename) == PlotKey(session, filename)


@given(anything, anything)
@example("s", "../x.png")
@example("s", "a/../x.png")
@example("s", "./x.png")
@example("s", "/x.png")
@example("s", "a//x.png")
@example("s", "x.png/")
@example("s", "x\0.png")
@example("s", "\udcff.png")
@example("\udcff", "x.png")
@example("..", "x.png")
@example("", "x.png")
@example("a/b", "x.png")
@example("s", "x.html")
@example("s", "png")
@example("s", ".png")
@example("s", "")
def test_a_parsed_key_has_no_part_that_leads_elsewhere(session: str, filename: str) -> None:
    key = LAYOUT.parse_key(session, filename)
    parts = [session, *filename.split("/")]
    if any(map(is_left_out, filter(None, parts))):
        assert key is None
        return
    hostile = any(part in ("", ".", "..") or re.search("[/\0\ud800-\udfff]", part) for part in parts)
    has_suffix = re.search(r"[^/]\.(png|jpe?g|svg|gif|webp)\Z", filename, re.IGNORECASE | re.ASCII) is not None
    assert (key is not None) == (not hostile and has_suffix)


@pytest.mark.parametrize("name", ["100%.png", "a#b.png", "a;b.png", "a..b.png", "a b.png", "a\nb.png", "\u202ea.svg"])
def test_unusual_but_legal_names_are_names(name: str) -> None:
    assert LAYOUT.parse_key("s", name) == PlotKey("s", name)


def test_each_unicode_form_is_its_own_name() -> None:
    assert LAYOUT.parse_key("s", "\u00e9.png") != LAYOUT.parse_key("s", "e\u0301.png")


@given(names, names, filenames)
def test_a_scope_joins_back_to_its_path(session: str, project: str, filename: str) -> None:
    for path in (session, f"{session}/project_{project}", f"{session}/project_{project}/{filename}"):
        assert str(LAYOUT.parse_scope(path)) == path


@pytest.mark.parametrize("path", ["s/other/x.png", "s/project_a//x.png", "s/project_a/../x.png", "..", "s/\udcff"])
def test_a_path_that_cannot_hold_plots_is_not_a_scope(path: str) -> None:
    assert LAYOUT.parse_scope(path) is None


@given(st.lists(st.lists(st.sampled_from(["a", "a-", "b", "a0"]), max_size=4).map("/".join)))
def test_collapsed_scopes_cover_the_same_entries_and_do_not_nest(scopes: list[str]) -> None:
    collapsed = collapse(scopes)
    assert all(is_within(scope, collapsed) for scope in scopes)
    assert not any(is_within(scope, set(collapsed) - {scope}) for scope in collapsed)
    assert set(collapsed) <= set(scopes)


@given(st.text())
def test_printed_names_are_printable_and_unambiguous(name: str) -> None:
    shown = printable(name)
    assert shown.isprintable()
    assert (shown == name) == (name.isprintable() and "\\" not in name)


@given(st.text(), st.text())
def test_two_names_are_never_printed_alike(one: str, other: str) -> None:
    assert (printable(one) == printable(other)) == (one == other)


@given(st.integers())
def test_times_are_clamped_to_64_bits(nanoseconds: int) -> None:
    assert INT64_MIN <= clamp_int64(nanoseconds) <= INT64_MAX
    assert clamp_int64(nanoseconds) == nanoseconds or not INT64_MIN <= nanoseconds <= INT64_MAX


@given(st.integers(0, 2**64 - 1), st.integers(0, 2**64 - 1))
def test_inode_numbers_fit_and_stay_different(one: int, other: int) -> None:
    assert INT64_MIN <= to_int64(one) <= INT64_MAX
    assert (to_int64(one) == to_int64(other)) == (one == other)


@given(names, filenames, left_out, st.data())
@example("s", "x.png", ".git", None)
def test_an_ignored_name_is_never_part_of_a_path(
    session: str, filename: str, name: str, data: st.DataObject | None
) -> None:
    layout, parts = Layout("*"), [session, "project_a", *filename.split("/")]
    at = data.draw(st.integers(0, len(parts) - 1)) if data else 0
    parts[at] = f"{name}.png" if at == len(parts) - 1 and name[0] == "." else name
    path = "/".join(parts)
    assert layout.parse_scope(path) is None
    assert layout.parse_key(parts[0], "/".join(parts[1:])) is None
    assert layout.parse_scope("/".join(parts[:at])) is not None
    assert not layout.is_project(name)
    assert str(Layout("*", ignore="").parse_scope(path)) == path


@given(every_name)
@example("..x.png")
@example("...")
@example(".x.png.AbC123")
@example("lost+found.png")
@example(".\n")
def test_the_default_ignores_one_leading_dot_and_three_names(name: str) -> None:
    assert LAYOUT.is_ignored(name) == is_left_out(name)
    assert not ALL_NAMES.is_ignored(name)


@given(st.lists(st.sampled_from(["*~", "tmp?", "[ab]*", "x", "*.part.*", "é*"]), max_size=4), every_name)
def test_a_name_is_ignored_if_one_of_the_globs_matches_it(globs: list[str], name: str) -> None:
    for each in (name, f"{name}~", "tmp1", f"a{name}", f"{name}.part.{name}"):
        assert Layout(ignore=" ".join(globs)).is_ignored(each) == any(fnmatchcase(each, glob) for glob in globs)


def test_a_project_matches_one_of_several_patterns() -> None:
    layout = Layout("project_* run_[0-9]")
    assert [layout.is_project(name) for name in ("project_a", "run_1", "run_a", "project_* run_1")] == [
        *(True, True, False, True)
    ]


mixed_names = st.one_of(names, names.map("project_{}".format), st.just("sub"), st.just("project_a"))
mixed_paths = st.lists(mixed_names, min_size=1, max_size=4).map("/".join)
mixed_layouts = st.sampled_from([LAYOUT, Layout("."), Layout("project_* ."), Layout(". *"), Layout("sub")])


@given(mixed_layouts, mixed_names, mixed_paths)
def test_a_path_belongs_to_at_most_one_project(layout: Layout, session: str, path: str) -> None:
    project, _, below = f"{path}/x.png".partition("/")
    assert not (layout.can_hold(".", f"{path}/x.png") and layout.can_hold(project, below))


@given(mixed_layouts, mixed_names, mixed_paths)
def test_a_path_is_the_name_of_its_scopes(layout: Layout, session: str, path: str) -> None:
    for scope in layout.scopes_at(f"{session}/{path}"):
        assert str(scope) == f"{session}/{path}"
        assert scope in layout.scopes_at(str(scope))
        assert layout.can_hold(scope.project or "", scope.path or "")


SCOPES: dict[str, dict[str, list[tuple[str | None, ...]]]] = {
    ".": {
        "s": [("s", None, None)],
        "s/x.png": [("s", ".", "x.png")],
        "s/sub/x.png": [("s", ".", "sub/x.png")],
        "s/project_a/x.png": [("s", ".", "project_a/x.png")],
        "s/./sub/x.png": [("s", ".", "sub/x.png")],
        "s/.": [("s", ".", None)],
        "s/././x.png": [],
        "s/../x.png": [],
        "s//x.png": [],
    },
    "project_* .": {
        "s/sub": [("s", ".", "sub")],
        "s/sub/project_a/x.png": [("s", ".", "sub/project_a/x.png")],
        "s/project_a/x.png": [("s", "project_a", "x.png")],
        "s/project_a.png": [("s", "project_a.png", None), ("s", ".", "project_a.png")],
        "s/./project_a/x.png": [],
        "s/./project_a.png": [("s", ".", "project_a.png")],
    },
    "project_*": {"s/.": [], "s/./x.png": [], "s/x.png": [], "s/./project_a/x.png": []},
}


@pytest.mark.parametrize("pattern", SCOPES)
def test_a_path_outside_of_the_other_projects_lies_in_the_project_of_the_session(pattern: str) -> None:
    layout = Layout(pattern)
    for path, scopes in SCOPES[pattern].items():
        assert list(layout.scopes_at(path)) == [Scope(*scope) for scope in scopes], path


def test_the_session_is_a_project_only_if_the_pattern_says_so() -> None:
    assert [Layout(pattern).is_project(".") for pattern in (".", "a .", "*", "?", "project_*")] == [
        *(True, True, False, False, False)
    ]


def test_the_project_pattern_matches_whole_names_only() -> None:
    assert LAYOUT.is_project("project_")
    assert LAYOUT.is_project("project_a\nb")
    assert not LAYOUT.is_project("my_project_a")
    assert not LAYOUT.is_project("Project_a")
    assert not LAYOUT.is_project("project")
