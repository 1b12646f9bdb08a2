"""docs/commands.md and the man page, from the help of the commands.

python -m tests.tools.manual FOLDER
"""

import re
import sys
from collections.abc import Iterator
from inspect import cleandoc
from pathlib import Path
from typing import NamedTuple

import click

from plotindex.cli.main import main

WHOLE = main.loaded()
COMMON = {"root", "database", "config"}
TITLE = "plotindex - an indexed catalogue of plots"


class Page(NamedTuple):
    """One command in the manual."""

    usage: str
    paragraphs: list[str]
    """Of its help; what is laid out by hand begins with a backspace, as click has it."""
    options: list[tuple[str, str]]
    """Of its own: how each is written, and what it does."""
    example: str


def pages(group: click.Group = WHOLE, name: str = "plotindex") -> Iterator[Page]:
    """The commands by name, without command groups."""
    for _, command in sorted(group.commands.items()):
        if isinstance(command, click.Group):
            yield from pages(command, f"{name} {command.name}")
        else:
            yield page_of(command, f"{name} {command.name}")


def page_of(command: click.Command, name: str) -> Page:
    # Do not wrap.
    context = click.Context(command, info_name=name, terminal_width=10_000, max_content_width=10_000)
    own = [option for option in command.params if isinstance(option, click.Option) and option.name not in COMMON]
    return Page(
        context.get_usage().removeprefix("Usage: "),
        re.split(r"\n\n+", cleandoc(command.help or "")),
        [record for option in own if (record := option.get_help_record(context))],
        (command.epilog or "").removeprefix("\b\nExample: "),
    )


def common_options() -> list[tuple[str, str]]:
    """The options common to all commands."""
    command = WHOLE.commands["status"]
    context = click.Context(command)
    taken = [option for option in command.params if isinstance(option, click.Option) and option.name in COMMON]
    return [record for option in taken if (record := option.get_help_record(context))]


def as_markdown() -> str:
    own = page_of(main, "plotindex")
    parts = [
        "# The commands",
        "<!-- `make manual` writes this from the help of the commands: change it there. -->",
        *map(_marked, own.paragraphs),
        "Every command but `plotindex completion` takes:",
        _table(common_options()),
    ]
    for page in pages():
        name = page.usage.partition(" [")[0].partition(" {")[0]
        parts += [f"## {name}", f"```\n{page.usage}\n```", *map(_marked, page.paragraphs)]
        parts += [_table(page.options)] if page.options else []
        parts += ["For example:", f"```\n{page.example}\n```"]
    return "\n\n".join(parts) + "\n"


def _table(options: list[tuple[str, str]]) -> str:
    rows = [f"| `{written.replace('|', chr(92) + '|')}` | {_marked(told)} |" for written, told in options]
    return "\n".join(["| option | what it is |", "| --- | --- |", *rows])


def _marked(paragraph: str) -> str:
    """A paragraph of help as Markdown: nothing in it but what stands between backticks means anything."""
    if paragraph.startswith("\b\n"):
        return "\n".join(f"    {line.strip()}" for line in paragraph[2:].splitlines())
    pieces = re.split(r"(`[^`]*`)", re.sub(r"\s+", " ", paragraph))
    return "".join(piece if piece.startswith("`") else re.sub(r"([\\*_<\[|])", r"\\\1", piece) for piece in pieces)


def as_man() -> str:
    """man(7)."""
    own = page_of(main, "plotindex")
    lines = ['.TH PLOTINDEX 1 "" plotindex "User Commands"', ".SH NAME", _roff(TITLE), ".SH SYNOPSIS", _roff(own.usage)]
    lines += [".SH DESCRIPTION", *_roff_paragraphs(own.paragraphs)]
    lines += [".SH COMMON OPTIONS", *_roff_options(common_options()), ".SH COMMANDS"]
    for page in pages():
        lines += [f".SS {_roff(page.usage)}", *_roff_paragraphs(page.paragraphs), *_roff_options(page.options)]
        lines += [".PP", "For example:", ".PP", ".EX", _roff(page.example), ".EE"]
    return "\n".join(lines) + "\n"


def _roff_paragraphs(paragraphs: list[str]) -> Iterator[str]:
    for paragraph in paragraphs:
        yield ".PP"
        if paragraph.startswith("\b\n"):
            yield from (".EX", *(_roff(line.strip()) for line in paragraph[2:].splitlines()), ".EE")
        else:
            yield _roff(re.sub(r"\s+", " ", paragraph).replace("`", ""))


def _roff_options(options: list[tuple[str, str]]) -> Iterator[str]:
    for written, told in options:
        yield from (".TP", f".B {_roff(written)}", _roff(re.sub(r"\s+", " ", told).replace("`", "")))


def _roff(text: str) -> str:
    """A line of text in which nothing is a request, and each hyphen the one that is typed."""
    marks: dict[str, str | int | None] = {"\\": "\\e", "-": "\\-", "'": "\\(aq", "~": "\\(ti", "^": "\\(ha"}
    escaped = text.translate(str.maketrans(marks))
    return f"\\&{escaped}" if escaped.startswith(".") else escaped


if __name__ == "__main__":
    folder = Path(sys.argv[1])
    (folder / "commands.md").write_text(as_markdown())
    (folder / "plotindex.1").write_text(as_man())
