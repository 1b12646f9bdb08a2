"""Pages in a real browser over a slow connection: a session of ten thousand plots, and a plot's scripts and styles."""

import os
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory
from typing import Any

from playwright.sync_api import Browser, Page

from benchmarks.gallery import OPENED
from benchmarks.measure import median_ratio, print_table
from plotindex.storage import Catalog, open_database
from tests.support.browser import chromium
from tests.support.gallery_pages import Gallery, run_gallery
from tests.support.processes import PNG, draw, wait_until

ROUNDS = 3
PLOTS = 10_000
VIEW: dict[str, Any] = {"viewport": {"width": 1280, "height": 900}}
HERE, SLOW = "here", "1.6 Mbit/s, 150 ms"
BYTES_PER_SECOND, LATENCY_MS = 200_000, 150
RECEIVED = 'performance.getEntriesByType("resource").reduce((sum, { transferSize }) => sum + transferSize, 0)'
STATIC = """() => {
    const files = performance.getEntriesByType("resource").filter(({ name }) => name.includes("/static/"));
    const fetched = files.filter(({ transferSize }) => transferSize).sort((a, b) => a.startTime - b.startTime);
    let waves = 0;
    let until = -1;
    for (const { startTime } of fetched) {
        if (startTime < until) continue;
        waves += 1;
        until = Math.min(...fetched.filter((file) => file.startTime >= startTime).map((file) => file.responseEnd));
    }
    return [fetched.length, waves, performance.now()];
}"""
"""Scripts and styles that were not in the cache, how many of them waited for one another, and the time until now."""


def pages() -> None:
    with TemporaryDirectory() as folder, chromium() as browser, run_gallery(Path(folder)) as served:
        for number in range(PLOTS):
            # Each with an inode and a size of its own, as drawn plots have.
            draw(served.root, f"s/project_a/{number:05}.png", PNG + os.urandom(number % 50))
        wait_until(lambda: len(Catalog(open_database(served.settings.catalog_location)).plots("s")) == PLOTS, 60)
        _print_session(served, browser)
        _print_plot(served, browser)


def _print_session(served: Gallery, browser: Browser) -> None:
    opened: dict[str, list[tuple[float, float]]] = {HERE: [], SLOW: []}
    for _ in range(ROUNDS):
        for network, rounds in opened.items():
            with served.open_context(browser, **VIEW) as context:
                page = _open(context.new_page(), network)
                page.goto("/session/s")
                rounds.append((page.evaluate(OPENED, f"{PLOTS:,} plot"), page.evaluate(RECEIVED)))
    here = [took for took, _ in opened[HERE]]
    print_table(
        f"Opening the page of a session of {PLOTS:,} plots with an empty cache, until all are counted and sorted; "
        f"{ROUNDS} rounds in turn.",
        ["network", "ms", "/ here", "KB received"],
        [
            [
                network,
                f"{median(took for took, _ in rounds):,.0f}",
                f"{median_ratio([took for took, _ in rounds], here):.1f}",
                f"{median(received for _, received in rounds) / 1000:,.0f}",
            ]
            for network, rounds in opened.items()
        ],
    )


def _print_plot(served: Gallery, browser: Browser) -> None:
    visits: dict[str, list[list[float]]] = {"first": [], "of another plot": []}
    for _ in range(ROUNDS):
        with served.open_context(browser, **VIEW) as context:
            # The login page was open before: its style is in the cache.
            page = _open(context.new_page(), SLOW)
            for number, found in enumerate(visits.values()):
                page.goto(f"/plot/s/{number:05}.png")
                page.locator("#stage img").wait_for()
                found.append(page.evaluate(STATIC))
    first = [took for _, _, took in visits["first"]]
    print_table(
        f"Opening the page of a plot at {SLOW}, until the plot is shown; {ROUNDS} rounds.",
        ["visit", "scripts and styles received", "in waves", "ms", "/ first"],
        [
            [
                name,
                f"{median(count for count, _, _ in found):.0f}",
                f"{median(waves for _, waves, _ in found):.0f}",
                f"{median(took for _, _, took in found):,.0f}",
                f"{median_ratio([took for _, _, took in found], first):.2f}",
            ]
            for name, found in visits.items()
        ],
    )


def _open(page: Page, network: str) -> Page:
    page.set_default_timeout(120_000)
    if network == SLOW:
        session = page.context.new_cdp_session(page)
        session.send("Network.enable")
        conditions = {"offline": False, "latency": LATENCY_MS, "downloadThroughput": BYTES_PER_SECOND}
        session.send("Network.emulateNetworkConditions", {**conditions, "uploadThroughput": BYTES_PER_SECOND})
    return page
