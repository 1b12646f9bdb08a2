"""A gallery for the tests of a module, and a browser that is logged in to it."""

from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, BrowserContext, Page

from tests.support.gallery_pages import Gallery, page_without_errors, run_gallery


@pytest.fixture(scope="module")
def gallery(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gallery]:
    with run_gallery(tmp_path_factory.mktemp("gallery")) as gallery:
        yield gallery


@pytest.fixture(scope="module")
def logged_in(gallery: Gallery, browser: Browser) -> Iterator[BrowserContext]:
    with gallery.open_context(browser, viewport={"width": 1200, "height": 800}) as context:
        yield context


@pytest.fixture
def page(logged_in: BrowserContext) -> Iterator[Page]:
    with page_without_errors(logged_in) as page:
        yield page
