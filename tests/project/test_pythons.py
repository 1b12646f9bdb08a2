"""The main job, once under every supported Python that this machine has."""

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import requests

from tests import CHECKOUT
from tests.support.images import encoded, halves
from tests.support.processes import answers, draw, free_port, wait_until

VERSIONS = ("3.11", "3.12", "3.13")
OWN_VERSION = f"{sys.version_info.major}.{sys.version_info.minor}"
INSTALL_SECONDS = 300


def interpreters() -> dict[str, Path]:
    """Version -> an interpreter: on the PATH, or beside the one that runs the tests, as version managers lay them."""
    found = {}
    for version in VERSIONS:
        name = f"python{version}"
        beside = sorted(Path(sys.base_prefix).parent.glob(f"{version}.*/bin/{name}"), reverse=True)
        on_path = shutil.which(name)
        for candidate in [*([Path(on_path)] if on_path else []), *beside]:
            done = subprocess.run([candidate, "-c", "import ensurepip"], capture_output=True, check=False)
            if done.returncode == 0:
                found[version] = candidate
                break
    return found


FOUND = interpreters()


def installed(python: Path, folder: Path) -> Path:
    """The command `plotindex` of that Python; the one that runs the tests has it already."""
    own = Path(sys.executable).with_name("plotindex")
    if own.exists() and python == FOUND[OWN_VERSION]:
        return own
    subprocess.run([python, "-m", "venv", folder], check=True)
    install: list[str | Path] = [
        folder / "bin/python",
        "-m",
        "pip",
        "install",
        "--quiet",
        "--disable-pip-version-check",
        CHECKOUT,
    ]
    subprocess.run(install, check=True, timeout=INSTALL_SECONDS, env={**os.environ, "PYTHONWARNINGS": "ignore"})
    return folder / "bin/plotindex"


@contextmanager
def running(command: list[str | Path], environment: dict[str, str], log: Path) -> Iterator[None]:
    """A service, which must end with 0 when it is asked to stop and write no warning."""
    with log.open("wb") as output, subprocess.Popen(command, env=environment, stdout=output, stderr=output) as process:
        try:
            yield
        finally:
            process.terminate()
    assert process.returncode == 0, log.read_text()
    assert "Warning" not in log.read_text()


@pytest.mark.timeout(2 * INSTALL_SECONDS)
@pytest.mark.parametrize("python", FOUND.values(), ids=FOUND)
def test_rebuild_watch_serve_a_hit_and_a_thumbnail(tmp_path: Path, python: Path) -> None:
    plotindex = installed(python, tmp_path / "environment")
    root = tmp_path / "plots"
    draw(root, "s/project_a/first.png", encoded(halves()))
    kept = {name: value for name, value in os.environ.items() if not name.startswith("PLOTINDEX_")}
    environment = {
        **kept,
        "PLOTINDEX_ROOT": str(root),
        "PLOTINDEX_STATE_DIR": str(tmp_path / "state"),
        "PYTHONWARNINGS": "default",
    }

    def run(*words: str) -> str:
        done = subprocess.run([plotindex, *words], env=environment, capture_output=True, text=True, check=False)
        assert (done.returncode, done.stderr) == (0, ""), words
        return done.stdout

    assert "1 plots" in run("rebuild")
    run("verify")
    assert run("find", "first") == "s/project_a/first.png\n"
    headers = {"Authorization": f"Bearer {run('token', 'create', '--name', 'one').strip()}"}
    port = free_port()
    url = f"http://127.0.0.1:{port}"
    with (
        running([plotindex, "watch"], environment, tmp_path / "watch.log"),
        running([plotindex, "serve", "--port", str(port)], environment, tmp_path / "serve.log"),
    ):
        wait_until(lambda: answers(url))
        draw(root, "s/project_b/second.png", encoded(halves()))
        wait_until(
            lambda: (
                subprocess.run([plotindex, "sync"], env=environment, capture_output=True, check=False).returncode == 0
            )
        )
        address = f"{url}/api/smartstat/plots/s/second.png"
        wait_until(
            lambda: requests.get(address, headers=headers, timeout=10).headers["Cache-Status"] == "plotindex; hit"
        )
        small = requests.get(f"{address}?width=160", headers=headers, timeout=10)
        assert small.headers["Content-Type"] == "image/webp"
        assert small.content[8:12] == b"WEBP"


def test_the_running_python_is_among_those_that_are_tried() -> None:
    assert OWN_VERSION in FOUND
