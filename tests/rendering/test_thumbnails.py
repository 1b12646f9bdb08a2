"""`?width=`: size and version of pictures, their cache, and their effect on other requests."""

import functools
import io
import json
import os
import re
import stat
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path
from typing import Any

import psutil
import pytest
import requests
from flask import Flask
from PIL import Image

from plotindex.auth.tokens import Tokens
from plotindex.config import load_settings
from plotindex.config.settings import Settings
from plotindex.errors import PlotIndexError
from plotindex.rendering.cache import FileCache, cache_key
from plotindex.rendering.protocol import Outcome
from plotindex.rendering.thumbnails import WIDTHS, Thumbnails
from plotindex.system import closing_fd
from plotindex.tree.plots import OpenPlot, Plot, PlotKey, plot_from_stat
from plotindex.tree.tree import Tree
from plotindex.web import PlotIndex, create_app
from tests.support.images import BLUE, GREEN, RED, UNDECODABLE, UNUSUAL_IMAGES, encoded, halves
from tests.support.processes import SVG as SMALL_SVG
from tests.support.processes import draw, run_plotindex, suspended, wait_until
from tests.support.site import ServedSite, Site, served

THREADS = 4
MAY_WAIT = 2


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServedSite]:
    folder = tmp_path_factory.mktemp("thumbnails")
    for name, (make, _, _) in UNUSUAL_IMAGES.items():
        draw(folder, f"plots/s/project_a/{name}", make())
    for name, content in UNDECODABLE.items():
        draw(folder, f"plots/s/project_a/{name}", content)
    for name, size in (("dot", (1, 1)), ("tall", (1, 20_000)), ("wide", (20_000, 1)), ("high", (100, 900))):
        draw(folder, f"plots/s/project_a/{name}.png", encoded(Image.new("RGB", size, RED)))
    for number in range(12):
        draw(folder, f"plots/s/project_a/many/{number}.png", encoded(halves()))
    draw(folder, "plots/s/project_b/two.png", encoded(halves(RED, RED)), mtime_ns=2 * 10**18)
    draw(folder, "plots/s/project_a/two.png", encoded(halves(GREEN, GREEN)), mtime_ns=10**18)
    draw(folder, "plots/s/project_a/drawn.svg", SMALL_SVG)
    draw(folder, "plots/s/project_a/broken.svg", b"<svg")
    # One renderer: drawing ahead has another one.
    with served(folder, PLOTINDEX_PRERENDER="off") as shared:
        yield shared


@pytest.fixture
def site(shared: ServedSite) -> Site:
    return shared.site


def renderer_process(pid: int) -> psutil.Process:
    """The renderer process of a server."""
    (found,) = [
        process
        for process in psutil.Process(pid).children(recursive=True)
        if process.cmdline()[-1:] == ["plotindex.rendering.renderer_process"] and process.ppid() != os.getpid()
    ]
    return found


def thumbnail(answer: requests.Response) -> Image.Image:
    assert (answer.status_code, answer.headers["Content-Type"]) == (200, "image/webp"), answer.headers
    return Image.open(io.BytesIO(answer.content), formats=["WEBP"])


def undated(answer: requests.Response) -> dict[str, str]:
    """The headers without the date."""
    return {name.lower(): value for name, value in answer.headers.items() if name.lower() != "date"}


def is_near(pixel: Any, colour: Any) -> bool:
    if len(colour) == 4 and colour[3] == 0:
        return bool(pixel[3] < 10)
    return all(abs(one - other) < 25 for one, other in zip(pixel, colour, strict=False))


def settle(file: Path) -> None:
    wait_until(lambda: time.time_ns() - file.stat().st_ctime_ns > 2_100_000_000)


def test_thumbnails_have_the_requested_width_and_all_headers(site: Site) -> None:
    settle(site.root / "s/project_a/large.jpeg")
    original = site.get("/s/large.jpeg")
    version = original.headers["ETag"].strip('"')
    for width in WIDTHS:
        answer = site.get(f"/s/large.jpeg?width={width}&v={version}")
        image = thumbnail(answer)
        assert image.size == (int(width), int(width) // 2)
        assert len(answer.content) < len(original.content) / 4
        assert answer.headers["ETag"] == f'"{version}-{width}"'
        assert answer.headers["Cache-Control"] == "private, max-age=31536000, immutable"
        assert answer.headers["Content-Length"] == str(len(answer.content))
        for name in ("Last-Modified", "X-Content-Type-Options", "Cache-Status"):
            assert answer.headers[name] == original.headers[name]
        assert "Accept-Ranges" not in answer.headers
        assert site.get(f"/s/large.jpeg?width={width}&v=other").headers["Cache-Control"] == "private, no-cache"


@pytest.mark.parametrize("width", ["", "0", "161", "-160", "160.0", "1e3", "0160", "99999", "%D9%A1%D9%A6%D9%A0", "x"])
def test_an_unsupported_width_is_a_bad_request(site: Site, shared: ServedSite, width: str) -> None:
    for name in ("rgb.png", "unknown.png", "drawn.svg"):
        answer = site.get(f"/s/{name}?width={width}")
        assert answer.status_code == 400
        assert answer.json() == {"error": "A picture's width is 160, 320, 640, 1280 or 2560"}
    assert "fwd" not in answer.headers.get("Cache-Status", "")


def test_a_wrong_width_of_a_hidden_session_is_not_found(site: Site, shared: ServedSite) -> None:
    made = run_plotindex(["token", "create", "--name", "o", "--session", "o"], shared.environment, shared.folder)
    answer = site.get("/s/rgb.png?width=7", token=made.stdout.strip())
    assert (answer.status_code, answer.json()) == (404, {"error": "Plot not found"})
    assert site.get("/s/rgb.png?width=160", token=made.stdout.strip()).status_code == 404
    assert site.get("/s/rgb.png?width=7", token="nobody's").status_code == 401


@pytest.mark.parametrize("name", UNUSUAL_IMAGES)
def test_unusual_images_are_rendered_correctly(site: Site, name: str) -> None:
    _, left, right = UNUSUAL_IMAGES[name]
    image = thumbnail(site.get(f"/s/{name}?width=160")).convert("RGBA")
    if image.width > 2:
        assert image.size == (160, 80)
    edge = image.width // 8
    pixels = image.getpixel((edge, image.height // 2)), image.getpixel((image.width - 1 - edge, image.height // 2))
    assert is_near(pixels[0], left), pixels
    assert is_near(pixels[1], right), pixels
    assert getattr(image, "n_frames", 1) == 1
    assert "icc_profile" not in image.info


def test_nothing_is_enlarged_and_height_is_limited(site: Site) -> None:
    sizes = {name: thumbnail(site.get(f"/s/{name}.png?width=160")).size for name in ("dot", "tall", "wide", "high")}
    assert sizes == {"dot": (1, 1), "tall": (1, 640), "wide": (160, 1), "high": (71, 640)}


@pytest.mark.parametrize("name", UNDECODABLE)
def test_a_plot_without_a_thumbnail_is_served_itself(site: Site, name: str) -> None:
    settle(site.root / "s/project_a" / name)
    answer, original = site.get(f"/s/{name}?width=320"), site.get(f"/s/{name}")
    assert (answer.status_code, answer.content) == (200, original.content)
    assert undated(answer) == undated(original)


def test_thumbnails_and_failures_are_cached(site: Site, shared: ServedSite) -> None:
    folder = load_settings({}, shared.environment).thumbnails_folder

    def is_cached_when_asked(plot: Plot) -> bool:
        site.get(f"/s/{plot.filename}?width=640")
        return (folder / cache_key(plot, "640")).exists()

    for name in ("rgb.png", "eps.png", "bomb.png", "broken.svg"):
        file = site.root / "s/project_a" / name
        settle(file)
        plot = plot_from_stat("s", "project_a", name, file.stat())
        # More than once: a renderer that is busy makes none, and nothing is cached then.
        wait_until(functools.partial(is_cached_when_asked, plot))
    with suspended(renderer_process(shared.service.pid).pid):
        thumbnail(site.get("/s/rgb.png?width=640"))
        for name in ("eps.png", "bomb.png"):
            answer = site.get(f"/s/{name}?width=640")
            assert answer.headers["ETag"] == site.get(f"/s/{name}").headers["ETag"]
        assert site.get("/s/broken.svg?width=640").status_code == 422
        # It is still suspended: no request waited for it and killed it.
        assert renderer_process(shared.service.pid).status() == psutil.STATUS_STOPPED
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    assert {stat.S_IMODE(file.stat().st_mode) for file in folder.iterdir()} == {0o600}
    assert all(re.fullmatch("[0-9a-f]{40}-[0-9]+", file.name) for file in folder.iterdir())


def test_conditions_and_head_work_but_not_ranges(site: Site) -> None:
    path = "/s/photo.jpg?width=160"
    whole = site.get(path)
    head = site.get(path, "HEAD")
    assert (head.content, head.headers["Content-Length"]) == (b"", str(len(whole.content)))
    assert site.get(path, Range="bytes=0-9").content == whole.content
    etag = whole.headers["ETag"]
    for headers in ({"If_None_Match": etag}, {"If_Modified_Since": whole.headers["Last-Modified"]}):
        answer = site.get(path, **headers)
        assert (answer.status_code, answer.content, answer.headers["ETag"]) == (304, b"", etag)
    assert site.get(path, If_None_Match=site.get("/s/photo.jpg").headers["ETag"]).status_code == 200
    assert site.get(path, If_Match=etag).status_code == 200
    assert site.get(path, If_Match='"other"').status_code == 412


def test_width_combines_with_project_and_download(site: Site) -> None:
    for query, colour in (("", RED), ("&project=project_a", GREEN), ("&project=project_b", RED)):
        image = thumbnail(site.get(f"/s/two.png?width=160{query}"))
        assert is_near(image.getpixel((5, 5)), colour)
    assert site.get("/s/two.png?width=160&project=project_c").status_code == 404
    told = site.get("/s/many/1.png?width=160&download=1").headers["Content-Disposition"]
    assert told == "attachment; filename*=UTF-8''1.webp"


def test_a_signed_url_opens_no_other_width(site: Site) -> None:
    listed = site.get("/s?q=photo.jpg").json()["plots"][0]["url"]
    assert requests.get(site.url + listed, timeout=10).status_code == 200
    assert requests.get(f"{site.url}{listed}&width=160", timeout=10).status_code == 401


def test_an_svg_has_a_picture_or_an_error_with_the_reason(site: Site) -> None:
    picture = thumbnail(site.get("/s/drawn.svg?width=320"))
    assert picture.width == 320
    for method in ("GET", "HEAD"):
        answer = site.get("/s/broken.svg?width=320", method)
        assert (answer.status_code, answer.headers["Cache-Status"]) == (422, "plotindex; hit; detail=unwatched")
    error = site.get("/s/broken.svg?width=320").json()
    assert error == {"error": "No picture: the file is damaged or of another format"}


def test_lookups_are_answered_while_the_renderer_hangs(site: Site, shared: ServedSite) -> None:
    thumbnail(site.get("/s/rgb.png?width=160"))
    with ThreadPoolExecutor(8) as pool:
        with suspended(renderer_process(shared.service.pid).pid):
            waiting = [pool.submit(site.get, f"/s/many/{number}.png?width=320") for number in range(8)]
            wait_until(lambda: sum(one.done() for one in waiting) == len(waiting) - MAY_WAIT)
            for one in waiting:
                if one.done():
                    answer = one.result()
                    assert answer.headers["Content-Type"] == "image/png"
                    assert answer.headers["Cache-Control"] == "private, no-cache"
                    assert "-" not in answer.headers["ETag"]
            for _ in range(20):
                assert site.get("/s/rgb.png").status_code == 200
                thumbnail(site.get("/s/rgb.png?width=160"))
            assert renderer_process(shared.service.pid).status() == psutil.STATUS_STOPPED
        drawn = [one.result() for one in waiting]
    assert sum(answer.headers["Content-Type"] == "image/webp" for answer in drawn) == MAY_WAIT


def test_a_killed_renderer_fails_one_job_which_is_not_cached(site: Site, shared: ServedSite) -> None:
    thumbnail(site.get("/s/many/10.png?width=640"))
    process = renderer_process(shared.service.pid)
    process.kill()
    wait_until(lambda: not process.is_running() or process.status() == psutil.STATUS_ZOMBIE)
    answer = site.get("/s/many/11.png?width=640")
    assert (answer.headers["Content-Type"], answer.headers["Cache-Control"]) == ("image/png", "private, no-cache")
    thumbnail(site.get("/s/many/11.png?width=640"))
    assert renderer_process(shared.service.pid).pid != process.pid


def version_of(file: Path) -> str:
    status = file.stat()
    return Plot("", "", "", status.st_size, status.st_mtime_ns, status.st_ctime_ns, status.st_ino).version


def test_a_thumbnail_is_never_of_another_version(site: Site) -> None:
    file = draw(site.root, "s/project_a/changing.png", encoded(halves(RED, RED)))
    contents = {colour: encoded(halves(colour, colour, (400, 400))) for colour in (RED, GREEN, BLUE)}
    written: dict[str, Any] = {}
    over = threading.Event()

    def version_in(answer: requests.Response) -> str:
        return answer.headers["ETag"].split("-")[0].strip('"')

    def seen(answers: list[requests.Response]) -> list[requests.Response]:
        drawn = [answer for answer in answers if answer.headers["Content-Type"] == "image/webp"]
        return [answer for answer in drawn if version_in(answer) in written]

    def write() -> None:
        number = 0
        while not over.is_set():
            colour = (RED, GREEN, BLUE)[number % 3]
            if number % 2:
                file.write_bytes(contents[colour])
            else:
                aside = file.with_suffix(".tmp")
                aside.write_bytes(contents[colour])
                aside.rename(file)
            written[version_of(file)] = colour
            number += 1
            # Leaves time to render some versions.
            over.wait(0.06)

    with ThreadPoolExecutor(3) as pool:
        writer = pool.submit(write)
        try:
            began = time.monotonic()
            answers: list[requests.Response] = []
            while (lasts := time.monotonic() - began) < 2 or (lasts < 20 and len(seen(answers)) < 6):
                answers += pool.map(site.get, ["/s/changing.png?width=160"] * 2)
        finally:
            over.set()
        writer.result()
    for answer in seen(answers):
        assert is_near(thumbnail(answer).getpixel((80, 80)), written[version_in(answer)])
        assert answer.headers["Cache-Control"] == "private, no-cache"
    assert len(seen(answers)) > 5
    assert {answer.status_code for answer in answers} == {200}


@pytest.fixture
def opened(root: Path, tree: Tree) -> Iterator[OpenPlot]:
    file = draw(root, "s/project_a/x.png", encoded(halves()))
    settle(file)
    opened = tree.open(PlotKey("s", "x.png"), "project_a")
    assert opened is not None
    yield opened
    os.close(opened.fd)


def counted(thumbnails: Thumbnails, monkeypatch: pytest.MonkeyPatch, gate: threading.Event | None = None) -> list[str]:
    """The jobs run from now on."""
    jobs: list[str] = []
    run = thumbnails.renderer.run

    def note(job: str, plot: int) -> tuple[Outcome, bytes]:
        jobs.append(job)
        if gate is not None:
            gate.wait(10)
        return run(job, plot)

    monkeypatch.setattr(thumbnails.renderer, "run", note)
    return jobs


def test_concurrent_requests_share_one_job(
    settings: Settings, opened: OpenPlot, monkeypatch: pytest.MonkeyPatch
) -> None:
    thumbnails, gate = Thumbnails(settings, 5), threading.Event()
    jobs = counted(thumbnails, monkeypatch, gate)
    with ThreadPoolExecutor(6) as pool:
        asked = [pool.submit(thumbnails.render, opened, "160") for _ in range(6)]
        wait_until(lambda: sum(one.done() for one in asked) == 1)
        gate.set()
        made = [one.result() for one in asked]
    assert jobs == [".png 160"]
    assert sorted(one.outcome for one in made) == [Outcome.BUSY, *[Outcome.RENDERED] * 5]
    assert thumbnails.cached(opened, "160") in made
    thumbnails.renderer.close()


@pytest.mark.parametrize("slots", [1, 2, 3])
def test_a_session_with_costly_plots_leaves_the_renderer_to_others(
    settings: Settings, tree: Tree, root: Path, monkeypatch: pytest.MonkeyPatch, slots: int
) -> None:
    thumbnails, gate, jobs = Thumbnails(settings, slots), threading.Event(), []

    def wait_at_gate(job: str, _plot: int) -> tuple[Outcome, bytes]:
        jobs.append(job)
        gate.wait(20)
        return Outcome.FAILED, b""

    def render(session: str, filename: str, width: str) -> Outcome:
        opened = tree.open(PlotKey(session, filename), "project_a")
        assert opened is not None
        with closing_fd(opened.fd):
            return thumbnails.render(opened, width).outcome

    monkeypatch.setattr(thumbnails.renderer, "run", wait_at_gate)
    for name in ("busy/project_a/0.png", "busy/project_a/1.png", "other/project_a/x.png"):
        draw(root, name)
    with ThreadPoolExecutor(8) as pool:
        costly = [pool.submit(render, "busy", "0.png", width) for width in WIDTHS[:slots]]
        wait_until(lambda: len(jobs) == slots)
        assert render("other", "x.png", "160") is Outcome.BUSY
        gate.set()
        assert {one.result() for one in costly} == {Outcome.FAILED}
        gate.clear()
        more = [pool.submit(render, "busy", "1.png", width) for width in WIDTHS]
        wait_until(lambda: sum(one.done() for one in more) == len(WIDTHS) - slots + 1)
        theirs = pool.submit(render, "other", "x.png", "160")
        wait_until(lambda: len(jobs) == 2 * slots)
        gate.set()
        assert theirs.result() is Outcome.FAILED


def test_a_plot_that_changes_during_the_job_has_no_thumbnail(
    settings: Settings, opened: OpenPlot, root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    thumbnails = Thumbnails(settings, 1)

    def run(*_: object) -> tuple[Outcome, bytes]:
        (root / "s/project_a/x.png").touch()
        return Outcome.RENDERED, b"RIFF"

    monkeypatch.setattr(thumbnails.renderer, "run", run)
    made = thumbnails.render(opened, "160")
    assert (made.outcome, made.is_final) == (Outcome.BUSY, False)
    assert thumbnails.cached(opened, "160") is None


def test_a_thumbnail_of_a_young_plot_is_not_cached(
    settings: Settings, root: Path, tree: Tree, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = draw(root, "s/project_a/young.png", encoded(halves()))
    young = tree.open(PlotKey("s", "young.png"), "project_a")
    assert young is not None
    thumbnails = Thumbnails(settings, 1)
    jobs = counted(thumbnails, monkeypatch)
    made = thumbnails.render(young, "160")
    assert (made.outcome, made.is_final, thumbnails.cached(young, "160")) == (Outcome.RENDERED, False, None)
    settle(file)
    assert thumbnails.render(young, "160").is_final
    assert thumbnails.render(young, "160").is_final
    assert jobs == [".png 160", ".png 160"]
    thumbnails.renderer.close()
    os.close(young.fd)


def test_without_a_writable_cache_each_request_renders_and_the_log_says_so_once(
    root: Path, tmp_path: Path, opened: OpenPlot, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "file").write_text("no folder")
    settings = load_settings({"root": str(root), "state_dir": str(tmp_path / "file")}, {})
    thumbnails = Thumbnails(settings, 1)
    jobs = counted(thumbnails, monkeypatch)
    assert [thumbnails.render(opened, "160").outcome for _ in range(2)] == [Outcome.RENDERED] * 2
    assert jobs == [".png 160", ".png 160"]
    assert caplog.text.count("Cannot cache pictures") == 1
    none = Thumbnails(load_settings({"root": str(root), "thumbnails_mb": "0"}, {"PLOTINDEX_STATE_DIR": "/nowhere"}), 1)
    assert none.render(opened, "160").outcome is Outcome.RENDERED
    assert none.cached(opened, "160") is None
    none.renderer.close()
    thumbnails.renderer.close()


def test_the_cache_is_bounded_and_deletes_the_oldest_files(tmp_path: Path) -> None:
    folder = tmp_path / "thumbnails"
    most = 100 * 4096
    cache, other = (FileCache(folder, most, lambda: None) for _ in range(2))
    for number in range(250):
        (cache, other)[number % 2].put(f"{number:03}", bytes(3000))
        os.utime(folder / f"{number:03}", ns=(number * 10**9,) * 2)
    names = sorted(file.name for file in folder.iterdir())
    assert 80 <= len(names) <= 100
    assert names == [f"{number:03}" for number in range(250 - len(names), 250)]
    found = cache.get("249")
    assert found is not None
    assert found.content == bytes(3000)
    assert cache.get("000") is None


def test_the_cache_deletes_pictures_of_cards_last(tmp_path: Path) -> None:
    folder = tmp_path / "thumbnails"
    cache = FileCache(folder, 100 * 4096, lambda: None)
    for number in range(250):
        name = f"{number:03}-{(320, 1280)[number % 2]}"
        cache.put(name, bytes(3000))
        os.utime(folder / name, ns=(number * 10**9,) * 2)
    names = {file.name for file in folder.iterdir()}
    assert {name for name in names if name.endswith("-1280")} <= {f"{number:03}-1280" for number in range(230, 250)}
    assert {f"{number:03}-320" for number in range(100, 250, 2)} <= names


def test_a_host_application_signs_the_width(root: Path, tmp_path: Path) -> None:
    draw(root, "s/project_a/x.png", encoded(halves()))
    app = Flask("host")
    app.secret_key = "key"
    plots = PlotIndex(app, root=root, state_dir=str(tmp_path / "state"), may_see=lambda _: False)
    client = app.test_client()
    with app.app_context():
        address = plots.url_for("s", "x.png", width=320)
        with pytest.raises(PlotIndexError, match="A picture's width is 160, 320, 640, 1280 or 2560, not 7"):
            plots.url_for("s", "x.png", width=7)
    answer = client.get(address)
    assert (answer.status_code, answer.content_type) == (200, "image/webp")
    assert client.get(address.replace("320", "640")).status_code == 404
    assert client.get(address.replace("width=320", "x=1")).status_code == 404


FORKED = """
import json, os, sys
from flask import Flask
from plotindex.web import PlotIndex

app = Flask("host")
plots = PlotIndex(app, root=sys.argv[1], state_dir=sys.argv[2], may_see=lambda _: True, thumbnails_mb=0)
renderer = plots._states[app].thumbnails.renderer

def ask():
    answer = app.test_client().get("/api/smartstat/plots/s/x.png?width=160")
    return answer.content_type, renderer.pid

first = ask() if sys.argv[3] == "used" else (None, renderer.pid)
read, write = os.pipe()
if (pid := os.fork()) == 0:
    os.write(write, json.dumps(ask()).encode())
    renderer.close()
    os._exit(0)
os.waitpid(pid, 0)
print(json.dumps([first, json.loads(os.read(read, 1000)), ask()]))
"""


@pytest.mark.parametrize("before", ["used", "unused"])
def test_a_forked_worker_has_its_own_renderer(root: Path, tmp_path: Path, before: str) -> None:
    draw(root, "s/project_a/x.png", encoded(halves()))
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", FORKED, root, tmp_path / "state", before],
        capture_output=True,
        text=True,
        check=False,
        timeout=30,
    )
    assert done.returncode == 0, done.stderr
    assert "Warning" not in done.stderr
    first, forked, again = json.loads(done.stdout)
    assert forked[0] == again[0] == "image/webp"
    assert first == (again if before == "used" else [None, None])
    assert forked[1] != again[1]
    assert not psutil.pid_exists(again[1])


def test_thumbnails_are_not_sent_by_nginx(root: Path, environment: dict[str, str]) -> None:
    for name, content in (("x.png", encoded(halves())), ("bad.png", b"bad"), ("x.svg", SMALL_SVG)):
        draw(root, f"s/project_a/{name}", content)
    settings = load_settings({"root": str(root), "x_accel_prefix": "/files"}, environment)
    secret = Tokens(settings.make_state_folder() / "tokens.json").create("t")
    client = create_app(settings).test_client()
    for name, is_left, kind in (
        ("x.png", False, "image/webp"),
        ("bad.png", True, "image/png"),
        ("x.svg", False, "image/webp"),
    ):
        path = f"/api/smartstat/plots/s/{name}?width=160"
        with closing(client.get(path, headers={"Authorization": f"Bearer {secret}"})) as answer:
            assert (answer.status_code, answer.content_type) == (200, kind)
            assert ("X-Accel-Redirect" in answer.headers, answer.data == b"") == (is_left, is_left)
