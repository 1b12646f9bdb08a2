"""The manual that is made of the help of the commands; tests/project/test_packaging.py executes its examples."""

from collections.abc import Callable

import click
import pytest
from click.testing import CliRunner

from plotindex.cli.main import main
from tests import CHECKOUT
from tests.tools import manual

DOCS = CHECKOUT / "docs"


def test_no_command_is_cut_short_where_all_are_listed() -> None:
    groups = [main, *(command for command in main.loaded().commands.values() if isinstance(command, click.Group))]
    cut = [
        line for group in groups for line in CliRunner().invoke(group, ["--help"]).output.splitlines() if "..." in line
    ]
    assert all(line.startswith("Usage:") for line in cut), cut


@pytest.mark.parametrize(("file", "made"), [("commands.md", manual.as_markdown), ("plotindex.1", manual.as_man)])
def test_the_manual_says_what_the_help_says(file: str, made: Callable[[], str]) -> None:
    assert (DOCS / file).read_text() == made(), "run `make manual`"
