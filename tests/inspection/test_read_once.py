"""History and inspection together read each plot once."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from unittest.mock import patch

import pytest
from watchdog.events import FileOpenedEvent, FileSystemEvent, FileSystemEventHandler
from watchdog.observers import Observer

from plotindex.history.kept_content import KeptContent
from plotindex.inspection.inspector import Inspector
from plotindex.rendering.renderer_client import RendererClient
from plotindex.storage.catalog import Catalog
from plotindex.tree.tree import Tree
from tests.conftest import NewHistory
from tests.support.history import HistorySite, history_site
from tests.support.images import encoded, halves
from tests.support.inspection import InspectionSite
from tests.support.postgres import NewDatabase, on_both_engines
from tests.support.processes import RunPlotindex, StartService, draw

PNG, OTHER = encoded(halves()), encoded(halves((0, 0, 255), (255, 255, 0)))
PLOT = "s/project_a/x.png"


@pytest.fixture
def both(
    new_database: NewDatabase, engine: str, new_history: NewHistory, renderer: RendererClient
) -> Iterator[HistorySite]:
    with (
        new_database(engine) as database,
        new_history(engine, database) as history,
        history_site(Catalog(database), history) as made,
    ):
        made.catalog.record_root(str(made.root), made.tree.layout, 1)
        yield made


@pytest.fixture
def inspection(both: HistorySite, renderer: RendererClient) -> InspectionSite:
    """Inspection beside the history."""
    site = InspectionSite(both.root, both.catalog, renderer)
    site.inspector = Inspector(both.catalog, both.tree, renderer, KeptContent(both.store))
    return site


@contextmanager
def opened_files(folder: Path) -> Iterator[list[str]]:
    """The names of the files below a folder that are opened, once for each time."""
    names: list[str] = []

    class Recorder(FileSystemEventHandler):
        def on_any_event(self, event: FileSystemEvent) -> None:
            if not event.is_directory:
                names.append(Path(str(event.src_path)).name)

    observer = Observer()
    observer.schedule(Recorder(), str(folder), recursive=True, event_filter=[FileOpenedEvent])
    observer.start()
    try:
        yield names
    finally:
        observer.stop()
        observer.join()


def test_the_services_open_each_plot_once(root: Path, indexer: StartService, plotindex: RunPlotindex) -> None:
    (root / "s/project_a").mkdir(parents=True)
    with indexer("--inspect-share", "100") as running:
        with opened_files(root) as opened:
            for name in ("x", "y", "z"):
                draw(root, f"s/project_a/{name}.png", PNG)
                draw(root, f"s/project_a/{name}2.png", OTHER)
            running.wait_for(lambda: plotindex("inspect", "s", "--json").stdout.count('"inspected": true') == 6)
            running.wait_for(lambda: plotindex("history", "list", "s").stdout.count(".png") == 6)
        # By who drew it, and by the history.
        assert sorted(opened) == sorted(2 * [f"{name}.png" for name in ("x", "y", "z", "x2", "y2", "z2")])


@on_both_engines
def test_what_the_history_has_read_is_inspected_without_the_file(both: HistorySite, inspection: InspectionSite) -> None:
    both.draw(PLOT, PNG)
    both.keep()
    with patch.object(Tree, "open", side_effect=AssertionError):
        assert inspection.inspect() == 1
    [plot] = inspection.plots()
    assert inspection.facts(PLOT) == inspection.found_anew(plot)


def test_what_the_history_is_about_to_read_is_left_to_it_for_a_minute(
    both: HistorySite, inspection: InspectionSite
) -> None:
    both.draw(PLOT, PNG)
    both.index()
    inspection.inspect()
    assert inspection.facts(PLOT) is not None, "the history has not heard of it"
    both.draw(PLOT, OTHER)
    both.index()
    both.keep_without_indexing(0)
    inspection.inspect()
    assert inspection.facts(PLOT) is None
    inspection.inspect(60)
    assert inspection.facts(PLOT) is not None


def test_damaged_and_missing_kept_bytes_are_read_from_the_plot(both: HistorySite, inspection: InspectionSite) -> None:
    both.draw(PLOT, PNG)
    both.draw("s/project_a/y.png", OTHER)
    both.keep()
    damaged, missing = (file for file in both.store.folder.path.iterdir() if len(file.name) == 32)
    content = damaged.read_bytes()
    damaged.write_bytes(bytes(len(content)))
    bytes_of_missing = missing.read_bytes()
    missing.unlink()
    inspection.inspect()
    for plot in inspection.plots():
        assert inspection.facts(plot.path) == inspection.found_anew(plot)
    damaged.write_bytes(content)
    both.store.folder.path.joinpath(missing.name).write_bytes(bytes_of_missing)


def test_without_a_history_that_can_be_read_plots_are_read(both: HistorySite, inspection: InspectionSite) -> None:
    both.draw(PLOT, PNG)
    both.keep()
    both.store.folder.path.rename(both.root.parent / "away")
    assert inspection.inspect() == 1
    assert inspection.facts(PLOT) is not None
    (both.root.parent / "away").rename(both.store.folder.path)
