"""What the gallery's pages and their scripts are told of the history, by callers of all kinds."""

import re
import shutil
from collections.abc import Iterator
from dataclasses import replace
from html import unescape
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient

from plotindex.auth.tokens import Tokens
from plotindex.config.settings import Settings
from plotindex.history.access import RemovedPage
from plotindex.history.keeper import Limits
from plotindex.history.store import HistoryStore
from plotindex.storage.catalog import Catalog
from plotindex.web.app import create_app
from plotindex.web.extension import PlotIndex
from tests.support.history import HistorySite

UNAVAILABLE = "The history is unavailable: earlier versions cannot be shown."


@pytest.fixture
def site(settings: Settings, catalog: Catalog) -> Iterator[HistorySite]:
    store = HistoryStore.from_settings(settings)
    assert store is not None
    yield HistorySite(settings.root, catalog, store.database, settings.history_folder, Limits.from_settings(settings))
    store.database.close()


def client_of(settings: Settings, name: str = "all", session: str | None = None) -> FlaskClient:
    """A client with a token for all sessions, or for one."""
    secret = Tokens.from_settings(settings).create(name, session=session)
    client = create_app(settings).test_client()
    client.environ_base["HTTP_AUTHORIZATION"] = f"Bearer {secret}"
    return client


def page(client: FlaskClient, path: str, status: int = 200) -> str:
    """A page, without the time of its answer."""
    answer = client.get(path)
    assert answer.status_code == status, answer.text
    return re.sub(r'data-time="[^"]+"', "", unescape(answer.text))


def answer(client: FlaskClient, path: str) -> Any:
    return client.get(path).json


def removed(client: FlaskClient, session: str) -> dict[str, list[dict[str, Any]]]:
    """The copies of each removed plot."""
    pages = [answer(client, f"/session/{session}/history?removed=1")]
    while pages[-1]["next"] is not None:
        pages.append(answer(client, f"/session/{session}/history?removed=1&after={pages[-1]['next']}"))
    return {plot["filename"]: plot["copies"] for each in pages for plot in each["plots"]}


def test_redraws_are_counted_for_each_copy_and_outlive_thinning(site: HistorySite, settings: Settings) -> None:
    site.draw("s/project_b/x.png", "of b")
    for number in range(60):
        site.draw("s/project_a/x.png", f"{number}")
        site.keep()
    client = client_of(settings)
    assert answer(client, "/session/s/history") == {"redrawn": {"project_a": {"x.png": 59}}, "removed": False}
    assert len(site.versions("s", "x.png")) < 60


def test_versions_overwritten_too_quickly_are_told_for_the_copy_shown(site: HistorySite, settings: Settings) -> None:
    for content in ("one", "two", "three"):
        site.draw("s/project_a/x.png", content)
        site.keep(seconds=0)
    site.draw("s/project_b/x.png", "other")
    site.keep()
    client = client_of(settings)
    assert "2 versions were overwritten too quickly to keep." in page(client, "/plot/s/x.png?project=project_a")
    assert "overwritten too quickly" not in page(client, "/plot/s/x.png?project=project_b")
    assert answer(client, "/session/s/history")["redrawn"] == {"project_a": {"x.png": 2}}


def test_a_removed_plot_is_listed_with_its_last_version_and_has_a_page(site: HistorySite, settings: Settings) -> None:
    for content in ("one", "two"):
        plot = site.draw("s/project_a/sub/x.png", content)
        site.draw("s/project_b/sub/x.png", "of b")
        site.draw("s/project_a/there.png", "there")
        site.keep()
    client = client_of(settings)
    plot.unlink()
    site.keep()
    assert removed(client, "s") == {}
    (settings.root / "s/project_b/sub/x.png").unlink()
    site.keep()
    assert answer(client, "/session/s/history")["removed"] is True
    [(filename, copies)] = removed(client, "s").items()
    assert filename == "sub/x.png"
    assert [client.get(copy["url"]).data for copy in copies] == [b"of b", b"two"]
    shown = page(client, "/plot/s/sub/x.png?project=project_a")
    assert "This plot was removed. Its last kept version is shown." in shown
    assert f"{copies[1]['url']}&download=1" in shown
    page(client, "/plot/s/sub/y.png", status=404)


def test_removed_plots_come_in_pages_that_keep_the_copies_of_a_plot_together(site: HistorySite) -> None:
    for name in ("a.png", "b.png", "c.png"):
        for project in ("project_a", "project_b"):
            site.draw(f"s/{project}/{name}", name)
    site.keep()
    for project in ("project_a", "project_b"):
        shutil.rmtree(site.root / "s" / project)
    site.keep()
    pages: list[RemovedPage] = []
    after = ""
    while not pages or pages[-1].next is not None:
        pages.append(site.history.removed("s", 3, after, is_limited=False))
        after = pages[-1].next or ""
    names = [[copy.plot.filename for copy in each.copies] for each in pages]
    assert names == [["a.png"] * 2, ["b.png"] * 2, ["c.png"] * 2]


def test_versions_are_compared_two_or_all(site: HistorySite, settings: Settings) -> None:
    for content in ("one", "two", "three"):
        site.draw("s/project_a/x.png", content)
        site.keep()
    client = client_of(settings)
    listed = answer(client, "/api/smartstat/history/s/x.png")["versions"]
    all_ = page(client, "/compare?session=s&name=x.png&project=project_a&versions=all")
    assert "3 versions of <bdi>x.png</bdi>" in all_
    assert all(f"version={each['version']}" in all_ for each in listed)
    newest, oldest = listed[0]["version"], listed[2]["version"]
    two = page(client, f"/compare?session=s&name=x.png&project=project_a&version={newest}&version={oldest}")
    assert [text in two for text in ("Version 1<", "Version 2<", "Version 3<")] == [True, False, True]
    page(client, "/compare?session=s&name=x.png&version=0000000000000000", status=404)


def test_a_limited_token_sees_nothing_of_a_predecessor(site: HistorySite, settings: Settings) -> None:
    for content in ("one", "two"):
        site.draw("s/project_a/x.png", content)
        site.keep()
    shutil.rmtree(settings.root / "s")
    site.keep()
    mine, all_, other = (client_of(settings, name or "all", name) for name in ("s", None, "t"))
    assert set(removed(all_, "s")) == {"x.png"}
    assert "This plot was removed" in page(all_, "/plot/s/x.png")
    page(all_, "/session/s?show=removed")
    for path in ("/session/s", "/plot/s/x.png", "/compare?session=s&name=x.png&versions=all"):
        assert page(mine, path, status=404) == page(mine, path.replace("x.png", "never.png"), status=404)
        page(other, path, status=404)
    assert other.get("/session/s/history").status_code == 404
    site.draw("s/project_a/y.png", "new")
    site.keep()
    assert removed(mine, "s") == {}
    assert answer(mine, "/session/s/history") == {"redrawn": {}, "removed": False}
    assert set(removed(all_, "s")) == {"x.png"}


def test_pages_lack_the_history_where_it_is_off_or_unavailable(site: HistorySite, settings: Settings) -> None:
    for content in ("one", "two"):
        site.draw("s/project_a/x.png", content)
        site.keep()
    without = client_of(replace(settings, history_mb=0), "without")
    plot = page(without, "/plot/s/x.png")
    assert ('id="past"' in plot, UNAVAILABLE in plot) == (False, False)
    assert 'data-history=""' in page(without, "/session/s")
    site.store.database.close()
    assert isinstance(settings.history_location, type(settings.root))
    settings.history_location.write_bytes(b"no database" * 1000)
    client = client_of(settings)
    assert UNAVAILABLE in page(client, "/plot/s/x.png")
    assert "x.png" in page(client, "/session/s")
    page(client, "/plot/s/never.png", status=404)
    assert client.get("/session/s/history").status_code == 503
    assert "The history is not available." in page(client, "/compare?session=s&name=x.png&versions=all", status=503)


def test_a_host_shows_its_users_what_their_sessions_hold_now(site: HistorySite, settings: Settings) -> None:
    for content in ("one", "two"):
        site.draw("s/project_a/x.png", content)
        site.draw("t/project_a/x.png", content)
        site.keep()
    app = Flask("host")
    app.secret_key = "a secret of the host"
    state = settings.state_dir
    PlotIndex(app, root=settings.root, state_dir=state, may_see=lambda session: session == "s", gallery=True)
    client = app.test_client()
    place = f"{settings.url_prefix}/gallery"
    assert answer(client, f"{place}/session/s/history")["redrawn"] == {"project_a": {"x.png": 1}}
    assert client.get(f"{place}/session/t/history").status_code == 404
    assert 'id="past"' in page(client, f"{place}/plot/s/x.png")
