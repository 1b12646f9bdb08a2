"""The files beside a database are deleted, replaced, renamed or truncated while programs have them open."""

import os
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
import requests

from plotindex.auth.tokens import Tokens
from plotindex.config.settings import Settings
from plotindex.storage.catalog import Catalog
from tests.support.processes import RunPlotindex, StartService, draw, wait_until

NOTICED_SECONDS = 10.0
"""Until all is well again: a second until it is noticed, then a full scan, on a busy machine."""


def delete(file: Path) -> None:
    file.unlink()


def rename(file: Path) -> None:
    file.rename(file.with_name("renamed"))


def replace(file: Path) -> None:
    """Put a copy in its place."""
    copy = Path(shutil.copy(file, file.with_name("copy")))
    copy.replace(file)


def empty(file: Path) -> None:
    os.truncate(file, 0)


FAULTS = [
    (delete, ["-wal", "-shm"]),
    (delete, ["-shm"]),
    (rename, ["-wal"]),
    (replace, ["-wal"]),
    (empty, ["-wal"]),
    (rename, [""]),
    (delete, [".queue", ".turn"]),
]
"""Not: an emptied -shm, which every process maps: the kernel ends it with SIGBUS, and it is started again."""


@pytest.mark.parametrize(
    ("harm", "suffixes"), FAULTS, ids=lambda value: getattr(value, "__name__", None) or "".join(value) or "database"
)
def test_sync_confirms_only_what_others_can_read(
    root: Path,
    catalog: Catalog,
    plotindex: RunPlotindex,
    indexer: StartService,
    harm: Callable[[Path], None],
    suffixes: list[str],
) -> None:
    database = catalog.database.path
    catalog.database.close()
    for number in range(50):
        draw(root, f"s/project_a/{number}.png")
    with indexer():
        assert plotindex("sync").returncode == 0
        for suffix in suffixes:
            harm(database.with_name(database.name + suffix))
        answers: list[tuple[int, int, str]] = []

        def is_well() -> bool:
            draw(root, f"s/project_a/new-{len(answers)}.png")
            said = plotindex("sync", "--timeout", "5").returncode
            verified = plotindex("verify")
            answers.append((said, verified.returncode, verified.stdout + verified.stderr))
            assert (said, verified.returncode) != (0, 1), answers
            return said == verified.returncode == 0

        wait_until(is_well, NOTICED_SECONDS)
        wait_until(lambda: plotindex("status").returncode == 0, NOTICED_SECONDS)


@pytest.mark.parametrize(
    ("harm", "suffixes"), FAULTS, ids=lambda value: getattr(value, "__name__", None) or "".join(value) or "database"
)
def test_lists_and_plots_are_answered_while_files_of_the_database_are_replaced(
    root: Path,
    settings: Settings,
    catalog: Catalog,
    indexer: StartService,
    server: StartService,
    harm: Callable[[Path], None],
    suffixes: list[str],
) -> None:
    secret = Tokens(settings.make_state_folder() / "tokens.json").create("web")
    database = catalog.database.path
    catalog.database.close()
    draw(root, "s/project_a/first.png")
    with indexer(), server() as serving:

        def get(path: str) -> requests.Response:
            url = f"{serving.url}/api/smartstat/plots/s{path}"
            answer = requests.get(url, headers={"Authorization": f"Bearer {secret}"}, timeout=5)
            assert answer.status_code == 200, (path, answer.text)
            return answer

        wait_until(lambda: get("/first.png").headers["Cache-Status"] == "plotindex; hit")
        for suffix in suffixes:
            harm(database.with_name(database.name + suffix))
        draw(root, "s/project_a/second.png")

        def is_well() -> bool:
            hits = [get(f"/{name}.png").headers["Cache-Status"] == "plotindex; hit" for name in ("first", "second")]
            listed = get("")
            names = {plot["filename"] for plot in listed.json()["plots"]}
            is_hit = listed.headers["Cache-Status"] == "plotindex; hit"
            return all(hits) and is_hit and names == {"first.png", "second.png"}

        wait_until(is_well, NOTICED_SECONDS)
