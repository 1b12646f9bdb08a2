"""The example's application before and after: where the answers are the same, where they differ, and why."""

import logging
import re
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pytest
from flask import Flask
from werkzeug.test import TestResponse

from examples.flask_app import create_after, create_before, create_shadowed
from tests import CHECKOUT
from tests.support.processes import PNG, SVG, draw

DOCUMENT = CHECKOUT / "docs/flask.md"
SAME = ""


class Case(NamedTuple):
    """A request, and the row of the document that says why the answers differ."""

    path: str
    reason: str = SAME
    authorization: str = "Bearer let-me-in"


CASES = [
    Case("abc/x.png"),
    Case("abc/sub/deep/y.png"),
    Case("abc/with%20space%20%23%25.png"),
    Case("abc/gone.png"),
    Case("abc/sub"),
    Case("nowhere/x.png"),
    Case("abc/notes.txt"),
    Case("abc/elsewhere.png"),
    Case("abc/x.png", authorization="Bearer wrong"),
    Case("abc/x.png", authorization=""),
    Case("private-1/x.png"),
    Case("abc/two.png", "several projects drew the name"),
    Case("abc/drawing.svg", "SVG, JPEG"),
    Case("abc/photo.jpg", "SVG, JPEG"),
    Case("abc/photo.jpeg", "suffixes"),
    Case("abc/moving.gif", "suffixes"),
    Case("abc/UPPER.PNG", "suffixes"),
    Case("abc/.hidden.png", "hidden files and folders, `__MACOSX`, `@eaDir`, `lost+found`"),
    Case("abc/linked.png", "symlinks, `..`"),
    Case("abc/linked/secret.png", "symlinks, `..`"),
    Case("link/x.png", "symlinks, `..`"),
    Case("abc/linkedproject.png", "symlinks, `..`"),
    Case("abc/..%2fproject_b/two.png", "symlinks, `..`"),
    Case("abc/sub/../../../../secret.png", "symlinks, `..`"),
    Case("abc/folder.png", "an error"),
    Case(f"abc/{'n' * 300}.png", "an error"),
    Case("abc/x%00.png"),
]


@pytest.fixture
def plots(root: Path, environment: dict[str, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    draw(tmp_path, "secret.png", b"secret")
    for path in ("x.png", "sub/deep/y.png", "with space #%.png", "notes.txt", "UPPER.PNG", ".hidden.png"):
        draw(root, f"abc/project_a/{path}", path.encode())
    draw(root, "abc/project_a/drawing.svg", SVG)
    for path in ("photo.jpg", "photo.jpeg", "moving.gif"):
        draw(root, f"abc/project_b/{path}", b"image")
    draw(root, "abc/elsewhere/elsewhere.png")
    draw(root, "private-1/project_a/x.png")
    # In every order in which the file system may list them, one of these three comes first and is not the newest.
    for number, project in enumerate(("project_b", "project_c", "project_a")):
        draw(root, f"abc/{project}/two.png", project.encode(), mtime_ns=number)
    listed_first = next((root / "abc").glob("project_*")).name
    draw(root, f"abc/{listed_first}/two.png", listed_first.encode(), mtime_ns=0)
    newest = "project_c" if listed_first != "project_c" else "project_b"
    draw(root, f"abc/{newest}/two.png", newest.encode(), mtime_ns=10)
    (root / "abc/project_a/linked.png").symlink_to(tmp_path / "secret.png")
    (root / "abc/project_a/linked").symlink_to(tmp_path)
    (root / "abc/project_a/folder.png").mkdir()
    draw(tmp_path, "outside/linkedproject.png")
    (root / "abc/project_link").symlink_to(tmp_path / "outside")
    (root / "link").symlink_to(root / "abc")
    monkeypatch.setenv("PLOTINDEX_ROOT", str(root))
    monkeypatch.setenv("PLOTINDEX_STATE_DIR", environment["PLOTINDEX_STATE_DIR"])
    monkeypatch.setenv("USER_TOKEN", "let-me-in")
    return root


def ask(app: Flask, case: Case) -> tuple[int, str | None, bytes]:
    headers = {"Authorization": case.authorization} if case.authorization else {}
    answer: TestResponse = app.test_client().get(f"/api/smartstat/plots/{case.path}", headers=headers, buffered=True)
    with answer:
        return answer.status_code, answer.mimetype, answer.data


def documented_reasons() -> Iterator[str]:
    table = DOCUMENT.read_text().split("## Where it differs from the function it replaces\n")[1].split("\n## ")[0]
    yield from re.findall(r"^\| ([^|]+?) \| [^|]+ \| [^|]+ \|$", table, re.MULTILINE)


def test_every_answer_is_the_same_or_differs_for_a_reason_that_is_documented(plots: Path) -> None:
    before, after = create_before(), create_after()
    found = {}
    for case in CASES:
        old, new = ask(before, case), ask(after, case)
        assert (old != new) == bool(case.reason), (case, old, new)
        assert b"secret" not in new[2], case
        if case.reason:
            found[case.reason] = old, new
    assert set(found) == set(documented_reasons()) - {"", "---"}
    assert found["an error"][0][0] == 500
    assert found["symlinks, `..`"][1] == (404, "application/json", b'{"error":"Plot not found"}\n')


def test_the_old_function_goes_on_answering_while_every_difference_is_logged(
    plots: Path, caplog: pytest.LogCaptureFixture
) -> None:
    before, shadowed = create_before(), create_shadowed()
    for case in CASES:
        caplog.clear()
        with caplog.at_level(logging.WARNING, "plotindex.web.shadow"):
            assert ask(shadowed, case) == ask(before, case)
        told = [record.getMessage() for record in caplog.records if record.name == "plotindex.web.shadow"]
        # Both answer with an error here; that one of them tells its text is no difference in what is served.
        differs = bool(case.reason) and not (case.reason == "an error" and ask(before, case)[0] == 500)
        assert bool(told) == differs, (case, told)
        assert all(line.isprintable() for line in told)


def test_the_shadow_never_stands_in_the_way(plots: Path, caplog: pytest.LogCaptureFixture) -> None:
    shadowed = create_shadowed()
    shutil.rmtree(plots)
    plots.write_text("no directory any more")
    assert ask(shadowed, Case("abc/x.png"))[0] == 404
    assert "cannot compare: " in caplog.text


def test_a_png_is_the_drawn_one(plots: Path) -> None:
    draw(plots, "abc/project_z/new.png", PNG)
    assert ask(create_after(), Case("abc/new.png")) == (200, "image/png", PNG)
