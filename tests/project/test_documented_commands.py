"""Help, README and docs name the commands that exist, and no others."""

import re
from collections.abc import Iterator

import click

from plotindex.cli.main import main
from tests import CHECKOUT
from tests.support.processes import RunPlotindex

COMMAND = re.compile(r"(?:^|[$(|;&] *|-m +|^\S+/)(?:[A-Z_]+=\S+ +)*plotindex ([a-z][^|;>&)#]*)")
"""What follows `plotindex` where a shell takes it for a command."""
WHOLE = main.loaded()
GROUPS = {name for name, command in WHOLE.commands.items() if isinstance(command, click.Group)}


def commands(group: click.Group = WHOLE, prefix: str = "") -> Iterator[tuple[str, click.Command]]:
    for name, command in group.commands.items():
        if isinstance(command, click.Group):
            yield from commands(command, f"{prefix}{name} ")
        else:
            yield prefix + name, command


def documents() -> dict[str, str]:
    """The text of each page, by its path in the checkout."""
    files = [*CHECKOUT.glob("*.md"), *(CHECKOUT / "docs").rglob("*.md")]
    return {str(file.relative_to(CHECKOUT)): file.read_text() for file in sorted(files)}


def documented_lines() -> Iterator[tuple[str, str]]:
    """Each `plotindex …` in the code of a document: what follows on its line, and where that is."""
    for name, text in documents().items():
        blocks = re.findall(r"^ *```[^\n]*\n(.*?)^ *```", text, re.M | re.S)
        spans = re.findall(r"`([^`\n]+)`", re.sub(r"^ *```.*?^ *```", "", text, flags=re.M | re.S))
        for code in (*blocks, *spans):
            for line in re.sub(r"\\\n", " ", code).splitlines():
                for words in COMMAND.findall(line.strip()):
                    yield words, name


def test_every_command_and_every_option_says_what_it_is_for() -> None:
    assert [name for name, command in commands() if not command.help] == []
    options = [(name, option) for name, command in commands() for option in command.params]
    silent = [(name, option.name) for name, option in options if isinstance(option, click.Option) and not option.help]
    assert silent == []


def test_every_command_takes_the_options_that_every_command_takes() -> None:
    for name, command in commands():
        if name == "completion":  # it has to do with no catalogue
            continue
        assert {"root", "database", "config"} <= {parameter.name for parameter in command.params}, name


def test_help_is_printed_and_names_every_command(plotindex: RunPlotindex) -> None:
    done = plotindex("--help")
    assert done.returncode == 0
    for name in main.commands:
        assert re.search(rf"^  {name}  +\w", done.stdout, re.M), name


def test_every_command_in_the_documents_exists_with_the_options_it_is_given() -> None:
    known = dict(commands())
    lines = list(documented_lines())
    assert {where for _, where in lines} >= {"README.md"}, "README.md shows no command"
    for line, where in lines:
        words = line.split()
        name = " ".join(words[:2]) if words[0] in GROUPS and len(words) > 1 else words[0]
        assert name in known or name in GROUPS, f"{where}: plotindex {line}"
        if name in known:
            options = {option for parameter in known[name].params for option in parameter.opts} | {"--help", "-h"}
            given = {word.strip("[]").partition("=")[0] for word in words if re.match(r"\[?--?[a-z]", word)}
            assert given <= options, f"{where}: plotindex {line}"


def test_every_command_that_exists_is_in_the_documents() -> None:
    lines = [line for line, _ in documented_lines()]
    missing = [name for name, _ in commands() if not any(f"{line} ".startswith(f"{name} ") for line in lines)]
    assert not missing
