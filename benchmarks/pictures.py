"""Pictures of vector plots: their bytes, their time, and the gallery's page in a real browser with and without them."""

import time
from functools import partial
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory

import numpy as np
import requests
from matplotlib.figure import Figure
from playwright.sync_api import BrowserContext, Route

from benchmarks.measure import in_turn, median_ratio, print_table
from plotindex.auth.tokens import Tokens
from plotindex.rendering.thumbnails import WIDTHS
from tests.support.browser import chromium
from tests.support.gallery_pages import Gallery, run_gallery

ROUNDS = 5
POINTS = 30_000
PLOTS = 100
PAINTED = """async () => {
    const inView = (card) => card.getBoundingClientRect().top < innerHeight;
    const isPainted = (card) => card.querySelector("img").naturalWidth > 0;
    let cards = [];
    while (!cards.length || !cards.every(isPainted)) {
        await new Promise(requestAnimationFrame);
        cards = [...document.querySelectorAll(".card")].filter(inView);
    }
    await new Promise(requestAnimationFrame);
    return performance.now();
}"""


def pictures() -> None:
    with (
        TemporaryDirectory() as folder,
        chromium() as browser,
        run_gallery(Path(folder)) as served,
        served.open_context(browser, viewport={"width": 1280, "height": 900}) as context,
    ):
        _draw(served.root)
        secret = Tokens.from_settings(served.settings).create("benchmark")
        with requests.Session() as session:
            session.headers["Authorization"] = f"Bearer {secret}"
            _print_bytes(served, session)
            for number in range(PLOTS):
                _fetch(served, session, f"many/{number:03}.svg", "320")
        _print_page(served, context)


def _draw(root: Path) -> None:
    chance = np.random.default_rng(1)
    for path, points in [
        ("s/project_a/large.svg", POINTS),
        *((f"many/project_a/{i:03}.svg", 700) for i in range(PLOTS)),
    ]:
        figure = Figure()
        x, y = chance.normal(size=(2, points))
        figure.subplots().scatter(x, y, s=4, alpha=0.4)
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        figure.savefig(root / path)
    # A plot that may still change is not kept.
    time.sleep(2.1)


def _fetch(served: Gallery, session: requests.Session, path: str, width: str | None) -> tuple[int, float]:
    """The bytes of an answer, and its seconds."""
    began = time.perf_counter()
    answer = session.get(f"{served.url}/api/smartstat/plots/{path}", params={"width": width} if width else {})
    answer.raise_for_status()
    return len(answer.content), time.perf_counter() - began


def _print_bytes(served: Gallery, session: requests.Session) -> None:
    rows = []
    own, _ = _fetch(served, session, "s/large.svg", None)
    for width in (None, *WIDTHS):
        size, first = _fetch(served, session, "s/large.svg", width)
        again = median(_fetch(served, session, "s/large.svg", width)[1] for _ in range(ROUNDS))
        name = f"picture, {width} wide" if width else "the SVG"
        rows.append([name, f"{size / 1000:,.1f}", f"{own / size:,.0f}", f"{first * 1000:,.0f}", f"{again * 1000:.1f}"])
    print_table(
        f"A scatter plot of {POINTS:,} points, as matplotlib writes it (SVG).",
        ["what", "kB", "SVG / it", "first ms", "then ms"],
        rows,
    )


def _print_page(served: Gallery, context: BrowserContext) -> None:
    size = (served.root / "many/project_a/000.svg").stat().st_size
    rounds = in_turn(
        ROUNDS, {name: partial(_open, served, context, name == "the SVGs") for name in ("the SVGs", "pictures")}
    )
    print_table(
        f"A session of {PLOTS} plots of matplotlib (SVG, {size / 1000:.0f} kB each) in headless Chromium, until all in "
        f"view are painted. {ROUNDS} rounds in turn.",
        ["cards show", "ms", "/ the SVGs"],
        [[name, f"{median(own):,.0f}", f"{median_ratio(own, rounds['the SVGs']):.2f}"] for name, own in rounds.items()],
    )


def _open(served: Gallery, context: BrowserContext, is_original: bool) -> float:
    page = context.new_page()
    if is_original:

        def without_width(route: Route) -> None:
            route.continue_(url=route.request.url.partition("&width=")[0])

        page.route("**/*&width=*", without_width)
    page.goto(f"{served.url}/session/many")
    milliseconds: float = page.evaluate(PAINTED)
    page.close()
    return milliseconds
