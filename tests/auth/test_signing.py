"""Signed URLs, key rotation, cookies per instance, and the login rate limit."""

import json
import re
import stat
import time
from collections.abc import Callable
from hashlib import sha256
from html import unescape
from pathlib import Path
from urllib.parse import parse_qsl, quote, urlencode, urljoin, urlsplit

import pytest
from flask import Flask
from flask.testing import FlaskClient
from itsdangerous import Signer
from werkzeug.test import TestResponse

from plotindex.auth.keys import KeyFile, signed_url_salt
from plotindex.auth.logins import Logins
from plotindex.auth.tokens import Token, Tokens
from plotindex.config import load_settings
from plotindex.config.settings import Settings
from plotindex.errors import PlotIndexError, SettingsError
from plotindex.tree.plots import PlotKey
from plotindex.web import PlotIndex, create_app
from plotindex.web.authentication import Authenticator
from plotindex.web.login_throttle import FREE_ATTEMPTS, LoginThrottle
from tests.support.processes import PNG, RunPlotindex, draw

KEY = PlotKey("s", "sub/x 1.png")
Load = Callable[..., Settings]


@pytest.fixture(autouse=True)
def plots(root: Path) -> None:
    for path in ("s/project_a/sub/x 1.png", "s/project_b/sub/x 1.png", "s/project_a/y.png", "t/project_a/sub/x 1.png"):
        draw(root, path)


@pytest.fixture
def tokens(settings: Settings) -> Tokens:
    return Tokens(settings.make_state_folder() / "tokens.json")


@pytest.fixture
def client(settings: Settings, tokens: Tokens) -> FlaskClient:
    return create_app(settings).test_client()


@pytest.fixture
def load(root: Path, environment: dict[str, str]) -> Load:
    """The settings of the root, changed by these."""
    return lambda **given: load_settings({"root": str(root), **given}, environment)


def get(client: FlaskClient, address: str, method: str = "GET") -> tuple[int, bytes]:
    answer: TestResponse = client.open(address, method=method, buffered=True)
    with answer:
        return answer.status_code, answer.data


def holder(tokens: Tokens, name: str, session: str | None = None) -> Token:
    token = tokens.check(tokens.create(name, session=session))
    assert token is not None
    return token


def signed(settings: Settings, token: Token, seconds: float = 3600, **parameters: str) -> str:
    return Authenticator(settings).url_signer.sign(KEY, parameters, seconds, token.id)


def test_a_signed_url_allows_one_plot_and_is_revoked_with_its_token(
    settings: Settings, client: FlaskClient, tokens: Tokens
) -> None:
    address = signed(settings, holder(tokens, "web"))
    assert get(client, address) == (200, PNG)
    assert get(client, address, "HEAD") == (200, b"")
    assert get(client, address, "POST")[0] == 405
    answer = client.get(address)
    assert answer.headers["Referrer-Policy"] == "no-referrer"
    answer.close()
    assert tokens.revoke("web")
    assert get(client, address)[0] == 401


def test_any_change_of_a_signed_url_invalidates_it(settings: Settings, client: FlaskClient, tokens: Tokens) -> None:
    token = holder(tokens, "web")
    address = signed(settings, token, project="project_a", v="1")
    parts = urlsplit(address)
    given = dict(parse_qsl(parts.query))
    assert set(given) == {"project", "v", "expires", "by", "sig"}
    assert get(client, address) == (200, PNG)
    other = holder(tokens, "other")
    for changed in (
        {"project": "project_b"},
        {"v": "2"},
        {"v": None},
        {"project": None},
        {"download": "1"},
        {"width": "320"},
        {"expires": str(int(given["expires"]) + 3600)},
        {"expires": None},
        {"by": other.id},
        {"by": None},
        {"sig": given["sig"][:-1]},
        {"sig": given["sig"] + "A"},
        {"sig": "\u00e9"},
        {"sig": None},
    ):
        query = {name: value for name, value in {**given, **changed}.items() if value is not None}
        assert get(client, f"{parts.path}?{urlencode(query)}")[0] == 401, changed
    assert get(client, address + "&sig=x")[0] == 401
    assert get(client, address + "&project=project_b")[0] == 401
    for path in ("/s/y.png", "/t/sub/x%201.png", "/s/sub", "/s", ""):
        assert get(client, f"/api/smartstat/plots{path}?{parts.query}")[0] == 401
    assert get(client, f"/api/smartstat/changes?{parts.query}")[0] == 401
    assert get(client, f"/?{parts.query}")[0] == 303


@pytest.mark.parametrize(
    ("key", "parameters"),
    [
        (PlotKey("s", "x.png"), {"v": "0123456789abcdef"}),
        (PlotKey("s \u00e9", 'sub/"a\\b"\n\U0001f600.png'), {"project": "project_%/\u00e9", "v": "1", "width": "320"}),
    ],
)
def test_urls_signed_before_an_upgrade_stay_valid(
    settings: Settings, tokens: Tokens, key: PlotKey, parameters: dict[str, str]
) -> None:
    token = holder(tokens, "web")
    authenticator = Authenticator(settings)
    path, _, query = authenticator.url_signer.sign(key, parameters, 3600, token.id).partition("?")
    given = dict(parse_qsl(query))
    signature = given.pop("sig")
    # As earlier versions signed.
    keys = list(KeyFile.from_settings(settings).load())
    signer = Signer(keys, signed_url_salt(settings), key_derivation="hmac", digest_method=sha256)
    message = json.dumps([*key, *sorted(given.items())]).encode()
    assert (given["by"], signature) == (token.id, signer.get_signature(message).decode())
    assert path == f"/api/smartstat/plots/{quote(key.session, safe='')}/{quote(key.filename)}"
    assert urlencode(given, quote_via=quote) == query.rpartition("&")[0]
    assert authenticator.signing_token(*key, parse_qsl(query)) is not None


def test_a_signed_url_allows_no_more_than_its_token(settings: Settings, client: FlaskClient, tokens: Tokens) -> None:
    assert get(client, signed(settings, holder(tokens, "narrow", session="t")))[0] == 401
    assert get(client, signed(settings, holder(tokens, "right", session="s")))[0] == 200


def test_a_signed_url_stays_the_same_for_an_hour_and_then_expires(
    settings: Settings, client: FlaskClient, tokens: Tokens, monkeypatch: pytest.MonkeyPatch
) -> None:
    token = holder(tokens, "web")
    hour = 3600 * (int(time.time()) // 3600)
    addresses = []
    for seconds in (1, 1800, 3599):
        monkeypatch.setattr(time, "time", lambda at=hour + seconds: at)
        addresses.append(signed(settings, token))
    assert len(set(addresses)) == 1
    for seconds, status in ((3599, 200), (7199, 200), (7200, 401), (10**6, 401)):
        monkeypatch.setattr(time, "time", lambda at=hour + seconds: at)
        assert get(client, addresses[0])[0] == status, seconds


def test_a_new_key_ends_logins_only_with_end_all(
    settings: Settings, client: FlaskClient, tokens: Tokens, plotindex: RunPlotindex
) -> None:
    token = holder(tokens, "web")
    logins = Logins.from_settings(settings)
    address, cookie = signed(settings, token), logins.consume_code(logins.create_code(token))
    assert cookie is not None
    file = settings.state_folder / "secret.key"
    before = file.read_bytes()
    for _ in range(2):
        assert plotindex("key", "rotate").returncode == 0
        assert get(client, address) == (200, PNG)
        assert logins.check_cookie(cookie) == token
    assert file.read_bytes().splitlines()[0] + b"\n" != before
    assert signed(settings, token) != address
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert plotindex("key", "rotate", "--end-all").returncode == 0
    assert get(client, address)[0] == 401
    assert logins.check_cookie(cookie) is None


def test_keys_in_the_settings_replace_the_file_and_are_never_printed(
    load: Load, tokens: Tokens, plotindex: RunPlotindex
) -> None:
    old, new = load(secret_key="old-" * 8), load(secret_key="new-" * 8 + " " + "old-" * 8)
    token = holder(tokens, "web")
    address = signed(old, token)
    assert get(create_app(new).test_client(), address)[0] == 200
    assert get(create_app(load(secret_key="new-" * 8)).test_client(), address)[0] == 401
    assert not (old.state_folder / "secret.key").exists()
    assert load_settings({}, new.as_environment()).secret_key == new.secret_key
    refused = plotindex("status", env={"PLOTINDEX_SECRET_KEY": "too-short"})
    assert (refused.returncode, "too-short" in refused.stderr) == (2, False)
    refused = plotindex("key", "rotate", env={"PLOTINDEX_SECRET_KEY": "old-" * 8})
    assert (refused.returncode, "old-" in refused.stderr) == (2, False)


def test_a_damaged_key_file_is_reported_and_nobody_is_let_in(settings: Settings, tokens: Tokens) -> None:
    keys = KeyFile(settings.state_folder / "secret.key")
    assert keys.load() == []
    assert len(keys.load_or_create()) == 1
    (settings.state_folder / "secret.key").write_text("nonsense\n")
    with pytest.raises(SettingsError, match="is damaged: restore it"):
        keys.load()


def test_the_cookie_is_bound_to_its_instance_and_to_https(load: Load, tokens: Tokens) -> None:
    secret = tokens.create("web")

    def log_in(settings: Settings, base: str, **headers: str) -> str:
        token = tokens.check(secret)
        assert token is not None
        code = Logins.from_settings(settings).create_code(token)
        client = create_app(settings).test_client()
        answer = client.post("/login", data={"code": code}, base_url=base, headers=headers)
        assert answer.status_code == 303
        return answer.headers["Set-Cookie"]

    plain = log_in(load(), "http://127.0.0.1:8517")
    assert re.fullmatch(
        r"plotindex_[0-9a-f]{8}=[^;]+; Expires=[^;]+; Max-Age=2592000; HttpOnly; Path=/; SameSite=Strict", plain
    )
    secure = (
        r"__Host-plotindex_[0-9a-f]{8}=[^;]+; Expires=[^;]+; Max-Age=2592000; Secure; HttpOnly; Path=/; SameSite=Strict"
    )
    assert re.fullmatch(secure, log_in(load(), "https://127.0.0.1"))
    public = load(public_url="https://plots.example.org")
    assert re.fullmatch(secure, log_in(public, "http://plots.example.org"))
    behind = load(proxies="1", public_url="http://plots.example.org")
    assert re.fullmatch(secure, log_in(behind, "http://plots.example.org", X_Forwarded_Proto="https"))
    assert re.fullmatch(plain.partition("=")[0] + ".*", log_in(load(), "http://localhost", X_Forwarded_Proto="https"))


def test_only_known_hosts_log_in_and_are_sent_pages(load: Load, tokens: Tokens) -> None:
    token = holder(tokens, "web")
    settings = load(public_url="https://plots.example.org/", host="0.0.0.0")
    logins = Logins.from_settings(settings)
    cookie = logins.consume_code(logins.create_code(token))
    for host, known in (
        ("plots.example.org", True),
        ("127.0.0.1:8517", True),
        ("[::1]:8517", True),
        ("10.1.2.3", True),
        ("localhost:8517", True),
        ("evil.example", False),
        ("127.0.0.1.evil.example", False),
        ("plots.example.org.evil.example", False),
        ("LOCALHOST.:8517", True),
        ("[::1", False),
        ("[localhost]", False),
        ("localhost:8517.evil.example", False),
        ("localhost:evil.example", False),
        ("localhost:99999", False),
        ("localhost:-1", False),
        ("localhost:85:17", False),
        ("evil.example@localhost", False),
        ("localhost@evil.example", False),
        ("localhost/.evil.example", False),
        ("localhost?.evil.example", False),
        ("localhost#.evil.example", False),
        ("localhost\\.evil.example", False),
        ("localhost, evil.example", False),
        ("local\thost", False),
        ("", False),
    ):
        headers = {"Host": host, "Cookie": f"__Host-{cookie_name(settings)}={cookie}"}
        client = create_app(settings).test_client(use_cookies=False)
        pages, lists = client.get("/", headers=headers), client.get("/api/smartstat/plots/s/y.png", headers=headers)
        assert (pages.status_code, lists.status_code) == ((503, 200) if known else (421, 401)), host
        lists.close()
        assert client.post("/login", data={"code": "x"}, headers=headers).status_code == (401 if known else 421)


@pytest.mark.parametrize(
    "address",
    [
        *(
            "//evil.example",
            "///evil.example",
            "/\\evil.example",
            "\\\\evil.example",
            "/%2fevil.example",
            "/%5cevil.example",
        ),
        *(
            "/\t/evil.example",
            "\t//evil.example",
            "/\n/evil.example",
            "/\r\nLocation: //evil.example",
            " //evil.example",
        ),
        *("https:evil.example", "https:/evil.example", "https://evil.example", "HTTPS://evil.example", "javascript:x"),
        *(
            "@evil.example",
            ".evil.example",
            "evil.example",
            "/.//evil.example",
            "/..//evil.example",
            "/\u2044/evil.example",
        ),
        *(
            "/session/s?next=//evil.example",
            "//localhost@evil.example",
            "/@evil.example",
            ":80@evil.example",
            "?x",
            "#x",
        ),
    ],
)
def test_a_login_leads_to_no_other_server(load: Load, tokens: Tokens, address: str) -> None:
    settings, token = load(), holder(tokens, "web")
    client = create_app(settings).test_client()
    for sent in (address, quote(address, safe="")):
        query = {"code": Logins.from_settings(settings).create_code(token), "next": sent}
        page = client.get("/login", query_string=query, base_url="http://localhost").text
        answer = client.post("/login", query_string=query, base_url="http://localhost")
        assert answer.status_code == 303
        targets = [
            answer.headers["Location"],
            *map(unescape, re.findall(r'(?:href|action|src|content)="([^"]*)"', page)),
        ]
        for target in targets:
            # As browsers read it: https://url.spec.whatwg.org/#url-parsing.
            read = re.sub(r"[\t\r\n]", "", target.strip()).replace("\\", "/")
            assert urlsplit(urljoin("http://localhost/login", read)).netloc == "localhost", target


def cookie_name(settings: Settings) -> str:
    return Authenticator(settings)._cookie


def test_failed_logins_delay_only_their_own_address(client: FlaskClient, tokens: Tokens, settings: Settings) -> None:
    def attempt(code: str, address: str) -> TestResponse:
        return client.post("/login", data={"code": code}, environ_overrides={"REMOTE_ADDR": address})

    for _ in range(FREE_ATTEMPTS):
        assert attempt("wrong", "10.0.0.1").status_code == 401
    code = Logins.from_settings(settings).create_code(holder(tokens, "web"))
    refused = attempt(code, "10.0.0.1")
    assert (refused.status_code, refused.headers["Retry-After"]) == (429, "1")
    assert attempt(code, "10.0.0.2").status_code == 303


def test_failures_expire_and_are_counted_per_ipv6_network(monkeypatch: pytest.MonkeyPatch) -> None:
    now = 0.0
    monkeypatch.setattr(time, "monotonic", lambda: now)
    throttle = LoginThrottle()
    for number in range(FREE_ATTEMPTS + 3):
        throttle.record_failure(f"2001:db8::{number}")
    assert throttle.retry_after("2001:db8::ffff") == 8.0
    assert throttle.retry_after("2001:db8:0:1::1") == throttle.retry_after(None) == 0.0
    now = 8.0
    assert throttle.retry_after("2001:db8::1") == 0.0
    for _ in range(20):
        throttle.record_failure("2001:db8::1")
    assert throttle.retry_after("2001:db8::1") == 60.0
    now = 1000.0
    throttle.record_failure("2001:db8::1")
    assert throttle.retry_after("2001:db8::1") == 0.0
    throttle.reset("2001:db8::1")
    for number in range(20_000):
        throttle.record_failure(f"10.0.{number // 256}.{number % 256}")
    assert len(throttle._failures) == 10_000


def test_a_host_signs_with_its_own_key_for_img(root: Path, tmp_path: Path) -> None:
    app = Flask("host")
    plots = PlotIndex(root=root, state_dir=str(tmp_path / "state"), decorator=lambda view: lambda **_: ("no", 401))
    plots.init_app(app)
    with app.test_request_context(), pytest.raises(SettingsError, match=r"set app\.secret_key"):
        plots.url_for(*KEY)
    app.secret_key = "first"
    client = app.test_client()
    with app.app_context():
        address = plots.url_for(*KEY, expires=60, project="project_b")
        with pytest.raises(PlotIndexError, match="is not a valid plot"):
            plots.url_for("s", "../x.png")
        with pytest.raises(SettingsError, match="PLOTINDEX_PUBLIC_URL"):
            plots.url_for(*KEY, external=True)
    assert get(client, address) == (200, PNG)
    assert get(client, address.partition("?")[0])[0] == 401
    assert get(client, address.replace("project_b", "project_a"))[0] == 401
    app.config.update(SECRET_KEY="second", SECRET_KEY_FALLBACKS=["first"])
    assert get(client, address) == (200, PNG)
    with app.test_request_context("/", base_url="https://host.example/app"):
        assert plots.url_for(*KEY).startswith("/app/api/smartstat/plots/s/sub/x%201.png?expires=")
        with pytest.raises(SettingsError, match="PLOTINDEX_PUBLIC_URL"):
            plots.url_for(*KEY, external=True)
    app.config.update(SECRET_KEY="third", SECRET_KEY_FALLBACKS=None)
    assert get(client, address)[0] == 401


def test_an_external_url_starts_with_the_public_url(root: Path, tmp_path: Path) -> None:
    app = Flask("host")
    app.secret_key = "key"
    app.config.update(PLOTINDEX_PUBLIC_URL="https://plots.example.org/", PLOTINDEX_STATE_DIR=str(tmp_path / "state"))
    plots = PlotIndex(app, root=root, may_see=lambda _: True)
    with app.app_context():
        address = plots.url_for(*KEY, external=True, version="abc", download=True)
    begin = "https://plots.example.org/api/smartstat/plots/s/sub/x%201.png?v=abc&download=1&expires="
    assert address.startswith(begin)


def test_a_signed_url_is_not_valid_in_another_extension_with_the_same_key(root: Path, tmp_path: Path) -> None:
    app = Flask("host")
    app.secret_key = "shared"
    draw(tmp_path, "other/s/project_a/sub/x 1.png", b"other")
    app.config["PLOTINDEX_STATE_DIR"] = str(tmp_path / "state")
    mine = PlotIndex(app, root=root, url_prefix="/a", may_see=lambda _: False)
    PlotIndex(app, root=tmp_path / "other", url_prefix="/b", may_see=lambda _: False)
    with app.app_context():
        address = mine.url_for(*KEY)
    client = app.test_client()
    assert get(client, address) == (200, PNG)
    assert get(client, address.replace("/a/", "/b/", 1))[0] == 404
