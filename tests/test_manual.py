"""The manual that is made of the help of the commands; tests/test_packaging.py executes its examples."""

from collections.abc import Callable
from pathlib import Path

import pytest

from tests import manual

DOCS = Path(__file__).parent.parent / "docs"


@pytest.mark.parametrize(("file", "made"), [("commands.md", manual.as_markdown), ("plotindex.1", manual.as_man)])
def test_the_manual_says_what_the_help_says(file: str, made: Callable[[], str]) -> None:
    assert (DOCS / file).read_text() == made(), "run `make manual`"
