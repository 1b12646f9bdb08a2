"""The examples in Python of README and docs are run as they stand there."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from flask import Flask

from tests import CHECKOUT
from tests.project.test_documented_commands import documents
from tests.support.processes import PNG, SVG, RunPlotindex, StartService, draw
from tests.tools.screenshots import PAGES as PICTURED
from tests.tools.screenshots import THEMES
from tests.web.test_extension import require_auth

PAGES = documents()
MARK = r"<!-- executed by tests/project/test_readme.py -->\n```python\n(.*?)```"
EXECUTED = {page: found for page, text in PAGES.items() if (found := re.findall(MARK, text, re.S))}


def example(page: str, containing: str) -> str:
    return str(next(code for code in EXECUTED[page] if containing in code))


def test_every_python_example_is_executed() -> None:
    assert {page: len(found) for page, found in EXECUTED.items()} == {
        "README.md": 1,
        "docs/flask.md": 1,
        "docs/quickstart.md": 1,
    }
    text = "\n".join(PAGES.values())
    executed = re.findall(r"<!-- executed by tests/[\w/]+\.py -->\n```python", text)
    assert len(executed) == len(re.findall(r"```python", text)) == 5


def test_every_picture_in_the_documents_is_there_in_both_themes() -> None:
    named = set()
    for page, text in PAGES.items():
        pictures = re.findall(r"(?<=[\"(])[\w./-]*screenshots/[\w-]+\.webp", text)
        named |= {((CHECKOUT / page).parent / picture).resolve() for picture in pictures}
    kept = {file.resolve() for file in (CHECKOUT / "docs/screenshots").iterdir()}
    assert named == kept
    themes = {
        name: {file.stem.rpartition("-")[2] for file in kept if file.stem.startswith(f"{name}-")} for name in PICTURED
    }
    assert themes == {name: set(THEMES) for name in PICTURED}


@pytest.mark.parametrize("page", ["README.md", "docs/flask.md"])
def test_the_one_line_for_a_flask_application_works(
    page: str, root: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("PLOTINDEX_STATE_DIR", str(tmp_path / "state"))
    draw(root, "abc123/project_a/x.png")
    names: dict[str, object] = {"__name__": __name__, "PLOTS": root, "require_auth": require_auth}
    exec(compile(example(page, "PlotIndex("), page, "exec"), names)
    app = names["app"]
    assert isinstance(app, Flask)
    answer = app.test_client().get("/api/smartstat/plots/abc123/x.png", headers={"X-User": "abc123"})
    assert answer.data == PNG


@pytest.mark.parametrize("filename", ["correlation_plot.png", "subfolder/histogram.svg"])
def test_the_program_that_downloads_a_plot_works(
    root: Path, server: StartService, plotindex: RunPlotindex, tmp_path: Path, filename: str
) -> None:
    draw(root, "stocks/project_a/correlation_plot.png")
    draw(root, "stocks/project_b/subfolder/histogram.svg", SVG)
    token = plotindex("token", "create", "--name", "reader").stdout.strip()
    with server() as running:
        port = running.url.rpartition(":")[2]
        code = (
            example("docs/quickstart.md", "import requests")
            .replace(":8517", f":{port}")
            .replace("correlation_plot.png", filename)
        )
        given = f"session_id, token = 'stocks', {token!r}\n"
        done = subprocess.run(
            [sys.executable, "-c", given + code], cwd=tmp_path, capture_output=True, text=True, check=False
        )
    assert (done.stdout, done.stderr) == ("Plot downloaded successfully\n", "")
    assert (tmp_path / "downloaded_plot.png").read_bytes() in (PNG, SVG)


def test_the_shell_that_starts_the_examples_is_valid_and_the_examples_draw_until_they_are_told_to_stop(
    tmp_path: Path,
) -> None:
    subprocess.run(["sh", "-n", CHECKOUT / "examples/run.sh"], check=True)
    command: list[str | Path] = [sys.executable, "-m", "examples.draw", tmp_path, "--pause", "0"]
    environment = {**os.environ, "MPLCONFIGDIR": str(tmp_path / "config")}
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment) as process:
        assert process.stdout is not None
        drawn = [process.stdout.readline().rstrip("\n") for _ in range(12)]
        process.terminate()
        drawn += process.stdout.read().split()
    assert process.returncode == 0
    assert drawn[:2] == [
        "stocks/project_returns/correlation_plot.png",
        "stocks/project_returns/subfolder/histogram.svg",
    ]
    assert {path.split("/")[0] for path in drawn} == {"stocks", "terrain", "signals"}
    assert {Path(path).suffix for path in drawn} == {".png", ".jpg", ".svg"}
    heads = {".png": b"\x89PNG", ".jpg": b"\xff\xd8\xff", ".svg": b"<?xml"}
    assert all((tmp_path / path).read_bytes().startswith(heads[Path(path).suffix]) for path in drawn)
