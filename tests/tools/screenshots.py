"""python -m tests.tools.screenshots ROOT FOLDER: a picture of each page of the gallery in both themes.

ROOT holds what the examples have drawn; `make screenshots` does both.
"""

import sys
from contextlib import ExitStack
from pathlib import Path
from tempfile import TemporaryDirectory

from PIL import Image
from playwright.sync_api import Page, ViewportSize

from tests.support.browser import chromium
from tests.support.gallery_pages import run_gallery
from tests.support.processes import wait_until

THEMES = ("light", "dark")
PAGES = {
    "sessions": "/",
    "session": "/session/stocks",
    "plot": "/plot/stocks/bands.png",
    "compare": "/compare?session=stocks&name=correlation_plot.png",
    "diff": "/diff?from=stocks/project_google_30d&to=stocks/project_google_90d",
}
WIDE: ViewportSize = {"width": 1280, "height": 800}
PHONE: ViewportSize = {"width": 390, "height": 800}
SHOWN = """() => [...document.querySelectorAll("img")].filter((image) => {
    const { top, bottom, width } = image.getBoundingClientRect();
    return top < innerHeight && bottom > 0 && width > 0;
}).every((image) => image.complete && image.naturalWidth)"""


def main(root: Path, pictures: Path) -> None:
    with ExitStack() as stack:
        folder = Path(stack.enter_context(TemporaryDirectory()))
        (folder / "plots").symlink_to(root)
        browser = stack.enter_context(chromium())
        gallery = stack.enter_context(run_gallery(folder))
        for theme in THEMES:
            options = {"color_scheme": theme, "reduced_motion": "reduce"}
            with gallery.open_context(browser, viewport=WIDE, **options) as context:
                page = context.new_page()
                for name, path in PAGES.items():
                    page.goto(path)
                    take(page, pictures / f"{name}-{theme}.webp")
                page.set_viewport_size(PHONE)
                page.goto(PAGES["session"])
                take(page, pictures / f"phone-{theme}.webp")


def take(page: Page, file: Path) -> None:
    page.wait_for_load_state("load")
    wait_until(lambda: not page.locator("[data-kind=null]").count())
    wait_until(lambda: page.evaluate(SHOWN))
    # New plots are still highlighted.
    page.wait_for_timeout(300)
    with TemporaryDirectory() as folder:
        page.screenshot(path=Path(folder) / "page.png")
        Image.open(Path(folder) / "page.png").save(file, quality=88, method=6)


if __name__ == "__main__":
    main(Path(sys.argv[1]).absolute(), Path(sys.argv[2]))
