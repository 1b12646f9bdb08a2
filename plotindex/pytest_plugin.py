"""Fixture for tests of applications that use plotindex. pytest loads it when plotindex is installed.

An application created after the fixture serves its root, whatever `root=`, `database=` or `app.config` say.

def test_the_page_shows_the_newest(drawn_plots, client):
    drawn_plots.draw("abc123/project_a/hist.png")
    assert client.get("/api/smartstat/plots/abc123/hist.png").status_code == 200
"""

import os
import socket
import time
from base64 import b64decode
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from plotindex.config import Settings

PNG = b64decode("iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg==")
"""The smallest real PNG."""


KEEP_POLL_SECONDS = 0.05


class DrawnPlots:
    """The root of one test."""

    def __init__(self, root: Path) -> None:
        self.root = root

    def draw(self, path: str, content: bytes = PNG) -> Path:
        """Write a plot to `session/project/filename`, creating folders; return its path."""
        file = self.root / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(content)
        return file

    def index(self) -> None:
        """Update the catalogue as an indexer would: requests are hits then, and lists work."""
        # Imported here, since pytest loads this module in every run.
        from plotindex.index import prepare_catalog, reconcile  # noqa: PLC0415 - see above
        from plotindex.storage import Heartbeat  # noqa: PLC0415 - see above
        from plotindex.tree import Tree  # noqa: PLC0415 - see above

        settings = self._settings()
        catalog = prepare_catalog(settings)
        try:
            reconcile(Tree(settings.root, settings.layout), catalog, [""])
            now = time.time()
            catalog.store_heartbeat(Heartbeat(socket.gethostname(), os.getpid(), now, now, "watching"))
        finally:
            catalog.database.close()

    def keep(self) -> None:
        """Index, and keep the plots as an indexer would: waits two seconds, since a younger file may still change."""
        # Imported here, since pytest loads this module in every run.
        from plotindex.history.keeper import Keeper, Limits  # noqa: PLC0415 - see above
        from plotindex.history.store import HistoryStore  # noqa: PLC0415 - see above
        from plotindex.index import make_tree, open_catalog  # noqa: PLC0415 - see above

        self.index()
        settings = self._settings()
        store, catalog = HistoryStore.from_settings(settings), open_catalog(settings)
        assert store is not None
        try:
            keeper = Keeper(store, catalog, make_tree(settings), Limits.from_settings(settings))
            keeper.prepare()
            while keeper.step() or keeper.is_waiting:
                time.sleep(KEEP_POLL_SECONDS)
        finally:
            store.database.close()
            catalog.database.close()

    def inspect(self) -> None:
        """Index, and inspect the plots as an indexer would: waits two seconds, as `keep` does."""
        # Imported here, since pytest loads this module in every run.
        from plotindex.index import make_tree, open_catalog  # noqa: PLC0415 - see above
        from plotindex.inspection.inspector import Inspector  # noqa: PLC0415 - see above
        from plotindex.rendering.renderer_client import RendererClient  # noqa: PLC0415 - see above

        self.index()
        settings = self._settings()
        catalog, renderer = open_catalog(settings), RendererClient()
        try:
            inspector = Inspector(catalog, make_tree(settings), renderer)
            while inspector.step(1.0).is_more or inspector.is_waiting():
                time.sleep(KEEP_POLL_SECONDS)
        finally:
            renderer.close()
            catalog.database.close()

    def _settings(self) -> "Settings":
        from plotindex.config import load_settings  # noqa: PLC0415 - see above

        return load_settings({"root": self.root})


@pytest.fixture
def drawn_plots(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> DrawnPlots:
    """An empty root, served by applications created after it, with a state of its own."""
    # Imported here, since pytest loads this module in every run.
    from plotindex.web.host_app import read_settings  # noqa: PLC0415 - see above

    root, state = tmp_path / "plotindex-root", tmp_path / "plotindex-state"
    root.mkdir()

    def read_for_test(app: Any, given: Mapping[str, object]) -> "Settings":  # noqa: ANN401 - a Flask application
        settings = read_settings(app, {**given, "root": root})
        return replace(settings, database=None, state_dir=state)  # type: ignore[arg-type]  # None: a file of its own

    monkeypatch.setattr("plotindex.web.extension.read_settings", read_for_test)
    monkeypatch.setenv("PLOTINDEX_ROOT", str(root))
    monkeypatch.setenv("PLOTINDEX_STATE_DIR", str(state))
    return DrawnPlots(root)
