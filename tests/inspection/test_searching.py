"""Search by what plots show, and by flags: as a scan of all texts that the caller may see."""

import json
from pathlib import Path
from subprocess import CompletedProcess

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from plotindex.rendering.renderer_client import RendererClient
from plotindex.storage.catalog import Catalog
from plotindex.storage.facts.reader import FactsReader
from plotindex.storage.facts.rows import StoredFacts
from plotindex.storage.facts.writer import FactsWriter
from plotindex.storage.listing import Listing
from plotindex.storage.search.facts_filter import FactsFilter
from plotindex.storage.search.flag_search import find_flagged, flagged_in
from plotindex.storage.search.text_search import TextQuery, find_texts
from plotindex.storage.siblings import possible_siblings
from plotindex.storage.writer import Change
from plotindex.tree.grammar import Layout
from plotindex.tree.plots import Plot, PlotKey
from plotindex.tree.session_filter import ALL_SESSIONS, SessionFilter
from tests.support.inspection import inspection_site
from tests.support.postgres import NewDatabase, on_both_engines
from tests.support.processes import RunPlotindex, draw

SVG = "<svg xmlns='http://www.w3.org/2000/svg' width='90' height='60'><title>{}</title><text>{}</text></svg>"
names = st.sampled_from(["x.png", "x.svg", "x.PDF", "y.svg", "sub/x.svg"])
copies = st.tuples(st.sampled_from("st"), st.sampled_from(["project_a", "project_b"]), names)
lines = st.sampled_from(["", "Residuals of model A", "energy [keV]", "100% _Größe_", "model B", "E"])
shown = st.dictionaries(copies, st.tuples(lines, lines, st.booleans()), max_size=12)
queries = st.sampled_from(
    ["model", "MODEL resid", "e", "%", "_", "kev] energy", "größe", "model nothing", "  ", "'\"", "\0"]
)


@on_both_engines
@settings(max_examples=20, deadline=None)
@given(shown=shown, query=queries, later=shown)
@example(
    shown={("s", "project_a", "x.svg"): ("model B", "", True), ("s", "project_a", "x.PDF"): ("", "", True)},
    query="model",
    later={("s", "project_a", "x.svg"): ("E", "", False)},
)
def test_a_text_search_equals_a_scan_of_all_texts(
    new_database: NewDatabase,
    engine: str,
    shown: dict[tuple[str, str, str], tuple[str, str, bool]],
    query: str,
    later: dict[tuple[str, str, str], tuple[str, str, bool]],
) -> None:
    with new_database(engine) as database:
        catalog = Catalog(database)
        catalog.record_root("/srv", Layout(), 1)
        texts: dict[Plot, tuple[str, str]] = {}
        for number, state in enumerate((shown, later), 1):
            plots = {Plot(*place, number, 1, 1, 1): values for place, values in state.items()}
            before = {plot[:3]: plot for plot in texts}
            with catalog.writing() as writer:
                writer.apply([Change(before.get(plot[:3]), plot) for plot in plots])
            texts = {plot: text for plot, text in texts.items() if plot[:3] not in state}
            texts |= {plot: (title, text) for plot, (title, text, _) in plots.items()}
            with catalog.writing() as writer:
                found = [(plot, facts(*values[:2])) for plot, values in plots.items() if values[2]]
                assert FactsWriter(writer.connection).store(found) == len(found)
            texts |= {plot: ("", "") for plot, values in plots.items() if not values[2]}
        expected = scan(texts, query)
        assert find_texts(database, query) == expected
        for session in "st":
            own = {plot for plot in expected if plot.session == session}
            assert find_texts(database, query, session).keys() == own
            page = Listing(database).plots(session, 100, facts_filter=FactsFilter(session, query, "", ALL_SESSIONS))
            assert {entry.copies[0] for entry in page.entries} == {
                plot for plot in own if catalog.current(page_key(plot)) == plot
            }


def page_key(plot: Plot) -> PlotKey:
    return PlotKey(plot.session, plot.filename)


def facts(title: str, text: str) -> StoredFacts:
    flags: frozenset[str] = frozenset()
    return StoredFacts("ab" * 16, "svg", 1, 1, 1, None, title, (text,) if text else (), {}, b"", flags)


def scan(texts: dict[Plot, tuple[str, str]], query: str) -> dict[Plot, str]:
    """The copies with a hit, by looking at each."""
    wanted = TextQuery(query)
    own = {plot: wanted.where(*values) for plot, values in texts.items()} if wanted.words else {}
    own = {plot: where for plot, where in own.items() if where}
    others: dict[Plot, str] = {}
    for plot, where in own.items():
        for other in texts:
            is_near = (other.session, other.project) == (plot.session, plot.project)
            if is_near and other.filename in possible_siblings(plot.filename, Layout().suffixes):
                others[other] = max(where, others.get(other, ""))
    return {**others, **own}


def test_flags_are_found_as_the_caller_sees_them(new_database: NewDatabase, renderer: RendererClient) -> None:
    with new_database("sqlite") as database, inspection_site(Catalog(database), renderer) as site:
        site.draw("s/project_a/x.svg", SVG.format("A", "B").encode())
        site.draw("t/project_a/x.svg", SVG.format("A", "B").encode())
        site.draw("t/project_a/broken.png", b"\x89PNG\r\n\x1a\nbroken")
        site.index()
        site.inspect()

        def paths(flag: str, allows: SessionFilter = ALL_SESSIONS, session: str | None = None) -> list[str]:
            return sorted(plot.path for plot in find_flagged(database, flag, allows, session))

        assert paths("broken") == ["t/project_a/broken.png"]
        assert paths("broken", session="s") == []
        assert paths("duplicate") == ["s/project_a/x.svg", "t/project_a/x.svg"]
        assert paths("duplicate", session="s") == ["s/project_a/x.svg"]
        assert paths("duplicate", SessionFilter.only("s"), "s") == []


@pytest.mark.parametrize("allows", [SessionFilter.only("s"), SessionFilter(lambda name: name == "s", prefix="s")])
def test_copies_in_other_sessions_cost_a_caller_nothing(
    new_database: NewDatabase, renderer: RendererClient, allows: SessionFilter
) -> None:
    with new_database("sqlite") as database, inspection_site(Catalog(database), renderer) as site:
        for path in ("s/project_a/x.svg", "s/project_b/x.svg", "t/project_a/x.svg"):
            site.draw(path, SVG.format("A", "B").encode())

        def look() -> tuple[int, int, int]:
            """Copies with the same bytes, duplicates, and the steps of the database to find both."""
            site.index()
            site.inspect()
            digest, steps = site.facts("s/project_a/x.svg").digest, []  # type: ignore[union-attr]  # it is inspected
            with database.reading() as connection:
                connection.driver.set_progress_handler(lambda: steps.append(1), 1)
                try:
                    same = len(list(FactsReader(connection).with_digest(digest, allows)))
                    return same, len(list(flagged_in(connection, "duplicate", allows, "s"))), len(steps)
                finally:
                    connection.driver.set_progress_handler(None, 0)

        before = look()
        assert before[:2] == (2, 2)
        for number in range(200):
            site.draw(f"other{number % 3}/project_a/{number}.svg", SVG.format("A", "B").encode())
        assert look() == before


def test_many_equal_copies_delay_no_search_for_duplicates(new_database: NewDatabase, renderer: RendererClient) -> None:
    with new_database("sqlite") as database, inspection_site(Catalog(database), renderer) as site:
        for number in range(300):
            site.draw(f"flood/project_a/{number}.svg", SVG.format("A", "B").encode())
        for number in range(3):
            site.draw(f"s/project_a/{number}.svg", SVG.format("A", "B").encode())
        site.index()
        site.inspect()
        read: list[str] = []

        def may_see(name: str) -> bool:
            read.append(name)
            return True

        allows = SessionFilter(may_see, is_all=True)
        with database.reading() as connection:
            assert len(list(flagged_in(connection, "duplicate", allows, "s"))) == 3
        assert len(read) == 2


def test_commands_find_plots_by_text_and_flag(root: Path, plotindex: RunPlotindex) -> None:
    draw(root, "s/project_a/hist.svg", SVG.format("Residuals of model A", "Counts").encode())
    draw(root, "s/project_a/hist.png", b"broken")
    draw(root, "t/project_a/other.svg", SVG.format("Model B", "Counts").encode())
    assert plotindex("rebuild").returncode == 0
    assert plotindex("inspect", "--all").stdout == "Inspected 3 plots; 0 are left.\n"
    assert lines_of(plotindex("find", "--text", "residuals MODEL")) == ["s/project_a/hist.png", "s/project_a/hist.svg"]
    assert lines_of(plotindex("find", "--text", "model", "--session", "t")) == ["t/project_a/other.svg"]
    assert lines_of(plotindex("find", "--text", "counts", "--flag", "broken")) == ["s/project_a/hist.png"]
    assert lines_of(plotindex("find", "other", "--text", "counts")) == ["t/project_a/other.svg"]
    nothing = plotindex("find", "--text", "nothing")
    assert (nothing.returncode, nothing.stdout) == (1, "")
    assert plotindex("find", "--flag", "ugly").returncode == 2
    found = json.loads(plotindex("find", "--text", "counts", "--json").stdout)
    assert {plot["where"] for plot in found} == {"text: Counts"}
    shown = json.loads(plotindex("inspect", "s", "hist.svg", "--json").stdout)
    assert (shown["title"], shown["text"], shown["inspected"]) == ("Residuals of model A", ["Counts"], True)
    assert plotindex("inspect", "s").stdout.splitlines()[0] == "-\t-\tbroken\ts/project_a/hist.png\t"
    assert plotindex("inspect", "s", "none.png").returncode == 1
    for wrong in (("inspect",), ("inspect", "--all", "s"), ("inspect", "--all", "--project", "x")):
        assert plotindex(*wrong).returncode == 2


def lines_of(done: CompletedProcess[str]) -> list[str]:
    assert done.returncode == 0, done.stderr
    return str(done.stdout).splitlines()
