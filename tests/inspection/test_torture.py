"""Whatever happens to a tree, its catalogue and the process that inspects: facts are those that are found anew."""

from contextlib import suppress
from itertools import count
from typing import Any

from hypothesis import example, given, settings
from hypothesis import strategies as st
from PIL import Image

from plotindex.rendering.renderer_client import RendererClient
from plotindex.storage.catalog import Catalog
from tests.support.images import encoded, halves
from tests.support.inspection import InspectionSite, inspection_site
from tests.support.postgres import NewDatabase, on_both_engines

SVG = "<svg xmlns='http://www.w3.org/2000/svg' width='9{0}' height='60'><title>Model {0}</title><text>n{0}</text></svg>"
CONTENTS = (
    encoded(halves()),
    encoded(Image.new("RGB", (200, 100), "white")),
    b"",
    *(SVG.format(number).encode() for number in range(3)),
)
places = st.sampled_from(
    [f"{s}/project_{p}/{name}" for s in "st" for p in "ab" for name in ("x.png", "x.svg", "sub/y.svg")]
)
steps = st.lists(
    st.one_of(
        st.tuples(st.just("draw"), places, st.integers(0, len(CONTENTS) - 1)),
        st.tuples(st.just("delete"), places),
        st.tuples(st.just("move"), places, places),
        st.tuples(st.just("index")),
        st.tuples(st.just("inspect"), st.sampled_from([0, 3, 3, 90_000]), st.integers(1, 3)),
        st.tuples(st.just("kill after"), st.integers(0, 3)),
        st.tuples(st.just("trim")),
        st.tuples(st.just("lose the position")),
    ),
    max_size=25,
)


class Killed(BaseException):
    """The process ends between two plots."""


@on_both_engines
@settings(max_examples=20, deadline=None)
@given(steps=steps)
@example(
    steps=[("draw", "s/project_a/x.svg", 3), ("index",), ("inspect", 3, 3), ("delete", "s/project_a/x.svg"), ("trim",)]
)
@example(steps=[("draw", "s/project_a/x.svg", n % 6) for n in range(3)] + [("index",), ("kill after", 1), ("trim",)])
def test_facts_equal_those_found_anew(
    new_database: NewDatabase, renderer: RendererClient, engine: str, steps: list[Any]
) -> None:
    with new_database(engine) as database, inspection_site(Catalog(database), renderer) as site:
        for step in steps:
            apply(site, *step)
        site.index()
        site.inspect()
        # What was once seen as changed waits for longer.
        site.inspect(20)
        for plot in site.plots():
            assert site.facts(plot.path) == site.found_anew(plot)
        check_rows(site)


def apply(site: InspectionSite, kind: str, *values: Any) -> None:
    if kind == "draw":
        site.draw(values[0], CONTENTS[values[1]])
    elif kind == "delete":
        (site.root / values[0]).unlink(missing_ok=True)
    elif kind == "move":
        target = site.root / values[1]
        target.parent.mkdir(parents=True, exist_ok=True)
        with suppress(FileNotFoundError):
            (site.root / values[0]).rename(target)
    elif kind == "index":
        site.index()
    elif kind == "inspect":
        site.inspect(values[0], most=values[1])
    elif kind == "kill after":
        plots = count()

        def die() -> bool:
            if next(plots) == values[0]:
                raise Killed
            return False

        with suppress(Killed):
            site.inspect(is_stopped=die)
        site.start()
    elif kind == "trim":
        with site.catalog.writing() as writer:
            writer.trim_removals(keep=0)
    else:
        with site.catalog.writing() as writer:
            writer.connection.driver.execute("DELETE FROM follower WHERE name = 'inspection'")


def check_rows(site: InspectionSite) -> None:
    """Assert that nothing is kept of plots that are not there, beyond a day, and that nothing waits."""
    site.start()
    site.inspect(90_000)
    with site.catalog.database.reading() as connection:
        driver = connection.driver
        rows = {tuple(row) for row in driver.execute("SELECT session, filename, project FROM facts").fetchall()}
        assert rows == {(plot.session, plot.filename, plot.project) for plot in site.plots()}
        assert driver.execute("SELECT count(*) FROM uninspected").fetchall() == [(0,)]
    if connection.kind == "sqlite":
        with site.catalog.writing() as writer:
            # Compares the index with the rows (https://www.sqlite.org/fts5.html, 6.4).
            writer.connection.driver.execute("DELETE FROM facts WHERE title = '' AND text = ''")
            writer.connection.driver.execute(
                "INSERT INTO facts_trigram (facts_trigram, rank) VALUES ('integrity-check', 1)"
            )
