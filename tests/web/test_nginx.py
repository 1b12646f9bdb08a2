"""The HTTP contract through a real nginx, configured as in docs/install.md."""

import json
import os
import re
import socket
import time
from collections.abc import Iterator
from contextlib import ExitStack

import pytest
import requests

from plotindex.auth.logins import Logins
from plotindex.auth.tokens import Tokens
from plotindex.config import load_settings
from plotindex.config.settings import Settings
from tests.support.hostile_requests import encode
from tests.support.hostile_tree import UNUSUAL_NAMES, UNUSUAL_PROJECT, UNUSUAL_SESSION
from tests.support.nginx import nginx
from tests.support.processes import PNG, SVG, draw, free_port, wait_until
from tests.support.proxy import ProxiedSite, serve_behind_nginx
from tests.support.site import PREFIX, Site

HOP = {"Server", "Date", "Connection"}
"""Headers of the connection and the server."""
LONG = "/".join(["\xe9" * 100] * 16) + "/long.png"
"""3,225 bytes; three times as many percent-encoded."""


@pytest.fixture(scope="module")
def both(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ProxiedSite]:
    """The hostile tree and more plots, served with and without nginx."""
    folder = tmp_path_factory.mktemp("nginx")
    draw(folder, "plots/s/project_a/photo.JPG", b"jpeg", mtime_ns=0)
    draw(folder, "plots/s/project_b/photo.JPG", b"newer jpeg")
    draw(folder, "plots/s/project_a/moving.GIF", b"gif")
    draw(folder, "plots/s/project_a/w.webp", b"webp")
    draw(folder, "plots/s/project_a/large.png", PNG * 10_000)
    draw(folder, "plots/s/project_a/young.png")
    draw(folder, "plots/s/project_a/slow.png")
    draw(folder, f"plots/s/project_a/{LONG}", b"long")
    with serve_behind_nginx(folder) as both:
        yield both


def told(site: Site, path: str, method: str = "GET", **headers: str) -> tuple[int, dict[str, str], bytes]:
    """Status, headers (sorted) and content."""
    answer = site.get(path, method, **headers)
    own = {name.title(): value for name, value in answer.headers.items()}
    return answer.status_code, {name: value for name, value in own.items() if name not in HOP}, answer.content


def told_alike(both: ProxiedSite, path: str, method: str = "GET", **headers: str) -> tuple[int, dict[str, str], bytes]:
    """The identical response of both, with no duplicate header."""
    through, alone = told(both.through, path, method, **headers), told(both.alone, path, method, **headers)
    assert through == alone, (path, method, headers)
    return through


def test_headers_through_nginx(both: ProxiedSite) -> None:
    for path, kind, content in [
        ("/s/x.png", "image/png", PNG),
        ("/s/sub/x.svg", "image/svg+xml", SVG),
        ("/s/photo.JPG", "image/jpeg", b"newer jpeg"),
        ("/s/photo.JPG?project=project_a", "image/jpeg", b"jpeg"),
        ("/s/moving.GIF", "image/gif", b"gif"),
        ("/s/w.webp", "image/webp", b"webp"),
        ("/s/large.png", "image/png", PNG * 10_000),
    ]:
        status, headers, body = told_alike(both, path)
        assert (status, headers["Content-Type"], body) == (200, kind, content)
        assert headers["Content-Length"] == str(len(content))
        assert re.fullmatch('"[0-9a-f]{16}"', headers["Etag"])
        assert headers["Accept-Ranges"] == "bytes"
        assert headers["X-Content-Type-Options"] == "nosniff"
        assert headers["Cache-Control"] == "private, no-cache"
        assert headers["Cache-Status"] == "plotindex; hit; detail=unwatched"
        assert headers["Last-Modified"].endswith("GMT")
        policy = headers.get("Content-Security-Policy", "")
        assert policy.startswith("sandbox; default-src 'none'") == (kind == "image/svg+xml")
        assert ("Referrer-Policy" in headers) == (kind == "image/svg+xml")


def test_head(both: ProxiedSite) -> None:
    for path in ("/s/x.png", "/s/sub/x.svg?download=1", "/s/large.png", "/s/gone.png"):
        status, headers, body = told(both.through, path, "HEAD")
        assert body == b""
        assert (status, headers) == told(both.through, path)[:2] == told(both.alone, path, "HEAD")[:2]


def test_conditional_requests(both: ProxiedSite) -> None:
    tag, modified = (told(both.alone, "/s/x.png")[1][name] for name in ("Etag", "Last-Modified"))
    for condition in (tag, f'"zzz", {tag}', f"W/{tag}", "*"):
        for method in ("GET", "HEAD"):
            status, headers, body = told_alike(both, "/s/x.png", method, If_None_Match=condition)
            assert (status, headers["Etag"], body) == (304, tag, b"")
    assert told_alike(both, "/s/x.png", If_Modified_Since=modified)[0] == 304
    later = "Fri, 01 Jan 2100 00:00:00 GMT"
    for conditions in (
        {"If_None_Match": '"zzz"'},
        {"If_None_Match": '"zzz"', "If_Modified_Since": later},
        {"If_Modified_Since": "Thu, 01 Jan 1970 00:00:00 GMT"},
        {"If_Match": tag},
        {"If_Match": "*"},
        {"If_Unmodified_Since": later},
    ):
        assert told_alike(both, "/s/x.png", **conditions)[0] == 200, conditions
    assert told_alike(both, "/s/x.png", If_Unmodified_Since="Thu, 01 Jan 1970 00:00:00 GMT")[0] == 412


def test_ranges(both: ProxiedSite) -> None:
    tag, modified = (told(both.alone, "/s/x.png")[1][name] for name in ("Etag", "Last-Modified"))
    # A date validates a range once no other version can have it.
    wait_until(lambda: told(both.alone, "/s/x.png", Range="bytes=0-0", If_Range=modified)[0] == 206)
    for wanted, part in [("0-9", PNG[:10]), ("60-", PNG[60:]), ("-5", PNG[-5:]), ("0-0", PNG[:1]), ("9-999", PNG[9:])]:
        for condition in ({}, {"If_Range": tag}, {"If_Range": modified}):
            status, headers, body = told_alike(both, "/s/x.png", Range=f"bytes={wanted}", **condition)
            assert (status, body, headers["Etag"]) == (206, part, tag), (wanted, condition)
            assert headers["Content-Range"].endswith(f"/{len(PNG)}")
    for other in ('"zzz"', "Thu, 01 Jan 1970 00:00:00 GMT"):
        status, _, body = told_alike(both, "/s/x.png", Range="bytes=0-9", If_Range=other)
        assert (status, body) == (200, PNG), other
    assert told_alike(both, "/s/x.png", Range="bytes=0-9,20-29")[::2] == (200, PNG)
    for unsatisfiable in ("bytes=9999-", "bytes=70-"):
        status, headers, body = told_alike(both, "/s/x.png", Range=unsatisfiable)
        assert (status, headers["Content-Range"]) == (416, f"bytes */{len(PNG)}")
        assert body == b'{"error":"Range not satisfiable"}\n'


def test_settled_version_is_immutable(both: ProxiedSite) -> None:
    file = draw(both.alone.root, "s/project_a/young.png")
    version = told(both.alone, "/s/young.png")[1]["Etag"].strip('"')
    wait_until(lambda: time.time_ns() - file.stat().st_ctime_ns > 2_100_000_000)
    headers = told_alike(both, f"/s/young.png?v={version}")[1]
    assert headers["Cache-Control"] == "private, max-age=31536000, immutable"
    assert told_alike(both, "/s/young.png?v=0000")[1]["Cache-Control"] == "private, no-cache"


def test_odd_names(both: ProxiedSite) -> None:
    for name in UNUSUAL_NAMES:
        session, project, filename = (
            encode(part.encode()).decode() for part in (UNUSUAL_SESSION, UNUSUAL_PROJECT, name)
        )
        for query in ("", f"?download=1&project={project}"):
            # Targets that the client sends unchanged reach plotindex unchanged.
            answer = both.through.send(f"{PREFIX}/{session}/{filename}{query}".encode())
            assert (answer.status, answer.body) == (200, name.encode()), name
            assert (b"content-disposition" in answer.headers) == bool(query)
            alone = both.alone.send(f"{PREFIX}/{session}/{filename}{query}".encode())
            for header in (b"content-disposition", b"content-type", b"etag"):
                assert answer.headers.get(header) == alone.headers.get(header), name


def test_longest_names(both: ProxiedSite) -> None:
    status, _, body = told_alike(both, "/s/" + encode(LONG.encode()).decode())
    assert (status, body) == (200, b"long")


def test_errors_of_plotindex(both: ProxiedSite) -> None:
    for path, status in [("/s/gone.png", 404), ("/nowhere/x.png", 404), ("/s//x.png", 404), ("//s/x.png", 404)]:
        answer = told_alike(both, path)
        assert (answer[0], answer[1]["Cache-Status"]) == (status, "plotindex; fwd=miss")
        assert answer[2] == b'{"error":"Plot not found"}\n' or path.startswith("//")
    assert told(both.through, "/s/x.png", "DELETE")[::2] == told(both.alone, "/s/x.png", "DELETE")[::2]
    answers = [requests.get(f"{site.url}{PREFIX}/s/x.png", timeout=20) for site in (both.through, both.alone)]
    assert [(one.status_code, one.headers["WWW-Authenticate"], one.json()) for one in answers] == [
        (401, "Bearer", {"error": "Bearer token required"})
    ] * 2
    aside = both.alone.root.with_name("aside")
    both.alone.root.rename(aside)
    try:
        status, headers, _ = told_alike(both, "/s/never.png")
    finally:
        aside.rename(both.alone.root)
    assert (status, headers["Retry-After"], headers["Cache-Status"]) == (503, "5", "plotindex; fwd=miss")


def test_errors_of_nginx_are_json(both: ProxiedSite) -> None:
    folder = both.shared.folder
    with nginx(folder / "away", f"http://127.0.0.1:{free_port()}", folder / "plots") as front:
        answer = requests.get(f"{front.url}{PREFIX}/s/x.png", timeout=20)
    assert (answer.status_code, answer.headers["Retry-After"]) == (503, "5")
    assert answer.json() == {"error": "plotindex does not answer"}
    for target, status in [(b"/%00", 400), (b"/\x1b", 400), (b"/../x", 400), (b"/" + b"x" * 20_000, 414)]:
        refused = both.through.send(target)
        assert (refused.status, refused.headers[b"content-type"]) == (status, b"application/json")
        assert list(json.loads(refused.body)) == ["error"]


def test_signed_url(both: ProxiedSite) -> None:
    plots = both.alone.get("/s?q=x.svg").json()["plots"]
    (address,) = [entry["url"] for entry in plots if entry["filename"] == "sub/x.svg"]
    answers = [requests.get(site.url + address, timeout=20) for site in (both.through, both.alone)]
    assert [(one.status_code, one.content) for one in answers] == [(200, SVG)] * 2
    for header in ("ETag", "Cache-Control", "Referrer-Policy", "Content-Security-Policy"):
        assert answers[0].headers[header] == answers[1].headers[header]
    assert requests.get(both.through.url + address.replace("x.svg", "y.svg"), timeout=20).status_code == 401


def test_slow_readers_occupy_no_thread(both: ProxiedSite) -> None:
    os.truncate(both.alone.root / "s/project_a/slow.png", 1 << 26)
    request = f"GET {PREFIX}/s/slow.png HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {both.through.token}\r\n\r\n"
    host, port = both.through.url.removeprefix("http://").split(":")
    with ExitStack() as stack:
        for _ in range(2 * Settings.threads + 1):
            slow = stack.enter_context(socket.create_connection((host, int(port)), timeout=10))
            slow.sendall(request.encode())
            assert slow.recv(12) == b"HTTP/1.1 200"
        assert both.through.get("/s/x.png").content == PNG


def test_login_and_secure_cookie(
    both: ProxiedSite,
) -> None:
    folder, environment = both.shared.folder, both.shared.environment
    settings = load_settings({"root": str(both.alone.root)}, environment)
    token = Tokens(settings.state_folder / "tokens.json").check(both.alone.token)
    assert token is not None
    # As with a TLS listener.
    with nginx(folder / "tls", both.behind, folder / "way", {"$scheme;": "https;"}) as tls:
        for url, secure in ((both.through.url, False), (tls.url, True)):
            form = {"code": Logins.from_settings(settings).create_code(token)}
            said = requests.post(f"{url}/login", data=form, timeout=10, allow_redirects=False)
            assert (said.status_code, said.headers["Location"]) == (303, "/")
            cookie = said.headers["Set-Cookie"]
            assert ("; Secure; " in cookie, cookie.startswith("__Host-")) == (secure, secure)
            given = {"Cookie": cookie.partition(";")[0]}
            page = requests.get(f"{url}/?session=s", headers=given, timeout=10)
            assert (page.status_code, "x.png" in page.text) == (200, True)
            assert page.headers["Content-Security-Policy"].startswith("default-src 'none'")
            image = requests.get(f"{url}{PREFIX}/s/x.png", headers=given, timeout=10)
            assert (image.content, image.headers["Cross-Origin-Resource-Policy"]) == (PNG, "same-origin")
        # Clients cannot spoof their address or the host name.
        claims = {"X-Forwarded-Host": "evil.example", "X-Forwarded-Prefix": "/evil", "X-Forwarded-Proto": "https"}
        page = requests.get(f"{both.through.url}/", headers=claims, timeout=10, allow_redirects=False)
        assert (page.status_code, page.headers["Location"]) == (303, "/login")
