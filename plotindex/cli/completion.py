"""What a shell completes: names from the catalogue and tokens, files, and the words that a setting can be.

Fast, and silent when there is nothing to be had: nobody has asked for an answer yet.
"""

import re
from collections.abc import Callable, Iterable, Iterator
from itertools import islice
from typing import TYPE_CHECKING

import click
from click.shell_completion import CompletionItem

from plotindex.auth import Tokens
from plotindex.config import PARSERS, OneOf, Settings, load_settings
from plotindex.errors import PlotIndexError

if TYPE_CHECKING:
    from plotindex.storage import Database


MOST = 500
PATIENCE = 0.5
"""Seconds to wait for a program that holds the database."""
HARMLESS = re.compile(r"(?![-~])[\w@%+,./~-]+")
"""Names that a shell takes for nothing but themselves: scripts choose them, and some shells quote nothing."""

Complete = Callable[[click.Context, click.Parameter, str], list[CompletionItem]]


def choices_of(setting: str) -> Complete | None:
    """The words that a setting can be, where these are few."""
    parser = PARSERS[setting]
    return (lambda _context, _parameter, begun: _items(parser.choices, begun)) if isinstance(parser, OneOf) else None


def files(_context: click.Context, _parameter: click.Parameter, begun: str) -> list[CompletionItem]:
    return [CompletionItem(begun, type="file")]


def folders(_context: click.Context, _parameter: click.Parameter, begun: str) -> list[CompletionItem]:
    return [CompletionItem(begun, type="dir")]


def sessions(context: click.Context, _parameter: click.Parameter, begun: str) -> list[CompletionItem]:
    from plotindex.storage import session_names

    return _from_catalog(context, lambda database: session_names(database, begun))


def filenames(context: click.Context, _parameter: click.Parameter, begun: str) -> list[CompletionItem]:
    """Those of the session that was named before."""
    from plotindex.storage import filenames

    name = context.params.get("session")
    return _from_catalog(context, lambda database: filenames(database, name, begun)) if name else []


def projects(context: click.Context, _parameter: click.Parameter, begun: str) -> list[CompletionItem]:
    """Those of the session that was named before, or else of that in which something was drawn last."""
    from plotindex.storage import project_names

    return _from_catalog(context, lambda database: project_names(database, context.params.get("session"), begun))


def tokens(context: click.Context, _parameter: click.Parameter, begun: str) -> list[CompletionItem]:
    try:
        return _items(Tokens.from_settings(_settings(context)).list(), begun)
    except PlotIndexError:
        return []


def _from_catalog(context: click.Context, names: "Callable[[Database], Iterator[str]]") -> list[CompletionItem]:
    from plotindex.storage import open_database

    try:
        return _items(islice(names(open_database(_settings(context).catalog_location, PATIENCE)), MOST))
    except PlotIndexError:
        return []


def _settings(context: click.Context) -> Settings:
    given = {name: value for name, value in context.params.items() if name in PARSERS}
    return load_settings(given, config=context.params.get("config"))


def _items(names: Iterable[str], begun: str = "") -> list[CompletionItem]:
    return [CompletionItem(name) for name in names if name.startswith(begun) and HARMLESS.fullmatch(name)]
