"""All pages of the gallery in a real browser: sessions, search, access, accessibility, size."""

import io
import re
import threading
from collections.abc import Callable, Iterator

import pytest
from flask import Flask, Response, abort, make_response, request
from PIL import Image
from playwright.sync_api import Browser, BrowserContext, Page, expect
from werkzeug.serving import make_server

from plotindex.web import PlotIndex
from tests.support.browser import run_recording_server
from tests.support.gallery_pages import MAX_PAGE_BYTES, Gallery, RecordedPage, run_gallery
from tests.support.images import BLUE, GREEN, RED, encoded
from tests.support.live_gallery import violations, violations_in_dark_theme
from tests.support.processes import PNG, draw

SHAPES = {"square": (600, 600), "tall": (100, 600), "wide": (600, 100), "tiny": (8, 8), "ordinary": (640, 480)}
HOSTILE = "<img src=x onerror=alert(1)>'\"&\u202e.png"


def striped(size: tuple[int, int]) -> Image.Image:
    """A green plot; a quarter of it is red at the left and at the top, and blue at the right and at the bottom."""
    width, height = size
    image = Image.new("RGB", size, GREEN)
    image.paste(RED, (0, 0, width // 4, height))
    image.paste(BLUE, (width - width // 4, 0, width, height))
    image.paste(RED, (width // 4, 0, width - width // 4, height // 4))
    image.paste(BLUE, (width // 4, height - height // 4, width - width // 4, height))
    return image


def coloured(image: Image.Image) -> Image.Image:
    """The red, green and blue part of a screenshot."""
    box = image.convert("HSV").getchannel("S").point(lambda saturation: 255 * (saturation > 127)).getbbox()
    assert box is not None
    return image.crop(box)


def edges(image: Image.Image) -> list[str]:
    """Which colour is the strongest near the left, top, right and bottom of an image."""
    (width, height), (beside, below) = image.size, (image.width // 8, image.height // 8)
    places = ((beside, height // 2), (width // 2, below), (width - beside, height // 2), (width // 2, height - below))
    pixels = [image.getpixel(place) for place in places]
    return [["red", "green", "blue"][pixel.index(max(pixel))] for pixel in pixels if isinstance(pixel, tuple)]


@pytest.fixture(scope="module")
def gallery(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gallery]:
    folder = tmp_path_factory.mktemp("gallery_pages")
    root = folder / "plots"
    for number in range(45):
        draw(root, f"session {number:02}/project_a/x.png", mtime_ns=10**18 + number * 10**9)
    for project in "abc":
        draw(root, f"mine/project_{project}/correlation.png", PNG + project.encode(), mtime_ns=15 * 10**17)
    draw(root, f"mine/project_a/sub/{HOSTILE}")
    draw(
        root,
        "mine/project_a/large.svg",
        b'<svg xmlns="http://www.w3.org/2000/svg" width="4" height="3">%s</svg>' % (b" " * 1_100_000),
    )
    draw(root, "other/project_a/secret.png")
    for name, size in SHAPES.items():
        draw(root, f"shapes/project_a/shape-{name}.png", encoded(striped(size)))
    (root / "empty/project_a").mkdir(parents=True)
    with run_gallery(folder) as gallery:
        gallery.service.wait_for(lambda: "Full scan finished" in gallery.service.stderr)
        yield gallery


@pytest.fixture(scope="module")
def logged_in(gallery: Gallery, browser: Browser) -> Iterator[BrowserContext]:
    with gallery.open_context(browser) as context:
        yield context


LARGE_SVG = b'<svg xmlns="http://www.w3.org/2000/svg" width="4" height="3">%s</svg>' % (b" " * 1_100_000)
PAGES = {
    "sessions": "/",
    "search": "/?q=x",
    "session": "/session/mine",
    "empty session": "/session/empty",
    "hostile plot": "/plot/mine/sub/" + "".join(f"%{byte:02x}" for byte in HOSTILE.encode()),
    "large svg": "/plot/mine/large.svg",
    "message": "/session/nowhere",
    "login with a code": "/login?code=x",
}


def test_pages_obey_their_policy_are_accessible_and_fit_a_phone(gallery: Gallery, browser: Browser) -> None:
    with gallery.open_context(browser, viewport={"width": 360, "height": 700}) as context:
        for name, path in PAGES.items():
            watched = RecordedPage(context)
            open_page(watched.page, name, path)
            assert {request.url.split("/")[2] for request in watched.requests} == {gallery.url.split("/")[2]}, name
            assert watched.page.evaluate("document.documentElement.scrollWidth") <= 360, name
            problems = [text for text in watched.problems if "503 (" not in text]  # a renderer that is busy
            wrong = [text for text in problems if "404 (" not in text or name != "message"]
            assert (name, wrong) == (name, [])
            assert (name, violations(watched.page)) == (name, [])
            assert (name, violations_in_dark_theme(watched.page)) == (name, [])
            watched.page.close()


def open_page(page: Page, name: str, path: str) -> None:
    page.goto(path)
    if "session" in name:
        expect(page.locator(".card, .sessions li, #empty").first).to_be_visible()


def test_size_of_the_first_page(gallery: Gallery, logged_in: BrowserContext) -> None:
    page = logged_in.new_page()
    page.goto("/")
    expect(page.locator(".sessions li img[src]")).not_to_have_count(0)
    weight: dict[str, int] = page.evaluate(
        """() => {
            const parts = ["navigation", "resource"].flatMap((type) => performance.getEntriesByType(type));
            const others = parts.filter(({ name }) => !name.includes("/api/smartstat/"));
            return Object.fromEntries(others.map(({ name, encodedBodySize }) => [name, encodedBodySize]));
        }"""
    )
    assert len(weight) > 6
    assert all(weight.values())
    assert sum(weight.values()) < MAX_PAGE_BYTES, weight
    page.close()


def test_sessions_page_is_newest_first_and_live(gallery: Gallery, page: Page) -> None:
    page.goto("/")
    expect(page.get_by_role("heading", level=1)).to_contain_text("48 sessions")
    expect(page.locator('[data-session="mine"] .facts')).to_have_text(re.compile("^3 plots, 5 copies"))
    expect(page.locator('[data-session="session 44"] img')).to_have_js_property("naturalWidth", 1)
    page.get_by_role("link", name="Older").click()
    expect(page.locator("[data-session]").first).to_have_attribute("data-session", "session 27")
    page.get_by_role("link", name="Newer").click()
    link = page.locator('[data-session="mine"] a')
    link.focus()
    draw(gallery.root, "new one/project_a/x.png")
    expect(page.locator("[data-session]").first).to_have_attribute("data-session", "new one")
    expect(page.locator("[data-session]").first.locator("img")).to_have_js_property("naturalWidth", 1)
    expect(link).to_be_focused()


def test_sessions_stay_in_place_while_they_are_drawn(gallery: Gallery, page: Page) -> None:
    for name in ("first", "second"):
        draw(gallery.root, f"click {name}/project_a/x.png")
    page.goto("/")
    second = page.locator('[data-session="click second"] a')
    expect(second.locator(".facts")).to_contain_text("1 plot")
    expect(second.locator("img")).to_have_js_property("naturalWidth", 1)
    page.evaluate("for (const part of document.querySelectorAll('[data-session] :is(a, img)')) part.isKept = true")
    draw(gallery.root, "click second/project_a/y.png")
    expect(second.locator(".facts")).to_contain_text("2 plots")
    assert second.evaluate("link => link.isKept && link.querySelector('[data-filename=\"x.png\"]').isKept")
    expect(second.locator('img[data-filename="y.png"]')).to_have_js_property("naturalWidth", 1)
    # A link does not move away from a pressed button.
    first = page.locator('[data-session="click first"] a')
    first.hover()
    page.mouse.down()
    with page.expect_response(f"{gallery.url}/"):
        draw(gallery.root, "click first/project_a/y.png")
    page.evaluate("new Promise(done => requestAnimationFrame(() => requestAnimationFrame(done)))")
    page.mouse.up()
    page.wait_for_url("**/session/click%20first")


def test_search_while_typing_updates_the_url(gallery: Gallery, page: Page) -> None:
    page.goto("/")
    page.get_by_label("Search sessions and plots").press_sequentially("CORREL")
    found = page.locator(".found .card")
    expect(found).to_have_count(1)
    expect(found.locator(".name")).to_contain_text("mine")
    expect(page.get_by_text("No matching sessions.")).to_be_visible()
    page.reload()
    expect(page.get_by_label("Search sessions and plots")).to_have_value("CORREL")
    page.get_by_label("Search sessions and plots").fill("session?4*")
    expect(page.locator("[data-session]")).to_have_count(5)
    page.get_by_label("Search sessions and plots").fill("")
    expect(page.locator("li[data-session]")).to_have_count(20)


def test_session_token_sees_only_its_session(gallery: Gallery, browser: Browser) -> None:
    with gallery.open_context(browser, session="mine") as context:
        watched = RecordedPage(context)
        page = watched.page
        page.goto("/")
        expect(page.get_by_role("heading", level=1)).to_contain_text("1 session")
        draw(gallery.root, "other/project_a/secret two.png")
        draw(gallery.root, "mine/project_a/mine too.png")
        expect(page.locator('[data-session="mine"] .facts')).to_have_text(re.compile("^4 plots, 6 copies"))
        page.get_by_label("Search sessions and plots").fill("secret")
        expect(page.get_by_text("No matching plots.")).to_be_visible()
        assert "other" not in page.content()
        (gallery.root / "mine/project_a/mine too.png").unlink()


def test_link_on_another_site_keeps_the_login(gallery: Gallery, logged_in: BrowserContext) -> None:
    with run_recording_server() as listener:
        target = f"{gallery.url}/plot/mine/correlation.png?project=project_b"
        listener.pages["/"] = "text/html", f'<a href="{target}">see</a>'.encode()
        page = logged_in.new_page()
        page.goto(listener.url.replace("127.0.0.1", "localhost"))
        page.get_by_text("see").click()
        expect(page.get_by_role("heading", level=1)).to_contain_text("correlation.png")
        assert page.url == target
        page.close()


@pytest.fixture
def host(gallery: Gallery) -> Iterator[str]:
    """A host application with its own login and the gallery."""
    app = Flask("host", template_folder=None)

    def require_auth(view: Callable[..., Response]) -> Callable[..., Response]:
        def guarded(**given: str) -> Response:
            if request.cookies.get("host") != "let me in":
                abort(401)
            return view(**given)

        guarded.__name__ = getattr(view, "__name__", "view")
        return guarded

    @app.get("/enter")
    def enter() -> Response:
        response = make_response("entered")
        response.set_cookie("host", "let me in")
        return response

    settings = gallery.settings
    plots = PlotIndex(
        root=gallery.root,
        state_dir=settings.state_dir,
        decorator=require_auth,
        may_see=lambda session: session != "other",
        gallery=True,
    )
    plots.init_app(app)
    server = make_server("127.0.0.1", 0, app, threaded=True)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield f"http://127.0.0.1:{server.port}"
    server.shutdown()
    thread.join()
    server.server_close()


def test_gallery_in_a_host_application(gallery: Gallery, host: str, browser: Browser) -> None:
    with browser.new_context(base_url=host) as context:
        watched = RecordedPage(context)
        page = watched.page
        for path in ("/", "/session/mine", "/plot/mine/correlation.png", "/compare?session=mine&name=correlation.png"):
            assert context.request.get(f"/api/smartstat/gallery{path}").status == 401
        context.request.get("/enter")
        page.goto("/api/smartstat/gallery/")
        expect(page.locator("[data-session]").first).to_be_visible()
        expect(page.get_by_role("button", name="Log out")).to_have_count(0)
        assert "other" not in page.content()
        page.goto("/api/smartstat/gallery/session/mine")
        expect(page.locator(".card")).to_have_count(3)
        draw(gallery.root, "mine/project_a/live.png")
        expect(page.locator('.card[data-filename="live.png"] img')).to_have_js_property("naturalWidth", 1)
        page.locator('.card[data-filename="live.png"] .open').click()
        expect(page.get_by_role("heading", level=1)).to_contain_text("live.png")
        expect(page.locator("#stage img")).to_have_js_property("naturalWidth", 1)
        assert context.request.get("/api/smartstat/gallery/session/other").status == 404
        # While the one renderer is busy.
        assert [text for text in watched.problems if "503 (" not in text] == []
    (gallery.root / "mine/project_a/live.png").unlink()


@pytest.mark.parametrize("address", ["/session/shapes", "/?q=shape-"])
@pytest.mark.parametrize("name", SHAPES)
def test_card_shows_the_whole_plot(page: Page, name: str, address: str) -> None:
    # A badge lies over the picture.
    page.route("**/session/shapes/facts", lambda route: route.fulfill(json={"flagged": []}))
    page.goto(address)
    paper = page.locator(f'.card[data-filename="shape-{name}.png"] .paper')
    expect(paper.locator("img")).not_to_have_js_property("naturalWidth", 0)
    plot = coloured(Image.open(io.BytesIO(paper.screenshot())).convert("RGB"))
    assert edges(plot) == ["red", "red", "blue", "blue"]
    width, height = SHAPES[name]
    assert plot.width / plot.height == pytest.approx(width / height, rel=0.1)
