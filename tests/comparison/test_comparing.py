"""How plots differ between two sides: one session's projects, with real files and a real renderer."""

import os
from collections.abc import Iterator
from pathlib import Path
from unittest.mock import patch

import pytest
from PIL import Image

from plotindex.comparison.compare import NotComparedError, PairComparer
from plotindex.comparison.difference import ComparedPair, Kind, PlotDifference, make_pairs, select, within_tolerance
from plotindex.comparison.sides import Side, read_side
from plotindex.history.access import History
from plotindex.rendering.cache import FileCache
from plotindex.rendering.protocol import Outcome
from plotindex.rendering.renderer_client import RendererClient
from plotindex.storage.catalog import Catalog
from tests.rendering.test_comparison import plot
from tests.rendering.test_drawing_changes import CURVE, figure
from tests.support.images import encoded
from tests.support.inspection import InspectionSite, inspection_site
from tests.support.postgres import NewDatabase


@pytest.fixture(scope="module")
def renderer() -> Iterator[RendererClient]:
    client = RendererClient()
    yield client
    client.close()


@pytest.fixture
def site(new_database: NewDatabase, engine: str, renderer: RendererClient) -> Iterator[InspectionSite]:
    with new_database(engine) as database, inspection_site(Catalog(database), renderer) as made:
        yield made


class Comparing:
    """Compares project_a with project_b of session s."""

    def __init__(self, site: InspectionSite, cache: Path) -> None:
        self.site = site
        self.history = History(None, site.tree)
        self.cache = FileCache(cache, 1 << 24, lambda: None)
        self.comparer = PairComparer(site.tree, site.catalog.database, self.history, self.cache)

    def draw(self, filename: str, before: bytes | None, after: bytes | None) -> None:
        for project, content in (("project_a", before), ("project_b", after)):
            if content is not None:
                self.site.draw(f"s/{project}/{filename}", content)

    def compared(self) -> dict[str, PlotDifference]:
        self.site.index()
        sides = [
            read_side(Side("s", project, None), self.site.catalog, self.history, is_limited=False)
            for project in ("project_a", "project_b")
        ]
        return {
            pair.filename: self.comparer.compare(pair, self.site.renderer) for pair in make_pairs(sides[0], sides[1])
        }


@pytest.fixture
def comparing(site: InspectionSite, tmp_path: Path) -> Comparing:
    return Comparing(site, tmp_path / "cache")


ONE, GROWN = encoded(plot(50, 80)), encoded(plot(50, 84))
SVG, RESTYLED = figure(CURVE).encode(), figure(CURVE, style="stroke: blue").encode()
MOVED = figure(((0, 0), (2, 4.05), (4, 1))).encode()


def test_each_kind_is_told(comparing: Comparing) -> None:
    comparing.draw("new.png", None, ONE)
    comparing.draw("gone.png", ONE, None)
    comparing.draw("same.png", ONE, ONE)
    comparing.draw("pixels.png", ONE, encoded(plot(50, 80), compress_level=0))
    comparing.draw("alike.png", ONE, encoded(plot(50, 80, shift=1)))
    comparing.draw("restyled.svg", SVG, RESTYLED)
    comparing.draw("changed.png", ONE, GROWN)
    kinds = {name: found.kind for name, found in comparing.compared().items()}
    assert kinds == {
        "new.png": Kind.NEW,
        "gone.png": Kind.GONE,
        "same.png": Kind.SAME,
        "pixels.png": Kind.SAME_PICTURE,
        "alike.png": Kind.ALIKE,
        "restyled.svg": Kind.RESTYLED,
        "changed.png": Kind.CHANGED,
    }


def test_what_only_its_picture_tells_is_told_by_places(comparing: Comparing) -> None:
    comparing.draw("x.png", ONE, GROWN)
    [found] = comparing.compared().values()
    assert (found.words, found.is_certain, len(found.regions)) == (("differs in 1 place",), False, 1)
    assert 0 < found.score < 1


def test_a_vector_beside_the_picture_tells_what_changed(comparing: Comparing) -> None:
    comparing.draw("x.png", ONE, GROWN)
    comparing.draw("x.svg", SVG, MOVED)
    comparing.draw("styled.png", ONE, GROWN)
    comparing.draw("styled.svg", SVG, RESTYLED)
    comparing.draw("small.png", ONE, encoded(plot(50, 80, shift=1)))
    comparing.draw("small.svg", SVG, MOVED)
    found = comparing.compared()
    assert found["x.png"].words == ("curve 1: 4 → 4.05 at 2",)
    assert found["styled.png"].kind is Kind.RESTYLED
    # What changed is certain, so little of the picture as it may be.
    assert (found["small.png"].kind, found["small.png"].is_certain) == (Kind.CHANGED, True)


def test_texts_that_changed_are_told(comparing: Comparing) -> None:
    comparing.draw("x.svg", figure(CURVE, text="RMSE 0.12").encode(), figure(CURVE, text="RMSE 0.19").encode())
    comparing.draw("x.png", ONE, GROWN)
    [found] = comparing.compared().values()
    assert (found.kind, found.words) == (Kind.CHANGED, ("title: RMSE 0.12 → 0.19 (+0.07, +58.3 %)",))


def test_equal_pixels_are_the_same_picture_whatever_the_texts_say(comparing: Comparing) -> None:
    comparing.draw("x.svg", SVG, MOVED)
    comparing.draw("x.png", ONE, ONE)
    [found] = comparing.compared().values()
    assert found == PlotDifference(Kind.SAME_PICTURE)


def test_a_later_frame_that_differs_is_a_change(comparing: Comparing) -> None:
    frames = [plot(50), plot(60), plot(70)]
    before = encoded(frames[0], "GIF", save_all=True, append_images=[frames[1]])
    after = encoded(frames[0], "GIF", save_all=True, append_images=[frames[2]])
    comparing.draw("x.gif", before, after)
    [found] = comparing.compared().values()
    assert (found.kind, found.words) == (Kind.CHANGED, ("differs after the first frame or page",))


def test_previews_in_a_photograph_are_no_frames(comparing: Comparing) -> None:
    before, after = (
        encoded(plot(50, 80, shift=shift), "MPO", save_all=True, append_images=[plot(60)], quality=95)
        for shift in (0, 1)
    )
    comparing.draw("x.jpg", before, after)
    [found] = comparing.compared().values()
    assert (found.kind, found.words) == (Kind.ALIKE, ())


def test_another_size_is_told(comparing: Comparing) -> None:
    comparing.draw("x.png", ONE, encoded(plot(50, 80, margin=5, size=(355, 205))))
    [found] = comparing.compared().values()
    assert (found.kind, found.words) == (Kind.ALIKE, ("size: 400 × 240 → 355 × 205",))  # noqa: RUF001


def test_a_damaged_plot_is_changed_and_says_why(comparing: Comparing) -> None:
    comparing.draw("x.png", ONE, b"damaged")
    [found] = comparing.compared().values()
    assert (found.kind, found.score) == (Kind.CHANGED, 100.0)
    assert found.words == ("cannot be compared: the file is damaged or of another format",)


def test_a_pair_is_compared_once_for_each_content(comparing: Comparing) -> None:
    comparing.draw("x.png", ONE, GROWN)
    [first] = comparing.compared().values()
    comparing.site.renderer.close()
    assert list(comparing.compared().values()) == [first]
    comparing.draw("y.png", ONE, GROWN)
    assert set(comparing.compared().values()) == {first}
    assert comparing.site.renderer.pid is None
    comparing.draw("x.png", GROWN, encoded(Image.new("RGB", (9, 9))))
    assert comparing.compared()["x.png"] != first


def test_a_damaged_cache_is_not_believed(comparing: Comparing, tmp_path: Path) -> None:
    comparing.draw("x.png", ONE, GROWN)
    [first] = comparing.compared().values()
    [file] = (tmp_path / "cache").glob("*-pair")
    for content in (b"", b"{}", b'["changed", 1.0, [[1]], [], false]', b'["other", 1.0, [], [], false]', b"[1"):
        file.write_bytes(content)
        assert list(comparing.compared().values()) == [first]


def test_what_a_busy_renderer_did_not_tell_is_not_remembered(comparing: Comparing) -> None:
    comparing.draw("x.svg", SVG, MOVED)
    with (
        patch.object(RendererClient, "compare_drawings", return_value=Outcome.BUSY),
        pytest.raises(NotComparedError, match="busy"),
    ):
        comparing.compared()
    [found] = comparing.compared().values()
    assert found.words == ("curve 1: 4 → 4.05 at 2",)


def test_huge_plots_that_were_not_read_are_not_taken_for_the_same(comparing: Comparing) -> None:
    comparing.draw("x.png", ONE, GROWN)
    with patch("plotindex.inspection.examine.MAX_BYTES", 10):
        comparing.site.index()
        comparing.site.inspect()
    [found] = comparing.compared().values()
    assert found.kind is Kind.CHANGED


def test_facts_of_an_inspection_give_the_same(comparing: Comparing) -> None:
    comparing.draw("x.svg", figure(CURVE, text="RMSE 0.12").encode(), figure(CURVE, text="RMSE 0.19").encode())
    comparing.draw("x.png", ONE, GROWN)
    comparing.site.index()
    comparing.site.inspect()
    [found] = comparing.compared().values()
    assert found.words == ("title: RMSE 0.12 → 0.19 (+0.07, +58.3 %)",)


def test_the_most_changed_comes_first_and_what_is_equal_only_if_asked_for(comparing: Comparing) -> None:
    for name, after in {"a": encoded(plot(50, 84)), "b": encoded(plot(50, 120)), "c": ONE}.items():
        comparing.draw(f"{name}.png", ONE, after)
    comparing.draw("d.png", None, ONE)
    comparing.draw("e.png", ONE, None)
    comparing.site.index()
    sides = [
        read_side(Side("s", project, None), comparing.site.catalog, comparing.history, is_limited=False)
        for project in ("project_a", "project_b")
    ]
    compared = [
        ComparedPair(pair, comparing.comparer.compare(pair, comparing.site.renderer))
        for pair in make_pairs(sides[0], sides[1])
    ]
    assert [one.pair.filename for one in select(compared, None)] == ["b.png", "a.png", "d.png", "e.png"]
    assert [one.pair.filename for one in select(compared, [Kind.SAME])] == ["c.png"]
    assert [one.pair.filename for one in compared if within_tolerance(one, 0.5)] == ["a.png"]


def test_huge_plots_are_not_read(comparing: Comparing) -> None:
    comparing.draw("huge.png", ONE, GROWN)
    for project in ("project_a", "project_b"):
        os.truncate(comparing.site.root / f"s/{project}/huge.png", 1 << 40)
    difference = comparing.compared()["huge.png"]
    assert (difference.kind, difference.words) == (Kind.CHANGED, ("cannot be compared: it has more than 256 MB",))
