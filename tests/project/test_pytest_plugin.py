"""The fixture for the tests of applications that use plotindex, in a run of pytest of its own."""

import re
import subprocess
import sys
from pathlib import Path

from tests import CHECKOUT

DOCUMENT = (CHECKOUT / "docs/flask.md").read_text()
EXAMPLE = re.findall(
    r"<!-- executed by tests/project/test_pytest_plugin.py -->\n```python\n(.+?)```", DOCUMENT, re.DOTALL
)
TESTS = """
import pytest
from flask import Flask
from plotindex.web import PlotIndex

ADDRESS = "/api/smartstat/plots/abc123/hist.png"


@pytest.fixture
def client(drawn_plots):
    app = Flask("host")
    PlotIndex(app, may_see=lambda session_id: True)
    return app.test_client()


def test_a_plot_is_found_by_scan_or_in_the_catalogue(drawn_plots, client):
    assert client.get(ADDRESS).status_code == 404
    drawn_plots.draw("abc123/project_a/hist.png")
    drawn_plots.index()
    drawn_plots.draw("abc123/project_a/later.png", b"later")
    assert client.get(ADDRESS.replace("hist", "later")).data == b"later"


def test_the_next_request_after_index_uses_the_catalogue(drawn_plots, client):
    drawn_plots.draw("abc123/project_a/hist.png")
    assert client.get(ADDRESS).headers["Cache-Status"] == "plotindex; fwd=miss"
    assert client.get("/api/smartstat/plots").status_code == 503
    drawn_plots.index()
    assert client.get(ADDRESS).headers["Cache-Status"] == "plotindex; hit"
    assert client.get("/api/smartstat/plots").status_code == 200


def test_an_application_with_a_root_of_its_own_serves_the_drawn_plots(drawn_plots, tmp_path):
    app = Flask("host")
    app.config.update(PLOTINDEX_ROOT="/srv/configured", PLOTINDEX_DATABASE_URL="sqlite:////srv/configured.db")
    PlotIndex(app, root="/srv/given", may_see=lambda session_id: True)
    drawn_plots.draw("abc123/project_a/hist.png")
    drawn_plots.index()
    assert app.test_client().get(ADDRESS).headers["Cache-Status"] == "plotindex; hit"


def test_lists_and_hits(drawn_plots, client):
    drawn_plots.draw("abc123/project_a/hist.png")
    drawn_plots.index()
    assert client.get(ADDRESS).headers["Cache-Status"] == "plotindex; hit"
    assert len(client.get("/api/smartstat/plots").get_json()["sessions"]) == 1


def test_kept_versions(drawn_plots, client):
    for content in (b"one", b"two"):
        drawn_plots.draw("abc123/project_a/hist.png", content)
        drawn_plots.keep()
    versions = client.get("/api/smartstat/history/abc123/hist.png").get_json()["versions"]
    assert [client.get(version["url"]).data for version in versions] == [b"two", b"one"]


def test_facts(drawn_plots, client):
    drawn_plots.draw("abc123/project_a/hist.png")
    drawn_plots.inspect()
    assert client.get("/api/smartstat/facts/abc123/hist.png").get_json()["flags"] == ["blank", "tiny"]
"""


def test_the_fixture_gives_each_test_of_a_host_a_root_of_its_own(tmp_path: Path) -> None:
    (tmp_path / "test_host.py").write_text(TESTS + EXAMPLE[0])
    # Without a place of its own it would tidy up those of earlier runs.
    place = f"--basetemp={tmp_path / 'its own'}"
    command = [
        sys.executable,
        "-m",
        "pytest",
        "-q",
        "-W",
        "error",
        "-p",
        "no:cacheprovider",
        "-p",
        "no:schemathesis",
        place,
        "test_host.py",
    ]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False, timeout=100)
    assert done.returncode == 0, done.stdout
    assert "7 passed" in done.stdout
