"""A root whose plots are inspected in this process: draw, index, let time pass, inspect."""

import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cache
from hashlib import blake2b
from pathlib import Path
from tempfile import TemporaryDirectory
from unittest.mock import patch

from plotindex.index.reconcile import reconcile
from plotindex.inspection.inspector import Inspector
from plotindex.rendering.facts import Facts
from plotindex.rendering.renderer_client import RendererClient
from plotindex.storage.catalog import Catalog
from plotindex.storage.facts.reader import FactsReader
from plotindex.storage.facts.rows import StoredFacts
from plotindex.tree.plots import Plot
from plotindex.tree.tree import Tree
from tests.support.processes import draw

_time_ns = time.time_ns
LATER_SECONDS = 3


class InspectionSite:
    """A root, its catalogue, and the facts of its plots."""

    def __init__(self, root: Path, catalog: Catalog, renderer: RendererClient) -> None:
        self.root, self.catalog, self.renderer = root, catalog, renderer
        self.tree = Tree(root)
        self.later_ns = 0
        """By how much the clock is ahead."""
        self.start()

    def start(self) -> None:
        """Begin as a new process does."""
        self.inspector = Inspector(self.catalog, self.tree, self.renderer)

    def draw(self, path: str, content: bytes) -> Path:
        return draw(self.root, path, content)

    def index(self) -> None:
        reconcile(self.tree, self.catalog, [""])

    def inspect(
        self, seconds: float = LATER_SECONDS, *, most: int = 1_000, is_stopped: Callable[[], bool] = lambda: False
    ) -> int:
        """Inspect all that has stood for some seconds from now, in `most` steps; return how many plots."""
        self.later_ns += int(seconds * 1e9)
        inspected = 0
        with patch.object(time, "time_ns", lambda: _time_ns() + self.later_ns):
            for _ in range(most):
                step = self.inspector.step(60, is_stopped)
                inspected += step.inspected
                if not step.is_more:
                    break
        return inspected

    def plots(self) -> list[Plot]:
        return [plot for name in self.catalog.sessions() for plot in self.catalog.plots(name)]

    def facts(self, path: str) -> StoredFacts | None:
        """The facts of the copy at a path."""
        [plot] = [plot for plot in self.plots() if plot.path == path]
        with self.catalog.database.reading() as connection:
            return FactsReader(connection).facts(plot)

    def found_anew(self, plot: Plot) -> StoredFacts:
        """The facts of a plot, by its bytes and suffix alone."""
        content = (self.root / plot.path).read_bytes()
        return StoredFacts(blake2b(content, digest_size=16).hexdigest(), *self._read(content, plot.suffix))

    @cache  # noqa: B019 - for one test
    def _read(self, content: bytes, suffix: str) -> Facts:
        fd = os.memfd_create("plot")
        try:
            os.write(fd, content)
            found = self.renderer.inspect(fd, suffix)
        finally:
            os.close(fd)
        assert isinstance(found, Facts)
        return found


@contextmanager
def inspection_site(catalog: Catalog, renderer: RendererClient) -> Iterator[InspectionSite]:
    """A site with this catalogue, which is migrated and empty."""
    with TemporaryDirectory() as folder:
        site = InspectionSite(Path(folder), catalog, renderer)
        catalog.record_root(str(site.root), site.tree.layout, 1)
        yield site
