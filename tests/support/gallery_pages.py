"""The gallery in a real browser, served by `plotindex run`: shared by the tests of its pages."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from playwright.sync_api import Browser, BrowserContext, Dialog, Locator, Page, Request

from plotindex.auth.logins import Logins
from plotindex.auth.tokens import Tokens
from plotindex.config import load_settings
from plotindex.config.settings import Settings
from tests.support.processes import Service, answers, clean_environment, free_port

MAX_PAGE_BYTES = 25_000
"""Bytes of the first page as sent, without images."""


@dataclass
class Gallery:
    """An indexed and served root."""

    url: str
    root: Path
    settings: Settings
    service: Service
    tokens: int = field(default=0)

    def open_context(self, browser: Browser, session: str | None = None, **options: Any) -> BrowserContext:
        """A browser context logged in with a token for all sessions, or for one."""
        self.tokens += 1
        tokens = Tokens.from_settings(self.settings)
        token = tokens.check(tokens.create(f"browser {self.tokens}", session=session))
        assert token is not None
        context = browser.new_context(base_url=self.url, **options)
        context.set_default_timeout(15_000)
        page = context.new_page()
        page.goto(f"/login?code={Logins.from_settings(self.settings).create_code(token)}")
        page.get_by_role("button", name="Log in").click()
        page.wait_for_url(f"{self.url}/")
        page.close()
        return context


@contextmanager
def run_gallery(folder: Path, *command: str) -> Iterator[Gallery]:
    """`plotindex run` (or another serving command) on `folder`/plots, answering."""
    root = folder / "plots"
    root.mkdir(exist_ok=True)
    environment = {**clean_environment(folder), "PLOTINDEX_ROOT": str(root)}
    port = free_port()
    service = Service([*(command or ["run"]), "--port", str(port)], environment, folder, folder / "log")
    try:
        url = f"http://127.0.0.1:{port}"
        service.wait_for(lambda: answers(url))
        yield Gallery(url, root, load_settings({"root": str(root)}, environment), service)
    finally:
        service.clean_up()


@contextmanager
def page_without_errors(context: BrowserContext) -> Iterator[Page]:
    """A page that must cause no errors, except 404 for plots that were removed, 503 for pictures of a busy renderer."""
    watched = RecordedPage(context)
    yield watched.page
    watched.page.close()
    problems = [text for text in watched.problems if "404 (" not in text and "503 (" not in text]
    assert not problems, problems


class RecordedPage:
    """A page, its requests and its errors."""

    def __init__(self, context: BrowserContext) -> None:
        self.page: Page = context.new_page()
        self.problems: list[str] = []
        self.requests: list[Request] = []
        self.page.on("console", lambda message: self.problems.append(f"{message.type}: {message.text}"))
        self.page.on("pageerror", lambda error: self.problems.append(f"error: {error}"))
        self.page.on("dialog", self._dismiss)
        self.page.on("request", self._note)

    def _dismiss(self, dialog: Dialog) -> None:
        self.problems.append(f"dialog: {dialog.message}")
        dialog.dismiss()

    def _note(self, request: Request) -> None:
        self.requests.append(request)

    @property
    def images(self) -> list[str]:
        """The URLs of requested plots."""
        return [
            request.url for request in self.requests if request.resource_type == "image" and "/plots/" in request.url
        ]


def card(page: Page, filename: str) -> Locator:
    """The rendered cards of a filename."""
    return page.locator(f'.card[data-filename="{filename}"]')


def shown(page: Page) -> list[str]:
    """The filenames of the rendered cards, in visual order."""
    names: list[str] = page.locator(".card").evaluate_all(
        "cards => cards.map(card => [card.getBoundingClientRect(), card.dataset.filename])"
        ".sort(([a], [b]) => a.top - b.top || a.left - b.left).map(([, name]) => name)"
    )
    return names
