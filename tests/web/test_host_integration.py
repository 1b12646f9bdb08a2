"""plotindex beside what an application already has: blueprints, old routes, async functions, its own pages."""

import functools
import logging
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from flask import Blueprint, Flask, jsonify, render_template_string, request
from flask.typing import ResponseReturnValue

from plotindex.config import Settings
from plotindex.errors import SettingsError
from plotindex.index import prepare_catalog
from plotindex.web import PlotIndex
from tests import CHECKOUT
from tests.support.processes import PNG, draw
from tests.support.threads import without_event_loop

PATH = "/api/smartstat/plots/abc/x.png"
RULE = "/api/smartstat/plots/<session_id>/<path:filename>"


@pytest.fixture
def app(root: Path, tmp_path: Path) -> Flask:
    draw(root, "abc/project_a/x.png")
    app = Flask("host")
    app.config.update(PLOTINDEX_ROOT=str(root), PLOTINDEX_STATE_DIR=str(tmp_path / "state"))
    return app


def warnings_of(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [record.getMessage() for record in caplog.records if record.levelno >= logging.WARNING]


@pytest.mark.parametrize("is_registered_first", [True, False])
def test_an_endpoint_of_an_existing_blueprint_keeps_its_name(app: Flask, is_registered_first: bool) -> None:
    asked = []
    old = Blueprint("smartstat", "host", url_prefix="/api/smartstat")
    old.add_url_rule("/other", "other", lambda: "other")
    old.before_request(lambda: asked.append(request.path))
    if is_registered_first:
        app.register_blueprint(old)
    PlotIndex(app, may_see=lambda _: True, endpoint="smartstat.get_plot")
    if not is_registered_first:
        app.register_blueprint(old)
    with app.test_request_context():
        assert app.url_for("smartstat.get_plot", session_id="abc", filename="x.png") == PATH
    assert app.test_client().get(PATH).data == PNG
    assert asked == [PATH], "the blueprint's own functions guard the route as before"
    assert app.test_client().get("/api/smartstat/plots/abc").status_code == 200


def test_an_endpoint_in_use_is_refused_with_the_fix(app: Flask) -> None:
    app.add_url_rule("/old/<session_id>/<path:filename>", "get_plot", lambda **_: "old")
    with pytest.raises(SettingsError, match=r"^The endpoint get_plot is in use: delete its route \(/old/.*\), or pass"):
        PlotIndex(app, may_see=lambda _: True, endpoint="get_plot")
    PlotIndex(app, may_see=lambda _: True)
    assert app.test_client().get(PATH).data == PNG


@pytest.mark.parametrize("order", ["shadow after init_app", "shadow before init_app", "the decorated view"])
def test_shadow_compares_an_old_route_of_a_blueprint(app: Flask, caplog: pytest.LogCaptureFixture, order: str) -> None:
    def require_auth(view: Callable[..., Any]) -> Callable[..., Any]:
        @functools.wraps(view)
        def guarded(*args: Any, **kwargs: Any) -> Any:
            return view(*args, **kwargs) if request.headers.get("X-User") else ("no", 401)

        return guarded

    def get_plot(session_id: str, filename: str) -> str:
        return f"old {session_id} {filename}"

    mounted = require_auth(get_plot)
    old = Blueprint("smartstat", "host", url_prefix="/api/smartstat")
    old.add_url_rule("/plots/<session_id>/<path:filename>", "get_plot", mounted)
    app.register_blueprint(old)
    if order == "shadow before init_app":
        plots = PlotIndex(decorator=require_auth)
        plots.shadow(get_plot)
        plots.init_app(app)
    else:
        plots = PlotIndex(app, decorator=require_auth)
        plots.shadow(mounted if order == "the decorated view" else get_plot)
    caplog.clear()
    assert app.test_client().get(PATH).status_code == 401
    assert warnings_of(caplog) == []
    assert app.test_client().get(PATH, headers={"X-User": "me"}).text == "old abc x.png"
    assert "other content than the current copy in project_a" in "".join(warnings_of(caplog))
    assert sum("other content" in message for message in warnings_of(caplog)) == 1


def test_a_route_that_shadow_does_not_reach_is_named(app: Flask, caplog: pytest.LogCaptureFixture) -> None:
    app.add_url_rule(RULE, "get_plot", lambda **_: "old")
    plots = PlotIndex(app, may_see=lambda _: True)
    caplog.clear()
    plots.shadow(lambda session_id, filename: "another function")
    [message] = warnings_of(caplog)
    assert message.startswith(f"Nothing is compared: get_plot answers {RULE}, and its view is not the old view.")


@without_event_loop
def test_an_async_decorator_guards_every_route(app: Flask) -> None:
    def require_auth(view: Callable[..., Any]) -> Callable[..., Any]:
        @functools.wraps(view)
        async def guarded(*args: Any, **kwargs: Any) -> ResponseReturnValue:
            if not request.headers.get("X-User"):
                return jsonify(error="Who are you?"), 401
            answer: ResponseReturnValue = view(*args, **kwargs)
            return answer

        return guarded

    PlotIndex(app, decorator=require_auth, may_see=lambda _: True, gallery=True)
    client = app.test_client()
    for path in (PATH, "/api/smartstat/plots/abc", "/api/smartstat/gallery/session/abc"):
        assert client.get(path).status_code == 401
        assert client.get(path, headers={"X-User": "me"}).status_code in (200, 503), path
    assert client.get(PATH, headers={"X-User": "me"}).data == PNG


class Allowed:
    """An object that is called as a function."""

    async def __call__(self, session_id: str) -> bool:
        return session_id == "abc"


async def allows_abc(session_id: str) -> bool:
    return session_id == "abc"


@without_event_loop
@pytest.mark.parametrize("may_see", [allows_abc, Allowed(), functools.partial(allows_abc)])
def test_an_async_may_see_decides(app: Flask, root: Path, may_see: Any) -> None:
    draw(root, "other/project_a/x.png")
    PlotIndex(app, may_see=may_see)
    client = app.test_client()
    assert client.get(PATH).data == PNG
    assert client.get(PATH.replace("abc", "other")).status_code == 404
    assert [client.get(f"/api/smartstat/plots/{session}").status_code for session in ("abc", "other")] == [200, 404]


@pytest.mark.parametrize("verdict", [1, "yes", None])
def test_a_verdict_that_is_no_boolean_is_logged_once(
    app: Flask, caplog: pytest.LogCaptureFixture, verdict: object
) -> None:
    may_see: Any = lambda session_id: verdict  # noqa: E731 - what an application might pass
    PlotIndex(app, may_see=may_see)
    for _ in range(3):
        assert app.test_client().get(PATH).status_code == 404
    kind = type(verdict).__name__
    assert warnings_of(caplog) == [f"may_see returned {kind}, not True: access denied. Return True to grant access."]


def test_urls_of_a_list_contain_the_path_at_which_the_application_is_mounted(app: Flask) -> None:
    plots = PlotIndex(app, may_see=lambda _: True)
    with app.test_request_context(environ_overrides={"SCRIPT_NAME": "/portal"}):
        [entry] = plots.list("abc")
    assert entry["url"].startswith(f"/portal{PATH}?v=")
    assert entry["copies"][0]["url"].startswith(f"/portal{PATH}?")
    with app.app_context():
        assert plots.list("abc")[0]["url"].startswith(f"{PATH}?v=")


@pytest.mark.parametrize("by", ["argument", "config"])
def test_a_relative_root_is_resolved_once_against_the_application(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, by: str
) -> None:
    draw(tmp_path, "package/plots/abc/project_a/x.png")
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    monkeypatch.chdir(elsewhere)
    app = Flask("host", root_path=str(tmp_path / "package"))
    app.config["PLOTINDEX_STATE_DIR"] = str(tmp_path / "state")
    if by == "config":
        app.config["PLOTINDEX_ROOT"] = "plots"
    with caplog.at_level(logging.INFO):
        PlotIndex(app, may_see=lambda _: True, root="plots" if by == "argument" else None)
    monkeypatch.chdir(tmp_path)
    assert app.test_client().get(PATH).data == PNG
    assert f"The root 'plots' is relative to the application: {tmp_path}/package/plots." in caplog.text


def test_a_symlink_to_a_root_with_a_catalogue_is_reported(
    app: Flask, root: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "link").symlink_to(root)
    settings = Settings(root=root, state_dir=tmp_path / "state")
    PlotIndex(Flask("none yet"), may_see=lambda _: True, root=tmp_path / "link", state_dir=tmp_path / "state")
    assert warnings_of(caplog) == []
    prepare_catalog(settings).database.close()
    PlotIndex(app, may_see=lambda _: True, root=tmp_path / "link")
    [message] = warnings_of(caplog)
    assert message == (
        f"The root {tmp_path}/link leads to {root}, which has a catalogue of its own: pass root='{root}' to use it."
    )


def test_the_gallery_has_a_decorator_of_its_own(app: Flask) -> None:
    def login_page(view: Callable[..., Any]) -> Callable[..., Any]:
        return lambda **arguments: ("", 302, {"Location": "/login"})

    def unauthorized(view: Callable[..., Any]) -> Callable[..., Any]:
        return lambda **arguments: (jsonify(error="Who are you?"), 401)

    PlotIndex(app, decorator=unauthorized, may_see=lambda _: True, gallery=True, gallery_decorator=login_page)
    client = app.test_client()
    assert client.get(PATH).status_code == 401
    for page in ("", "session/abc", "plot/abc/x.png", "compare"):
        answer = client.get(f"/api/smartstat/gallery/{page}")
        assert (answer.status_code, answer.headers["Location"]) == (302, "/login")
    with pytest.raises(SettingsError, match=r"^gallery_decorator= needs gallery=True"):
        PlotIndex(may_see=lambda _: True, gallery_decorator=login_page)
    with pytest.raises(SettingsError, match=r"^gallery_decorator= must be a function, not 'login'"):
        PlotIndex(may_see=lambda _: True, gallery=True, gallery_decorator="login")  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("given", "policy"),
    [
        (None, "frame-ancestors 'none'"),
        ("self", "frame-ancestors 'self'"),
        ("'self' https://portal.example.org", "frame-ancestors 'self' https://portal.example.org"),
        (["https://*.example.org:8443"], "frame-ancestors https://*.example.org:8443"),
    ],
)
def test_pages_may_be_framed_by_whom_the_setting_names(app: Flask, given: object, policy: str) -> None:
    settings: dict[str, Any] = {} if given is None else {"frame_ancestors": given}
    PlotIndex(app, may_see=lambda _: True, gallery=True, **settings)
    answer = app.test_client().get("/api/smartstat/gallery/session/abc")
    assert policy in answer.headers["Content-Security-Policy"].split("; ")


def test_the_documented_page_links_to_the_gallery_and_frames_it(app: Flask) -> None:
    [template] = re.findall(r"```html\n(.*?)```", (CHECKOUT / "docs/flask.md").read_text(), re.S)
    template = template.replace("abc123", "abc")
    PlotIndex(app, may_see=lambda _: True, gallery=True, frame_ancestors="self")
    with app.test_request_context():
        addresses = re.findall(r'(?:href|src)="(.+?)"', render_template_string(template))
    answers = [app.test_client().get(address) for address in addresses]
    # Without a catalogue the pages ask to retry.
    assert [(answer.status_code, answer.mimetype) for answer in answers] == [(503, "text/html")] * 2
    assert all("frame-ancestors 'self'" in answer.headers["Content-Security-Policy"] for answer in answers)


@pytest.mark.parametrize("wrong", ["https://a.example; script-src *", "portal", "none self", "", "https://a b\n"])
def test_a_wrong_frame_ancestor_is_refused(app: Flask, wrong: str) -> None:
    with pytest.raises(SettingsError, match=r"^frame_ancestors= must be"):
        PlotIndex(app, may_see=lambda _: True, frame_ancestors=wrong)
