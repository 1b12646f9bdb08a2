"""Formats of one plot: `?format=`, and "siblings" in lists and changes."""

import shutil
from collections.abc import Iterator
from itertools import product
from pathlib import Path

import pytest
import requests
from flask import Flask

from plotindex.errors import PlotIndexError
from plotindex.web import PlotIndex
from tests.support.images import PDF, encoded, halves
from tests.support.processes import SVG, draw, run_plotindex
from tests.support.site import ServedSite, Site, served

PNG = encoded(halves())


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServedSite]:
    folder = tmp_path_factory.mktemp("siblings")
    for name, content in (
        ("project_a/hist.png", PNG),
        ("project_a/hist.pdf", PDF),
        ("project_a/hist.SVG", SVG),
        ("project_a/hist.2.png", PNG),
        ("project_a/sub/hist.webp", PNG),
        ("project_b/hist.gif", PNG),
        ("project_b/only.pdf", PDF),
        ("project_c/only.png", PNG),
    ):
        draw(folder, f"plots/s/{name}", content)
    draw(folder, "plots/s/project_a/two.png", PNG, mtime_ns=2 * 10**18)
    draw(folder, "plots/s/project_b/two.png", PNG, mtime_ns=10**18)
    draw(folder, "plots/s/project_b/two.pdf", PDF)
    draw(folder, "plots/other/project_a/hist.avif", PNG)
    with served(folder) as shared:
        yield shared


@pytest.fixture
def site(shared: ServedSite) -> Site:
    return shared.site


SIBLINGS = {
    "hist.2.png": [],
    "hist.SVG": ["pdf", "png"],
    "hist.gif": [],
    "hist.pdf": ["png", "svg"],
    "hist.png": ["pdf", "svg"],
    "only.pdf": [],
    "only.png": [],
    "sub/hist.webp": [],
    "two.pdf": ["png"],
    "two.png": [],
}


def test_entries_name_the_other_formats_in_their_project_and_folder(site: Site) -> None:
    listed = {entry["filename"]: entry["siblings"] for entry in site.get("/s").json()["plots"]}
    assert listed == SIBLINGS
    # On any page, and whatever the query leaves out.
    for limit, after in product(range(1, 5), ["", *SIBLINGS]):
        entries = site.get(f"/s?limit={limit}&after={after}").json()["plots"]
        assert {entry["filename"]: entry["siblings"] for entry in entries}.items() <= SIBLINGS.items()
    [entry] = site.get("/s?q=hist.png").json()["plots"]
    assert (entry["filename"], entry["siblings"]) == ("hist.png", ["pdf", "svg"])


def test_without_a_catalogue_siblings_are_the_same(shared: ServedSite, tmp_path: Path) -> None:
    plots = PlotIndex(root=shared.site.root, state_dir=str(tmp_path), may_see=lambda _: True)
    app = Flask("host")
    plots.init_app(app)
    scanned = app.test_client().get("/api/smartstat/plots/s").json
    assert scanned is not None
    assert {entry["filename"]: entry["siblings"] for entry in scanned["plots"]} == SIBLINGS
    with app.app_context():
        assert {entry["filename"]: list(entry["siblings"]) for entry in plots.list("s")} == SIBLINGS


@pytest.mark.parametrize(
    ("path", "kind"),
    [
        ("/s/hist.png?format=pdf", "application/pdf"),
        ("/s/hist.png?format=svg", "image/svg+xml"),
        ("/s/hist.SVG?format=png", "image/png"),
        ("/s/hist.png?format=png", "image/png"),
        ("/s/two.png?project=project_b&format=pdf", "application/pdf"),
        ("/s/hist.png?format=pdf&width=160", "image/webp"),
    ],
)
def test_a_sibling_is_answered_for_its_format(site: Site, path: str, kind: str) -> None:
    for method in ("GET", "HEAD"):
        answer = site.get(path, method)
        assert (answer.status_code, answer.headers["Content-Type"]) == (200, kind)
        assert answer.headers["Cache-Status"] == "plotindex; hit; detail=unwatched"


@pytest.mark.parametrize(
    "path",
    [
        "/s/hist.png?format=jpg",
        "/s/hist.png?format=PDF",
        "/s/hist.png?format=.pdf",
        "/s/hist.png?format=",
        "/s/hist.png?format=2.png",
        "/s/hist.png?format=webp",
        "/s/hist.png?format=gif",
        "/s/two.png?format=pdf",
        "/s/none.png?format=pdf",
        "/s/hist.png?format=../hist.pdf",
        "/s/hist.png?format=exe",
    ],
)
def test_no_or_an_unknown_sibling_is_not_found(site: Site, path: str) -> None:
    answer = site.get(path)
    assert (answer.status_code, answer.json()) == (404, {"error": "Plot not found"})


def test_a_download_and_the_version_are_those_of_the_sibling(site: Site) -> None:
    own = site.get("/s/hist.pdf").headers["ETag"].strip('"')
    answer = site.get(f"/s/hist.png?format=pdf&download=1&v={own}")
    assert answer.headers["Content-Disposition"] == "attachment; filename*=UTF-8''hist.pdf"
    assert (answer.content, answer.headers["ETag"]) == (PDF, f'"{own}"')


def test_a_signed_address_carries_the_format(shared: ServedSite, tmp_path: Path) -> None:
    app = Flask("host")
    app.secret_key = "key"
    plots = PlotIndex(app, root=shared.site.root, state_dir=str(tmp_path), may_see=lambda _: False)
    client = app.test_client()
    with app.app_context():
        address = plots.url_for("s", "hist.png", format="pdf")
        for wrong in ("PDF", ".pdf", "exe"):
            with pytest.raises(PlotIndexError, match="A format is a suffix without its dot"):
                plots.url_for("s", "hist.png", format=wrong)
    answer = client.get(address)
    assert (answer.status_code, answer.data) == (200, PDF)
    assert client.get(address.replace("format=pdf", "format=svg")).status_code == 404
    listed = shared.site.get("/s?q=hist.png").json()["plots"][0]["url"]
    assert requests.get(f"{shared.site.url}{listed}&format=pdf", timeout=10).status_code == 401


def test_changes_report_every_entry_whose_siblings_changed(shared: ServedSite) -> None:
    site, folder = shared.site, shared.site.root / "live/project_a"
    draw(site.root, "live/project_a/x.png", PNG)

    def changed(clock: str) -> tuple[dict[str, list[str]], list[str], str]:
        assert run_plotindex(["rebuild"], shared.environment, shared.folder).returncode == 0
        url = f"{site.url}/api/smartstat/changes?since={clock}&session=live"
        told = requests.get(url, headers={"Authorization": f"Bearer {site.token}"}, timeout=10).json()
        entries = {entry["filename"]: entry["siblings"] for entry in told["changed"]}
        return entries, [key["filename"] for key in told["removed"]], told["clock"]

    _, _, clock = changed("0")
    shutil.copy(folder / "x.png", folder / "x.tiff")
    entries, removed, clock = changed(clock)
    assert (entries, removed) == ({"x.png": ["tiff"], "x.tiff": ["png"]}, [])
    (folder / "x.tiff").unlink()
    entries, removed, clock = changed(clock)
    assert (entries, removed) == ({"x.png": []}, ["x.tiff"])


@pytest.mark.parametrize(
    ("name", "content", "kind"),
    [
        ("x.pdf", PDF, "application/pdf"),
        ("x.avif", PNG, "image/avif"),
        ("x.tif", PNG, "image/tiff"),
        ("x.TIFF", PNG, "image/tiff"),
    ],
)
def test_new_formats_have_their_type_and_ranges(site: Site, name: str, content: bytes, kind: str) -> None:
    draw(site.root, f"types/project_a/{name}", content)
    answer = site.get(f"/types/{name}")
    assert (answer.headers["Content-Type"], answer.content) == (kind, content)
    assert answer.headers["X-Content-Type-Options"] == "nosniff"
    # Chromium's viewer refuses a document in a sandbox.
    assert "Content-Security-Policy" not in answer.headers
    part = site.get(f"/types/{name}", Range="bytes=2-5")
    assert (part.status_code, part.content) == (206, content[2:6])
    assert site.get("/types/x.pdf").headers["Referrer-Policy"] == "no-referrer"
