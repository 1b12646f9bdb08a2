"""The facts route: what a plot is and shows, as the caller may see it."""

from collections.abc import Iterator
from pathlib import Path

import pytest
import requests

from plotindex.tree.plots import Plot
from tests.support.images import encoded, halves
from tests.support.processes import draw, run_plotindex
from tests.support.site import ServedSite, served

SVG = (
    b"<svg xmlns='http://www.w3.org/2000/svg' width='90' height='60'><title>Residuals</title><text>Counts</text></svg>"
)
PNG = encoded(halves())


@pytest.fixture(scope="module")
def facts_site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServedSite]:
    folder = tmp_path_factory.mktemp("facts")
    for path in ("s/project_a/x.png", "s/project_b/x.png", "other/project_a/y.png"):
        draw(folder / "plots", path, PNG)
    draw(folder / "plots", "s/project_a/sub/v.svg", SVG)
    with served(folder) as site:
        done = run_plotindex(["inspect", "--all"], site.environment, folder)
        assert (done.returncode, done.stdout) == (0, "Inspected 4 plots; 0 are left.\n"), done.stderr
        draw(folder / "plots", "s/project_a/new.png", PNG + b"new")
        yield site


def get(served: ServedSite, path: str, token: str | None = None) -> requests.Response:
    site = served.site
    headers = {"Authorization": f"Bearer {token or site.token}"}
    return requests.get(f"{site.url}/api/smartstat/facts/{path}", headers=headers, timeout=20)


def test_facts_are_those_of_the_copy_that_the_address_answers_with(facts_site: ServedSite) -> None:
    found = get(facts_site, "s/sub/v.svg").json()
    assert len(found.pop("version")) == len(Plot("", "", "", 0, 0, 0, 0).version)
    assert len(found.pop("digest")) == 32
    assert found == {
        "session": "s",
        "filename": "sub/v.svg",
        "project": "project_a",
        "inspected": True,
        "format": "svg",
        "width": 90,
        "height": 60,
        "frames": 1,
        "dpi": None,
        "title": "Residuals",
        "text": ["Counts"],
        "metadata": {},
        "flags": [],
        "same": [],
    }
    copy = get(facts_site, "s/x.png?project=project_a").json()
    assert copy["project"] == "project_a"
    assert copy["flags"] == ["duplicate"]
    assert copy["same"] == [
        {"session": "other", "filename": "y.png", "project": "project_a"},
        {"session": "s", "filename": "x.png", "project": "project_b"},
    ]


def test_a_plot_that_is_not_inspected_yet_says_so(facts_site: ServedSite) -> None:
    found = get(facts_site, "s/new.png").json()
    assert found["inspected"] is False
    assert {found[name] for name in ("digest", "format", "width", "height", "frames", "title")} == {None}


def test_a_list_is_narrowed_by_what_the_current_copies_show(facts_site: ServedSite) -> None:
    def filenames(query: str) -> list[str]:
        answer = facts_site.site.get(f"/s?{query}")
        assert answer.status_code == 200, answer.text
        return [plot["filename"] for plot in answer.json()["plots"]]

    assert filenames("text=RESID") == ["sub/v.svg"]
    assert filenames("text=residuals counts") == ["sub/v.svg"]
    assert filenames("text=residuals nothing") == []
    assert filenames("flag=duplicate") == ["x.png"]
    assert filenames("flag=duplicate&text=residuals") == []
    assert filenames("q=x&flag=duplicate") == ["x.png"]
    assert filenames("project=project_a&flag=duplicate&q=x") == ["x.png"]
    assert filenames("project=project_none&flag=duplicate") == []
    for wrong in ("flag=ugly", f"text={'x' * 501}"):
        assert facts_site.site.get(f"/s?{wrong}").status_code == 400


def test_another_session_is_not_there_and_its_plots_are_not_named(facts_site: ServedSite) -> None:
    create = ["token", "create", "--name", "own", "--session", "other"]
    token = run_plotindex(create, facts_site.environment, facts_site.folder).stdout.strip()
    own = get(facts_site, "other/y.png", token).json()
    assert (own["same"], own["flags"]) == ([], [])
    missing, foreign = get(facts_site, "none/x.png", token), get(facts_site, "s/x.png", token)
    assert (missing.status_code, missing.content) == (foreign.status_code, foreign.content)
    assert foreign.status_code == 404
    assert requests.get(f"{facts_site.site.url}/api/smartstat/facts/s/x.png", timeout=20).status_code == 401
    assert get(facts_site, "s/none.png").status_code == 404


def test_page_of_a_session_is_told_flags_and_where_a_text_is_as_the_caller_may_see(facts_site: ServedSite) -> None:
    site = facts_site.site
    create = ["token", "create", "--name", "page", "--session", "other"]
    own = run_plotindex(create, facts_site.environment, facts_site.folder).stdout.strip()

    def told(session: str, query: str = "", token: str = site.token) -> requests.Response:
        headers = {"Authorization": f"Bearer {token}"}
        return requests.get(f"{site.url}/session/{session}/facts{query}", headers=headers, timeout=20)

    flagged = told("s").json()["flagged"]
    assert [(copy["filename"], copy["project"], copy["flags"]) for copy in flagged] == [
        ("x.png", "project_a", ["duplicate"]),
        ("x.png", "project_b", ["duplicate"]),
    ]
    [found] = told("s", "?text=RESID counts").json()["found"]
    assert (found["filename"], found["where"]) == ("sub/v.svg", "title: Residuals; text: Counts")
    assert told("s", "?text=nothing").json() == {"found": []}
    assert len(told("other").json()["flagged"]) == 1
    assert told("other", token=own).json() == {"flagged": []}
    assert told("s", token=own).status_code == told("s", "?text=resid", token=own).status_code == 404


def test_without_a_catalogue_facts_are_unavailable(facts_site: ServedSite) -> None:
    [database] = Path(facts_site.folder, "state").glob("*/catalog.db")
    away = database.with_name("away")
    away.mkdir()
    files = list(database.parent.glob("catalog.db*"))
    for file in files:
        file.rename(away / file.name)
    try:
        facts_site.service.wait_for(lambda: get(facts_site, "s/x.png").status_code == 503)
        assert get(facts_site, "s/x.png").headers["Retry-After"] == "5"
    finally:
        for file in files:
            (away / file.name).rename(file)
