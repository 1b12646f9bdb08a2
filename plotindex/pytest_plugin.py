"""Fixture for tests of applications that use plotindex. pytest loads it when plotindex is installed.

def test_the_page_shows_the_newest(drawn_plots, client):
    drawn_plots.draw("abc123/project_a/hist.png")
    assert client.get("/api/smartstat/plots/abc123/hist.png").status_code == 200
"""

import os
import socket
import time
from base64 import b64decode
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from plotindex.config import Settings

PNG = b64decode("iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg==")
"""The smallest real PNG."""


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

    def _settings(self) -> "Settings":
        from plotindex.config import load_settings  # noqa: PLC0415 - see above

        return load_settings({"root": self.root})


@pytest.fixture
def drawn_plots(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> DrawnPlots:
    """An empty root. PLOTINDEX_ROOT and PLOTINDEX_STATE_DIR are set for applications created after it."""
    root = tmp_path / "plotindex-root"
    root.mkdir()
    monkeypatch.setenv("PLOTINDEX_ROOT", str(root))
    monkeypatch.setenv("PLOTINDEX_STATE_DIR", str(tmp_path / "plotindex-state"))
    return DrawnPlots(root)
