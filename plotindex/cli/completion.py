"""Shell completion: names from the catalogue, tokens, files, and the choices of settings.

Errors complete to nothing, silently.
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


MAX_ITEMS = 500
LOCK_TIMEOUT = 0.5
"""Seconds to wait for another process that holds the database."""
SHELL_SAFE = re.compile(r"(?![-~])[\w@%+,./~-]+")
"""Names without characters that are special in a shell: scripts choose names, and not all shells quote them."""

Complete = Callable[[click.Context, click.Parameter, str], list[CompletionItem]]


def choices(setting: str) -> Complete | None:
    """The choices of a setting; None if it has no fixed choices."""
    parser = PARSERS[setting]
    return (
        (lambda _context, _parameter, incomplete: _items(parser.choices, incomplete))
        if isinstance(parser, OneOf)
        else None
    )


def files(_context: click.Context, _parameter: click.Parameter, incomplete: str) -> list[CompletionItem]:
    return [CompletionItem(incomplete, type="file")]


def folders(_context: click.Context, _parameter: click.Parameter, incomplete: str) -> list[CompletionItem]:
    return [CompletionItem(incomplete, type="dir")]


def sessions(context: click.Context, _parameter: click.Parameter, incomplete: str) -> list[CompletionItem]:
    from plotindex.storage import session_names

    return _from_catalog(context, lambda database: session_names(database, incomplete))


def filenames(context: click.Context, _parameter: click.Parameter, incomplete: str) -> list[CompletionItem]:
    """Filenames in the session given before."""
    from plotindex.storage import filenames

    name = context.params.get("session")
    return _from_catalog(context, lambda database: filenames(database, name, incomplete)) if name else []


def projects(context: click.Context, _parameter: click.Parameter, incomplete: str) -> list[CompletionItem]:
    """Projects in the session given before or, without one, in the most recent session."""
    from plotindex.storage import project_names

    return _from_catalog(context, lambda database: project_names(database, context.params.get("session"), incomplete))


def flags(_context: click.Context, _parameter: click.Parameter, incomplete: str) -> list[CompletionItem]:
    from plotindex.storage import FLAGS

    return _items(FLAGS, incomplete)


def kept_sessions(context: click.Context, _parameter: click.Parameter, incomplete: str) -> list[CompletionItem]:
    """Sessions of which versions are kept, removed ones too."""
    from plotindex.history.store import HistoryStore

    try:
        store = HistoryStore.from_settings(_settings(context), LOCK_TIMEOUT)
        if store is None or not store.exists():
            return []
        with store.reading() as reader:
            return _items(islice(reader.names(incomplete), MAX_ITEMS))
    except PlotIndexError:
        return []


def kept_filenames(context: click.Context, _parameter: click.Parameter, incomplete: str) -> list[CompletionItem]:
    """Plots of the session given before of which versions are kept, removed ones too."""
    from plotindex.history.access import History
    from plotindex.index import make_tree

    try:
        settings = _settings(context)
        kept = History.from_settings(settings, make_tree(settings), LOCK_TIMEOUT)
        page = kept.keys(str(context.params.get("session")), MAX_ITEMS, incomplete[:-1], is_limited=False)
    except (PlotIndexError, OSError):
        return []
    return _items((key.filename for key in page.keys), incomplete)


def tokens(context: click.Context, _parameter: click.Parameter, incomplete: str) -> list[CompletionItem]:
    try:
        return _items(Tokens.from_settings(_settings(context)).list(), incomplete)
    except PlotIndexError:
        return []


def _from_catalog(context: click.Context, names: "Callable[[Database], Iterator[str]]") -> list[CompletionItem]:
    from plotindex.storage import open_database

    try:
        return _items(islice(names(open_database(_settings(context).catalog_location, LOCK_TIMEOUT)), MAX_ITEMS))
    except PlotIndexError:
        return []


def _settings(context: click.Context) -> Settings:
    given = {name: value for name, value in context.params.items() if name in PARSERS}
    return load_settings(given, config=context.params.get("config"))


def _items(names: Iterable[str], incomplete: str = "") -> list[CompletionItem]:
    return [CompletionItem(name) for name in names if name.startswith(incomplete) and SHELL_SAFE.fullmatch(name)]
