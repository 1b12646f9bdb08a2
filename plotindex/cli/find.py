"""`plotindex find`: where plots are, for eyes on a terminal and for pipes."""

import json
import os
import sys
import time
from collections.abc import Iterator
from itertools import chain, repeat
from pathlib import Path
from typing import TYPE_CHECKING

import click

from plotindex.cli import completion
from plotindex.cli.options import check_root_unless_known, common_options, example, json_option, read_settings
from plotindex.errors import SettingsError
from plotindex.system import printable

if TYPE_CHECKING:
    from plotindex.storage import FoundPlot


MOST_SHOWN = 200
"""Characters of what was looked for that a message repeats."""


@click.command(epilog=example("find 'correlation*' --since 2h --root /srv/plots"))
@common_options
@click.argument("text", required=False)
@click.option("--session", metavar="SESSION", shell_complete=completion.sessions, help="Only in this session.")
@click.option(
    "--project",
    metavar="PROJECT",
    shell_complete=completion.projects,
    help="Only in projects of this name, or that match this glob.",
)
@click.option(
    "--since",
    metavar="WHEN",
    help="Only what was drawn since: an age such as 2h or 3d, or a time such as 2026-11-23T14:00.",
)
@click.option("--before", metavar="WHEN", help="Only what was drawn before that; as --since.")
@click.option("-0", "--null", is_flag=True, help="Print each path as it is, with a NUL behind it, for xargs -0.")
@json_option
def find(
    *,
    config: Path | None,
    text: str | None,
    session: str | None,
    project: str | None,
    since: str | None,
    before: str | None,
    null: bool,
    as_json: bool,
    **options: str | None,
) -> None:
    """Say where plots are, by path, project or age.

    TEXT is looked for in each path below the root, in any case of ASCII. With * ? or [ in it TEXT is a glob, tried on
    the last part of the path, on the filename (folders below the project and all) and on the whole path; * matches
    slashes too. It can be left out when something else says which plots.

    The first of each key is its current copy; on a terminal a * marks it, behind size and age. Elsewhere each line is
    a path below the root.
    """
    from plotindex.cli.parameters import parse_moment
    from plotindex.index import is_root_lost, make_tree, open_catalog
    from plotindex.storage import PlotFilter, find_plots

    if not text and not (session or project or since or before):
        raise SettingsError("Say which plots: by a part of the path, or by --session, --project, --since or --before.")
    if null and as_json:
        raise SettingsError("Give either --null or --json, not both.")
    now = time.time_ns()
    settings = read_settings(config, options)
    check_root_unless_known(settings)
    wanted = PlotFilter(
        text or "",
        session,
        project,
        parse_moment("--since", since, now) if since else None,
        parse_moment("--before", before, now) if before else None,
    )
    catalog = open_catalog(settings)
    if is_root_lost(make_tree(settings), catalog):
        where = printable(str(settings.root))
        click.echo(
            f"plotindex: the root {where} is not there now, so this is what was there: mount it again.", err=True
        )
    found = find_plots(catalog.database, wanted)
    show = _show_json if as_json else _show_raw if null else _show_columns if sys.stdout.isatty() else _show_paths
    if not show(found):
        click.echo(f"plotindex: nothing in the catalogue{_described(session, project, text)}.", err=True)
        sys.exit(1)


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


def _show_json(found: "Iterator[FoundPlot]") -> bool:
    """One by one: there may be a million."""
    click.echo("[", nl=False)
    entries = ({**plot._asdict(), "version": plot.version, "path": plot.path, "current": now} for plot, now in found)
    separators = chain(["\n  "], repeat(",\n  "))
    shown = _echo(separator + json.dumps(entry) for separator, entry in zip(separators, entries, strict=False))
    click.echo("\n]" if shown else "]")
    return shown


def _echo(pieces: Iterator[str] | Iterator[bytes]) -> bool:
    """Print each; return whether there was any."""
    shown = False
    for piece in pieces:
        shown = True
        click.echo(piece, nl=False)
    return shown


def _described(session: str | None, project: str | None, text: str | None) -> str:
    of_session = f" in session {printable(session)}" if session else ""
    of_project = f" in project {printable(project)}" if project else ""
    shown = printable(text or "")
    shown = shown if len(shown) <= MOST_SHOWN else f"{shown[:MOST_SHOWN]}…"
    return f"{of_session}{of_project} matches{f' {shown}' if text else ''}"
