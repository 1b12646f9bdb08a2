"""A root that is drawn in while a browser looks at it, and small real pictures to draw there."""

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
from tests.support.gallery_pages import running
from tests.support.processes import draw, wait_until

Colour = tuple[int, int, int]
WHITE: Colour = (255, 255, 255)
BLUE: Colour = (31, 95, 214)
HOSTILE = "<img src=x onerror=alert(1)>'\"&\u202egnp\n.png"
TIMES = "\N{MULTIPLICATION SIGN}"
WINDOW: ViewportSize = {"width": 1200, "height": 800}


def png(
    width: int = 400, height: int = 300, colour: Colour = WHITE, dots: Mapping[tuple[int, int], Colour] | None = None
) -> bytes:
    """A picture of one colour, with single pixels of others."""
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
class Viewing:
    """`plotindex run` on a root, and a browser that has logged in."""

    url: str
    root: Path
    browser: Browser
    context: BrowserContext
    """One that has logged in."""
    token: str
    drawn: set[str] = field(default_factory=set)
    """What was drawn since it was last waited for."""

    def draw(self, path: str, content: bytes | None = None, *, age: int | None = None) -> Path:
        """Draw a plot, whole at once; so many seconds after the year 2001 began when that is given."""
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
        """A page, with options in a context of its own; fails when anything on it does, or its policy forbids it."""
        context = self.context
        if options:
            state: Any = self.context.storage_state()
            context = self.browser.new_context(**{"storage_state": state, "viewport": WINDOW, **options})
        page = context.new_page()
        wrong: list[str] = []
        page.on("pageerror", lambda error: wrong.append(str(error)))
        page.on("dialog", lambda dialog: wrong.append(dialog.message))
        page.on("console", lambda said: wrong.append(said.text) if "Content Security Policy" in said.text else None)
        page.on("request", lambda asked: None if asked.url.startswith(self.url) else wrong.append(asked.url))
        try:
            yield page
            assert wrong == []
        finally:
            (context if options else page).close()

    def sync(self) -> None:
        """Wait until all that was drawn is in the catalogue."""
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
def viewing(folder: Path, browser: Browser) -> Iterator[Viewing]:
    """Index and serve `folder`/plots, and log in."""
    with running(folder) as gallery, gallery.open_context(browser, viewport=WINDOW) as context:
        secret = Tokens.from_settings(gallery.settings).create("lists")
        yield Viewing(gallery.url, gallery.root, browser, context, secret)


def violations(page: Page, *rules: str) -> list[str]:
    """What axe-core finds wrong with a page, by all of its rules or by some."""
    options = {"runOnly": list(rules)} if rules else None
    found = Axe().run(page, options=options).response["violations"]
    return [f"{one['id']}: {[node['html'][:200] for node in one['nodes']]}" for one in found]


def violations_in_the_dark(page: Page) -> list[str]:
    """What it finds wrong with the dark theme, which differs in its colours alone."""
    page.emulate_media(color_scheme="dark")
    found = violations(page, "color-contrast")
    page.emulate_media(color_scheme="light")
    return found


def zoomed(page: Page, within: str = "") -> float:
    """How large the first picture is drawn, against how large it fits."""
    matrix = page.locator(f"{within} .sheet").first.evaluate(
        "sheet => new DOMMatrix(getComputedStyle(sheet).transform).a"
    )
    return float(matrix)
