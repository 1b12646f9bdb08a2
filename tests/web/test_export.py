"""The export route: archives that every program unpacks, of what the caller may see, bounded, one for each caller."""

import io
import json
import os
import socket
import subprocess
import sys
import zipfile
from collections.abc import Generator, Iterator
from hashlib import blake2b
from pathlib import Path
from typing import Any

import pytest
import requests
from flask import Flask
from flask.testing import FlaskClient

from plotindex.auth.tokens import Tokens
from plotindex.config import load_settings
from plotindex.config.settings import Settings
from plotindex.rendering.renderer_client import RendererClient
from plotindex.storage.catalog import Catalog
from plotindex.tree.tree import Tree
from plotindex.web.app import create_app
from plotindex.web.export.archive import archive_pieces
from plotindex.web.export.descriptions import Description, description_reader
from plotindex.web.export.manifest import CHANGED, GONE, TOO_LARGE, Manifest
from plotindex.web.extension import PlotIndex
from plotindex.web.server.downloads import DownloadEndedError
from plotindex.web.views.export import ExportBody
from tests.support.inspection import InspectionSite
from tests.support.processes import Index, StartService, draw, wait_until

PREFIX = "/api/smartstat"
LABELS = b"<title>Residuals by month</title>"
HOSTILE = [
    "a\nb.png",
    "ab.png",
    "..\\..\\up.png",
    "C:x.png",
    ".. /up.png",
    ".../up.png",
    "a..b.png",
    "-rf.png",
    "*.png",
    "\u202egnp.png",
    "\u00e9/e\u0301.png",
    "'; DROP TABLE plot; --.png",
    "x" * 250 + "\n.png",
]


def client_of(settings: Settings, session: str | None = None) -> FlaskClient:
    """A client with a token."""
    secret = Tokens.from_settings(settings).create(session or "all", session=session)
    client = create_app(settings).test_client()
    client.environ_base["HTTP_AUTHORIZATION"] = f"Bearer {secret}"
    return client


def unpacked(content: bytes) -> tuple[dict[str, bytes], Any]:
    """The files of an archive by name, and its manifest."""
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        assert archive.testzip() is None
        assert {info.compress_type for info in archive.infolist()} == {zipfile.ZIP_STORED}
        files = {info.filename: archive.read(info) for info in archive.infolist()}
    assert list(files)[-1] == "manifest.json"
    return files, json.loads(files.pop("manifest.json"))


def export(client: FlaskClient, session: str, **query: str) -> tuple[dict[str, bytes], Any]:
    answer = client.get(f"{PREFIX}/export/{session}.zip", query_string=query)
    assert answer.status_code == 200, answer.text
    return unpacked(answer.data)


def test_an_archive_has_the_copies_and_what_they_are(root: Path, settings: Settings, index: Index) -> None:
    mtime_ns = 1_700_000_000_123_456_789
    draw(root, "s/project_a/x.png", b"one", mtime_ns=mtime_ns)
    draw(root, "s/project_b/x.png", b"two")
    draw(root, "s/project_a/sub/y.svg", b"")
    draw(root, "other/project_a/x.png")
    index()
    client = client_of(settings)
    answer = client.get(f"{PREFIX}/export/s.zip")
    assert answer.headers["Content-Type"] == "application/zip"
    assert answer.headers["Content-Disposition"] == "attachment; filename*=UTF-8''s.zip"
    assert answer.headers["X-Content-Type-Options"] == "nosniff"
    assert answer.headers["Cache-Control"] == "no-store"
    files, manifest = unpacked(answer.data)
    assert files == {"s/project_a/x.png": b"one", "s/project_b/x.png": b"two", "s/project_a/sub/y.svg": b""}
    assert manifest["missing"] == []
    [first] = [entry for entry in manifest["plots"] if entry["path"] == "s/project_a/x.png"]
    listed = client.get(f"{PREFIX}/plots/s?q=x.png").json
    assert listed
    [version] = [copy["version"] for copy in listed["plots"][0]["copies"] if copy["project"] == "project_a"]
    assert first == {
        "session": "s",
        "project": "project_a",
        "filename": "x.png",
        "path": "s/project_a/x.png",
        "size": 3,
        "mtime": "2023-11-14T22:13:20.123456789Z",
        "version": version,
        "digest": blake2b(b"one", digest_size=16).hexdigest(),
        "title": None,
        "problem": None,
    }


@pytest.mark.parametrize(
    ("query", "selected"),
    [
        ({"name": "*.png"}, {"a/x.png", "b/x.png", "a/sub/z.png"}),
        ({"name": "x.png"}, {"a/x.png", "b/x.png"}),
        ({"name": "z.png"}, {"a/sub/z.png"}),
        ({"name": "sub/*"}, {"a/sub/z.png"}),
        ({"name": "x"}, set()),
        ({"project": "project_b"}, {"b/x.png", "b/x.pdf"}),
        ({"project": "*_[a]", "name": "x*"}, {"a/x.png"}),
        ({"since": "2026-01-01T00:00:00Z"}, {"b/x.png", "b/x.pdf"}),
        ({"since": "1h", "name": "*.pdf"}, {"b/x.pdf"}),
    ],
)
def test_conditions_must_all_hold(
    root: Path, settings: Settings, index: Index, query: dict[str, str], selected: set[str]
) -> None:
    for name in ("project_a/x.png", "project_a/sub/z.png"):
        draw(root, f"s/{name}", mtime_ns=10**18)
    for name in ("project_b/x.png", "project_b/x.pdf"):
        draw(root, f"s/{name}")
    index()
    files, _ = export(client_of(settings), "s", **query)
    assert {path.removeprefix("s/project_") for path in files} == selected


def test_a_form_names_plots_and_their_formats(root: Path, settings: Settings, index: Index) -> None:
    for name in ("project_a/x.png", "project_a/x.pdf", "project_a/y.png", "project_b/x.png"):
        draw(root, f"s/{name}")
    draw(root, "t/project_a/x.png")
    index()
    client = client_of(settings, "s")

    def chosen(*paths: str, **fields: str) -> set[str]:
        answer = client.post(f"{PREFIX}/export/s.zip", data={"plot": list(paths), **fields})
        assert answer.status_code == 200, answer.text
        return set(unpacked(answer.data)[0])

    assert chosen("s/project_a/x.png", "s/project_b/x.png") == {"s/project_a/x.png", "s/project_b/x.png"}
    assert chosen("s/project_a/x.png", formats="1") == {"s/project_a/x.png", "s/project_a/x.pdf"}
    assert chosen("t/project_a/x.png", "s/../t/project_a/x.png", "", "s/project_a/y.png") == {"s/project_a/y.png"}
    assert client.post(f"{PREFIX}/export/s.zip").status_code == 400


def test_wrong_requests_are_refused_before_anything_is_looked_up(root: Path, settings: Settings, index: Index) -> None:
    draw(root, "s/project_a/x.png")
    draw(root, "t/project_a/x.png")
    (root / "empty").mkdir()
    index()
    client, limited = client_of(settings), client_of(settings, "s")
    for query in ("since=never", "since=", f"name={'x' * 501}"):
        assert client.get(f"{PREFIX}/export/s.zip?{query}").status_code == 400
    assert export(client, "empty")[1]["plots"] == []
    hidden, absent = limited.get(f"{PREFIX}/export/t.zip"), limited.get(f"{PREFIX}/export/absent.zip")
    assert (hidden.status_code, hidden.data, hidden.headers) == (404, absent.data, absent.headers)
    assert limited.get(f"{PREFIX}/export/t.zip?since=never").status_code == 404
    assert client.get(f"{PREFIX}/export/absent.zip").status_code == 404
    assert create_app(settings).test_client().get(f"{PREFIX}/export/s.zip").status_code == 401
    assert create_app(settings).test_client().post(f"{PREFIX}/export/s.zip").status_code == 401


def test_without_a_catalogue_it_is_unavailable(root: Path, settings: Settings) -> None:
    draw(root, "s/project_a/x.png")
    settings.make_state_folder()
    answer = client_of(settings).get(f"{PREFIX}/export/s.zip")
    assert (answer.status_code, answer.headers["Retry-After"]) == (503, "5")


def test_hostile_names_stay_in_the_folder_and_apart(
    root: Path, settings: Settings, index: Index, tmp_path: Path
) -> None:
    for number, name in enumerate(HOSTILE):
        draw(root, f"s/project_a/{name}", f"{number}".encode())
    draw(root, "manifest.json/project_a/x.png", b"in a session of that name")
    index()
    client = client_of(settings)
    answer = client.get(f"{PREFIX}/export/s.zip")
    files, manifest = unpacked(answer.data)
    listed = {entry["path"]: entry["filename"] for entry in manifest["plots"]}
    assert {listed[path]: content for path, content in files.items()} == {
        name: f"{number}".encode() for number, name in enumerate(HOSTILE)
    }
    assert "s/project_a/a..b.png" in files
    for path in files:
        for part in path.split("/"):
            assert not set(part) & set("\\:\n"), path
            assert not part.endswith((".", " ")), path
            assert len(part.encode()) <= 255
    archive = tmp_path / "s.zip"
    archive.write_bytes(answer.data)
    for command in (["unzip", "-q"], [sys.executable, "-m", "zipfile", "-e"]):
        folder = tmp_path / command[-1].strip("-")
        folder.mkdir()
        where = [str(folder)] if command[-1] == "-e" else ["-d", str(folder)]
        done = subprocess.run([*command, str(archive), *where], capture_output=True, text=True, check=False, timeout=30)
        assert (done.returncode, done.stderr) == (0, ""), done
        found = {str(file.relative_to(folder)): file.read_bytes() for file in folder.rglob("*") if file.is_file()}
        assert {**files, "manifest.json": found["manifest.json"]} == found
    assert not (tmp_path / "up.png").exists()
    [other] = export(client, "manifest.json")[0]
    assert other.endswith("~manifest.json/project_a/x.png")


def test_what_changes_meanwhile_is_said(root: Path, tree: Tree, catalog: Catalog, index: Index) -> None:
    for name in ("a.png", "gone.png", "grown.png", "linked.png", "rewritten.png", "z.png"):
        draw(root, f"s/project_a/{name}", b"x" * 1000)
    index()
    folder = root / "s/project_a"
    plots = catalog.plots("s")
    pieces = archive_pieces(tree, plots, Manifest(), lambda _: Description(), max_bytes=20_000)
    content = next(pieces)
    (folder / "a.png").write_bytes(b"y" * 1000)
    (folder / "gone.png").unlink()
    os.truncate(folder / "grown.png", 1 << 40)
    (folder / "linked.png").unlink()
    (folder / "linked.png").symlink_to("/etc/passwd")
    (folder / "rewritten.png").write_bytes(b"new")
    files, manifest = unpacked(content + b"".join(pieces))
    assert {name: len(data) for name, data in files.items()} == {
        "s/project_a/a.png": 1000,
        "s/project_a/rewritten.png": 3,
        "s/project_a/z.png": 1000,
    }
    found = {entry["filename"]: entry for entry in manifest["plots"]}
    assert found["a.png"]["problem"] == CHANGED
    assert found["rewritten.png"]["digest"] == blake2b(b"new", digest_size=16).hexdigest()
    assert found["rewritten.png"]["problem"] is None
    assert {entry["filename"]: entry["problem"] for entry in manifest["missing"]} == {
        "gone.png": GONE,
        "grown.png": TOO_LARGE,
        "linked.png": GONE,
    }


def test_the_bound_is_checked_before_the_first_byte(root: Path, settings: Settings, index: Index) -> None:
    small = load_settings({"root": str(root), "export_mb": 1}, {"PLOTINDEX_STATE_DIR": str(settings.state_dir)})
    draw(root, "s/project_a/x.png", b"x" * 600_000)
    draw(root, "s/project_a/y.png", b"x" * 600_000)
    index()
    client = client_of(small)
    refused = client.get(f"{PREFIX}/export/s.zip")
    assert refused.status_code == 413
    assert refused.json == {"error": "The export would be larger than 1 MB; select fewer plots"}
    assert set(export(client, "s", name="x.png")[0]) == {"s/project_a/x.png"}
    many = "&".join(f"plot=s/project_a/{number:08}.png" for number in range(200_000))
    headers = {"Content-Type": "application/x-www-form-urlencoded"}
    assert client.post(f"{PREFIX}/export/s.zip", data=many, headers=headers).status_code == 413
    assert set(export(client, "s", name="x.png")[0]) == {"s/project_a/x.png"}


@pytest.fixture
def served(root: Path, settings: Settings, server: StartService, index: Index) -> Iterator[tuple[str, str]]:
    """A server's URL, and a token."""
    for number in range(4):
        draw(root, f"s/project_a/large{number}.png")
        os.truncate(root / f"s/project_a/large{number}.png", 20_000_000)
    draw(root, "t/project_a/x.png")
    index()
    token = Tokens(settings.make_state_folder() / "tokens.json").create("all")
    with server() as running:
        yield running.url, token


def test_a_slow_export_delays_no_other_caller_and_is_the_only_one_of_its_own(
    served: tuple[str, str], settings: Settings
) -> None:
    url, token = served
    headers = {"Authorization": f"Bearer {token}"}
    other = Tokens.from_settings(settings).create("other", session="t")

    def get(path: str, secret: str = token) -> requests.Response:
        return requests.get(f"{url}{PREFIX}{path}", headers={"Authorization": f"Bearer {secret}"}, timeout=10)

    host, port = url.removeprefix("http://").split(":")
    with socket.create_connection((host, int(port))) as slow:
        lines = [f"GET {PREFIX}/export/s.zip HTTP/1.1", "Host: 127.0.0.1", f"Authorization: Bearer {token}", "", ""]
        slow.sendall("\r\n".join(lines).encode())
        assert slow.recv(1000).startswith(b"HTTP/1.1 200")
        refused = get("/export/t.zip")
        assert (refused.status_code, refused.headers["Retry-After"]) == (503, "5")
        assert refused.json() == {"error": "Another export is running; retry later"}
        assert set(unpacked(get("/export/t.zip", other).content)[0]) == {"t/project_a/x.png"}
        assert get("/plots/t/x.png").status_code == 200
        assert get("/plots/s").status_code == 200
        assert requests.head(f"{url}{PREFIX}/export/t.zip", headers=headers, timeout=10).status_code == 503
    # The client is gone: it is the next one's turn.
    wait_until(lambda: get("/export/t.zip").status_code == 200)
    for _ in range(3):
        answer = get("/export/s.zip")
        assert answer.status_code == 200
        assert len(unpacked(answer.content)[0]) == 4
    many = [("plot", f"s/project_a/{number:050}.png") for number in range(20_000)]
    form = [*many, ("plot", "s/project_a/large1.png")]
    chosen = requests.post(f"{url}{PREFIX}/export/s.zip", data=form, headers=headers, timeout=30)
    assert set(unpacked(chosen.content)[0]) == {"s/project_a/large1.png"}
    foreign = requests.post(f"{url}{PREFIX}/export/s.zip", data=form, timeout=30)
    assert foreign.status_code == 401


def test_a_client_that_has_gone_waits_for_no_plot_without_bytes(root: Path, index: Index, catalog: Catalog) -> None:
    for number in range(20):
        draw(root, f"s/project_a/{number:02}.png", b"")
    index()
    plots = list(catalog.plots("s"))
    for plot in plots[10:]:
        (root / plot.path).unlink()
    manifest = Manifest()
    pieces = archive_pieces(Tree(root), plots, manifest, lambda _: Description())
    # Between two pieces an archive can end.
    missing = [manifest.missing for _ in pieces]
    assert sorted(set(missing)) == list(range(11))
    assert len(missing) >= len(plots)


def test_an_export_of_plots_without_bytes_is_sent_to_its_end(
    root: Path, settings: Settings, server: StartService, index: Index
) -> None:
    for number in range(20):
        draw(root, f"s/project_a/{number:02}.png", b"")
    index()
    for number in range(10):
        (root / f"s/project_a/{number:02}.png").unlink()
    token = Tokens(settings.make_state_folder() / "tokens.json").create("all")
    with server("--heal=off") as running:
        headers = {"Authorization": f"Bearer {token}"}
        content = requests.get(f"{running.url}{PREFIX}/export/s.zip", headers=headers, timeout=10).content
    files, manifest = unpacked(content)
    assert (len(files), len(manifest["missing"])) == (10, 10)


def test_hosts_have_the_route_by_may_see_alone(root: Path, settings: Settings, index: Index) -> None:
    draw(root, "s/project_a/x.png", b"one")
    draw(root, "t/project_a/x.png")
    index()
    given: dict[str, Any] = {"root": root, "state_dir": str(settings.state_dir)}
    app, other = Flask("host"), Flask("other")
    PlotIndex(app, may_see=lambda session: session == "s", **given)
    PlotIndex(other, decorator=lambda view: view, **given)
    client = app.test_client()
    assert set(export(client, "s")[0]) == {"s/project_a/x.png"}
    assert client.get(f"{PREFIX}/export/t.zip").status_code == 404

    def sent(**headers: str) -> int:
        given = {name.replace("_", "-"): value for name, value in headers.items()}
        with client.post(f"{PREFIX}/export/s.zip", data={"plot": "s/project_a/x.png"}, headers=given) as answer:
            return answer.status_code

    assert sent() == sent(Sec_Fetch_Site="same-origin") == sent(Origin="http://localhost") == 200
    assert sent(Sec_Fetch_Site="same-site") == sent(Sec_Fetch_Site="cross-site") == sent(Origin="null") == 403
    assert other.test_client().get(f"{PREFIX}/export/s.zip").status_code == 404


def test_a_client_that_reads_too_slowly_loses_its_turn(monkeypatch: pytest.MonkeyPatch) -> None:
    ended: list[str] = []

    def pieces() -> Generator[bytes, None, None]:
        try:
            yield from [b"x" * 1000] * 3
        finally:
            ended.append("pieces")

    body = ExportBody(pieces(), lambda: ended.append("turn"))
    assert next(body) == b"x" * 1000
    monkeypatch.setattr("plotindex.web.views.export.GRACE_SECONDS", -1.0)
    with pytest.raises(DownloadEndedError):
        next(body)
    body.close()
    body.close()
    assert ended == ["pieces", "turn"]


def test_titles_and_texts_come_from_inspection(root: Path, catalog: Catalog, settings: Settings) -> None:
    renderer = RendererClient()
    try:
        site = InspectionSite(root, catalog, renderer)
        site.draw(
            "s/project_a/x.svg", b'<svg xmlns="http://www.w3.org/2000/svg" width="9" height="9">%s</svg>' % LABELS
        )
        site.index()
        assert export(client_of(settings), "s")[1]["plots"][0]["title"] is None
        assert site.inspect() == 1
        [plot] = catalog.plots("s")
        described = description_reader(catalog.database)(plot)
        assert described.title == "Residuals by month"
        assert export(client_of(settings, "s"), "s")[1]["plots"][0]["title"] == described.title
    finally:
        renderer.close()
