"""The history by HTTP and in Python: the same rules of who may see what as for plots."""

import re
import shutil
import time
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient

from plotindex.auth.tokens import Tokens
from plotindex.config.settings import Settings
from plotindex.history.access import History
from plotindex.history.keeper import Limits
from plotindex.history.store import HistoryStore
from plotindex.storage.catalog import Catalog
from plotindex.web.app import create_app
from plotindex.web.extension import PlotIndex
from tests.support.history import HistorySite
from tests.support.images import encoded, halves
from tests.support.processes import RunPlotindex, draw

PREFIX = "/api/smartstat"


@pytest.fixture
def site(settings: Settings, catalog: Catalog) -> Iterator[HistorySite]:
    store = HistoryStore.from_settings(settings)
    assert store is not None
    made = HistorySite(settings.root, catalog, store.database, settings.history_folder, Limits.from_settings(settings))
    yield made
    made.check()
    store.database.close()


def client_of(settings: Settings, **options: str) -> FlaskClient:
    """A client with a token."""
    secret = Tokens.from_settings(settings).create(str(time.time_ns()), **options)  # type: ignore[arg-type]
    client = create_app(settings).test_client()
    client.environ_base["HTTP_AUTHORIZATION"] = f"Bearer {secret}"
    return client


def history(client: FlaskClient, path: str, **query: str) -> Any:
    answer = client.get(f"{PREFIX}/history/{path}", query_string=query)
    assert answer.status_code == 200, answer.text
    assert answer.headers["Cache-Control"] == "private, no-cache"
    return answer.json


@pytest.mark.parametrize("is_before", [True, False])
def test_a_version_that_is_kept_while_its_list_is_read_is_listed_once(
    site: HistorySite, settings: Settings, monkeypatch: pytest.MonkeyPatch, is_before: bool
) -> None:
    site.draw("s/project_a/x.png", "one")
    site.index()
    read = History.versions

    def read_and_keep(*args: Any, **options: Any) -> Any:
        if is_before:
            site.keep_without_indexing()
        found = read(*args, **options)
        site.keep_without_indexing()
        return found

    monkeypatch.setattr(History, "versions", read_and_keep)
    assert len(history(client_of(settings), "s/x.png")["versions"]) == 1


def draw_three(site: HistorySite) -> None:
    for content in ("one", "two", "three"):
        site.draw("s/project_a/x.png", content)
        site.keep()


def test_versions_are_listed_and_answered_to_the_byte(site: HistorySite, settings: Settings) -> None:
    draw_three(site)
    client = client_of(settings)
    listed = history(client, "s/x.png")
    assert (listed["session"], listed["filename"], listed["next"]) == ("s", "x.png", None)
    versions = listed["versions"]
    assert [each["current"] for each in versions] == [True, False, False]
    assert [client.get(each["url"]).data for each in versions] == [b"three", b"two", b"one"]
    for each, content in zip(versions, (b"three", b"two", b"one"), strict=True):
        answer = client.get(f"{PREFIX}/plots/s/x.png?version={each['version']}")
        assert answer.data == content
        assert answer.headers["ETag"] == f'"{each["version"]}"'
        assert answer.headers["Content-Type"] == "image/png"
        assert answer.headers["Cache-Status"].startswith("plotindex; hit")
    old = client.get(f"{PREFIX}/plots/s/x.png?version={versions[2]['version']}&download=1")
    assert old.headers["Cache-Control"] == "private, max-age=31536000, immutable"
    assert old.headers["Content-Disposition"].startswith("attachment")
    part = client.get(f"{PREFIX}/plots/s/x.png?version={versions[2]['version']}", headers={"Range": "bytes=1-"})
    assert (part.status_code, part.data) == (206, b"ne")
    for wrong in ("0" * 16, "", "x", "\0", versions[2]["digest"]):
        assert client.get(f"{PREFIX}/plots/s/x.png", query_string={"version": wrong}).status_code == 404
    assert client.get(f"{PREFIX}/plots/s/y.png?version={versions[2]['version']}").status_code == 404
    assert client.get(f"{PREFIX}/plots/s/x.png?project=project_b&version={versions[2]['version']}").status_code == 404


def test_pages_of_versions_go_on_where_the_last_ended(site: HistorySite, settings: Settings) -> None:
    draw_three(site)
    site.draw("s/project_b/x.png", "of b")
    site.keep()
    client = client_of(settings)
    seen, after = [], ""
    while True:
        page = history(client, "s/x.png", limit="1", after=after)
        seen += [each["version"] for each in page["versions"]]
        if page["next"] is None:
            break
        after = str(page["next"])
    assert len(seen) == len(set(seen)) == 4
    of_b = history(client, "s/x.png", project="project_b")["versions"]
    assert [each["project"] for each in of_b] == ["project_b"]
    for wrong in ("x", "1-2", "9" * 19 + "-" + "0" * 16):
        assert client.get(f"{PREFIX}/history/s/x.png", query_string={"after": wrong}).status_code == 400
    assert client.get(f"{PREFIX}/history/s/x.png?limit=0").status_code == 400


def test_deleted_plots_are_listed_until_they_come_back(site: HistorySite, settings: Settings) -> None:
    plot = site.draw("s/project_a/x.png", "one")
    site.draw("s/project_a/y.png", "two")
    site.keep()
    plot.unlink()
    site.keep()
    client = client_of(settings)
    keys = history(client, "s")["keys"]
    assert [(key["filename"], key["versions"], bool(key["gone"])) for key in keys] == [
        ("x.png", 1, True),
        ("y.png", 1, False),
    ]
    gone = history(client, "s", gone="1")["keys"]
    assert [key["filename"] for key in gone] == ["x.png"]
    [only] = history(client, "s/x.png")["versions"]
    assert (only["current"], client.get(only["url"]).data) == (False, b"one")
    assert client.get(f"{PREFIX}/plots/s/x.png").status_code == 404
    first = history(client, "s", limit="1")
    assert history(client, "s", after=str(first["next"]))["keys"] == keys[1:]


def test_a_plot_that_is_not_kept_yet_is_the_current_version(site: HistorySite, settings: Settings) -> None:
    site.draw("s/project_a/x.png", "young")
    site.index()
    client = client_of(settings)
    [young] = history(client, "s/x.png")["versions"]
    assert (young["current"], young["digest"], young["seen"]) == (True, None, None)
    answer = client.get(young["url"])
    assert (answer.data, answer.headers["Cache-Control"]) == (b"young", "private, no-cache")


def test_a_page_of_many_copies_has_no_more_than_its_limit(site: HistorySite, settings: Settings) -> None:
    for number in range(30):
        draw(site.root, f"s/project_{number:02}/x.png", mtime_ns=number)
    site.index()
    client = client_of(settings)
    young = history(client, "s/x.png", limit="2")
    assert [each["project"] for each in young["versions"]] == ["project_29", "project_28"]
    for each in young["versions"]:
        bare = f"{PREFIX}/plots/s/x.png?version={each['version']}"
        assert client.get(bare).status_code == client.get(each["url"]).status_code == 200
    site.keep()
    draw(site.root, "s/project_00/x.png", b"new")
    site.index()
    new, *kept = history(client, "s/x.png", limit="2")["versions"]
    assert (new["project"], new["digest"]) == ("project_00", None)
    assert [bool(each["digest"]) for each in kept] == [True, True]


def test_limited_tokens_see_their_sessions_alone(site: HistorySite, settings: Settings) -> None:
    draw_three(site)
    site.draw("t/project_a/x.png", "other")
    site.keep()
    mine, all_ = client_of(settings, session="t"), client_of(settings)
    [old] = [each for each in history(all_, "s/x.png")["versions"] if not each["current"]][:1]
    assert len(history(mine, "t/x.png")["versions"]) == 1
    missing = mine.get(f"{PREFIX}/history/never")
    for path in ("history/s", "history/s/x.png", "history/s/never.png"):
        refused = mine.get(f"{PREFIX}/{path}")
        assert (refused.status_code, refused.json) == (missing.status_code, missing.json) == (404, missing.json)
    assert mine.get(f"{PREFIX}/plots/s/x.png?version={old['version']}").status_code == 404
    assert mine.get(f"{PREFIX}/plots/t/x.png?version={old['version']}").status_code == 404
    nobody = create_app(settings).test_client()
    for path in ("history/s", "history/s/x.png", f"plots/s/x.png?version={old['version']}"):
        assert nobody.get(f"{PREFIX}/{path}").status_code == 401
    # A signed address opens exactly the version that it names.
    assert nobody.get(old["url"]).data == b"two"
    assert nobody.get(old["url"].replace(old["version"], "0" * 16)).status_code == 401


def test_a_reused_session_name_shows_its_predecessor_to_nobody_limited(site: HistorySite, settings: Settings) -> None:
    draw_three(site)
    mine, all_ = client_of(settings, session_glob="s*"), client_of(settings)
    version = history(mine, "s/x.png")["versions"][1]
    shutil.rmtree(site.root / "s")
    draw(site.root, "s/project_a/x.png", b"mine")
    site.index()
    assert len(history(mine, "s/x.png")["versions"]) == 1
    assert mine.get(version["url"]).status_code == 404
    assert history(mine, "s")["keys"] == []
    assert len(history(all_, "s/x.png")["versions"]) == 4


def test_a_kept_version_has_a_picture(site: HistorySite, settings: Settings) -> None:
    site.draw("s/project_a/x.png", encoded(halves()))
    site.keep()
    site.draw("s/project_a/x.png", "broken")
    site.keep()
    client = client_of(settings)
    old = history(client, "s/x.png")["versions"][1]
    picture = client.get(f"{PREFIX}/plots/s/x.png?width=160&version={old['version']}")
    assert (picture.status_code, picture.headers["Content-Type"]) == (200, "image/webp")
    assert picture.headers["Cache-Control"] == "private, max-age=31536000, immutable"
    assert list(settings.thumbnails_folder.iterdir())


def test_damage_is_found_and_the_rest_continues(
    site: HistorySite, settings: Settings, caplog: pytest.LogCaptureFixture
) -> None:
    draw_three(site)
    client = client_of(settings)
    versions = history(client, "s/x.png")["versions"]
    damaged = settings.history_folder / versions[1]["digest"]
    content = damaged.read_bytes()
    damaged.write_bytes(b"TWO")
    answer = client.get(versions[1]["url"])
    assert (answer.status_code, answer.json) == (500, {"error": "The kept version is damaged; see the server log"})
    assert f"version {versions[1]['version']} of s/project_a/x.png is damaged" in caplog.text
    assert client.get(versions[2]["url"]).data == b"one"
    damaged.write_bytes(content)
    assert client.get(versions[1]["url"]).data == b"two"


def test_where_the_folder_is_not_mounted_the_answer_is_503(site: HistorySite, settings: Settings) -> None:
    draw_three(site)
    client = client_of(settings)
    url = history(client, "s/x.png")["versions"][1]["url"]
    aside = settings.history_folder.rename(settings.state_folder / "elsewhere")
    for _ in ("missing", "empty"):
        answer = client.get(url)
        assert (answer.status_code, answer.headers["Retry-After"]) == (503, "5")
        settings.history_folder.mkdir(exist_ok=True)
    settings.history_folder.rmdir()
    aside.rename(settings.history_folder)
    assert client.get(url).data == b"two"


def test_without_a_history_only_the_present_plots_are_versions(site: HistorySite, settings: Settings) -> None:
    draw_three(site)
    off = replace(settings, history_mb=0)
    client = client_of(off)
    [present] = history(client, "s/x.png")["versions"]
    assert (present["current"], client.get(present["url"]).data) == (True, b"three")
    assert history(client, "s")["keys"] == []


def test_a_host_opens_and_lists_versions(site: HistorySite, settings: Settings) -> None:
    draw_three(site)
    app = Flask("host")
    plots = PlotIndex(app, root=settings.root, state_dir=settings.state_dir, may_see=lambda session: session == "s")
    with app.app_context():
        versions = plots.history("s", "x.png")
        assert [each["current"] for each in versions] == [True, False, False]
        opened = plots.open("s", "x.png", version=versions[2]["version"])
        assert opened is not None
        with opened:
            assert opened.read() == b"one"
        assert plots.open("s", "x.png", version="0" * 16) is None
        assert plots.history("s", "never.png") == []
    client = app.test_client()
    assert client.get(versions[2]["url"]).data == b"one"
    assert len(history(client, "s/x.png")["versions"]) == 3
    assert client.get(f"{PREFIX}/history/t/x.png").status_code == 404


def test_plain_requests_with_the_current_version_skip_flask(site: HistorySite, settings: Settings) -> None:
    draw_three(site)
    client = client_of(settings)
    versions = history(client, "s/x.png")["versions"]
    client.get(versions[0]["url"])
    front: Any = client.application.wsgi_app
    environ = {**client.environ_base, "REQUEST_METHOD": "GET", "PATH_INFO": f"{PREFIX}/plots/s/x.png"}
    now = front.answer({**environ, "QUERY_STRING": f"version={versions[0]['version']}"})
    assert now is not None
    assert b"".join(now.body) == b"three"
    assert dict(now.headers)["ETag"] == f'"{versions[0]["version"]}"'
    assert front.answer({**environ, "QUERY_STRING": f"version={versions[1]['version']}"}) is None


def test_the_source_of_a_picture_may_be_an_earlier_version(
    site: HistorySite, settings: Settings, plotindex: RunPlotindex
) -> None:
    """Only in a session that the caller may see, and not in one that had its name before."""
    pictures = [encoded(halves(size=size)) for size in ((40, 30), (50, 30))]
    for content in pictures:
        for session in ("s", "t"):
            site.draw(f"{session}/project_a/x.png", content)
        site.keep()

    def like(content: bytes, **token: str) -> list[tuple[str, str, bool, bytes]]:
        client = client_of(settings, **token)
        answer = client.post(f"{PREFIX}/like", data=content)
        assert answer.status_code == 200, answer.text
        matches = answer.get_json()["matches"]
        return [(each["session"], each["how"], each["current"], client.get(each["url"]).data) for each in matches]

    old, new = pictures
    assert sorted(like(old)) == [("s", "bytes", False, old), ("t", "bytes", False, old)]
    assert like(old, session="s") == [("s", "bytes", False, old)]
    # Kept, but not inspected yet.
    assert like(new, session="s") == [("s", "bytes", True, new)]
    (settings.root / "s").rename(settings.root / "gone")
    site.draw("s/project_a/x.png", new)
    site.keep()
    assert like(old, session="s") == []
    draw(settings.root.parent, "slide.png", old)
    found = plotindex("find", "--like", "slide.png", "--session", "t")
    assert (found.returncode, found.stdout) == (0, "t/project_a/x.png\n")
    assert re.search(r"t/project_a/x\.png was that in version [0-9a-f]{16}: plotindex history get has it", found.stderr)
