"""What a visitor's cookie opens for pages of other origins: other ports of the same host, and other sites."""

import html
from collections.abc import Iterator
from pathlib import Path

import pytest
import requests
from playwright.sync_api import Browser

from plotindex.auth.logins import Logins
from plotindex.auth.tokens import Tokens
from plotindex.config.settings import Settings
from tests.support.browser import run_recording_server
from tests.support.processes import Index, Service, StartService, draw, wait_until
from tests.support.site import PREFIX

POLICY = "Cross-Origin-Resource-Policy"
BY_FLASK = "?unknown=1"
"""A parameter that plain hits do not know."""
OPENED = {
    "/s/x.png": 200,
    f"/s/x.png{BY_FLASK}": 200,
    "/s/x.png?v=old&download=1": 200,
    "/s/x.png?width=160": 200,
    "/s/x.png?width=7": 400,
    "/s/absent.png": 404,
    "/other/x.png": 404,
    "/s": 200,
    "": 200,
    "/../changes?since=0": 200,
}
"""Paths below the prefix, and what a cookie of the session answers."""


@pytest.fixture
def tokens(settings: Settings) -> Tokens:
    return Tokens(settings.make_state_folder() / "tokens.json")


@pytest.fixture
def secret(tokens: Tokens) -> str:
    return tokens.create("mine", session="s")


@pytest.fixture
def served(root: Path, server: StartService, index: Index) -> Iterator[Service]:
    draw(root, "s/project_a/x.png")
    draw(root, "other/project_a/x.png")
    index()
    with server() as running:
        yield running


@pytest.fixture
def cookie(served: Service, settings: Settings, tokens: Tokens, secret: str) -> str:
    """The value of a Cookie header."""
    token = tokens.check(secret)
    assert token is not None
    form = {"code": Logins.from_settings(settings).create_code(token)}
    answer = requests.post(f"{served.url}/login", data=form, timeout=10, allow_redirects=False)
    return answer.headers["Set-Cookie"].partition(";")[0]


def get(served: Service, path: str, method: str = "GET", **headers: str) -> requests.Response:
    """Requests would normalize dots in the path."""
    below = "/api/smartstat" + path[3:] if path.startswith("/..") else PREFIX + path
    given = {name.replace("_", "-"): value for name, value in headers.items()}
    return requests.request(method, served.url + below, headers=given, timeout=20, allow_redirects=False)


@pytest.mark.parametrize("method", ["GET", "HEAD"])
def test_a_cookie_opens_nothing_for_a_page_of_another_origin(served: Service, cookie: str, method: str) -> None:
    for path, status in OPENED.items():
        for site in ("same-site", "cross-site", "another"):
            for mode in ({}, {"Sec_Fetch_Mode": "no-cors", "Sec_Fetch_Dest": "image"}, {"Sec_Fetch_Mode": "cors"}):
                answer = get(served, path, method, Cookie=cookie, Sec_Fetch_Site=site, **mode)
                assert (answer.status_code, answer.headers["WWW-Authenticate"]) == (401, "Bearer"), (path, site, mode)
        for own in ("same-origin", "none"):
            answer = get(served, path, method, Cookie=cookie, Sec_Fetch_Site=own, Sec_Fetch_Mode="no-cors")
            assert answer.status_code == status, path


def test_links_and_frames_of_other_origins_are_navigations_and_use_the_cookie(served: Service, cookie: str) -> None:
    for path, status in OPENED.items():
        for site in ("same-site", "cross-site"):
            for kind in ("document", "iframe"):
                answer = get(
                    served, path, Cookie=cookie, Sec_Fetch_Site=site, Sec_Fetch_Mode="navigate", Sec_Fetch_Dest=kind
                )
                assert answer.status_code == status, path
            for kind in ("object", "embed"):
                answer = get(
                    served, path, Cookie=cookie, Sec_Fetch_Site=site, Sec_Fetch_Mode="navigate", Sec_Fetch_Dest=kind
                )
                assert answer.status_code == 401, path


def test_whatever_a_cookie_opens_must_not_be_embedded_by_other_origins(
    served: Service, cookie: str, secret: str
) -> None:
    for path, status in OPENED.items():
        answer = get(served, path, Cookie=cookie)
        assert (answer.status_code, answer.headers.get(POLICY)) == (status, "same-origin"), path
        answer = get(served, path, Authorization=f"Bearer {secret}", Cookie=cookie, Sec_Fetch_Site="cross-site")
        assert (answer.status_code, answer.headers.get(POLICY)) == (status, None), path
    tag = get(served, "/s/x.png", Cookie=cookie).headers["ETag"]
    for condition, status in (({"If_None_Match": tag}, 304), ({"Range": "bytes=0-3"}, 206), ({"If_Match": "x"}, 412)):
        assert get(served, "/s/x.png", Cookie=cookie, **condition).headers[POLICY] == "same-origin", status
    for page in ("/", "/session/s", "/plot/s/x.png", "/login"):
        answer = requests.get(served.url + page, headers={"Cookie": cookie}, timeout=10)
        assert (answer.status_code, answer.headers[POLICY]) == (200, "same-origin"), page


def test_plain_hits_and_flask_answer_a_cookie_alike(served: Service, cookie: str) -> None:
    def answered(path: str, **headers: str) -> tuple[int, list[tuple[str, str]], bytes]:
        answer = get(served, path, Cookie=cookie, **headers)
        return answer.status_code, [one for one in answer.headers.items() if one[0].lower() != "date"], answer.content

    for headers in ({}, {"Sec_Fetch_Site": "same-site"}, {"Sec_Fetch_Site": "none"}, {"Range": "bytes=1-2"}):
        assert answered("/s/x.png", **headers) == answered(f"/s/x.png{BY_FLASK}", **headers)


def test_a_signed_address_opens_its_plot_from_anywhere(served: Service, cookie: str, secret: str) -> None:
    (entry,) = get(served, "/s", Authorization=f"Bearer {secret}").json()["plots"]
    assert "sig=" in entry["url"]
    for address in (entry["url"], entry["url"] + "&unknown=1"):
        for headers in ({}, {"Cookie": cookie}):
            given = {**headers, "Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "no-cors", "Sec-Fetch-Dest": "image"}
            answer = requests.get(served.url + address, headers=given, timeout=10)
            expected = (401, None) if "unknown" in address else (200, None)
            assert (answer.status_code, answer.headers.get(POLICY)) == expected


def test_a_post_by_cookie_needs_proof_of_its_origin(served: Service, cookie: str) -> None:
    port = served.url.rpartition(":")[2]
    for headers in (
        {},
        {"Sec-Fetch-Site": "none"},
        {"Sec-Fetch-Site": "same-site"},
        {"Sec-Fetch-Site": "cross-site", "Origin": served.url},
        {"Origin": "null"},
        {"Origin": f"https://127.0.0.1:{port}"},
        {"Origin": "http://127.0.0.1:1"},
        {"Origin": "http://127.0.0.1"},
        {"Origin": f"http://localhost:{port}"},
        {"Origin": "http://[:1"},
    ):
        given = {"Cookie": cookie, **headers}
        answer = requests.post(f"{served.url}/logout", headers=given, timeout=10, allow_redirects=False)
        assert answer.status_code == 403, headers
        assert get(served, "/s/x.png", Cookie=cookie).status_code == 200
    given = {"Cookie": cookie, "Origin": served.url}
    assert requests.post(f"{served.url}/logout", headers=given, timeout=10, allow_redirects=False).status_code == 303
    assert get(served, "/s/x.png", Cookie=cookie).status_code == 401


def test_a_host_header_without_its_port_allows_no_other_port(served: Service, cookie: str) -> None:
    given = {"Cookie": cookie, "Host": "127.0.0.1", "Origin": "http://127.0.0.1:9000"}
    assert requests.post(f"{served.url}/logout", headers=given, timeout=10, allow_redirects=False).status_code == 403


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost"])
def test_a_browser_shows_a_page_of_another_port_signed_plots_only(
    served: Service, cookie: str, secret: str, browser: Browser, host: str
) -> None:
    (entry,) = get(served, "/s", Authorization=f"Bearer {secret}").json()["plots"]
    own = served.url.replace("127.0.0.1", host)
    name, _, value = cookie.partition("=")
    images = {"by cookie": f"{own}{PREFIX}/s/x.png", "signed": own + entry["url"]}
    tags = "".join(f'<img alt="{what}" src="{html.escape(address)}">' for what, address in images.items())
    with run_recording_server() as other, browser.new_context() as context:
        context.add_cookies([{"name": name, "value": value, "url": own, "sameSite": "Strict"}])
        page = context.new_page()
        page.goto(images["by cookie"])
        assert page.evaluate("document.images[0].naturalWidth") > 0
        other.pages["/page"] = "text/html", tags.encode()
        page.goto(other.url.replace("127.0.0.1", host) + "/page")
        wait_until(lambda: page.evaluate("[...document.images].every(image => image.complete)"))
        widths = page.evaluate("Object.fromEntries([...document.images].map(image => [image.alt, image.naturalWidth]))")
        assert widths["by cookie"] == 0
        assert widths["signed"] > 0
