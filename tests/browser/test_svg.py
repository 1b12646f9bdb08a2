"""Untrusted SVG in a real browser: displayed, but nothing in it runs or fetches."""

import base64
import html
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import pytest
from playwright.sync_api import Browser, BrowserContext, Dialog, Locator, Page, ViewportSize
from playwright.sync_api import TimeoutError as ClickTimeoutError

from tests.support.browser import RecordingServer, run_recording_server
from tests.support.processes import PNG, draw, wait_until
from tests.support.site import PREFIX, ServedSite, served

VIEWPORT: ViewportSize = {"width": 400, "height": 300}
TEMPLATE = Path(__file__).parents[1] / "support/hostile.svg"
NESTED = '<svg xmlns="http://www.w3.org/2000/svg"><g id="a"><script>%s</script><image href="%snested"/></g></svg>'
REFRESH = """<svg xmlns="http://www.w3.org/2000/svg" width="400" height="300">
<foreignObject width="400" height="300"><meta xmlns="http://www.w3.org/1999/xhtml" http-equiv="refresh"
content="0;url=%srefresh"/></foreignObject></svg>"""
GOOD = f"""<svg xmlns="http://www.w3.org/2000/svg" xmlns:xlink="http://www.w3.org/1999/xlink" width="400" height="300">
<defs><style type="text/css">* {{ stroke-linejoin: round }} .ground {{ fill: #ffffff }}
@font-face {{ font-family: own; src: url("data:font/woff2;base64,d09GMgABAAAAAA==") }}</style></defs>
<rect class="ground" width="400" height="300"/>
<path d="M 0 50 L 400 50" style="fill: none; stroke: #ff0000; stroke-width: 20"/>
<image xlink:href="data:image/png;base64,{base64.b64encode(PNG).decode()}" y="200" width="400" height="100"
preserveAspectRatio="none"/><text x="10" y="150" style="font-family: own">own</text></svg>"""
HOW = {
    "alone": "",
    "img": '<img src="{}">',
    "object": '<object data="{}" type="image/svg+xml"></object>',
    "iframe": '<iframe src="{}" width="400" height="300" frameborder="0"></iframe>',
}
"""How the plot is opened: directly, or embedded in another site."""
RUNS = "script onload onbegin set-onbegin onclick onerror link xlink animated set html-script html-onerror ontoggle"
RUNS += " srcdoc iframe data-iframe"
FETCHES = "stylesheet import font script xlink-script image xlink-image use fe-image mask paint html-script html-image"
FETCHES += " html-style html-background iframe object embed"
FIRES = {*FETCHES.split(), *(f"ran-{what}" for what in RUNS.split())}
"""What Chromium fetches and runs without our headers."""


def hostile_svg(fetch: str) -> str:
    """An SVG whose every part fetches `fetch`…, at once or when it runs."""

    def run(what: str) -> str:
        program = (
            f"fetch('{fetch}ran-{what}');console.log('ran-{what}');document.title='ran';"
            "document.documentElement.setAttribute('data-ran','1');window.name='ran'"
        )
        # A return value would replace the page; a dialog would block the test.
        return html.escape(program + (";alert('ran')" if what == "script" else ";void 0"))

    nested = base64.b64encode((NESTED % (run("nested"), fetch)).encode()).decode()
    first, *rest = TEMPLATE.read_text().replace("@FETCH@", fetch).replace("@NESTED@", nested).split("@RUN:")
    return first + "".join(run(what) + after for what, after in (part.split("@", 1) for part in rest))


@pytest.fixture(scope="module")
def listener() -> Iterator[RecordingServer]:
    with run_recording_server() as listener:
        yield listener


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory, listener: RecordingServer) -> Iterator[ServedSite]:
    folder = tmp_path_factory.mktemp("svg")
    plots = folder / "plots"
    draw(plots, "s/project_a/hostile.svg", hostile_svg(f"{listener.url}/served/").encode())
    draw(plots, "s/project_a/refresh.SVG", (REFRESH % f"{listener.url}/served/").encode())
    draw(plots, "s/project_a/good.svg", GOOD.encode())
    listener.pages["/hostile.svg"] = "image/svg+xml", hostile_svg(f"{listener.url}/control/").encode()
    listener.pages["/refresh.SVG"] = "image/svg+xml", (REFRESH % f"{listener.url}/control/").encode()
    with served(folder) as shared:
        yield shared


@pytest.fixture(scope="module")
def context(browser: Browser, shared: ServedSite) -> Iterator[BrowserContext]:
    """A browser with access to all plots."""
    headers = {"Authorization": f"Bearer {shared.site.token}"}
    with browser.new_context(viewport=VIEWPORT, extra_http_headers=headers) as context:
        yield context


class Watched:
    """A page, and what was fetched and run in it."""

    def __init__(self, context: BrowserContext) -> None:
        self.page = context.new_page()
        self.dialogs: list[str] = []
        self.console: list[str] = []
        self.answered: list[str] = []
        self.page.on("dialog", self.dismiss)
        self.page.on("console", lambda message: self.console.append(message.text))
        self.page.on("response", lambda response: self.answered.append(response.url))

    def dismiss(self, dialog: Dialog) -> None:
        self.dialogs.append(dialog.message)
        dialog.dismiss()


def open_plot(shared: ServedSite, listener: RecordingServer, name: str, how: str, page: Page) -> list[str]:
    """Open the plot; return the requested URLs."""
    plot = f"{shared.site.url}{PREFIX}/s/{name}"
    if how == "alone":
        page.goto(plot)
        return [plot]
    path = f"/{how}-{name}.html"
    content = f'<title>untouched</title><body style="margin:0">{HOW[how].format(plot)}'
    listener.pages[path] = "text/html", content.encode()
    page.goto(listener.url + path)
    return [listener.url + path, plot]


def click_everywhere(page: Page) -> None:
    """Click at twelve places; repeat, since Chromium sometimes loses a click beside loading frames."""
    ground = page.locator(":root")
    for y in (50, 150, 250):
        for x in (50, 150, 250, 350):
            wait_until(partial(clicked, ground, x, y))


def clicked(ground: Locator, x: int, y: int) -> bool:
    try:
        ground.click(position={"x": x, "y": y}, force=True, no_wait_after=True, timeout=2000)
    except ClickTimeoutError:
        return False
    return True


def pixels(context: BrowserContext, screenshot: bytes, places: list[tuple[int, int]]) -> list[str]:
    """The colours at these places of a screenshot, decoded by the browser."""
    page = context.new_page()
    colours: list[str] = page.evaluate(
        """async ([data, places]) => {
            const image = new Image();
            image.src = "data:image/png;base64," + data;
            await image.decode();
            const drawn = new OffscreenCanvas(image.width, image.height).getContext("2d");
            drawn.drawImage(image, 0, 0);
            const hex = (x, y) => [...drawn.getImageData(x, y, 1, 1).data.slice(0, 3)]
                .map(value => value.toString(16).padStart(2, "0")).join("");
            return places.map(([x, y]) => hex(x, y));
        }""",
        [base64.b64encode(screenshot).decode(), places],
    )
    page.close()
    return colours


def control(browser: Browser, listener: RecordingServer, name: str, fires: set[str]) -> None:
    """Open the same file without our headers until all of `fires` has happened, as a control of the time given."""
    page = browser.new_page(viewport=VIEWPORT)
    page.on("dialog", lambda dialog: dialog.dismiss())
    page.goto(f"{listener.url}/{name}")

    def all_happened() -> bool:
        click_everywhere(page)
        return fires <= {path.rpartition("/")[2] for path in list(listener.requested)}

    wait_until(all_happened)
    page.close()


@pytest.mark.parametrize("name", ["hostile.svg", "refresh.SVG"])
def test_svg_runs_and_fetches_nothing(
    browser: Browser, context: BrowserContext, shared: ServedSite, listener: RecordingServer, name: str
) -> None:
    listener.requested.clear()
    opened: dict[str, tuple[Watched, list[str], str]] = {}
    for how in HOW:
        watched = Watched(context)
        expected = open_plot(shared, listener, name, how, watched.page)
        opened[how] = watched, expected, watched.page.url
        click_everywhere(watched.page)
    control(browser, listener, name, FIRES if name == "hostile.svg" else {"refresh"})
    assert [path for path in listener.requested if path.startswith("/served")] == []
    for how, (watched, expected, address) in opened.items():
        assert watched.answered == expected, how
        ran = [text for text in watched.console if text.startswith("ran")]
        assert (how, watched.dialogs, ran) == (how, [], [])
        assert watched.page.url == address, how
        # A blocked frame has no document and does not respond to evaluate().
        for frame in [frame for frame in watched.page.frames if frame.url in expected]:
            assert frame.locator(":root").get_attribute("data-ran") is None, how
            assert frame.title() != "ran", how


@pytest.mark.parametrize("how", HOW)
def test_matplotlib_svg_is_displayed(
    context: BrowserContext, shared: ServedSite, listener: RecordingServer, how: str
) -> None:
    watched = Watched(context)
    open_plot(shared, listener, "good.svg", how, watched.page)
    places = [(200, 10), (200, 50), (200, 100), (200, 250)]
    wanted = ["ffffff", "ff0000", "ffffff", "80ff80"]
    wait_until(lambda: pixels(context, watched.page.screenshot(), places) == wanted)
    assert not [text for text in watched.console if "Content Security Policy" in text]


def test_hostile_svg_is_displayed_as_an_image(context: BrowserContext, shared: ServedSite) -> None:
    page = context.new_page()
    page.goto(f"{shared.site.url}{PREFIX}/s/hostile.svg")
    assert pixels(context, page.screenshot(), [(50, 50), (150, 50), (250, 280)]) == ["008000", "000080", "ffffff"]
