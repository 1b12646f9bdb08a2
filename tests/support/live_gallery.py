"""A served root that changes while a browser shows it, and small real images to draw."""

import struct
import zlib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlencode

import requests
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, BrowserContext, Page, ViewportSize

from plotindex.auth.tokens import Tokens
from tests.support.gallery_pages import run_gallery
from tests.support.processes import draw, wait_until

Colour = tuple[int, int, int]
WHITE: Colour = (255, 255, 255)
BLUE: Colour = (31, 95, 214)
HOSTILE = "<img src=x onerror=alert(1)>'\"&\u202egnp\n.png"
MULTIPLICATION_SIGN = "\N{MULTIPLICATION SIGN}"
WINDOW: ViewportSize = {"width": 1200, "height": 800}


def png(
    width: int = 400, height: int = 300, colour: Colour = WHITE, dots: Mapping[tuple[int, int], Colour] | None = None
) -> bytes:
    """A PNG of one colour, with single pixels of others."""
    rows = [bytearray(bytes(colour) * width) for _ in range(height)]
    for (x, y), dot in (dots or {}).items():
        rows[y][3 * x : 3 * x + 3] = bytes(dot)
    chunks = [
        (b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)),
        (b"IDAT", zlib.compress(b"".join(b"\0" + row for row in rows))),
        (b"IEND", b""),
    ]
    content = b"\x89PNG\r\n\x1a\n"
    for kind, data in chunks:
        content += struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
    return content


@dataclass
class LiveGallery:
    """`plotindex run` on a root, and a logged-in browser."""

    url: str
    root: Path
    browser: Browser
    context: BrowserContext
    """Logged in."""
    token: str
    drawn: set[str] = field(default_factory=set)
    """Paths drawn since the last `sync`."""

    def draw(self, path: str, content: bytes | None = None, *, age: int | None = None) -> Path:
        """Draw a plot atomically; `age` sets its mtime to so many seconds after the start of 2001."""
        mtime = None if age is None else (978_307_200 + age) * 10**9
        self.drawn.add(path)
        draft = draw(self.root, f"{path}.draft", png() if content is None else content, mtime_ns=mtime)
        return draft.rename(self.root / path)

    def plot(self, session: str, filename: str, **query: str) -> str:
        return f"{self.url}/plot/{quote(session)}/{quote(filename)}?{urlencode(query)}"

    def compare(self, session: str, name: str, **query: str) -> str:
        return f"{self.url}/compare?{urlencode({'session': session, 'name': name, **query})}"

    @contextmanager
    def page(self, **options: Any) -> Iterator[Page]:
        """A page, in a context of its own if there are options; fails on errors, CSP violations or foreign requests."""
        context = self.context
        if options:
            state: Any = self.context.storage_state()
            context = self.browser.new_context(**{"storage_state": state, "viewport": WINDOW, **options})
        page = context.new_page()
        problems: list[str] = []
        page.on("pageerror", lambda error: problems.append(str(error)))
        page.on("dialog", lambda dialog: problems.append(dialog.message))
        page.on("console", lambda log: problems.append(log.text) if "Content Security Policy" in log.text else None)
        page.on("request", lambda sent: None if sent.url.startswith(self.url) else problems.append(sent.url))
        try:
            yield page
            assert problems == []
        finally:
            (context if options else page).close()

    def sync(self) -> None:
        """Wait until the catalogue contains all drawn plots."""
        files = {path: self.root / path for path in self.drawn}
        wanted = {path: file.stat().st_size for path, file in files.items() if file.exists()}
        for session in {path.partition("/")[0] for path in wanted}:
            own = {path: size for path, size in wanted.items() if path.startswith(f"{session}/")}
            wait_until(lambda session=session, own=own: own.items() <= self.listed(session).items())  # type: ignore[misc]
        self.drawn.clear()

    def listed(self, session: str) -> dict[str, int]:
        """The size of each plot of a session, by its path."""
        headers = {"Authorization": f"Bearer {self.token}"}
        answer = requests.get(f"{self.url}/api/smartstat/plots/{session}", headers=headers, timeout=10).json()
        return {
            f"{session}/{copy['project']}/{entry['filename']}": copy["size"]
            for entry in answer.get("plots", [])
            for copy in entry["copies"]
        }


@contextmanager
def serve_and_browse(folder: Path, browser: Browser) -> Iterator[LiveGallery]:
    """Index and serve `folder`/plots, and log in."""
    with run_gallery(folder) as gallery, gallery.open_context(browser, viewport=WINDOW) as context:
        secret = Tokens.from_settings(gallery.settings).create("lists")
        yield LiveGallery(gallery.url, gallery.root, browser, context, secret)


def violations(page: Page, *rules: str) -> list[str]:
    """The accessibility violations that axe-core finds, by all or some rules."""
    options = {"runOnly": list(rules)} if rules else None
    found = Axe().run(page, options=options).response["violations"]
    return [f"{one['id']}: {[node['html'][:200] for node in one['nodes']]}" for one in found]


def violations_in_dark_theme(page: Page) -> list[str]:
    """The contrast violations of the dark theme, which differs in colours alone."""
    page.emulate_media(color_scheme="dark")
    found = violations(page, "color-contrast")
    page.emulate_media(color_scheme="light")
    return found


def zoom_of(page: Page, within: str = "") -> float:
    """The first picture's zoom, relative to fitting."""
    matrix = page.locator(f"{within} .sheet").first.evaluate(
        "sheet => new DOMMatrix(getComputedStyle(sheet).transform).a"
    )
    return float(matrix)
