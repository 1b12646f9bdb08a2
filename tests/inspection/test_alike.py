"""Where a picture is from: by its bytes, then by how it looks, among the plots that the caller may see."""

import io
import json
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from subprocess import CompletedProcess
from threading import Event
from typing import Any

import pytest
import requests
from flask import Flask
from PIL import Image, ImageDraw

from plotindex.config.settings import Settings
from plotindex.rendering.protocol import INSPECT, Outcome
from plotindex.rendering.renderer_client import RendererClient
from plotindex.web.extension import PlotIndex
from tests.support.images import encoded
from tests.support.processes import Index, draw, run_plotindex
from tests.support.site import ServedSite, served


def curve(number: int) -> Image.Image:
    """A plot of which there are others alike."""
    image = Image.new("RGB", (640, 480), "white")
    points = [(x, 240 + 180 * ((x * (number + 2) // 7) % 97 - 48) / 48) for x in range(40, 600, 8)]
    pen = ImageDraw.Draw(image)
    pen.rectangle((40, 20, 600, 460), outline="black")
    pen.line(points, fill="blue", width=3)
    return image


PLOTS = [encoded(curve(number)) for number in range(6)]
SCALED = encoded(Image.open(io.BytesIO(PLOTS[3])).resize((320, 240)))
RECOMPRESSED = encoded(Image.open(io.BytesIO(PLOTS[3])), "JPEG", quality=60)


@pytest.fixture(scope="module")
def alike_site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServedSite]:
    folder = tmp_path_factory.mktemp("alike")
    for number, content in enumerate(PLOTS):
        draw(folder / "plots", f"s/project_a/{number}.png", content)
    draw(folder / "plots", "other/project_a/3.png", PLOTS[3])
    draw(folder / "plots", "other/project_a/blank.png", encoded(Image.new("RGB", (640, 480), "white")))
    with served(folder) as site:
        assert run_plotindex(["inspect", "--all"], site.environment, folder).returncode == 0
        yield site


def like(served: ServedSite, picture: bytes, token: str | None = None, **headers: str) -> requests.Response:
    given = {"Authorization": f"Bearer {token or served.site.token}"} if token != "" else {}
    url = f"{served.site.url}/api/smartstat/like"
    return requests.post(url, data=picture, headers={**given, **headers}, timeout=30)


def matches(answer: requests.Response) -> list[dict[str, Any]]:
    assert answer.status_code == 200, answer.text
    found: list[dict[str, Any]] = answer.json()["matches"]
    return found


def test_equal_bytes_come_first(alike_site: ServedSite) -> None:
    found = matches(like(alike_site, PLOTS[3]))
    assert [(each["session"], each["filename"], each["how"]) for each in found[:2]] == [
        ("other", "3.png", "bytes"),
        ("s", "3.png", "bytes"),
    ]
    first = found[0]
    assert (first["distance"], first["current"]) == (0, True)
    url = alike_site.site.url + first["url"]
    assert requests.get(url, timeout=20).content == PLOTS[3]


@pytest.mark.parametrize("picture", [SCALED, RECOMPRESSED])
def test_a_scaled_or_recompressed_picture_is_traced_to_its_plot(alike_site: ServedSite, picture: bytes) -> None:
    found = matches(like(alike_site, picture))
    assert {(each["filename"], each["how"]) for each in found[:2]} == {("3.png", "picture")}
    distances = [each["distance"] for each in found]
    assert distances == sorted(distances)


def test_plots_of_other_sessions_are_not_named(alike_site: ServedSite) -> None:
    create = ["token", "create", "--name", "own", "--session", "s"]
    token = run_plotindex(create, alike_site.environment, alike_site.folder).stdout.strip()
    assert {each["session"] for each in matches(like(alike_site, SCALED, token))} == {"s"}
    assert {each["session"] for each in matches(like(alike_site, PLOTS[3], token))} == {"s"}


def test_what_is_no_picture_or_too_large_is_refused(alike_site: ServedSite) -> None:
    assert like(alike_site, b"no picture").status_code == 422
    assert like(alike_site, b"").status_code == 422
    assert like(alike_site, b"x" * (20 << 20) + b"x").status_code == 413
    assert like(alike_site, PLOTS[0], "").status_code == 401


def test_all_blank_pictures_do_not_look_alike(alike_site: ServedSite) -> None:
    assert matches(like(alike_site, encoded(Image.new("RGB", (300, 200), "white")))) == []


def test_the_command_prints_one_path_a_line(alike_site: ServedSite, tmp_path: Path) -> None:
    picture = tmp_path / "slide.png"
    picture.write_bytes(SCALED)

    def find(*words: str) -> CompletedProcess[str]:
        return run_plotindex(["find", "--like", str(picture), *words], alike_site.environment, alike_site.folder)

    assert set(find().stdout.splitlines()[:2]) == {"s/project_a/3.png", "other/project_a/3.png"}
    assert find("--session", "s").stdout.splitlines()[0] == "s/project_a/3.png"
    assert json.loads(find("--json").stdout)[0]["how"] == "picture"
    assert find("--text", "x").returncode == 2
    picture.write_bytes(b"no picture")
    refused = find()
    assert (refused.returncode, "is not a picture" in refused.stderr) == (2, True)


def test_looking_for_a_picture_keeps_no_other_picture_waiting(
    settings: Settings, index: Index, monkeypatch: pytest.MonkeyPatch
) -> None:
    draw(settings.root, "s/project_a/x.png", PLOTS[0])
    index()
    app = Flask("host")
    PlotIndex(app, root=settings.root, state_dir=str(settings.state_dir), may_see=lambda _: True)
    looking, go_on = Event(), Event()
    send = RendererClient._send

    def send_slowly(renderer: RendererClient, *job: Any) -> Outcome:
        if INSPECT in job[1]:
            looking.set()
            assert go_on.wait(30)
        return send(renderer, *job)

    monkeypatch.setattr(RendererClient, "_send", send_slowly)
    with ThreadPoolExecutor(1) as pool:
        found = pool.submit(app.test_client().post, "/api/smartstat/like", data=SCALED)
        assert looking.wait(30)
        try:
            answer = app.test_client().get("/api/smartstat/plots/s/x.png?width=160")
        finally:
            go_on.set()
        assert (answer.status_code, answer.content_type) == (200, "image/webp")
        assert found.result().status_code == 200
