"""Which modules a command imports: those that it needs, so that it starts quickly."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from plotindex.cli.main import COMMANDS, main
from tests.support.processes import Index, draw

LIBRARIES = {"alembic", "click", "flask", "granian", "itsdangerous", "jinja2", "PIL", "prometheus_client", "psycopg"}
LIBRARIES |= {"sqlalchemy", "watchdog", "sqlite3", "asyncio", "logging", "platformdirs", "tomllib", "plotindex"}


@pytest.fixture
def imported(root: Path, index: Index, environment: dict[str, str]) -> "Imported":
    draw(root, "s/project_1/hist.png")
    index()
    return Imported({**environment, "PLOTINDEX_ROOT": str(root)})


class Imported:
    """The libraries, and modules of plotindex, that a command imports."""

    def __init__(self, environment: dict[str, str]) -> None:
        self._environment = environment

    def __call__(self, *words: str, **variables: str) -> set[str]:
        program = (
            "import atexit, sys; atexit.register(lambda: print('', *sys.modules, file=sys.stderr)); "
            f"sys.argv = ['plotindex', *{words!r}]; from plotindex.cli.main import main; main(prog_name='plotindex')"
        )
        done = subprocess.run(
            [sys.executable, "-c", program],
            env={**os.environ, **self._environment, **variables},
            capture_output=True,
            text=True,
            check=False,
        )
        assert "Traceback" not in done.stderr
        names = done.stderr.splitlines()[-1].split()
        return {name for name in names if name.partition(".")[0] in LIBRARIES}


def libraries(modules: set[str]) -> set[str]:
    return {name.partition(".")[0] for name in modules}


def test_help_and_the_completion_of_commands_import_nothing_but_click(imported: Imported) -> None:
    own = {"plotindex", "plotindex.cli", "plotindex.cli.main", "plotindex.cli.program"}
    own |= {"plotindex.errors", "plotindex.faces", "plotindex.system", "plotindex.system.text"}
    for words, variables in {
        ("--help",): {},
        (): {"_PLOTINDEX_COMPLETE": "bash_complete", "COMP_WORDS": "plotindex st", "COMP_CWORD": "1"},
    }.items():
        modules = imported(*words, **variables)
        assert {name for name in modules if name.startswith("plotindex")} == own
        assert libraries(modules) == {"click", "plotindex"}


@pytest.mark.parametrize(
    "words",
    [
        ("status",),
        ("find", "hist"),
        ("sync", "--timeout", "0"),
        ("wait", "s", "hist.png"),
        ("rebuild",),
        ("history", "list", "s"),
    ],
)
def test_a_command_beside_an_indexed_tree_imports_no_sqlalchemy(imported: Imported, words: tuple[str, ...]) -> None:
    heavy = LIBRARIES - {"click", "logging", "platformdirs", "plotindex", "sqlite3", "tomllib"}
    assert libraries(imported(*words)) & heavy == set()


def test_names_are_completed_without_sqlalchemy(imported: Imported) -> None:
    words = {"COMP_WORDS": "plotindex wait ", "COMP_CWORD": "2", "_PLOTINDEX_COMPLETE": "bash_complete"}
    assert libraries(imported(**words)) <= {"click", "plotindex", "sqlite3", "platformdirs", "tomllib", "logging"}


def test_the_list_of_commands_says_what_the_commands_say() -> None:
    for listed in COMMANDS:
        command = listed.load()
        assert (command.name, command.get_short_help_str(1000)) == (listed.name, listed.summary)
    assert [listed.name for listed in COMMANDS] == list(main.commands)
