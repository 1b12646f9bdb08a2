"""`prerender`: pictures of cards are there before anybody asks."""

import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import psutil
import pytest

from plotindex.config.settings import Settings
from plotindex.rendering.cache import cache_key
from plotindex.tree import Plot
from plotindex.tree.plots import plot_from_stat
from plotindex.web import prerendering
from plotindex.web.prerendering import Prerenderer
from tests.support.images import PDF, encoded, halves
from tests.support.processes import Index, draw, wait_until
from tests.support.site import ServedSite, served


@pytest.fixture
def site(tmp_path: Path) -> Iterator[ServedSite]:
    draw(tmp_path, "plots/s/project_a/paper.pdf", PDF)
    draw(tmp_path, "plots/s/project_a/old.png", encoded(halves()), mtime_ns=10**18)
    with served(tmp_path) as site:
        yield site


def plot_of(root: Path, path: str) -> Plot:
    session, project, filename = path.split("/")
    return plot_from_stat(session, project, filename, (root / path).stat())


def test_what_was_drawn_lately_has_a_picture_before_anybody_asks(site: ServedSite) -> None:
    (state,) = (site.folder / "state").glob("*-*")
    thumbnails = state / "thumbnails"
    wait_until(lambda: thumbnails.is_dir() and len(list(thumbnails.iterdir())) == 1)
    assert [file.name for file in thumbnails.iterdir()] == [
        cache_key(plot_of(site.site.root, "s/project_a/paper.pdf"), "320")
    ]
    # Then the renderer ends: the picture comes from the cache.
    server = psutil.Process(site.service.pid)
    wait_until(lambda: not any("plotindex.rendering" in " ".join(child.cmdline()) for child in server.children(True)))
    answer = site.site.get("/s/paper.pdf?width=320")
    assert (answer.status_code, answer.headers["Content-Type"]) == (200, "image/webp")
    assert not any("plotindex.rendering" in " ".join(child.cmdline()) for child in server.children(True))


def test_it_follows_the_commits_and_yields_to_requests(
    settings: Settings, root: Path, index: Index, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(prerendering, "POLL_SECONDS", 0.05)
    draw(root, "s/project_a/first.png", encoded(halves()))
    index()
    busy, stopping = [True], [False]
    prerenderer = Prerenderer(settings, lambda: busy[0], lambda: stopping[0])
    prerenderer.start()
    folder = settings.thumbnails_folder
    second = draw(root, "s/project_a/second.png", encoded(halves()))
    index()
    wait_until(lambda: time.time_ns() - second.stat().st_ctime_ns > 2_500_000_000)
    assert not folder.exists()
    busy[0] = False
    names = {cache_key(plot_of(root, f"s/project_a/{name}.png"), "320") for name in ("first", "second")}
    wait_until(lambda: folder.is_dir() and {file.name for file in folder.iterdir()} == names)
    stopping[0] = True


@pytest.mark.parametrize("given", [{"prerender": False}, {"heal": False}, {"thumbnails_mb": 0}])
def test_nothing_is_drawn_ahead_where_it_would_not_be_kept(
    settings: Settings, given: dict[str, object], monkeypatch: pytest.MonkeyPatch
) -> None:
    started: list[str] = []
    monkeypatch.setattr("threading.Thread.start", lambda thread: started.append(thread.name))
    Prerenderer(replace(settings, **given), lambda: False, lambda: True).start()  # type: ignore[arg-type]
    assert started == []
    Prerenderer(settings, lambda: False, lambda: True).start()
    assert started == ["prerender"]
