"""The commands that ask the catalogue: whether a plot is there yet, and how well all is."""

import json
import sys
from pathlib import Path

import click

from plotindex import completing
from plotindex.layout import printable
from plotindex.options import (
    Seconds,
    check_root_unless_known,
    common_options,
    json_option,
    open_catalog,
    read_settings,
    tree_of,
)


@click.command()
@common_options
@click.option("--timeout", type=Seconds(), default=60.0, show_default=True, help="Seconds to wait.")
def sync(config: Path | None, timeout: float, **options: str | None) -> None:
    """Return when all that was drawn before the call is in the catalogue; exit 1 when it is not in time."""
    from plotindex.barriers import wait_for_answer
    from plotindex.status import require_indexer

    settings = read_settings(config, options)
    check_root_unless_known(settings)
    catalog = open_catalog(settings)
    if not wait_for_answer(settings.barrier_folder, timeout, lambda: require_indexer(catalog)):
        beat = catalog.heartbeats()[0]
        click.echo(f"plotindex: not within {timeout:g} seconds; the indexer is {beat.state}.", err=True)
        sys.exit(1)


@click.command()
@common_options
@click.argument("session", shell_complete=completing.sessions)
@click.argument("filename", shell_complete=completing.filenames)
@click.option("--timeout", type=Seconds(), default=60.0, show_default=True, help="Seconds to wait.")
def wait(config: Path | None, session: str, filename: str, timeout: float, **options: str | None) -> None:
    """Return when that plot exists, and print where; exit 1 when it does not in time, or nobody indexes."""
    from plotindex.waiting import wait_for_plot

    settings = read_settings(config, options)
    check_root_unless_known(settings)
    found = wait_for_plot(tree_of(settings), open_catalog(settings), session, filename, timeout)
    if found is None:
        click.echo(f"plotindex: {printable(f'{session}/{filename}')} was not drawn within {timeout:g} s.", err=True)
        sys.exit(1)
    click.echo(printable(found.path))


@click.command()
@common_options
@json_option
def status(config: Path | None, as_json: bool, **options: str | None) -> None:
    """Say what is indexed, how fresh it is and how well the indexer is; exit 1 when it is not."""
    from plotindex.recent import read_recent, recent_folder
    from plotindex.status import read_status

    settings = read_settings(config, options)
    check_root_unless_known(settings)
    told = read_status(open_catalog(settings), settings.layout, read_recent(recent_folder(settings)))
    click.echo(json.dumps(told.as_json(), indent=2) if as_json else told.as_text())
    if told.trouble:
        click.echo(f"plotindex: {told.trouble}", err=True)
        sys.exit(1)
