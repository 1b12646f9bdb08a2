"""The login page in a real browser."""

from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, Page, expect

from plotindex.auth.logins import Logins
from plotindex.auth.tokens import Tokens
from tests.support.gallery_pages import Gallery
from tests.support.live_gallery import violations

NOT_VALID = "This code is not valid."
RULE = "Codes expire after ten minutes and work once."


@pytest.fixture
def page(gallery: Gallery, browser: Browser) -> Iterator[Page]:
    with browser.new_context(base_url=gallery.url, viewport={"width": 360, "height": 700}) as context:
        yield context.new_page()


def create_code(gallery: Gallery) -> str:
    tokens = Tokens.from_settings(gallery.settings)
    gallery.tokens += 1
    token = tokens.check(tokens.create(f"login {gallery.tokens}"))
    assert token is not None
    return Logins.from_settings(gallery.settings).create_code(token)


def enter(page: Page, text: str) -> None:
    page.get_by_label("Code").fill(text)
    page.get_by_label("Code").press("Enter")


def test_code_or_whole_link_can_be_pasted(gallery: Gallery, page: Page) -> None:
    for pasted in (
        "{}",
        "  {}\t",
        "{url}/login?code={}",
        " {url}/login?next=%2Fsession%2Fmine&code={} ",
        "<https://plots.example.org/a/long/path/{padding}/login?code={}>",
        "127.0.0.1:8517/login?code={}",
    ):
        page.goto("/login")
        enter(page, pasted.format(create_code(gallery), url=gallery.url, padding="x" * 200))
        expect(page).to_have_url(f"{gallery.url}/")
        page.get_by_role("button", name="Log out").click()
        expect(page.get_by_role("heading", level=1)).to_have_text("Log in to plotindex")


def test_mistyped_code_can_be_corrected(gallery: Gallery, page: Page) -> None:
    page.goto("/login?next=%2F%3Fq%3Dx")
    code = create_code(gallery)
    for wrong in (f"{code}x", f"{gallery.url}/login?code={code[:-1]}", f"{gallery.url}/"):
        enter(page, wrong)
        expect(page.get_by_role("heading", level=1)).to_have_text(NOT_VALID)
        expect(page.get_by_role("main")).to_contain_text(RULE)
        expect(page.get_by_role("main")).not_to_contain_text("used")
    field = page.get_by_label("Code")
    expect(field).to_be_focused()
    expect(field).to_have_accessible_description(NOT_VALID)
    assert violations(page) == []
    enter(page, code)
    expect(page).to_have_url(f"{gallery.url}/?q=x")


def test_used_link_while_logged_in_says_so(gallery: Gallery, browser: Browser) -> None:
    with gallery.open_context(browser) as context:
        name = f"browser {gallery.tokens}"
        page = context.new_page()
        page.goto("/login")
        is_logged_in(page)
        code = create_code(gallery)
        use_elsewhere(browser, gallery, code)
        page.goto(f"/login?code={code}")
        page.get_by_role("button", name="Log in").click()
        is_logged_in(page)
        expect(page.get_by_role("main")).to_contain_text(f"{NOT_VALID} {RULE}")
        page.get_by_role("link", name="Show the sessions").click()
        expect(page).to_have_url(f"{gallery.url}/")
        Tokens.from_settings(gallery.settings).revoke(name)
        page.goto("/login")
        expect(page.get_by_role("heading", level=1)).to_have_text("Your login has expired")


def is_logged_in(page: Page) -> None:
    expect(page.get_by_role("heading", level=1)).to_have_text("You are logged in.")
    expect(page.get_by_role("main")).not_to_contain_text("expired")


def use_elsewhere(browser: Browser, gallery: Gallery, code: str) -> None:
    with browser.new_context(base_url=gallery.url) as context:
        assert context.request.post("/login", form={"code": code}).ok
