"""What is installed: sdist and wheel hold the same product, and it works in a clean environment in another folder."""

import os
import re
import shlex
import subprocess
import sys
import tarfile
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

import pytest

from plotindex import __version__
from tests import CHECKOUT
from tests.project.test_documented_commands import commands
from tests.support.processes import (
    RunPlotindex,
    Service,
    StartService,
    answers,
    draw,
    free_port,
    run_plotindex,
    wait_until,
)

SERVICES = ("run", "watch", "serve")
LAST = ("token revoke", "history forget")
WITHOUT_MCP = "(No module named 'anyio'): pip install 'plotindex[mcp]'.\n"


class Built(NamedTuple):
    sdist: Path
    wheel: Path
    """Built from the sdist."""
    direct: Path
    """Built from the checkout."""


def run(*command: str | Path, cwd: Path) -> str:
    environment = {name: value for name, value in os.environ.items() if not name.startswith("PYTHON")}
    done = subprocess.run(
        command, cwd=cwd, env=environment, text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, check=False
    )
    assert done.returncode == 0, done.stdout
    return done.stdout


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Built:
    folder = tmp_path_factory.mktemp("built")
    # What building requires is here already: `dev` names it, too.
    build: list[str | Path] = [sys.executable, "-m", "build", "--no-isolation"]
    run(*build, "--outdir", folder / "both", CHECKOUT, cwd=folder)
    run(*build, "--wheel", "--outdir", folder / "direct", CHECKOUT, cwd=folder)
    [sdist] = (folder / "both").glob("*.tar.gz")
    [wheel] = (folder / "both").glob("*.whl")
    [direct] = (folder / "direct").glob("*.whl")
    return Built(sdist, wheel, direct)


@pytest.fixture(scope="module")
def installed(built: Built, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The Python of a clean environment in which nothing but the wheel was installed."""
    folder = tmp_path_factory.mktemp("clean")
    python = folder / "bin/python"
    run(sys.executable, "-m", "venv", "--without-pip", folder, cwd=folder)
    pip: list[str | Path] = [sys.executable, "-m", "pip", "--python", python, "--disable-pip-version-check"]
    run(*pip, "install", "--quiet", "--no-compile", built.wheel, cwd=folder)
    return python


def example_of(name: str, root: Path, version: str = "") -> list[str]:
    """The words of a command's example, on this root, and on a port that is free."""
    line = dict(commands())[name].epilog or ""
    assert line.startswith(f"\b\nExample: plotindex {name}"), name
    words = shlex.split(line.partition("plotindex ")[2])
    places = {"/srv/plots": str(root), "8600": str(free_port()), "0123456789abcdef": version}
    return [places.get(word, word) for word in words]


def work_through_examples(root: Path, run: RunPlotindex, start: StartService) -> None:
    """Run every command's example on a root with a plot, an indexer and a server."""
    draw(root, "abc123/project_1/correlation_plot.png")
    names = [name for name, _ in commands() if name not in SERVICES]
    with start(*example_of("watch", root)) as watch, start(*example_of("serve", root)) as serve:
        watch.wait_for(lambda: "Full scan finished" in watch.stderr)
        assert isinstance(serve.process.args, list)
        url = f"http://127.0.0.1:{serve.process.args[-1]}"
        serve.wait_for(lambda: answers(url))
        assert run("sync").returncode == 0
        listed = example_of("history list", root)
        wait_until(lambda: run(*listed).returncode == 0, 60)
        wait_until(lambda: run(*example_of("inspect", root)).returncode == 0, 60)
        version = run(*listed).stdout.split()[0]
        for name in sorted(names, key=LAST.__contains__):
            done = run(*example_of(name, root, version))
            # What the doctor says depends on the machine.
            is_well = done.returncode == 0 or name == "doctor"
            lacks_extra = name == "mcp" and done.returncode == 2 and WITHOUT_MCP in done.stderr
            assert is_well or lacks_extra, (name, done.stdout, done.stderr)
    both = ["--port", str(free_port())]
    with start(*example_of("run", root), *both) as running:
        running.wait_for(lambda: "curl" in running.stdout)


def content(wheel: Path) -> dict[str, bytes]:
    with zipfile.ZipFile(wheel) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


@pytest.mark.timeout(300)
def test_the_wheel_from_the_sdist_is_the_wheel_from_the_checkout(built: Built) -> None:
    assert content(built.wheel) == content(built.direct)


def test_the_wheel_holds_the_product_with_its_migrations_and_nothing_else(built: Built) -> None:
    held = content(built.wheel)
    metadata = f"plotindex-{__version__}.dist-info/"
    data = f"plotindex-{__version__}.data/"
    assert {name.partition("/")[0] for name in held} == {"plotindex", metadata.rstrip("/"), data.rstrip("/")}
    assert [name for name in held if name.startswith(data)] == [f"{data}data/share/man/man1/plotindex.1"]
    package = {name for name in held if name.startswith("plotindex/")}
    wanted = {file.relative_to(CHECKOUT) for file in (CHECKOUT / "plotindex").rglob("*.py")}
    moved = {file.relative_to(CHECKOUT) for file in (CHECKOUT / "migrations").rglob("*.py")}
    assert package >= {str(file) for file in wanted} | {f"plotindex/{file}" for file in moved}
    assert "plotindex/py.typed" in package
    pages = {file.relative_to(CHECKOUT) for file in (CHECKOUT / "plotindex/web").rglob("*.*") if file.suffix != ".pyc"}
    assert package >= {str(file) for file in pages}
    allowed = (".py", "/py.typed", "/script.py.mako", "/schema.sql", "/history.sql", ".html", ".css", ".js", ".svg")
    units = {str(file.relative_to(CHECKOUT)) for file in (CHECKOUT / "plotindex/ops/systemd/templates").iterdir()}
    assert {name for name in package if not name.endswith(allowed)} == units
    assert f"{metadata}licenses/LICENSE" in held
    described = held[f"{metadata}METADATA"].decode()
    assert (CHECKOUT / "README.md").read_text().strip() in described
    required = [line for line in described.splitlines() if line.startswith("Requires-Dist") and "extra ==" not in line]
    assert not [line for line in required if "matplotlib" in line or "pytest" in line]


def test_the_sdist_holds_what_the_tests_and_the_next_author_need(built: Built) -> None:
    with tarfile.open(built.sdist) as archive:
        names = {name.partition("/")[2] for name in archive.getnames()}
    for name in ("README.md", "CHANGELOG.md", "LICENSE", "Makefile", "alembic.ini", "pyproject.toml", "docs/design.md"):
        assert name in names
    for folder in ("plotindex", "migrations", "tests", "examples", "benchmarks"):
        sources = {str(file.relative_to(CHECKOUT)) for file in (CHECKOUT / folder).rglob("*.py")}
        assert sources <= names
    assert not [name for name in names if name.endswith((".pyc", ".db")) or name.startswith((".ci", "plots/"))]


def test_the_version_is_said_in_one_place_and_the_changelog_has_what_is_new() -> None:
    places = [*(CHECKOUT / "plotindex").rglob("*.py"), CHECKOUT / "pyproject.toml"]
    assert [file.name for file in places if f'"{__version__}"' in file.read_text()] == ["__init__.py"]
    headings = re.findall(r"^## \[(.+?)\]", (CHECKOUT / "CHANGELOG.md").read_text(), re.M)
    assert headings[0] in ("Unreleased", __version__)


@pytest.mark.timeout(300)
def test_every_command_works_in_a_clean_environment_in_another_folder(
    installed: Path, root: Path, environment: dict[str, str], tmp_path: Path
) -> None:
    environment = {name: value for name, value in environment.items() if not name.startswith("PYTHON")}
    program = installed.with_name("plotindex")
    version = subprocess.run([program, "--version"], cwd=tmp_path, capture_output=True, text=True, check=True)
    assert version.stdout == f"plotindex, version {__version__}\n"

    def run(*args: str) -> "subprocess.CompletedProcess[str]":
        return run_plotindex(args, {**environment, "PLOTINDEX_ROOT": str(root)}, tmp_path, command=(str(program),))

    @contextmanager
    def start(*args: str) -> Iterator[Service]:
        running = Service(args, environment, tmp_path, tmp_path / args[0], program=[program])
        try:
            yield running
        finally:
            running.clean_up()

    work_through_examples(root, run, start)
    question = "import plotindex, plotindex.storage.schema as d; print(plotindex.__file__, d.migrations_folder())"
    where = subprocess.run(
        [installed, "-c", question], cwd=tmp_path, env=environment, capture_output=True, text=True, check=True
    )
    for place in where.stdout.split():
        assert Path(place).is_relative_to(installed.parent.parent)
        assert not Path(place).is_relative_to(CHECKOUT)
