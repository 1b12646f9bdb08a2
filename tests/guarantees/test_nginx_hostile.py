"""Hostile names, and files that change between plotindex and nginx, with a real nginx as documented."""

import json
import os
import shutil
import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
import requests

from tests.support.hostile_requests import HOSTILE_REQUESTS, PREFIX, HostileRequest
from tests.support.hostile_tree import SECRET, swapping_symlinks
from tests.support.nginx import ACCEL, nginx
from tests.support.processes import PNG, draw
from tests.support.proxy import ProxiedSite, serve_behind_nginx
from tests.support.site import RawResponse

LEAKS = [SECRET, b"root:", b"sha256", b"SQLite", b"Traceback", b"injected", b"evil", ACCEL.encode(), b"<html"]
GONE = b'{"error":"Plot not found"}\n'


@pytest.fixture(scope="module")
def both(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ProxiedSite]:
    """The hostile tree, served with and without nginx."""
    with serve_behind_nginx(tmp_path_factory.mktemp("nginx")) as both:
        yield both


def problem(one: HostileRequest, answer: RawResponse, folder: Path) -> str | None:
    """The error in a response to a hostile request, or None."""
    whole = answer.head + b"\r\n\r\n" + answer.body
    if found := [text for text in (*LEAKS, str(folder).encode()) if text in whole]:
        return f"has {found}"
    if not answer.head.startswith(b"HTTP/"):
        # A line break after the path means HTTP/0.9 to nginx, without a token or a response head.
        return None if list(json.loads(answer.head)) == ["error"] else "is something"
    if (answer.status, answer.body) == (400, b""):
        # plotindex's server itself refuses this.
        return None
    if answer.status == 200:
        # nginx drops a trailing space from a target.
        return None if answer.body == PNG and (one.where == "v" or one.raw == b"x.png ") else "is found"
    told = answer.status, list(json.loads(answer.body))
    return None if told in [(status, ["error"]) for status in (400, 404, 414)] else f"is {told}"


def test_no_request_of_the_table_gets_a_byte_that_is_not_its_own_through_nginx(both: ProxiedSite) -> None:
    problems: list[object] = []
    statuses: Counter[tuple[str, int]] = Counter()
    for one in HOSTILE_REQUESTS:
        answer = both.through.send(one.target(both.shared.folder))
        if wrong := problem(one, answer, both.shared.folder):
            problems.append((wrong, one))
        elif answer.head.startswith(b"HTTP/"):
            statuses[one.where, answer.status] += 1
    assert not problems, problems[:20]
    # nginx itself refuses some, but most reach plotindex.
    for where in ("session", "filename", "project"):
        assert statuses[where, 404] > 4 * statuses[where, 400] > 0, statuses


def test_the_internal_location_cannot_be_requested(both: ProxiedSite) -> None:
    inside = f"{ACCEL}/s/project_a/x.png".encode()
    for target in (
        inside,
        inside.replace(b"x", b"%78"),
        b"/%70lotindex-files/s/project_a/x.png",
        b"/x/.." + inside,
        b"/." + inside,
        PREFIX + b"/../../.." + inside,
        b"http://127.0.0.1" + inside,
        f"{ACCEL}/".encode(),
        f"{ACCEL}/s/".encode(),
        f"{ACCEL}/s".encode(),
        f"{ACCEL}/../secret.png".encode(),
        f"{ACCEL}../secret.png".encode(),
        f"{ACCEL}%2f../secret.png".encode(),
    ):
        answer = both.through.send(target)
        assert (answer.status, list(json.loads(answer.body))) in [(404, ["error"]), (400, ["error"])], target
    own = {"X-Accel-Redirect": inside.decode(), "X-Sendfile": inside.decode(), "X-Original-URL": inside.decode()}
    for path, status in [("/", 303), ("/healthz", 200), (f"{PREFIX.decode()}/s/x.png", 401), ("/nowhere", 404)]:
        answered = requests.get(both.through.url + path, headers=own, timeout=20, allow_redirects=False)
        assert (answered.status_code, PNG in answered.content) == (status, False)


def test_a_symlink_swapped_in_never_opens_the_secret_through_nginx(both: ProxiedSite) -> None:
    with swapping_symlinks(both.through.root, both.shared.folder / "outside") as plots:
        seen: Counter[tuple[int, bytes]] = Counter()
        for plot in plots * 300:
            answer = both.through.send(PREFIX + b"/swap/" + plot.encode())
            seen[answer.status, answer.body] += 1
    assert set(seen) == {(200, b"public"), (404, GONE)}, seen


@contextmanager
def credulous() -> Iterator[str]:
    """A server without checks: it passes every path on to the internal location."""

    class Answer(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            self.send_response(200)
            self.send_header("X-Accel-Redirect", ACCEL + self.path)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, format: str, *args: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Answer) as server:
        server.daemon_threads = True
        thread = threading.Thread(target=partial(server.serve_forever, 0.05))
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}"
        finally:
            server.shutdown()
            thread.join()


def test_nginx_itself_follows_no_symlink_below_the_root_even_when_swapped_in(both: ProxiedSite) -> None:
    folder = both.shared.folder
    with credulous() as server, nginx(folder / "credulous", server, folder / "way") as front:
        asked = requests.Session()
        assert asked.get(f"{front.url}/s/project_a/x.png", timeout=20).content == PNG
        for path in ("s/project_a/link.png", "s/project_a/dir/secret.png", "s/project_linked/secret.png"):
            answer = asked.get(f"{front.url}/{path}", timeout=20)
            assert (answer.status_code, answer.content) == (404, GONE), path
        with swapping_symlinks(both.through.root, folder / "outside") as plots:
            seen: Counter[tuple[int, bytes]] = Counter()
            for plot in plots * 500:
                answer = asked.get(f"{front.url}/swap/project_a/{plot}", timeout=20)
                seen[answer.status_code, answer.content] += 1
        asked.close()
    assert set(seen) == {(200, b"public"), (404, GONE)}, seen


def test_a_file_that_nginx_cannot_open_is_not_found_and_not_cached(both: ProxiedSite, tmp_path: Path) -> None:
    project = tmp_path / "other/s/project_a"
    (project / "sub/x.svg").mkdir(parents=True)
    (project / "x.png").symlink_to(both.shared.folder / "secret.png")
    with nginx(tmp_path / "nginx", both.behind, tmp_path / "other") as front:
        for path in ("x.png", "sub/x.svg", "sub/x.svg?download=1"):
            answer = _get(both, front.url, path)
            assert (answer.status_code, answer.content) == (404, GONE), path
            assert answer.headers["Content-Type"] == "application/json"
            assert "no-store" in answer.headers["Cache-Control"]
            assert "ETag" not in answer.headers


def test_a_file_replaced_on_the_way_to_nginx_has_no_version_and_is_not_cached(
    both: ProxiedSite, tmp_path: Path
) -> None:
    file = both.through.root / "s/project_a/x.png"
    other = draw(tmp_path, "other/s/project_a/x.png", b"new" + PNG[3:])
    with nginx(tmp_path / "nginx", both.behind, tmp_path / "other") as front:
        for mtime, is_same in ((file.stat().st_mtime_ns, True), (1_000_000_000_000_000_000, False)):
            os.utime(other, ns=(mtime, mtime))
            answer = _get(both, front.url, "x.png")
            assert (answer.status_code, answer.content[:3]) == (200, b"new")
            assert ("ETag" in answer.headers, "no-store" in answer.headers["Cache-Control"]) == (is_same, not is_same)
            tag = both.alone.get("/s/x.png").headers["ETag"]
            part = _get(both, front.url, "x.png", {"Range": "bytes=0-2", "If-Range": tag})
            assert part.status_code == (206 if is_same else 200)
        # The mtime is that of the file nginx opened, which plotindex has not seen.
        condition = {"If-Modified-Since": "Sun, 09 Sep 2001 01:46:40 GMT"}
        assert _get(both, front.url, "x.png", condition).status_code == 200


def test_a_replaced_plot_is_never_answered_as_its_old_version(both: ProxiedSite) -> None:
    file = draw(both.through.root, "s/project_a/again.png", b"one", mtime_ns=10**18)
    first = both.through.get("/s/again.png")
    assert first.content == b"one"
    for content in (b"two", b"six"):
        shutil.copy(draw(both.shared.folder, "new.png", content), file.with_name("aside"))
        os.utime(file.with_name("aside"), ns=(10**18, 10**18))
        file.with_name("aside").replace(file)
        for conditions in (
            {},
            {"If_None_Match": first.headers["ETag"]},
            # In nginx's format: mtime and size.
            {"If_None_Match": f'"{10**9:x}-{len(content):x}"'},
            {"Range": "bytes=0-0", "If_Range": first.headers["ETag"]},
        ):
            answer = both.through.get("/s/again.png", **conditions)
            assert (answer.status_code, answer.content) == (200, content), conditions
            assert answer.headers["ETag"] != first.headers["ETag"]
            assert answer.headers["Last-Modified"] == first.headers["Last-Modified"]


def _get(both: ProxiedSite, url: str, filename: str, headers: dict[str, str] | None = None) -> requests.Response:
    given = {"Authorization": f"Bearer {both.through.token}", **(headers or {})}
    return requests.get(f"{url}{PREFIX.decode()}/s/{filename}", headers=given, timeout=20)
