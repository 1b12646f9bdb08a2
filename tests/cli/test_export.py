"""`plotindex export`: an archive, and a folder of pages in a browser without a server or a network."""

import io
import json
import os
import subprocess
import sys
import zipfile
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, Page, expect

from tests.support.images import PDF, encoded, halves
from tests.support.live_gallery import HOSTILE, violations
from tests.support.processes import Index, RunPlotindex, draw

SVG = b"""<svg xmlns="http://www.w3.org/2000/svg" width="60" height="40"><rect width="60" height="40" fill="red"/>
<script>document.title = "owned"; alert(1)</script><image href="https://example.org/x.png"/></svg>"""


@pytest.fixture
def drawn(root: Path, index: Index) -> None:
    """Plots of two sessions in several formats, one with a hostile name."""
    content = encoded(halves(size=(600, 400)))
    draw(root, "s/project_a/hist.png", content)
    draw(root, "s/project_a/hist.pdf", PDF)
    draw(root, "s/project_b/only.pdf", PDF)
    draw(root, "s/project_b/sub/lines #1?.svg", SVG)
    draw(root, "s/project_b/broken.pdf", b"%PDF-1.4 broken")
    draw(root, f"s/project_b/{HOSTILE}", content)
    draw(root, "t/project_a/old.png", content, mtime_ns=10**18)
    draw(root, "u/project_a/hist.png", content)
    index()


@pytest.mark.usefixtures("drawn")
def test_an_archive_of_sessions(plotindex: RunPlotindex, tmp_path: Path) -> None:
    done = plotindex("export", "s", "t", "--zip", "all.zip")
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "Exported 7 plots to all.zip.\n")
    with zipfile.ZipFile(tmp_path / "all.zip") as archive:
        assert archive.testzip() is None
        assert {"s/project_a/hist.png", "t/project_a/old.png", "manifest.json"} < set(archive.namelist())
    assert plotindex("export", "s", "t", "--zip", "one.zip", "--name", "h*", "--project", "*_a").returncode == 0
    with zipfile.ZipFile(tmp_path / "one.zip") as archive:
        assert set(archive.namelist()) == {"s/project_a/hist.png", "s/project_a/hist.pdf", "manifest.json"}
    again = plotindex("export", "s", "--zip", "one.zip")
    assert (again.returncode, again.stderr) == (2, "plotindex: one.zip exists: name another file with --zip.\n")
    none = plotindex("export", "t", "--zip", "none.zip", "--since", "1h")
    assert (none.returncode, none.stderr) == (1, "plotindex: No plot in the catalogue of t matches.\n")
    assert not (tmp_path / "none.zip").exists()


@pytest.mark.usefixtures("drawn")
def test_what_is_gone_is_said(plotindex: RunPlotindex, root: Path, tmp_path: Path) -> None:
    (root / "s/project_a/hist.png").unlink()
    done = plotindex("export", "s", "--zip", "s.zip")
    assert done.returncode == 1
    assert "1 plots vanished or changed meanwhile: manifest.json names them" in done.stderr
    with zipfile.ZipFile(tmp_path / "s.zip") as archive:
        [missing] = json.loads(archive.read("manifest.json"))["missing"]
    assert missing == {
        "session": "s",
        "project": "project_a",
        "filename": "hist.png",
        "problem": "It is no longer there",
    }


@pytest.mark.usefixtures("drawn")
def test_an_archive_can_be_piped(environment: dict[str, str], root: Path, tmp_path: Path) -> None:
    command = [sys.executable, "-m", "plotindex", "export", "u", "--zip", "-"]
    given = {**environment, "PLOTINDEX_ROOT": str(root)}
    done = subprocess.run(command, env=given, cwd=tmp_path, stdout=subprocess.PIPE, check=True, timeout=60)
    with zipfile.ZipFile(io.BytesIO(done.stdout)) as archive:
        assert set(archive.namelist()) == {"u/project_a/hist.png", "manifest.json"}


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ((), "Name what to write"),
        (("--zip", "a.zip", "--html", "a"), "Name what to write"),
        (("--zip", "absent/a.zip"), "absent/a.zip cannot be written (No such file or directory)"),
        (("--html", "."), ". exists: name a new folder with --html"),
        (("--zip", "a.zip", "--since", "never"), "--since must be an age"),
    ],
)
def test_wrong_use_is_explained(plotindex: RunPlotindex, drawn: None, options: tuple[str, ...], says: str) -> None:
    assert drawn is None
    done = plotindex("export", "s", *options)
    assert done.returncode == 2
    assert says in done.stderr


@pytest.mark.usefixtures("drawn")
def test_a_folder_of_pages_opens_without_a_server(plotindex: RunPlotindex, browser: Browser, tmp_path: Path) -> None:
    done = plotindex("export", "s", "t", "--html", "site")
    assert (done.returncode, done.stdout) == (0, "")
    # Where it takes longer, with its progress.
    assert done.stderr.endswith("Exported 7 plots to site.\n")
    folder = tmp_path / "site"
    manifest = json.loads((folder / "manifest.json").read_text())
    assert {(folder / entry["path"]).stat().st_size for entry in manifest["plots"]} == {
        entry["size"] for entry in manifest["plots"]
    }
    moved = os.fspath(folder.rename(tmp_path / "moved #1"))
    with browser.new_context(offline=True, viewport={"width": 1000, "height": 800}) as context:
        page = context.new_page()
        problems: list[str] = []
        page.on("console", lambda message: problems.append(message.text))
        page.on("pageerror", lambda error: problems.append(str(error)))
        page.on("dialog", lambda dialog: problems.append(dialog.message))
        page.on("request", lambda sent: None if sent.url.startswith("file:") else problems.append(sent.url))
        page.goto(f"file://{moved.replace('#', '%23')}/index.html")
        assert page.title() == "s, t \N{EN DASH} plotindex"
        look_at(page)
        # What is known of siblings is on one card.
        facts = page.locator("article", has=page.get_by_text("hist.png")).locator("dl").first
        assert all(entry["version"] in (facts.text_content() or "") for entry in both(manifest, "hist"))
        page.emulate_media(color_scheme="dark")
        assert violations(page, "color-contrast") == []
        assert problems == []


def look_at(page: Page) -> None:
    """Search, and look at each plot."""
    expect(page.locator("#count")).to_have_text("6 plots")
    assert violations(page) == []
    names = page.locator("article .name").all_text_contents()
    assert {HOSTILE, "hist.png", "only.pdf", "sub/lines #1?.svg", "broken.pdf", "old.png"} == set(names)
    for image in page.locator("article img").all():
        image.scroll_into_view_if_needed()
        expect(image).to_have_js_property("complete", True)
        assert image.evaluate("image => image.naturalWidth") > 0
    expect(page.locator("article", has_text="broken.pdf")).to_contain_text("No picture")
    page.get_by_label("Search").fill("HIST project_a")
    expect(page.locator("#count")).to_have_text("1 of 6 plots")
    page.get_by_label("Search").fill("nothing like it")
    expect(page.get_by_text("No matching plots.")).to_be_visible()
    page.get_by_label("Search").fill("")
    page.get_by_role("link", name="lines #1?.svg").click()
    large = page.locator("dialog img")
    expect(page.locator("dialog .name")).to_have_text("sub/lines #1?.svg")
    assert large.evaluate("image => image.decode().then(() => image.src.endsWith('.svg'))")
    page.keyboard.press("ArrowRight")
    page.keyboard.press("ArrowLeft")
    expect(page.locator("dialog .name")).to_have_text("sub/lines #1?.svg")
    page.keyboard.press("Escape")
    expect(page.locator("dialog")).to_be_hidden()


def both(manifest: Any, stem: str) -> list[dict[str, Any]]:
    found = [entry for entry in manifest["plots"] if entry["filename"].startswith(stem)]
    assert len(found) == 2
    return found
