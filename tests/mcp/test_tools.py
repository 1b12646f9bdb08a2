"""Each tool, by the client of the SDK: on this machine, and with --url."""

import shutil
import time

import pytest

from plotindex.cli.mcp import local, remote
from plotindex.cli.mcp.untrusted_text import NOTE
from tests.mcp.conftest import MANY
from tests.support.agents import Agent
from tests.support.processes import draw, run_plotindex
from tests.support.site import ServedSite


def test_sessions_are_listed_the_latest_first(agent: Agent) -> None:
    told = agent.told("sessions")
    assert [(row["session"], row["plots"]) for row in told["sessions"]] == [("s", 9), ("other", 1), ("many", MANY)]
    assert (told["count"], told["more"], told["next"]) == (3, 0, None)
    assert [row["session"] for row in agent.told("sessions", q="OTH")["sessions"]] == ["other"]
    assert [row["session"] for row in agent.told("sessions", skip=2)["sessions"]] == ["many"]


def test_plots_are_listed_the_latest_first_with_their_facts_and_flags(agent: Agent) -> None:
    told = agent.told("plots", session="s")
    names = ["bars.png", "sub/v.svg", "page.pdf", "wide.png", "tall.png", "small.png", "blank.png", "broken.png"]
    assert [plot["filename"] for plot in told["plots"]] == names
    bars, svg, *_, blank, broken = told["plots"]
    assert (bars["project"], bars["copies"], bars["width"], bars["height"]) == ("project_b", 2, 400, 240)
    assert (svg["title"], svg["format"]) == ("Residuals", "svg")
    assert (blank["flags"], broken["flags"]) == (["blank"], ["broken"])
    flagged = agent.told("plots", session="s", flag="blank")["plots"]
    assert [plot["filename"] for plot in flagged] == ["blank.png"]
    copies = agent.told("plots", session="s", project="project_a", q="bars")["plots"]
    assert [(plot["project"], plot["flags"]) for plot in copies] == [("project_a", ["duplicate"])]


def test_a_list_ends_after_fifty_and_says_how_many_more_there_are(agent: Agent) -> None:
    first = agent.told("plots", session="many")
    assert (len(first["plots"]), first["count"], first["more"], first["next"]) == (50, MANY, MANY - 50, 50)
    second = agent.told("plots", session="many", skip=first["next"])
    assert (len(second["plots"]), second["more"], second["next"]) == (MANY - 50, 0, None)
    names = [plot["filename"] for page in (first, second) for plot in page["plots"]]
    assert names == [f"p{number:02}.png" for number in reversed(range(MANY))]


def test_plots_are_found_by_their_names_and_by_what_they_show(agent: Agent) -> None:
    def found(**arguments: str) -> list[str]:
        return [f"{plot['session']}/{plot['filename']}" for plot in agent.told("search", **arguments)["plots"]]

    assert found(q="resid counts") == ["s/sub/v.svg"]
    assert found(q="p0", session="many") == [f"many/p{number:02}.png" for number in reversed(range(10))]
    assert found(q="y.png") == ["other/y.png"]
    assert found(q="resid", session="other") == []
    assert "Give `q`" in agent.error("search", q=" ")


def test_a_plot_is_shown_with_what_is_known_of_it(agent: Agent) -> None:
    answer = agent.call("plot", session="s", filename="sub/v.svg")
    told = answer.told
    assert told["note"] == NOTE
    assert (told["title"], told["text"], told["width"], told["height"]) == ("Residuals", "Counts", 90, 60)
    assert (told["project"], told["current"], told["inspected"]) == ("project_a", True, True)
    assert answer.picture.size == (768, 512)
    assert answer.picture.mode == "P"
    assert answer.picture.convert("RGB").getpixel((100, 300)) == (255, 0, 0)
    [link] = answer.links
    assert link.uri == f"plot://s/sub/v.svg?project=project_a&version={told['version']}"
    resource = agent.read(link.uri)
    assert not isinstance(resource, str)
    assert resource.size == (768, 512)


@pytest.mark.parametrize(
    ("filename", "width", "size"),
    [
        ("wide.png", 768, (768, 384)),
        ("wide.png", 1024, (1024, 512)),
        ("wide.png", 1568, (1568, 784)),
        ("tall.png", 768, (77, 768)),
        ("small.png", 1568, (30, 20)),
        ("page.pdf", 1568, (1568, 1046)),
    ],
)
def test_a_picture_has_the_size_that_was_asked_for_and_is_not_enlarged(
    agent: Agent, filename: str, width: int, size: tuple[int, int]
) -> None:
    assert agent.call("plot", session="s", filename=filename, width=width).picture.size == size


def test_no_other_width_is_drawn(agent: Agent) -> None:
    assert "width" in agent.error("plot", session="s", filename="wide.png", width=4000)


def test_a_copy_and_a_version_can_be_named(agent: Agent) -> None:
    current = agent.told("plot", session="s", filename="bars.png")
    [other] = current["other_versions"]
    assert (current["project"], other["project"]) == ("project_b", "project_a")
    for named in ({"project": "project_a"}, {"version": other["version"]}):
        told = agent.told("plot", session="s", filename="bars.png", **named)
        assert (told["project"], told["version"]) == ("project_a", other["version"])
    assert "There is no such plot or version" in agent.error("plot", session="s", filename="bars.png", version="0" * 16)


def test_of_a_plot_without_a_picture_the_facts_are_told(agent: Agent) -> None:
    answer = agent.call("plot", session="s", filename="broken.png")
    assert not answer.is_error
    assert not answer.pictures
    assert answer.told["flags"] == ["broken"]
    assert "damaged or of another format" in answer.told["problem"]


def test_waiting_ends_with_the_plot_or_says_what_is_missing(agent: Agent) -> None:
    answer = agent.call("wait", session="s", filename="bars.png")
    assert answer.picture.size == (400, 240)
    version = answer.told["version"]
    assert agent.call("wait", session="s", filename="bars.png", picture=False).pictures == []
    blank = {"session": "s", "filename": "blank.png", "timeout": 0}
    assert "blank.png in session s is blank: draw it again" in agent.error("wait", **blank)
    assert agent.told("wait", **blank, not_blank=False)["flags"] == ["blank"]
    missing = agent.error("wait", session="s", filename="none.png", timeout=0.5)
    assert missing.startswith("Timed out after 0.5 s. There is no none.png in session s yet: check the script")
    again = agent.error("wait", session="s", filename="bars.png", not_version=version, timeout=0)
    assert f"is still version {version}" in again


def test_without_an_indexer_waiting_for_its_facts_ends_at_once(agent: Agent, agent_site: ServedSite) -> None:
    name = f"{time.monotonic_ns()}.png"
    draw(agent_site.site.root, f"new/project_a/{name}")
    assert run_plotindex(["rebuild"], agent_site.environment, agent_site.folder).returncode == 0
    try:
        message = agent.error("wait", session="new", filename=name, timeout=300)
        assert "no indexer runs that would inspect it: ask the user to start `plotindex watch`" in message
        early = agent.error("wait", session="new", filename=name, timeout=0, not_blank=False)
        assert "was drawn, but still changes: wait longer" in early
        settled = agent.told("wait", session="new", filename=name, not_blank=False)
        assert settled["inspected"] is False
    finally:
        shutil.rmtree(agent_site.site.root / "new")
        assert run_plotindex(["rebuild"], agent_site.environment, agent_site.folder).returncode == 0


def test_two_copies_are_compared_in_one_picture(agent: Agent) -> None:
    answer = agent.call("compare", session="s", filename="bars.png")
    told = answer.told
    assert (told["left"]["project"], told["kind"], told["words"]) == ("project_a", "changed", ["differs in 1 place"])
    assert answer.picture.size == (808, 240)
    [left, top, width, height] = told["regions"][0]
    assert 0 < left < left + width < 1
    assert 0 < top < top + height < 1
    assert told["different_percent"] > 1


def test_two_plots_are_compared_and_the_same_is_called_the_same(agent: Agent) -> None:
    told = agent.told("compare", session="s", filename="bars.png", project="project_a", from_session="other",
                      from_filename="y.png")  # fmt: skip
    assert (told["kind"], told["different_percent"], told["words"]) == ("same", 0, [])
    answer = agent.call("compare", session="s", filename="wide.png", from_filename="sub/v.svg", width=768)
    assert answer.told["kind"] == "changed"
    assert answer.picture.size[0] == 768
    broken = agent.call("compare", session="s", filename="wide.png", from_filename="broken.png").told
    assert broken["words"] == ["cannot be compared: the file is damaged or of another format"]
    assert "damaged" in broken["problem"]
    assert "No earlier version" in agent.error("compare", session="s", filename="wide.png")


def test_a_file_that_is_too_large_has_facts_but_is_not_read(agent: Agent, monkeypatch: pytest.MonkeyPatch) -> None:
    for module in (local, remote):
        monkeypatch.setattr(module, "MAX_BODY_BYTES", 800)
    told = agent.told("plot", session="s", filename="sub/v.svg")
    assert "more than 64 MB: look at such a plot with `plot`" in told["problem"]
    assert told["title"] == "Residuals"
    assert "more than 64 MB" in agent.error("compare", session="s", filename="bars.png")


def test_history_lists_versions_and_plots(agent: Agent) -> None:
    told = agent.told("history", session="s", filename="bars.png")
    assert [(each["project"], each["current"]) for each in told["versions"]] == [
        ("project_b", True),
        ("project_a", True),
    ]
    assert agent.told("history", session="s")["keys"] == []


def test_an_error_says_what_to_do_next(agent: Agent) -> None:
    assert agent.error("plot", session="s", filename="none.png") == (
        "There is no such plot or version of none.png in session s: `plots` lists the filenames, `history` the "
        "versions, and `wait` waits for a plot that is being drawn."
    )
    assert agent.error("plots", session="none") == "There is no session none: `sessions` lists them."
    assert agent.error("plots") == "Give `session`: `sessions` lists them."
    assert agent.error("plot", session="s", filename="") == "Give `filename`: `plots` lists those of a session."
    assert "flag" in agent.error("plots", session="s", flag="ugly")
    assert "There is no such plot" in str(agent.read("plot://s/none.png"))
