"""plotindex in a host's Flask application."""

import functools
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from flask import Flask, jsonify, request

from plotindex.auth.tokens import Tokens
from plotindex.config import load_settings
from plotindex.errors import SettingsError
from plotindex.index.reconcile import reconcile
from plotindex.storage.catalog import Catalog
from plotindex.tree.tree import Tree
from plotindex.web import PlotIndex, create_app
from tests.support.processes import PNG, SVG, draw

ADDRESS = "/api/smartstat/plots/abc123/x.png"


def require_auth(view: Callable[..., Any]) -> Callable[..., Any]:
    """A typical decorator of an application, which reads session_id from the view's arguments."""

    @functools.wraps(view)
    def guarded(*args: Any, **kwargs: Any) -> Any:
        if request.headers.get("X-User") != kwargs["session_id"]:
            return jsonify(error="Who are you?"), 401
        return view(*args, **kwargs)

    return guarded


@pytest.fixture
def plots(root: Path) -> Path:
    draw(root, "abc123/project_a/x.png")
    draw(root, "abc123/project_a/sub/h.svg", SVG)
    return root


def options(plots: Path, tmp_path: Path) -> dict[str, Any]:
    return {"root": plots, "database": f"sqlite:///{tmp_path}/catalog.db", "state_dir": str(tmp_path / "state")}


def test_decorator_guards_the_plots(plots: Path, tmp_path: Path) -> None:
    app = Flask("host")
    PlotIndex(app, **options(plots, tmp_path), decorator=require_auth)
    client = app.test_client()
    assert client.get(ADDRESS).status_code == 401
    answer = client.get(ADDRESS, headers={"X-User": "abc123"})
    assert (answer.status_code, answer.data, answer.headers["Cache-Status"]) == (200, PNG, "plotindex; fwd=miss")
    answer = client.get("/api/smartstat/plots/abc123/sub/h.svg", headers={"X-User": "abc123"})
    assert (answer.data, answer.content_type) == (SVG, "image/svg+xml")
    answer.close()
    assert not (tmp_path / "catalog.db").exists()
    assert not (tmp_path / "state").exists()


def test_an_empty_list_serves_names_that_are_ignored_by_default(plots: Path, tmp_path: Path) -> None:
    draw(plots, "abc123/project_a/.cache/.y.png")
    for ignore, status in ((None, 404), ([], 200), ("/", 200), (".y.*", 404), (["*.svg"], 200)):
        app = Flask("host")
        PlotIndex(app, **options(plots, tmp_path), may_see=lambda _session: True, ignore=ignore)
        answer = app.test_client().get("/api/smartstat/plots/abc123/.cache/.y.png")
        assert answer.status_code == status, ignore
        answer.close()


def test_hit_with_a_catalogue(plots: Path, tmp_path: Path, tree: Tree, catalog: Catalog) -> None:
    reconcile(tree, catalog, [""])
    app = Flask("host")
    PlotIndex(app, root=plots, database=f"sqlite:///{catalog.database.path}", decorator=require_auth)
    answer = app.test_client().get(ADDRESS, headers={"X-User": "abc123"})
    assert answer.headers["Cache-Status"] == "plotindex; hit; detail=unwatched"
    assert answer.data == PNG


@pytest.mark.parametrize(
    "verdict", [False, None, 1, "yes", require_auth, require_auth(lambda **_: True)], ids=lambda v: type(v).__name__
)
def test_may_see_must_return_true(plots: Path, tmp_path: Path, verdict: object) -> None:
    app = Flask("host")
    may_see: Any = lambda session_id: verdict  # noqa: E731 - what an application might pass
    PlotIndex(app, **options(plots, tmp_path), may_see=may_see)
    answer = app.test_client().get(ADDRESS)
    assert (answer.status_code, answer.json) == (404, {"error": "Plot not found"})


def test_decorator_passed_as_may_see_denies(plots: Path, tmp_path: Path) -> None:
    app = Flask("host")
    may_see: Any = require_auth
    PlotIndex(app, **options(plots, tmp_path), may_see=may_see)
    app.testing = False
    app.config["PROPAGATE_EXCEPTIONS"] = False
    assert app.test_client().get(ADDRESS).status_code in (404, 500)


def test_gallery_needs_may_see(plots: Path, tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="gallery=True needs may_see="):
        PlotIndex(Flask("host"), **options(plots, tmp_path), decorator=require_auth, gallery=True)


def test_may_see_gets_the_session(plots: Path, tmp_path: Path) -> None:
    app = Flask("host")
    asked: list[str] = []

    def may_see(session: str) -> bool:
        asked.append(session)
        return session == "abc123"

    PlotIndex(app, **options(plots, tmp_path), may_see=may_see)
    client = app.test_client()
    assert client.get(ADDRESS).data == PNG
    assert client.get("/api/smartstat/plots/other/x.png").status_code == 404
    assert asked == ["abc123", "other"]


def test_access_control_is_required(plots: Path) -> None:
    with pytest.raises(SettingsError, match="decorator=your_auth_decorator"):
        PlotIndex(Flask("host"), root=plots)


def test_settings_from_app_config(plots: Path, tmp_path: Path) -> None:
    app = Flask("host")
    app.config["PLOTINDEX_ROOT"] = plots
    app.config["PLOTINDEX_DATABASE_URL"] = f"sqlite:///{tmp_path}/catalog.db"
    app.config["PLOTINDEX_URL_PREFIX"] = "/plots/of"
    extension = PlotIndex(decorator=lambda view: view)
    extension.init_app(app)
    assert app.test_client().get("/plots/of/plots/abc123/x.png").data == PNG
    file = extension.open("abc123", "x.png")
    assert file is not None
    with file:
        assert file.read() == PNG
    assert extension.open("abc123", "gone.png") is None


def test_host_is_not_modified(plots: Path, tmp_path: Path) -> None:
    app = Flask("host")
    handlers, rules = str(app.error_handler_spec), len(list(app.url_map.iter_rules()))
    PlotIndex(app, **options(plots, tmp_path), decorator=require_auth, endpoint="serve_plot")
    assert str(app.error_handler_spec) == handlers
    assert len(list(app.url_map.iter_rules())) == rules + 1
    assert "serve_plot" in app.view_functions
    assert app.test_client().get("/").status_code == 404
    assert app.test_client().get("/nowhere").content_type.startswith("text/html")


def test_error_handlers_of_the_host_are_not_used(plots: Path, tmp_path: Path) -> None:
    app = Flask("host")
    for status in (404, 416):
        app.register_error_handler(status, lambda _: ("the host's own page", 418))
    PlotIndex(app, **options(plots, tmp_path), may_see=lambda session: session == "abc123")
    client = app.test_client()
    answer = client.get(ADDRESS, headers={"Range": "bytes=9999-"})
    assert (answer.status_code, answer.headers["Content-Range"]) == (416, f"bytes */{len(PNG)}")
    for address in (ADDRESS.replace("x.png", "gone.png"), ADDRESS.replace("abc123", "other")):
        assert (client.get(address).status_code, client.get(address).json) == (404, {"error": "Plot not found"})
    assert client.get("/elsewhere").status_code == 418


def test_internal_error_discloses_only_the_request_id(
    plots: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, environment: dict[str, str]
) -> None:
    settings = load_settings(options(plots, tmp_path), environment)
    secret = Tokens(settings.make_state_folder() / "tokens.json").create("t")
    app = create_app(settings)

    def fail(*_: object, **__: object) -> None:
        raise RuntimeError("the secret reason")

    monkeypatch.setattr("plotindex.web.app.serve_plot", fail)
    answer = app.test_client().get(ADDRESS, headers={"Authorization": f"Bearer {secret}"})
    assert answer.status_code == 500
    assert "secret reason" not in answer.text
    assert "server log, request" in answer.get_json()["error"]
