"""The command `plotindex inspect`."""

import json
import sys
import time
from itertools import groupby
from pathlib import Path
from typing import TYPE_CHECKING

import click

from plotindex.cli import completion
from plotindex.cli.options import common_options, example, json_option
from plotindex.cli.program import print_error
from plotindex.cli.progress import Progress
from plotindex.cli.startup import check_root_unless_indexed, read_settings
from plotindex.errors import SettingsError
from plotindex.system import printable

if TYPE_CHECKING:
    from plotindex.config import Settings
    from plotindex.inspection.access import PlotFacts
    from plotindex.storage import Catalog
    from plotindex.tree import Plot

STEP_SECONDS = 1.0
PAUSE_SECONDS = 0.1


@click.command(epilog=example("inspect abc123 correlation_plot.png --root /srv/plots"))
@common_options
@click.argument("session", required=False, shell_complete=completion.sessions)
@click.argument("filename", required=False, shell_complete=completion.filenames)
@click.option("--project", metavar="PROJECT", shell_complete=completion.projects, help="The copy in this project.")
@click.option("--all", "everything", is_flag=True, help="Inspect all plots now, at full speed.")
@json_option
def inspect(
    *,
    config: Path | None,
    session: str | None,
    filename: str | None,
    project: str | None,
    everything: bool,
    as_json: bool,
    **options: str | None,
) -> None:
    """Show what a plot shows, or inspect all plots.

    Without a filename, shows a line for each plot of the session: format, size, flags, path and title.

    With --all, inspects all plots of the catalogue that are not inspected yet, and exits 0 when none is left. Works
    with and without an indexer, also on network file systems. Exits 1 if there is no such plot, or if it is not
    inspected yet.
    """
    from plotindex.index import open_catalog

    if everything == (session is not None) or (everything and (filename or project)):
        raise SettingsError("Name a session, and optionally a plot of it; or give --all alone.")
    settings = read_settings(config, options)
    check_root_unless_indexed(settings)
    catalog = open_catalog(settings)
    if session is None:
        _inspect_all(settings, catalog, as_json=as_json)
    else:
        _show(catalog, session, filename, project, as_json=as_json)


def _show(catalog: "Catalog", session: str, filename: str | None, project: str | None, *, as_json: bool) -> None:
    from plotindex.inspection.access import read_all_facts
    from plotindex.tree import ALL_SESSIONS

    plots = _plots(catalog, session, filename, project)
    found = read_all_facts(catalog.database, plots, ALL_SESSIONS)
    if as_json:
        shown = [each.as_json() for each in found]
        click.echo(json.dumps(shown[0] if filename is not None and shown else shown, indent=2))
    else:
        for each in found:
            click.echo(_as_text(each) if filename is not None else _as_line(each))
    if not found:
        named = printable(f"{session}/{filename}" if filename else session)
        print_error(f"There is no plot {named} in the catalogue{f', in {printable(project)}' if project else ''}.")
    elif waiting := sum(each.found is None for each in found):
        print_error(f"{waiting} of {len(found)} plots are not inspected yet: run `plotindex inspect --all`.")
    if not found or waiting:
        sys.exit(1)


def _plots(catalog: "Catalog", session: str, filename: str | None, project: str | None) -> "list[Plot]":
    """The current copies of a session, or that of a key; with a project, the copies there."""
    from plotindex.tree import PlotKey, filename_of, newest_first

    if filename is not None:
        key = PlotKey(session, filename)
        copy = catalog.current(key) if project is None else catalog.copy(key, project)
        return [copy] if copy else []
    copies = catalog.plots(session)
    if project is not None:
        return [copy for copy in copies if copy.project == project]
    return [newest_first(own)[0] for _, own in groupby(copies, filename_of)]


def _as_text(facts: "PlotFacts") -> str:
    values = facts.as_json()
    size = f"{values['width']} x {values['height']}" if values["width"] else None
    lines = {
        "path": facts.plot.path,
        "version": values["version"],
        "digest": values["digest"],
        "format": values["format"],
        "size": size,
        "frames": values["frames"] if values["frames"] != 1 else None,
        "dpi": f"{values['dpi']:g}" if values["dpi"] else None,
        "title": values["title"],
        "flags": " ".join(values["flags"]) or None,
    }
    shown = [f"{name:<9} {printable(str(value))}" for name, value in lines.items() if value is not None]
    shown += [f"text      {printable(line)}" for line in values["text"]]
    shown += [f"metadata  {printable(f'{name}: {value}')}" for name, value in values["metadata"].items()]
    shown += [f"same as   {printable(copy.path)}" for copy in facts.same]
    return "\n".join(shown)


def _as_line(facts: "PlotFacts") -> str:
    """Format, size, flags, path and title of a plot, separated by tabs."""
    found = facts.found
    size = f"{found.width}x{found.height}" if found and found.width else "-"
    kind = (found.format if found else "") or "-"
    title = printable(found.title) if found else "not inspected yet"
    return "\t".join([kind, size, ",".join(facts.flags) or "-", printable(facts.plot.path), title])


def _inspect_all(settings: "Settings", catalog: "Catalog", *, as_json: bool) -> None:
    from plotindex.index import make_tree
    from plotindex.inspection.inspector import Inspector
    from plotindex.inspection.turn import inspection_turn
    from plotindex.rendering.renderer_client import RendererClient
    from plotindex.storage import FactsReader

    renderer = RendererClient()
    inspector = Inspector(catalog, make_tree(settings), renderer)
    inspected, problem = 0, ""

    def count_waiting() -> int:
        with catalog.database.reading() as connection:
            return FactsReader(connection).count_waiting()

    try:
        with inspection_turn(settings, None), Progress("plots") as progress:
            while True:
                step = inspector.step(STEP_SECONDS)
                inspected, problem = inspected + step.inspected, step.problem
                progress(inspected, inspected + count_waiting())
                if not step.is_more and (problem or not inspector.is_waiting()):
                    break
                if not step.is_more:
                    time.sleep(PAUSE_SECONDS)
    finally:
        renderer.close()
    waiting = count_waiting()
    if as_json:
        click.echo(json.dumps({"inspected": inspected, "waiting": waiting, "problem": problem or None}))
    else:
        click.echo(f"Inspected {inspected} plots; {waiting} are left.")
    if waiting:
        print_error(problem or f"{waiting} plots cannot be read, or differ from the catalogue: try again later.")
        sys.exit(1)
