"""The manual, and the example at the end of each command's help."""

import shlex
from collections.abc import Callable
from pathlib import Path

import pytest

from plotindex.settings import Settings
from tests import manual
from tests.helpers import RunPlotindex, StartService, answers, draw, free_port
from tests.test_documented_commands import commands

DOCS = Path(__file__).parent.parent / "docs"
SERVICES = ("run", "watch", "serve")
LAST = ("token revoke",)


def example_of(name: str, root: Path) -> list[str]:
    """The words of a command's example, on this root, and on a port that is free."""
    line = dict(commands())[name].epilog or ""
    assert line.startswith(f"\b\nExample: plotindex {name}"), name
    words = shlex.split(line.partition("plotindex ")[2])
    return [{"/srv/plots": str(root), "8600": str(free_port())}.get(word, word) for word in words]


@pytest.mark.parametrize(("file", "made"), [("commands.md", manual.as_markdown), ("plotindex.1", manual.as_man)])
def test_the_manual_says_what_the_help_says(file: str, made: Callable[[], str]) -> None:
    assert (DOCS / file).read_text() == made(), "run `make manual`"


def test_every_example_works(root: Path, settings: Settings, plotindex: RunPlotindex, service: StartService) -> None:
    work_through_examples(root, plotindex, service)


def work_through_examples(root: Path, run: RunPlotindex, start: StartService) -> None:
    """Run every command's example on a root with a plot, an indexer and a server."""
    draw(root, "abc123/project_1/correlation_plot.png")
    names = [name for name, _ in commands() if name not in SERVICES]
    with start(*example_of("watch", root)) as watch, start(*example_of("serve", root)) as serve:
        watch.wait_for(lambda: "Everything was looked at" in watch.stderr)
        assert isinstance(serve.process.args, list)
        url = f"http://127.0.0.1:{serve.process.args[-1]}"
        serve.wait_for(lambda: answers(url))
        assert run("sync").returncode == 0
        for name in sorted(names, key=LAST.__contains__):
            done = run(*example_of(name, root))
            # What the doctor says depends on the machine.
            assert done.returncode == 0 or name == "doctor", (name, done.stdout, done.stderr)
    both = ["--port", str(free_port())]
    with start(*example_of("run", root), *both) as running:
        running.wait_for(lambda: "curl" in running.stdout)
