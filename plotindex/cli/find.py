"""The command `plotindex find`."""

import json
import os
import sys
import time
from collections.abc import Iterator, Mapping
from functools import partial
from itertools import chain, repeat
from pathlib import Path
from typing import TYPE_CHECKING

import click

from plotindex.cli import completion
from plotindex.cli.like import show_alike
from plotindex.cli.options import common_options, example, json_option
from plotindex.cli.program import print_error
from plotindex.cli.startup import check_root_unless_indexed, read_settings
from plotindex.errors import SettingsError
from plotindex.system import printable

if TYPE_CHECKING:
    from plotindex.storage import Database, FoundPlot
    from plotindex.tree import Plot


MAX_TEXT_SHOWN = 200
"""Characters of the search text in messages."""


@click.command(epilog=example("find 'correlation*' --since 2h --root /srv/plots"))
@common_options
@click.argument("text", required=False)
@click.option("--session", metavar="SESSION", shell_complete=completion.sessions, help="Only plots in this session.")
@click.option(
    "--project",
    metavar="PROJECT",
    shell_complete=completion.projects,
    help="Only plots in projects with this name or matching this glob.",
)
@click.option(
    "--since",
    metavar="WHEN",
    help="Only plots modified since then: an age such as 2h or 3d, or a time such as 2026-11-23T14:00.",
)
@click.option("--before", metavar="WHEN", help="Only plots modified before then; format as --since.")
@click.option(
    "--text", "shown", metavar="WORDS", help="Only plots that show all these words: in a title, label or legend."
)
@click.option(
    "--flag",
    metavar="FLAG",
    shell_complete=completion.flags,
    help="Only plots with this flag: blank, broken, duplicate, stale or tiny.",
)
@click.option(
    "--like",
    metavar="FILE",
    type=Path,
    shell_complete=completion.files,
    help="Plots that this picture may be from, the likeliest first; combines with --session alone.",
)
@click.option("-0", "--null", is_flag=True, help="Print unescaped paths, each followed by NUL, for xargs -0.")
@json_option
def find(
    *,
    config: Path | None,
    text: str | None,
    session: str | None,
    project: str | None,
    since: str | None,
    before: str | None,
    shown: str | None,
    flag: str | None,
    like: Path | None,
    null: bool,
    as_json: bool,
    **options: str | None,
) -> None:
    """Find plots by path, project, age, or what they show.

    TEXT matches any part of a path below the root, ignoring ASCII case. With * ? or [ it is a glob, which must match
    the last part of the path, the filename (with folders below the project) or the whole path; * also matches slashes.
    TEXT is optional if an option selects plots.

    --text and --flag find plots that are inspected: see `plotindex status`. A plot also answers by the text of its
    siblings, such as hist.svg beside hist.png. --json says where the words are. --like finds where a copied, scaled or
    recompressed picture is from.

    On a terminal each line has the size, the age, a * for the current copy, and the path; elsewhere the path only.
    The current copy of a key comes first. Exits 1 if nothing matches.
    """
    from plotindex.config import parse_time
    from plotindex.history.access import History
    from plotindex.history.store import READ_SECONDS
    from plotindex.index import is_root_lost, make_tree, open_catalog
    from plotindex.storage import PlotFilter, find_plots

    conditions = text or project or since or before or shown or flag
    if like and (conditions or null):
        raise SettingsError("Give --like with no other condition than --session.")
    if not (conditions or session or like):
        raise SettingsError(
            "Select plots: by a part of the path, or by --session, --project, --since, --before, --text, --flag or "
            "--like."
        )
    if null and as_json:
        raise SettingsError("Give either --null or --json, not both.")
    now = time.time_ns()
    settings = read_settings(config, options)
    check_root_unless_indexed(settings)
    wanted = PlotFilter(
        text or "",
        session,
        project,
        parse_time("--since", since, now) if since else None,
        parse_time("--before", before, now) if before else None,
    )
    catalog, tree = open_catalog(settings), make_tree(settings)
    if is_root_lost(tree, catalog):
        print_error(f"The root {settings.root} is missing: mount it again. These results are from the catalogue.")
    if like:
        history = History.from_settings(settings, tree, READ_SECONDS)
        show_alike(catalog, history, like, session, as_json=as_json)
        return
    where = _shown_where(catalog.database, shown, flag, session)
    found = find_plots(catalog.database, wanted, where)
    show = (
        partial(_show_json, where=where or {})
        if as_json
        else _show_raw
        if null
        else _show_columns
        if sys.stdout.isatty()
        else _show_paths
    )
    if not show(found):
        print_error(f"No plot in the catalogue{_described(session, project, text or shown or flag)}.")
        sys.exit(1)


def _shown_where(
    database: "Database", shown: str | None, flag: str | None, session: str | None
) -> "dict[Plot, str] | None":
    """The plots that show the words and have the flag, with where the words are; None if all plots may."""
    from plotindex.storage import FLAGS, find_flagged, find_texts
    from plotindex.tree import ALL_SESSIONS

    if flag and flag not in FLAGS:
        raise SettingsError(f"--flag must be one of {', '.join(FLAGS)}, not {flag!r}.")
    texts = find_texts(database, shown, session) if shown else None
    if not flag:
        return texts
    flagged = find_flagged(database, flag, ALL_SESSIONS, session)
    if texts is None:
        return dict.fromkeys(flagged, "")
    return {plot: where for plot, where in texts.items() if plot in flagged}


def _show_paths(found: "Iterator[FoundPlot]") -> bool:
    return _echo(printable(plot.path) + "\n" for plot, _ in found)


def _show_columns(found: "Iterator[FoundPlot]") -> bool:
    from plotindex.system import format_age, format_size

    return _echo(
        f"{format_size(plot.size):>8}  {format_age(plot.mtime_ns):>10}  "
        f"{'*' if current else ' '} {printable(plot.path)}\n"
        for plot, current in found
    )


def _show_raw(found: "Iterator[FoundPlot]") -> bool:
    return _echo(os.fsencode(plot.path) + b"\0" for plot, _ in found)


def _show_json(found: "Iterator[FoundPlot]", where: "Mapping[Plot, str]") -> bool:
    """Stream the array: it may have a million entries."""
    click.echo("[", nl=False)
    entries = (
        {**plot._asdict(), "version": plot.version, "path": plot.path, "current": now}
        | ({"where": where[plot]} if where.get(plot) else {})
        for plot, now in found
    )
    separators = chain(["\n  "], repeat(",\n  "))
    shown = _echo(separator + json.dumps(entry) for separator, entry in zip(separators, entries, strict=False))
    click.echo("\n]" if shown else "]")
    return shown


def _echo(pieces: Iterator[str] | Iterator[bytes]) -> bool:
    """Print the pieces; return whether there were any."""
    shown = False
    for piece in pieces:
        shown = True
        click.echo(piece, nl=False)
    return shown


def _described(session: str | None, project: str | None, text: str | None) -> str:
    of_session = f" in session {printable(session)}" if session else ""
    of_project = f" in project {printable(project)}" if project else ""
    shown = printable(text or "")
    shown = shown if len(shown) <= MAX_TEXT_SHOWN else f"{shown[:MAX_TEXT_SHOWN]}…"
    return f"{of_session}{of_project} matches{f' {shown}' if text else ''}"
