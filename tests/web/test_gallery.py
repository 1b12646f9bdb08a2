"""The pages over real sockets: access, login, hostile names."""

import html
import re
import socket
import stat
import time
from collections.abc import Iterator
from contextlib import ExitStack, suppress
from pathlib import Path
from urllib.parse import parse_qs, quote, urlsplit

import pytest
import requests

from plotindex.auth.keys import KeyFile
from plotindex.auth.logins import Logins
from plotindex.auth.tokens import Token, Tokens
from plotindex.config.settings import Settings
from tests.support.processes import PNG, Index, RunPlotindex, Service, StartService, draw, free_port

NOW = re.compile(r"\d{4}-\d\d-\d\dT[\d:]{8}\+00:00")
"""When a page was made."""
HOSTILE = "<img src=x onerror=alert(1)>'\"&\u202e.png"


@pytest.fixture
def tokens(settings: Settings) -> Tokens:
    return Tokens(settings.make_state_folder() / "tokens.json")


@pytest.fixture
def logins(settings: Settings, tokens: Tokens) -> Logins:
    return Logins.from_settings(settings)


@pytest.fixture
def served(root: Path, server: StartService, index: Index) -> Iterator[Service]:
    draw(root, "mine/project_a/x.png")
    draw(root, f"mine/project_b/sub/{HOSTILE}")
    draw(root, "other/project_a/secret.png")
    index()
    with server() as running:
        yield running


def holder(tokens: Tokens, secret: str) -> Token:
    """The token with this secret."""
    token = tokens.check(secret)
    assert token is not None
    return token


def log_in(served: Service, code: str) -> requests.Session:
    browser = requests.Session()
    page = browser.get(f"{served.url}/login", params={"code": code}, timeout=10)
    assert (page.status_code, "Log in" in page.text, len(browser.cookies)) == (200, True, 0)
    form = re.search('action="([^"]+)"(?s:.*)name="code" value="([^"]+)"', page.text)
    assert form is not None
    browser.post(served.url + html.unescape(form[1]), data={"code": form[2]}, timeout=10)
    return browser


def test_code_works_once_and_cookie_has_the_tokens_permissions(served: Service, tokens: Tokens, logins: Logins) -> None:
    secret = tokens.create("browser", session="mine")
    code = logins.create_code(holder(tokens, secret))
    browser = log_in(served, code)
    again = {"code": logins.create_code(holder(tokens, secret))}
    answer = requests.post(f"{served.url}/login", data=again, timeout=10, allow_redirects=False)
    assert re.search("; HttpOnly; Path=/; SameSite=Strict$", answer.headers["Set-Cookie"])
    page = browser.get(f"{served.url}/", timeout=10)
    assert (page.status_code, "mine" in page.text, "other" in page.text) == (200, True, False)
    assert "default-src 'none'" in page.headers["Content-Security-Policy"]
    image = "/api/smartstat/plots/{}/{}"
    assert browser.get(served.url + image.format("mine", "x.png"), timeout=10).content == PNG
    assert browser.get(served.url + image.format("other", "secret.png"), timeout=10).status_code == 404
    pages = (
        "/?q=secret",
        "/?q=other",
        "/session/other",
        "/plot/other/secret.png",
        "/compare?session=other&name=secret.png",
    )
    for path in pages:
        text = browser.get(served.url + path, timeout=10).text
        assert "project_a/secret.png" not in text, path
        missing = browser.get(served.url + path.replace("other", "nowhere"), timeout=10).text
        assert NOW.sub("", text).replace("other", "nowhere") == NOW.sub("", missing)
    chosen = {"plot": ["mine/project_a/x.png", "other/project_a/secret.png"]}
    page = browser.get(f"{served.url}/compare", params=chosen, timeout=10)
    assert (page.status_code, "secret.png" in page.text) == (200, False)
    assert requests.post(f"{served.url}/login", data={"code": code}, timeout=10).status_code == 401
    tokens.revoke("browser")
    assert browser.get(f"{served.url}/", timeout=10).url.endswith("/login")
    assert browser.get(served.url + image.format("mine", "x.png"), timeout=10).status_code == 401


def test_pages_require_login(served: Service) -> None:
    for path in ("/", "/?q=x", "/session/mine", "/plot/mine/x.png", "/compare?session=mine&name=x.png"):
        page = requests.get(served.url + path, timeout=10)
        assert page.url.split("?")[0].endswith("/login")
        assert "project_a" not in page.text
    for value in ("x", "", "a.b.c", "\u00e9"):
        cookies = {"plotindex_00000000": value}
        assert requests.get(served.url, cookies=cookies, timeout=10).url.endswith("/login")


def test_hostile_names_are_escaped_and_images_exist(served: Service, tokens: Tokens, logins: Logins) -> None:
    browser = log_in(served, logins.create_code(holder(tokens, tokens.create("browser"))))
    address = f"{served.url}/session/mine"
    page = browser.get(address, timeout=10).text
    assert "<img src=x" not in page
    assert "&lt;img src=x onerror=alert(1)&gt;" in page
    sources = re.findall('data-image="([^"]+)"', page)
    assert len(sources) == 2
    for source in sources:
        assert browser.get(served.url + html.unescape(source), timeout=10).content == PNG
    for path in (
        f"/plot/mine/sub/{quote(HOSTILE)}",
        f"/compare?session=mine&name=sub/{quote(HOSTILE)}",
        f"/?q={quote(HOSTILE)}",
    ):
        page = browser.get(served.url + path, timeout=10).text
        assert "<img src=x" not in page
        assert "&lt;img src=x onerror=alert(1)&gt;" in page
    for path in ("/session/nowhere", "/plot/mine/nothing.png", "/compare?session=mine&name=nothing.png"):
        assert browser.get(served.url + path, timeout=10).status_code == 404


def test_logout_invalidates_all_copies_of_the_cookie(served: Service, tokens: Tokens, logins: Logins) -> None:
    token = holder(tokens, tokens.create("browser"))
    browser, other = (log_in(served, logins.create_code(token)) for _ in range(2))
    copy = requests.Session()
    copy.cookies.update(browser.cookies)
    own = {"Origin": served.url}
    assert browser.post(f"{served.url}/logout", headers=own, timeout=10).url.endswith("/login")
    for gone in (browser, copy):
        assert gone.get(f"{served.url}/", timeout=10).url.endswith("/login")
        assert gone.get(f"{served.url}/api/smartstat/plots/mine/x.png", timeout=10).status_code == 401
    assert other.get(f"{served.url}/session/mine", timeout=10).status_code == 200


def test_login_redirects_only_to_local_pages(served: Service, tokens: Tokens, logins: Logins) -> None:
    token = holder(tokens, tokens.create("browser"))
    asked = "/plot/mine/x.png?project=project_a"
    page = requests.get(served.url + asked, timeout=10)
    assert parse_qs(urlsplit(page.url).query) == {"next": [asked]}
    evil = (
        "//evil.example/",
        "/\\evil.example",
        "https://evil.example/",
        "/\r\nX: y",
        "javascript:alert(1)",
        "/\u00e9",
    )
    for behind, expected in ((asked, asked), *((address, "/") for address in evil)):
        query = {"code": logins.create_code(token), "next": behind}
        page = requests.get(f"{served.url}/login", params=query, timeout=10)
        assert ("evil" in page.text, "javascript" in page.text) == (False, False)
        answer = requests.post(f"{served.url}/login", params=query, timeout=10, allow_redirects=False)
        assert (answer.status_code, answer.headers["Location"]) == (303, expected)


def test_damaged_logouts_file_denies_all_cookies(settings: Settings, tokens: Tokens, logins: Logins) -> None:
    cookie = logins.consume_code(logins.create_code(holder(tokens, tokens.create("browser"))))
    assert cookie is not None
    for content in ("[]", '{"a": "b"}', "{"):
        (settings.state_folder / "logouts.json").write_text(content)
        assert logins.check_cookie(cookie) is None
    (settings.state_folder / "logouts.json").unlink()
    assert logins.check_cookie(cookie) is not None


def test_url_printed_by_run_logs_in(service: StartService, root: Path, plotindex: RunPlotindex) -> None:
    draw(root, "mine/project_a/x.png")
    port = free_port()
    with service("run", "--port", str(port)) as running:
        running.wait_for(lambda: "curl" in running.stdout)
        address = re.search(r"http://127\.0\.0\.1:\d+/login\?code=(\S+)", running.stdout)
        assert address is not None
        running.url = f"http://127.0.0.1:{port}"
        browser = log_in(running, address[1])
        assert "mine" in browser.get(f"{running.url}/", timeout=10).text
        assert address[1] not in running.stderr


def test_codes_expire_and_are_stored_as_digests(
    settings: Settings, tokens: Tokens, logins: Logins, monkeypatch: pytest.MonkeyPatch
) -> None:
    secret = tokens.create("browser")
    codes = [logins.create_code(holder(tokens, secret)) for _ in range(2)]
    cookie = logins.consume_code(codes[0])
    assert cookie is not None
    assert logins.check_cookie(cookie) == tokens.check(secret)
    for changed in (cookie[:-1], cookie + "x", cookie.replace(cookie[0], "A", 1) if cookie[0] != "A" else "B" + cookie):
        assert logins.check_cookie(changed) is None
    for file in settings.state_folder.iterdir():
        assert stat.S_IMODE(file.stat().st_mode) == 0o600, file
        assert not any(word.encode() in file.read_bytes() for word in (*codes, secret)), file
    now = time.time()
    monkeypatch.setattr(time, "time", lambda: now + 601)
    assert logins.consume_code(codes[1]) is None
    assert logins.check_cookie(cookie) is not None
    monkeypatch.setattr(time, "time", lambda: now + 31 * 86400)
    assert logins.check_cookie(cookie) is None


def test_key_of_another_instance_is_rejected(tmp_path: Path, tokens: Tokens, logins: Logins) -> None:
    secret = tokens.create("browser")
    (tmp_path / "stranger").mkdir()
    stranger = Logins(tmp_path / "stranger", tokens, KeyFile(tmp_path / "stranger/secret.key"))
    cookie = stranger.consume_code(stranger.create_code(holder(tokens, secret)))
    assert cookie is not None
    assert logins.consume_code(logins.create_code(holder(tokens, secret))) is not None
    assert logins.check_cookie(cookie) is None


def test_slow_or_large_login_forms_block_nobody(served: Service, tokens: Tokens, logins: Logins) -> None:
    host, port = served.url.removeprefix("http://").split(":")
    head = b"POST /login HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/x-www-form-urlencoded\r\n"
    with ExitStack() as stack:
        for _ in range(8):
            slow = stack.enter_context(socket.create_connection((host, int(port)), timeout=10))
            slow.sendall(head + b"Content-Length: 100\r\n\r\ncode=a")
        for _ in range(5):
            assert requests.get(f"{served.url}/healthz", timeout=5).ok
        browser = log_in(served, logins.create_code(holder(tokens, tokens.create("browser"))))
        assert "mine" in browser.get(f"{served.url}/", timeout=5).text
    for given in ({"data": {"code": "x" * 2000}}, {"files": {"code": b"x" * 2000}}):
        # The response comes before the body is complete: not every client reads it.
        with suppress(requests.ConnectionError):
            assert requests.post(f"{served.url}/login", timeout=5, **given).status_code == 413


def test_forms_from_other_sites_are_rejected(served: Service, tokens: Tokens, logins: Logins) -> None:
    code = {"code": logins.create_code(holder(tokens, tokens.create("browser")))}
    elsewhere = f"{served.url.rpartition(':')[0]}:1"
    foreign = [
        {"Origin": "https://evil.example"},
        {"Origin": elsewhere},
        {"Origin": "null"},
        {"Sec-Fetch-Site": "cross-site"},
    ]
    for headers in foreign:
        for path in ("/login", "/logout"):
            assert requests.post(served.url + path, data=code, headers=headers, timeout=5).status_code == 403
    own = {"Origin": served.url, "Sec-Fetch-Site": "same-origin"}
    answer = requests.post(f"{served.url}/login", data=code, headers=own, timeout=5, allow_redirects=False)
    assert answer.status_code == 303


def test_damaged_codes_file_is_empty(settings: Settings, logins: Logins) -> None:
    for content in ("[]", '{"a": 1}', "{", '{"a": {}}', '{"a": {"token": "x", "expires": "y"}}'):
        (settings.state_folder / "logins.json").write_text(content)
        assert logins.consume_code("a") is None
