"""The route /diff in a host's application, without heal, and at a moment of the history."""

import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from threading import Event
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient

from plotindex.comparison.sides import read_side
from plotindex.config.settings import Settings
from plotindex.history.keeper import Limits
from plotindex.history.store import HistoryStore
from plotindex.storage.catalog import Catalog
from plotindex.web.extension import PlotIndex
from tests.rendering.test_comparison import plot
from tests.support.history import HistorySite
from tests.support.images import encoded
from tests.support.processes import Index, draw, wait_until
from tests.web.test_history_routes import client_of

ONE, GROWN = (encoded(plot(50, height)) for height in (80, 84))


@pytest.fixture
def pair(settings: Settings, index: Index) -> None:
    """Two sessions whose plots differ, and one that a caller may not see."""
    for session, content in (("a", ONE), ("b", GROWN), ("secret", ONE)):
        draw(settings.root, f"{session}/project_1/x.png", content)
    index()


@pytest.fixture
def site(settings: Settings, catalog: Catalog) -> Iterator[HistorySite]:
    store = HistoryStore.from_settings(settings)
    assert store is not None
    yield HistorySite(settings.root, catalog, store.database, settings.history_folder, Limits.from_settings(settings))
    store.database.close()


def compared(client: FlaskClient, sides: str) -> Any:
    """The answer once nothing is pending."""

    def done() -> Any:
        answer = client.get(f"/api/smartstat/diff?{sides}")
        assert answer.status_code == 200, answer.text
        found: Any = answer.json
        return None if found["pending"] else found

    return wait_until(done, 60)


@pytest.mark.usefixtures("pair")
def test_a_host_compares_what_may_see_allows(settings: Settings) -> None:
    app = Flask("host")
    state = str(settings.state_dir)
    PlotIndex(app, root=settings.root, state_dir=state, may_see=lambda session: session != "secret")
    client = app.test_client()
    [difference] = compared(client, "from=a&to=b")["plots"]
    assert (difference["kind"], difference["words"]) == ("changed", ["differs in 1 place"])
    for side in ("from", "to"):
        assert client.get(difference[side]["url"]).data == (ONE if side == "from" else GROWN)
    for sides in ("from=a&to={}", "from={}&to=a", "from={0}&to={0}"):
        foreign, missing = (client.get(f"/api/smartstat/diff?{sides.format(name)}") for name in ("secret", "nowhere"))
        assert (foreign.status_code, foreign.data) == (404, missing.data)


@pytest.mark.usefixtures("pair")
def test_without_heal_plots_are_compared_and_nothing_is_stored(settings: Settings) -> None:
    client = client_of(replace(settings, heal=False))
    assert [each["kind"] for each in compared(client, "from=a&to=b")["plots"]] == ["changed"]
    assert not list(settings.state_folder.glob("thumbnails/**/*"))


def test_a_moment_of_the_history_is_a_side(site: HistorySite, settings: Settings) -> None:
    site.draw("a/project_1/x.png", ONE)
    site.draw("a/project_1/gone.png", ONE)
    site.keep()
    moment = time.time_ns() + site.later_ns
    wait_until(lambda: time.time_ns() > moment)
    site.draw("a/project_1/x.png", GROWN)
    (site.root / "a/project_1/gone.png").unlink()
    site.keep()
    client = client_of(settings)
    then = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(moment // 10**9)) + f".{moment % 10**9:09}Z"
    found = compared(client, f"from=a@{then}&to=a")
    assert {each["filename"]: each["kind"] for each in found["plots"]} == {"x.png": "changed", "gone.png": "gone"}
    for each in found["plots"]:
        assert client.get(each["from"]["url"]).data == ONE
    # A limited caller sees what was kept since the session's folder was first seen.
    limited = compared(client_of(settings, session="a"), f"from=a@{then}&to=a")
    assert [each["kind"] for each in limited["plots"]] == [each["kind"] for each in found["plots"]]
    assert client.get("/api/smartstat/diff?from=a@2000-01-01T00:00:00Z&to=a").status_code == 404


@pytest.mark.usefixtures("pair")
def test_one_caller_reads_the_sides_of_one_comparison_at_a_time(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    app = Flask("host")
    PlotIndex(app, root=settings.root, state_dir=str(settings.state_dir), may_see=lambda _: True)
    reading, go_on = Event(), Event()

    def read_slowly(*args: Any, **options: Any) -> Any:
        reading.set()
        assert go_on.wait(20)
        return read_side(*args, **options)

    def ask(address: str) -> int:
        answer = app.test_client().get("/api/smartstat/diff?from=a&to=b", environ_base={"REMOTE_ADDR": address})
        return answer.status_code

    with monkeypatch.context() as patched, ThreadPoolExecutor(2) as pool:
        patched.setattr("plotindex.web.views.diff.TURN_SECONDS", 0.0)
        patched.setattr("plotindex.web.views.diff.read_side", read_slowly)
        first = pool.submit(ask, "192.0.2.1")
        assert reading.wait(20)
        assert ask("192.0.2.1") == 503
        reading.clear()
        other = pool.submit(ask, "192.0.2.2")
        assert reading.wait(20)
        patched.setattr("plotindex.web.views.diff.TURN_SECONDS", 20.0)
        go_on.set()
        assert ask("192.0.2.1") == 200
        assert (first.result(), other.result()) == (200, 200)
