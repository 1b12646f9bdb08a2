"""Siblings, the formats of one plot, are one plot in the gallery."""

import json
import re
from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, Page, expect

from tests.support.gallery_pages import card, shown
from tests.support.images import encoded, halves, pdf
from tests.support.live_gallery import LiveGallery, png, serve_and_browse, violations, violations_in_dark_theme

SVG = b'<svg xmlns="http://www.w3.org/2000/svg" width="400" height="300"><circle cx="90" cy="90" r="80"/></svg>'
PDF = pdf("1 0 0 rg 10 10 40 30 re f")


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory, browser: Browser) -> Iterator[LiveGallery]:
    with serve_and_browse(tmp_path_factory.mktemp("formats"), browser) as site:
        yield site


def draw_formats(site: LiveGallery, session: str, *projects: str) -> None:
    """One plot in three formats and one in one, in each project."""
    for project in projects:
        for name, content in (("hist.png", png()), ("hist.pdf", PDF), ("hist.svg", SVG), ("other.png", png())):
            site.draw(f"{session}/{project}/{name}", content)
    site.sync()


def count(page: Page, text: str) -> None:
    expect(page.locator("#count")).to_have_text(text)


def test_siblings_are_one_card_with_a_download_for_each(site: LiveGallery) -> None:
    draw_formats(site, "cards", "project_a", "project_b")
    with site.page() as page:
        page.goto(f"{site.url}/session/cards?sort=name")
        count(page, "2 plots, 4 copies")
        assert shown(page) == ["hist.png", "other.png"]
        expect(card(page, "hist.png").locator(".copies")).to_have_text("2 copies")
        expect(card(page, "other.png").locator(".formats a")).to_have_count(0)
        picture, formats = (card(page, "hist.png").locator(part).bounding_box() for part in (".paper", ".formats"))
        assert picture is not None
        assert formats is not None
        assert formats["y"] >= picture["y"] + picture["height"], "the formats cover the picture"
        heights = {one.bounding_box()["height"] for one in page.locator(".card").all()}  # type: ignore[index]
        assert len(heights) == 1
        for kind in ("PDF", "PNG", "SVG"):
            with page.expect_download() as started:
                card(page, "hist.png").get_by_role("link", name=f"Download hist.{kind.lower()}").click()
            assert started.value.suggested_filename == f"hist.{kind.lower()}"
        page.goto(f"{site.url}/")
        expect(page.locator('[data-session="cards"] .facts')).to_contain_text("2 plots, 4 copies")
        expect(page.locator('[data-session="cards"] .strip img')).to_have_count(2)


def test_files_one_by_one_by_a_switch_that_the_address_keeps(site: LiveGallery) -> None:
    draw_formats(site, "switch", "project_a", "project_b")
    site.draw("single/project_a/x.png")
    site.sync()
    with site.page() as page:
        page.goto(f"{site.url}/session/switch?sort=name")
        count(page, "2 plots, 4 copies")
        page.get_by_label("Show").select_option("files")
        count(page, "4 files, 8 copies")
        assert shown(page) == ["hist.pdf", "hist.png", "hist.svg", "other.png"]
        assert page.url.endswith("?sort=name&show=files")
        page.reload()
        count(page, "4 files, 8 copies")
        card(page, "hist.pdf").get_by_role("link", name="hist.pdf", exact=True).click()
        expect(page.locator("#place")).to_have_text("1 of 4 plots")
        page.keyboard.press("Escape")
        count(page, "4 files, 8 copies")
        page.get_by_label("Show").select_option("")
        count(page, "2 plots, 4 copies")
        page.goto(f"{site.url}/session/single")
        count(page, "1 plot")
        expect(page.get_by_label("Show")).to_be_hidden()


def test_a_card_stays_when_another_format_arrives(site: LiveGallery) -> None:
    site.draw("arrives/project_a/hist.svg", SVG)
    site.draw("arrives/project_a/z.png")
    site.sync()
    with site.page() as page:
        page.goto(f"{site.url}/session/arrives?sort=name")
        count(page, "2 plots")
        page.evaluate("document.querySelector('.card').isKept = true")
        card(page, "hist.svg").hover()
        file = site.draw("arrives/project_a/hist.png")
        expect(card(page, "hist.png").locator(".formats a")).to_have_text(["SVG", "PNG"])
        assert page.evaluate("document.querySelector('.card').isKept")
        expect(page.locator("#arrived")).to_be_hidden()
        file.unlink()
        expect(card(page, "hist.svg").locator(".formats a")).to_have_count(0)
        count(page, "2 plots")


def test_files_that_no_project_draws_together_are_two_plots(site: LiveGallery) -> None:
    site.draw("apart/project_a/x.png")
    site.draw("apart/project_b/x.svg", SVG)
    site.sync()
    with site.page() as page:
        page.goto(f"{site.url}/session/apart?sort=name")
        count(page, "2 plots")
        assert shown(page) == ["x.png", "x.svg"]
        site.draw("apart/project_c/x.png")
        site.draw("apart/project_c/x.svg", SVG)
        count(page, "1 plot, 3 copies")
        page.get_by_label("Group").select_option("project")
        expect(page.locator(".card")).to_have_count(3)
        assert sorted(shown(page)) == ["x.png", "x.png", "x.svg"]


def test_search_and_filter_show_siblings_once_and_find_a_format(site: LiveGallery) -> None:
    draw_formats(site, "search", "project_a")
    with site.page() as page:
        page.goto(f"{site.url}/?q=hist+project_a")
        expect(page.locator(".found .card[data-session='search']")).to_have_count(1)
        page.goto(f"{site.url}/session/search")
        page.get_by_label("Filter these plots").fill("hist")
        count(page, "1 of 2 plots")
        page.get_by_label("Filter these plots").fill(".pdf")
        expect(card(page, "hist.pdf")).to_be_visible()
        count(page, "1 of 2 plots")
        page.keyboard.press("Enter")
        expect(page).to_have_url(re.compile("/plot/search/hist.pdf$"))


def test_previous_and_next_pass_over_siblings(site: LiveGallery) -> None:
    for name in ("a.png", "z.png"):
        site.draw(f"next/project_a/{name}")
    draw_formats(site, "next", "project_a")
    with site.page() as page:
        page.goto(site.plot("next", "a.png"))
        page.keyboard.press("ArrowRight")
        expect(page).to_have_url(re.compile("/hist.png$"))
        page.keyboard.press("ArrowRight")
        expect(page).to_have_url(re.compile("/other.png$"))
        page.keyboard.press("ArrowLeft")
        expect(page).to_have_url(re.compile("/hist.png$"))
        page.get_by_role("link", name="PDF", exact=True).click()
        expect(page).to_have_url(re.compile("/hist.pdf$"))
        page.keyboard.press("ArrowLeft")
        expect(page).to_have_url(re.compile("/a.png$"))
        names = ["a.png", "hist.png", "hist.pdf", "hist.svg"]
        order = [["z.png", None, ["z.png"]], ["hist.png", None, names[1:]], ["a.png", None, ["a.png"]]]
        stored = json.dumps({"session": "next", "plots": order})
        page.evaluate("stored => sessionStorage.setItem('plotindex / order', stored)", stored)
        page.goto(site.plot("next", "hist.svg"))
        expect(page.locator("#place")).to_have_text("2 of 3 plots")
        page.keyboard.press("ArrowRight")
        expect(page).to_have_url(re.compile("/a.png$"))


def test_a_plots_page_has_a_download_for_each_format_and_lists_copies_once(site: LiveGallery) -> None:
    draw_formats(site, "page", "project_a", "project_b")
    site.draw("page/project_c/hist.tif", encoded(halves(), "TIFF"))
    site.draw("page/project_c/hist.svg", SVG)
    site.sync()
    with site.page() as page:
        page.goto(site.plot("page", "hist.pdf"))
        expect(page.locator(".copies-head h2")).to_have_text("3 copies")
        for name in ("hist.pdf", "hist.png", "hist.svg"):
            with page.expect_download() as started:
                page.get_by_role("link", name=f"Download {name}").click()
            assert started.value.suggested_filename == name
        page.get_by_role("link", name="Compare all 3 copies").click()
        expect(page.locator("figure")).to_have_count(3)
        assert {one.get_attribute("data-filename") for one in page.locator("figure").all()} == {"hist.pdf", "hist.svg"}


@pytest.mark.parametrize("width", [360, 1200])
def test_formats_are_accessible_and_fit(site: LiveGallery, width: int) -> None:
    draw_formats(site, "axe", "project_a", "project_b")
    with site.page(viewport={"width": width, "height": 700}) as page:
        for address in (f"{site.url}/session/axe", site.plot("axe", "hist.svg")):
            page.goto(address)
            expect(page.get_by_role("link", name="Download hist.pdf")).to_be_visible()
            assert (violations(page), violations_in_dark_theme(page)) == ([], [])
            assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
