"""An agent for one session sees nothing of the others, whether by --session or by its token."""

from typing import ClassVar

import pytest

from plotindex.cli.mcp.source import MissingError, Reader, Reply
from plotindex.config.settings import Settings
from tests.support.agents import Agent, local_agent


def test_lists_and_searches_have_one_session_alone(narrowed: Agent) -> None:
    assert [row["session"] for row in narrowed.told("sessions")["sessions"]] == ["other"]
    assert narrowed.told("sessions")["count"] == 1
    assert [plot["filename"] for plot in narrowed.told("search", q="png")["plots"]] == ["y.png"]
    assert narrowed.told("search", q="resid")["plots"] == []


def test_copies_in_other_sessions_are_not_told_of(narrowed: Agent) -> None:
    told = narrowed.told("plot", session="other", filename="y.png")
    assert "same" not in told
    assert "flags" not in told
    [plot] = narrowed.told("plots", session="other")["plots"]
    assert "flags" not in plot


@pytest.mark.parametrize(
    ("tool", "arguments"),
    [
        ("plots", {}),
        ("search", {"q": "bars"}),
        ("plot", {"filename": "bars.png"}),
        ("wait", {"filename": "bars.png", "timeout": 0}),
        ("compare", {"filename": "bars.png"}),
        ("history", {}),
        ("history", {"filename": "bars.png"}),
    ],
)
def test_another_session_is_as_one_that_does_not_exist(
    narrowed: Agent, tool: str, arguments: dict[str, object]
) -> None:
    foreign = narrowed.error(tool, session="s", **arguments)
    assert foreign.replace("session s", "session none") == narrowed.error(tool, session="none", **arguments)


def test_no_other_session_is_compared_or_read(narrowed: Agent) -> None:
    compared = narrowed.error("compare", session="other", filename="y.png", from_session="s", from_filename="bars.png")
    assert "There is no such plot" in compared
    for uri in ("plot://s/bars.png", "plot://other/../s/bars.png", "plot://other/%2e%2e/s/bars.png"):
        assert "There is no such plot" in str(narrowed.read(uri)) or "nknown" in str(narrowed.read(uri))
    for filename in ("../s/bars.png", "..\\\\s\\\\bars.png", "/../s/bars.png"):
        assert "There is no such plot" in narrowed.error("plot", session="other", filename=filename)
    assert not isinstance(narrowed.read("plot://other/y.png"), str)


def test_with_session_it_need_not_be_named(agent_settings: Settings) -> None:
    with local_agent(agent_settings, "other") as own:
        assert own.told("plot", filename="y.png")["session"] == "other"
        assert [plot["filename"] for plot in own.told("plots")["plots"]] == ["y.png"]


def test_names_with_dots_are_never_sent() -> None:
    """A proxy would resolve them, to another session."""

    class Recording:
        advice = ""
        asked: ClassVar[list[str]] = []

        def ask(self, method: str, target: str) -> Reply:
            self.asked.append(target)
            return Reply(200, {}, b'{"versions": [], "next": null}')

    reader = Reader(Recording(), "other")
    for filename in ("../s/x.png", "a/./x.png", "a//x.png", "/x.png", ".."):
        with pytest.raises(MissingError):
            reader.json("history", "other", filename)
    assert Recording.asked == []
    assert reader.json("history", "other", "a..b.png") == {"versions": [], "next": None}
    assert Recording.asked == ["/history/other/a..b.png"]
