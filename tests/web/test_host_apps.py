"""plotindex in realistic applications: WSGI servers, forks, factories, several extensions."""

import logging
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import pytest
import requests
from flask import Blueprint, Flask, g, jsonify, request
from flask_cors import CORS

from plotindex.auth.tokens import Tokens
from plotindex.config import load_settings
from plotindex.errors import PlotIndexError, SettingsError
from plotindex.tree.plots import PlotKey
from plotindex.web import PlotIndex, create_app
from plotindex.web.authentication import Authenticator
from tests import CHECKOUT
from tests.support.processes import PNG, RunPlotindex, draw, end_group, free_port, run_plotindex, wait_until

ADDRESS = "/api/smartstat/plots/abc/x.png"
APPLICATION = "examples.flask_app:create_after()"
SERVERS = {
    "gunicorn sync": ["gunicorn", "--bind", "127.0.0.1:{port}", "--workers", "2", APPLICATION],
    "gunicorn gthread": ["gunicorn", "--bind", "127.0.0.1:{port}", "--threads", "4", APPLICATION],
    "gunicorn preload": ["gunicorn", "--bind", "127.0.0.1:{port}", "--workers", "2", "--preload", APPLICATION],
    "waitress": ["waitress", "--listen", "127.0.0.1:{port}", "--call", "examples.flask_app:create_after"],
    "flask": ["flask", "--app", "examples.flask_app:create_after", "run", "--port", "{port}"],
    "granian": [
        *("granian", "--interface", "wsgi", "--host", "127.0.0.1", "--port", "{port}", "--blocking-threads", "4"),
        *("--factory", "examples.flask_app:create_after"),
    ],
}


@contextmanager
def started(command: list[str], environment: dict[str, str], port: int, log: Path) -> Iterator[None]:
    module, *rest = (word.format(port=port) for word in command)
    with log.open("wb") as output:
        process = subprocess.Popen(
            [sys.executable, "-m", module, *rest],
            cwd=CHECKOUT,
            env=environment,
            stdout=output,
            stderr=output,
            start_new_session=True,
        )
    try:

        def answers() -> bool:
            assert process.poll() is None, log.read_text()
            with suppress(requests.ConnectionError):
                return requests.get(f"http://127.0.0.1:{port}/", timeout=5).status_code == 404
            return False

        wait_until(answers)
        yield
    finally:
        process.terminate()
        with suppress(subprocess.TimeoutExpired):
            process.wait(10)
        end_group(process.pid)
        process.wait()


@pytest.mark.parametrize("server", SERVERS)
def test_wsgi_servers(
    server: str, root: Path, environment: dict[str, str], plotindex: RunPlotindex, tmp_path: Path
) -> None:
    draw(root, "abc/project_a/x.png")
    draw(root, "abc/project_a/large.png", large := os.urandom(3_000_000))
    assert plotindex("rebuild").returncode == 0
    # Warnings of third-party servers are not ours.
    given = {**environment, "PLOTINDEX_ROOT": str(root), "USER_TOKEN": "t", "PYTHONWARNINGS": "default"}
    port, log = free_port(), tmp_path / "server.log"
    with started(SERVERS[server], given, port, log), requests.Session() as session:
        url = f"http://127.0.0.1:{port}/api/smartstat/plots/abc"
        assert session.get(f"{url}/x.png", timeout=10).status_code == 401
        session.headers["Authorization"] = "Bearer t"
        for _ in range(8):
            answer = session.get(f"{url}/x.png", timeout=10)
            assert (answer.status_code, answer.content) == (200, PNG)
            assert answer.headers["Cache-Status"] == "plotindex; hit; detail=unwatched"
        assert session.get(f"{url}/large.png", timeout=20).content == large
        head = session.head(f"{url}/large.png", timeout=10)
        assert (head.headers["Content-Length"], head.content) == (str(len(large)), b"")
        ranged = session.get(f"{url}/large.png", headers={"Range": "bytes=2999990-"}, timeout=10)
        assert (ranged.status_code, ranged.content) == (206, large[-10:])
        tag = {"If-None-Match": answer.headers["ETag"]}
        assert session.get(f"{url}/x.png", headers=tag, timeout=10).status_code == 304
        assert session.get(f"{url}/gone.png", timeout=10).json() == {"error": "Plot not found"}
        assert session.get(f"{url}/sub%2F..%2Fx.png", timeout=10).status_code == 404
    assert "Traceback" not in log.read_text()


FORKING = """
import os, sys
from pathlib import Path
from flask import Flask
from plotindex.web import PlotIndex

def connections():
    open_files = [file.resolve() for file in Path("/proc/self/fd").iterdir()]
    return sum(file.name == "catalog.db" for file in open_files)

app = Flask("host")
plots = PlotIndex(app, may_see=lambda _: True)
with app.app_context():
    plots.open("abc", "x.png").close()
    before = connections()
    child = os.fork()
    plots.open("abc", "x.png").close()
    # The child inherits the parent's connections, does not use them, and opens its own.
    assert before > 0 and connections() == before * (1 if child else 2), (before, connections())
    if child:
        assert os.waitpid(child, 0)[1] == 0
os._exit(0)
"""


def test_connections_are_not_shared_across_forks(
    root: Path, tmp_path: Path, plotindex: RunPlotindex, environment: dict[str, str]
) -> None:
    draw(root, "abc/project_a/x.png")
    assert plotindex("rebuild").returncode == 0
    given = {**environment, "PLOTINDEX_ROOT": str(root)}
    done = run_plotindex([], given, tmp_path, command=(sys.executable, "-c", FORKING), seconds=30)
    assert done.returncode == 0, done.stderr


def host(root: Path, tmp_path: Path) -> Flask:
    """An application with its own handlers, hooks and configuration."""
    app = Flask("host")
    app.config.update(PLOTINDEX_ROOT=str(root), PLOTINDEX_STATE_DIR=str(tmp_path / "state"))
    CORS(app, origins=["https://front.example"])
    pages = Blueprint("pages", "pages", url_prefix="/pages")
    pages.add_url_rule("/", "home", lambda: "home")
    app.register_blueprint(pages)

    @app.before_request
    def who() -> None:
        g.user = request.headers.get("X-User")

    @app.errorhandler(404)
    def lost(_error: Exception) -> tuple[str, int]:
        return "the host's own 404", 404

    @app.errorhandler(Exception)
    def failed(error: Exception) -> tuple[str, int]:
        return f"the host's own {type(error).__name__}", 500

    return app


def test_host_is_not_modified(root: Path, tmp_path: Path) -> None:
    draw(root, "abc/project_a/x.png")
    app = host(root, tmp_path)
    before = {str(rule) for rule in app.url_map.iter_rules()}
    PlotIndex(app, may_see=lambda session: g.user == session)
    added = {str(rule) for rule in app.url_map.iter_rules()} - before
    assert added == {
        "/api/smartstat/plots/<session_id>/<plotindex_filename:filename>",
        "/api/smartstat/plots/<session_id>",
        "/api/smartstat/plots",
        "/api/smartstat/changes",
        "/api/smartstat/history/<session_id>",
        "/api/smartstat/history/<session_id>/<plotindex_filename:filename>",
        "/api/smartstat/facts/<session_id>/<plotindex_filename:filename>",
        "/api/smartstat/diff",
        "/api/smartstat/like",
        "/api/smartstat/export/<session_id>.zip",
    }
    client = app.test_client()
    answer = client.get(ADDRESS, headers={"X-User": "abc", "Origin": "https://front.example"})
    assert (answer.status_code, answer.data) == (200, PNG)
    assert answer.headers["Access-Control-Allow-Origin"] == "https://front.example"
    assert client.options(ADDRESS, headers={"Origin": "https://front.example"}).status_code == 200
    assert client.get("/pages/").text == "home"
    assert client.get("/").text == "the host's own 404"
    assert client.get(ADDRESS).json == {"error": "Plot not found"}


def test_lists_need_may_see(root: Path, tmp_path: Path) -> None:
    draw(root, "abc/project_a/x.png")
    draw(root, "other/project_a/x.png")
    app = host(root, tmp_path)
    plots = PlotIndex(app, may_see=lambda session: session == "abc", decorator=lambda view: view)
    client = app.test_client()
    listed = client.get("/api/smartstat/plots/abc").get_json()
    assert [entry["url"].partition("?")[0] for entry in listed["plots"]] == [ADDRESS]
    assert client.get(listed["plots"][0]["url"]).data == PNG
    assert client.get("/api/smartstat/plots/other").status_code == 404
    assert client.get("/api/smartstat/plots").status_code == client.get("/api/smartstat/changes").status_code == 503
    with app.app_context():
        assert [entry["filename"] for entry in plots.list("other")] == ["x.png"]
        assert plots.list("nowhere") == []
    alone = host(root, tmp_path)
    PlotIndex(alone, decorator=lambda view: view)
    assert alone.test_client().get("/api/smartstat/plots/abc").text == "the host's own 404"


def test_decorator_guards_the_lists(root: Path, tmp_path: Path) -> None:
    draw(root, "abc/project_a/x.png")
    asked = []

    def require_auth(view: Callable[..., Any]) -> Callable[..., Any]:
        def guarded(*args: Any, **kwargs: Any) -> Any:
            asked.append(kwargs["session_id"])
            return view(*args, **kwargs) if request.headers.get("X-User") else (jsonify(error="Who are you?"), 401)

        return guarded

    app = host(root, tmp_path)
    PlotIndex(app, may_see=lambda _: True, decorator=require_auth)
    client = app.test_client()
    for path in ("/plots/abc", "/plots", "/changes"):
        assert client.get(f"/api/smartstat{path}").status_code == 401
        assert client.get(f"/api/smartstat{path}", headers={"X-User": "me"}).status_code in (200, 503)
    assert asked == ["abc", "abc", "", "", "", ""]


def test_several_extensions_and_applications(root: Path, tmp_path: Path) -> None:
    draw(root, "abc/project_a/x.png")
    draw(tmp_path, "second/abc/project_a/x.png", b"second")
    app = host(root, tmp_path)
    first = PlotIndex(app, may_see=lambda _: True)
    second = PlotIndex(app, may_see=lambda _: True, root=tmp_path / "second", url_prefix="/second")
    client = app.test_client()
    assert client.get(ADDRESS).data == PNG
    assert client.get("/second/plots/abc/x.png").data == b"second"
    assert client.get("/second/plots/abc").get_json()["plots"][0]["size"] == 6
    other = Flask("other")
    other.config.update(PLOTINDEX_ROOT=str(tmp_path / "second"), PLOTINDEX_STATE_DIR=str(tmp_path / "state"))
    first.init_app(other)
    for one, content in ((app, PNG), (other, b"second")):
        with one.app_context():
            file = first.open("abc", "x.png")
            assert file is not None
            with file:
                assert file.read() == content
    with pytest.raises(SettingsError, match="call init_app"):
        _ = first.lookup
    assert second.lookup.tree.root == tmp_path / "second"


def test_endpoint_name(root: Path, tmp_path: Path) -> None:
    draw(root, "abc/project_a/x.png")
    app = host(root, tmp_path)
    PlotIndex(app, may_see=lambda _: True, endpoint="get_plot")
    with app.test_request_context():
        address = app.url_for("get_plot", session_id="abc", filename="x.png")
    assert app.test_client().get(address).data == PNG
    assert app.test_client().get("/api/smartstat/plots/abc").status_code == 200


def test_shadow_view_serves_the_mounted_route(root: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    draw(root, "abc/project_a/x.png")
    app = host(root, tmp_path)
    plots = PlotIndex(app, may_see=lambda _: True)

    def old(session_id: str, filename: str) -> tuple[str, int]:
        return f"old {session_id} {filename}", 200

    view = plots.shadow(old)
    app.add_url_rule("/old/<session_id>/<filename>", "old", view)
    client = app.test_client()
    with caplog.at_level(logging.WARNING):
        assert client.get(ADDRESS).text == "old abc x.png"
        assert client.get("/old/abc/x.png").text == "old abc x.png"
    assert [record.getMessage() for record in caplog.records if "other content" in record.getMessage()] == [
        "Shadow: abc/x.png: the old view returns other content than the current copy in project_a"
    ] * 2


def test_url_for_rejects_invalid_names(root: Path, tmp_path: Path) -> None:
    app = host(root, tmp_path)
    app.secret_key = "k"
    plots = PlotIndex(app, may_see=lambda _: True)
    with app.app_context(), pytest.raises(PlotIndexError, match=r"^s/x\\n\.txt is not a valid plot: check session"):
        plots.url_for("s", "x\n.txt")


def test_invalid_arguments_are_rejected(root: Path, tmp_path: Path) -> None:
    def refused(match: str, **given: Any) -> None:
        with pytest.raises(SettingsError, match=match):
            PlotIndex(host(root, tmp_path), **given)

    refused("unknown setting 'maysee'", decorator=lambda view: view, maysee=lambda _: False)
    refused(r"may_see= must be a function, not True", may_see=True)
    refused(r"decorator= must be a function, not 'login'", decorator="login")
    refused(r"decorator= must return a view, not None", decorator=lambda view: None)
    refused(r"threads= must be a whole number", may_see=lambda _: True, threads="abc")
    app = host(root, tmp_path)
    plots = PlotIndex(app, may_see=lambda _: True)
    for again in (plots, PlotIndex(may_see=lambda _: False)):
        with pytest.raises(SettingsError, match="already has a PlotIndex at /api/smartstat: pass another url_prefix="):
            again.init_app(app)
    app = host(root, tmp_path)
    app.config["PLOTINDEX_SUFFIXES"] = [".png", ".txt"]
    with pytest.raises(SettingsError, match=r"^PLOTINDEX_SUFFIXES can hold .* not '\.txt'"):
        PlotIndex(app, may_see=lambda _: True)
    app.config.update(PLOTINDEX_SUFFIXES=[".png"], PLOTINDEX_HEAL=False)
    assert PlotIndex(app, may_see=lambda _: True).lookup.tree.layout.suffixes == {".png"}
    app = host(root, tmp_path)
    app.config["PLOTINDEX_THREDS"] = "3"
    with pytest.raises(SettingsError, match=r"^app.config has an unknown setting 'threds': do you mean threads\?"):
        PlotIndex(app, may_see=lambda _: True)
    with pytest.raises(SettingsError, match="must accept the arguments session_id and filename"):
        plots.shadow(lambda sid, path: None)


def test_the_log_tells_that_the_root_is_missing_comes_and_goes(
    root: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    root.rmdir()
    app = host(root, tmp_path)
    PlotIndex(app, may_see=lambda _: True)
    missing = f"The root {root} is missing, so no plot is found: mount or create it, or set another root."

    def logged() -> list[str]:
        return [record.getMessage() for record in caplog.records if "The root" in record.getMessage()]

    def status(wanted: int) -> bool:
        answer = app.test_client().get(ADDRESS)
        answer.close()
        return answer.status_code == wanted

    assert logged() == [missing]
    assert status(503)
    assert status(503)
    assert logged() == [missing]
    draw(root, "abc/project_a/x.png")
    wait_until(lambda: status(200) and len(logged()) == 2)
    assert logged()[1:] == [f"The root {root} is available again."]
    root.rename(root.with_name("moved"))
    wait_until(lambda: status(503) and len(logged()) == 3)
    assert logged()[2:] == [missing]


def test_warning_about_an_existing_route(root: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    app = host(root, tmp_path)
    app.add_url_rule("/api/smartstat/plots/<session_id>/<path:filename>", "get_plot", lambda **_: "old")
    PlotIndex(app, may_see=lambda _: True)
    assert "get_plot already serves /api/smartstat/plots/" in caplog.text


def test_signed_url_of_the_server_is_invalid_in_an_application(
    root: Path, tmp_path: Path, environment: dict[str, str]
) -> None:
    draw(root, "abc/project_a/x.png")
    settings = load_settings({"root": root, "secret_key": "shared-" * 5}, environment)
    token = Tokens(settings.make_state_folder() / "tokens.json")
    holder = token.check(token.create("web"))
    assert holder is not None
    address = Authenticator(settings).url_signer.sign(PlotKey("abc", "x.png"), {}, 3600, holder.id)
    app = host(root, tmp_path)
    PlotIndex(app, may_see=lambda _: False, secret_key="shared-" * 5)
    assert create_app(settings).test_client().get(address).status_code == 200
    assert app.test_client().get(address).status_code == 404
