"""The gallery in a real browser: latency of new plots, opening of large sessions, size of the first page."""

import os
import time
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from statistics import median, quantiles
from tempfile import TemporaryDirectory

import requests
from playwright.sync_api import BrowserContext, Page, Request

from benchmarks.measure import median_ratio, print_table
from plotindex.auth.tokens import Tokens
from tests.support.browser import chromium
from tests.support.gallery_pages import Gallery, run_gallery
from tests.support.processes import draw

ROUNDS = 5
PLOTS = 20
PAUSE = 0.15
SIZES = [100, 1_000, 10_000]
SEEN = """() => {
    window.seen = {};
    const look = () => {
        for (const card of document.querySelectorAll(".card")) {
            const { filename } = card.dataset;
            window.seen[filename] ??= { card: Date.now() };
            if (card.querySelector("img").naturalWidth) window.seen[filename].image ??= Date.now();
        }
        requestAnimationFrame(look);
    };
    look();
}"""
WEIGHT = """() => ["navigation", "resource"].flatMap((type) => performance.getEntriesByType(type))
    .filter(({ name }) => !name.includes("/api/")).map(({ decodedBodySize }) => decodedBodySize)"""
OPENED = """async (count) => {
    while (!document.getElementById("count").textContent.startsWith(count)) await new Promise(requestAnimationFrame);
    return performance.now();
}"""


def gallery() -> None:
    with (
        TemporaryDirectory() as folder,
        chromium() as browser,
        run_gallery(Path(folder)) as served,
        served.open_context(browser, viewport={"width": 1280, "height": 900}) as context,
    ):
        _print_latency(served, context)
        _print_opening(served, context)
        _print_weight(context)


def _print_latency(served: Gallery, context: BrowserContext) -> None:
    secret = Tokens.from_settings(served.settings).create("benchmark")
    told: list[list[float]] = []
    cards: list[list[float]] = []
    images: list[list[float]] = []
    draw(served.root, "live/project_a/first.png")
    for number in range(ROUNDS):
        told.append(_until_told(served, secret, f"told {number}"))
        page = context.new_page()
        page.goto("/session/live")
        page.locator(".card").first.wait_for()
        page.evaluate(SEEN)
        drawn = _draw(served, f"seen {number}")
        while page.evaluate("Object.values(seen).filter(({image}) => image).length") < PLOTS:
            page.wait_for_timeout(20)
        seen = page.evaluate("seen")
        cards.append([seen[name]["card"] - at for name, at in drawn.items() if name in seen])
        images.append([seen[name]["image"] - at for name, at in drawn.items() if "image" in seen.get(name, {})])
        page.close()
    rows = [("a program's wait on /changes is answered", told), ("its card is on the page", cards)]
    rows.append(("its image is on the page", images))
    print_table(
        "From a plot's close until it is seen, in a page that has been open for a while.\n"
        f"  {ROUNDS} rounds in turn of {PLOTS} plots; p99 is of all rounds, the ratio of the medians within each.",
        ["until", "p50 ms", "p99 ms", "p50 / answered"],
        [
            [
                name,
                f"{median(map(median, rounds)):.0f}",
                f"{quantiles([value for values in rounds for value in values], n=100)[-1]:.0f}",
                f"{median_ratio([median(values) for values in rounds], [median(values) for values in told]):.2f}",
            ]
            for name, rounds in rows
        ],
    )


def _draw(served: Gallery, name: str) -> dict[str, float]:
    drawn: dict[str, float] = {}
    for number in range(PLOTS):
        time.sleep(PAUSE)
        filename = f"{name} {number}.png"
        draw(served.root, f"live/project_a/{filename}")
        drawn[filename] = time.time() * 1000
    return drawn


def _until_told(served: Gallery, secret: str, name: str) -> list[float]:
    with ThreadPoolExecutor(1) as pool:
        told = pool.submit(_follow, served, secret, name)
        drawn = _draw(served, name)
        return [at - drawn[filename] for filename, at in told.result().items()]


def _follow(served: Gallery, secret: str, name: str) -> dict[str, float]:
    told: dict[str, float] = {}
    with requests.Session() as client:
        client.headers["Authorization"] = f"Bearer {secret}"
        clock = 0
        while len(told) < PLOTS:
            address = f"{served.url}/api/smartstat/changes"
            answer = client.get(address, params={"since": clock, "wait": 20}, timeout=30).json()
            clock = answer["clock"]
            names = {entry["filename"] for entry in answer["changed"] if entry["filename"].startswith(name)}
            told |= dict.fromkeys(names - told.keys(), time.time() * 1000)
    return told


def _print_opening(served: Gallery, context: BrowserContext) -> None:
    for size in SIZES:
        folder = served.root / f"of {size}/project_a"
        first = draw(served.root, f"of {size}/project_a/00000.png")
        for number in range(1, size):
            os.link(first, folder / f"{number:05}.png")
    opened: dict[int, list[tuple[float, int, int]]] = {size: [] for size in SIZES}
    for _ in range(3):
        for size in SIZES:
            page = context.new_page()
            asked: list[str] = []
            page.on("request", partial(_note, asked))
            page.goto(f"/session/of%20{size}")
            took = page.evaluate(OPENED, f"{size:,} plot")
            cards = page.locator(".card").count()
            opened[size].append((took, cards, sum("width=" in url for url in asked)))
            page.close()
    at_first = [took for took, _, _ in opened[SIZES[0]]]
    print_table(
        "Opening a session's page: until all its plots are counted and sorted, and those in view are there; 3 rounds.",
        ["plots", "ms", f"/ of {SIZES[0]}", "cards in the page", "images requested"],
        [
            [
                f"{size:,}",
                f"{median(took for took, _, _ in rounds):.0f}",
                f"{median_ratio([took for took, _, _ in rounds], at_first):.1f}",
                f"{max(cards for _, cards, _ in rounds)}",
                f"{max(images for _, _, images in rounds)}",
            ]
            for size, rounds in opened.items()
        ],
    )


def _note(asked: list[str], request: Request) -> None:
    asked.append(request.url)


def _print_weight(context: BrowserContext) -> None:
    page: Page = context.new_page()
    page.goto("/")
    page.locator(".sessions img[src]").first.wait_for()
    first = page.evaluate(WEIGHT)
    print_table(
        "What the first page weighs, without images.",
        ["requests", "KB"],
        [[str(len(first)), f"{sum(first) / 1000:.1f}"]],
    )
    page.close()
