"""The route /diff: what changed between two sides, compared in the background."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from itertools import cycle, permutations
from pathlib import Path
from threading import Event
from typing import Any

import pytest
import requests

from tests.rendering.test_comparison import plot
from tests.rendering.test_drawing_changes import CURVE, figure
from tests.support.images import encoded
from tests.support.processes import draw, run_plotindex, wait_until
from tests.support.site import ServedSite, served

ONE, GROWN, MORE = (encoded(plot(50, height)) for height in (80, 84, 120))
PROJECTS, FLOOD, OWN = 15, 20, 20
"""Projects that a caller compares with each other, plots of each, and those that another caller compares."""
MOVED = ((0, 0), (2, 4.05), (4, 1))


@pytest.fixture(scope="module")
def diff_site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServedSite]:
    folder = tmp_path_factory.mktemp("diff")
    for path, content in {
        "a/project_1/little.png": ONE,
        "b/project_1/little.png": GROWN,
        "a/project_1/more.png": ONE,
        "b/project_1/more.png": MORE,
        "a/project_1/curve.svg": figure(CURVE).encode(),
        "b/project_1/curve.svg": figure(MOVED).encode(),
        "a/project_1/same.png": ONE,
        "b/project_1/same.png": ONE,
        "a/project_1/gone.png": ONE,
        "b/project_1/new.png": ONE,
        "b/project_2/new.png": GROWN,
        "secret/project_1/x.png": ONE,
    }.items():
        draw(folder / "plots", path, content)
    with served(folder) as site:
        yield site


def ask(site: ServedSite, query: str, token: str | None = None) -> requests.Response:
    headers = {"Authorization": f"Bearer {token or site.site.token}"}
    return requests.get(f"{site.site.url}/api/smartstat/diff?{query}", headers=headers, timeout=20)


def compared(site: ServedSite, query: str, seconds: float = 60) -> Any:
    """The answer once nothing is pending."""

    def done() -> Any:
        answer = ask(site, query)
        assert answer.status_code == 200, answer.text
        found = answer.json()
        return found if found["pending"] == 0 else None

    return wait_until(done, seconds)


def test_the_most_changed_comes_first_with_words_and_regions(diff_site: ServedSite) -> None:
    found = compared(diff_site, "from=a&to=b")
    assert (found["from"], found["to"], found["next"]) == ("a", "b", None)
    assert found["counts"] == {
        "changed": 3,
        "restyled": 0,
        "alike": 0,
        "new": 1,
        "gone": 1,
        "same picture": 0,
        "same": 1,
    }
    assert [each["filename"] for each in found["plots"][:1]] == ["more.png"]
    assert [each["kind"] for each in found["plots"]] == ["changed", "changed", "changed", "new", "gone"]
    scores = [each["score"] for each in found["plots"][:3]]
    assert scores == sorted(scores, reverse=True)
    plots = {each["filename"]: each for each in found["plots"]}
    assert plots["curve.svg"]["words"] == ["curve 1: 4 → 4.05 at 2"]
    assert plots["little.png"]["words"] == ["differs in 1 place"]
    [region] = plots["little.png"]["regions"]
    assert all(0 <= share <= 1 for side in region.values() for share in side)
    assert plots["gone.png"]["to"] is plots["new.png"]["from"] is None
    entry = plots["new.png"]["to"]
    assert [copy["project"] for copy in entry["copies"]] == ["project_2", "project_1"]
    for told in (entry, *entry["copies"]):
        answer = requests.get(diff_site.site.url + told["url"], timeout=20)
        assert (answer.status_code, len(answer.content)) == (200, told["size"])


def test_kinds_select_and_pages_are_complete(diff_site: ServedSite) -> None:
    whole = compared(diff_site, "from=a&to=b")
    pages: list[Any] = []
    after: str | None = ""
    while after is not None:
        page = ask(diff_site, f"from=a&to=b&limit=2&after={after}").json()
        pages += page["plots"]
        after = page["next"]
    assert [each["filename"] for each in pages] == [each["filename"] for each in whole["plots"]]
    assert [each["filename"] for each in compared(diff_site, "from=a&to=b&kind=same,new")["plots"]] == [
        "new.png",
        "same.png",
    ]


def test_a_project_is_a_side(diff_site: ServedSite) -> None:
    found = compared(diff_site, "from=b/project_1&to=b/project_2")
    assert {each["filename"]: each["kind"] for each in found["plots"]}["new.png"] == "changed"


def test_the_first_answer_waits_for_no_comparison(tmp_path: Path) -> None:
    for number in range(30):
        for session, height in (("a", 80), ("b", 84)):
            draw(tmp_path / "plots", f"{session}/project_1/{number:02}.png", encoded(plot(50 + number, height)))
    with served(tmp_path) as site:
        found = ask(site, "from=a&to=b&first=29.png&first=28.png").json()
        assert (found["pending"], {each["kind"] for each in found["plots"]}) == (30, {None})
        some = wait_until(lambda: compared_names(ask(site, "from=a&to=b&first=29.png&first=28.png").json()), 60)
        assert some & {"28.png", "29.png"}
        assert compared(site, "from=a&to=b")["counts"]["changed"] == 30


def compared_names(found: Any) -> set[str]:
    return {each["filename"] for each in found["plots"] if each["kind"] is not None}


@pytest.mark.parametrize(
    "query",
    [
        "",
        "from=a",
        "to=b",
        "from=&to=b",
        "from=a/b/c&to=b",
        "from=a/&to=b",
        "from=..&to=b",
        "from=a&to=b&kind=ugly",
        "from=a&to=b&kind=",
        "from=a&to=b&limit=0",
        "from=a&to=b&after=x",
    ],
)
def test_bad_input_gets_one_clear_sentence(diff_site: ServedSite, query: str) -> None:
    answer = ask(diff_site, query)
    assert answer.status_code == 400, answer.text
    assert " must be " in answer.json()["error"]


def test_both_sides_must_be_sessions_that_the_caller_may_see(diff_site: ServedSite) -> None:
    create = ["token", "create", "--name", "own", "--session", "a"]
    token = run_plotindex(create, diff_site.environment, diff_site.folder).stdout.strip()
    assert ask(diff_site, "from=a&to=a/project_1", token).status_code == 200
    for query in ("from=a&to={}", "from={}&to=a", "from={}/project_1&to=a", "from={}@2h&to=a", "from={0}&to={0}"):
        foreign, missing = (ask(diff_site, query.format(name), token) for name in ("secret", "nowhere"))
        assert (foreign.status_code, foreign.json()) == (404, {"error": "Session not found"})
        assert foreign.content == missing.content
    assert requests.get(f"{diff_site.site.url}/api/smartstat/diff?from=a&to=b", timeout=20).status_code == 401


def test_a_caller_who_compares_without_end_keeps_no_other_waiting(tmp_path: Path) -> None:
    projects = [f"project_{number}" for number in range(PROJECTS)]
    for number, project in enumerate(projects):
        for name in range(FLOOD):
            draw(tmp_path / "plots", f"flood/{project}/{name}.png", encoded(plot(20 + number, 30 + 2 * name)))
    for name in range(OWN):
        for number in range(2):
            draw(tmp_path / "plots", f"own/project_{number}/{name}.png", encoded(plot(100 + number, 30 + 2 * name)))
    flooding_began, ended = Event(), Event()
    with served(tmp_path, PLOTINDEX_WORKERS="1") as site, ThreadPoolExecutor(1) as pool:
        create = ["token", "create", "--name", "flood", "--session", "flood"]
        token = run_plotindex(create, site.environment, tmp_path).stdout.strip()

        def flood() -> None:
            for number, (one, other) in enumerate(cycle(permutations(projects, 2))):
                if ended.is_set():
                    return
                assert ask(site, f"from=flood/{one}&to=flood/{other}&limit=1", token).status_code == 200
                if number == PROJECTS:
                    flooding_began.set()

        flooding = pool.submit(flood)
        try:
            assert flooding_began.wait(20)
            compared(site, "from=own/project_0&to=own/project_1", 25)
        finally:
            ended.set()
        flooding.result()


def test_unknown_sides_are_named(diff_site: ServedSite) -> None:
    assert ask(diff_site, "from=a&to=nowhere").json() == {"error": "Session not found"}
    answer = ask(diff_site, "from=a/project_none&to=b")
    assert (answer.status_code, answer.json()) == (404, {"error": "There are no plots of a/project_none"})
    answer = ask(diff_site, "from=a@2h&to=a")
    assert answer.status_code == 404


def test_without_a_catalogue_it_is_unavailable(tmp_path: Path) -> None:
    for session in "ab":
        draw(tmp_path / "plots", f"{session}/project_1/x.png", ONE)
    with served(tmp_path) as site:
        for file in tmp_path.glob("state/*/catalog.db*"):
            file.unlink()
        wait_until(lambda: ask(site, "from=a&to=b").status_code == 503)
        assert "Retry-After" in ask(site, "from=a&to=b").headers
