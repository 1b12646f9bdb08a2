"""The commands that ask the catalogue: whether a plot is there yet, and how well all is."""

import json
import sys
from pathlib import Path

import click

from plotindex.cli import completion
from plotindex.cli.options import check_root_unless_known, common_options, example, json_option, read_settings
from plotindex.cli.parameters import Seconds
from plotindex.system import printable


@click.command(epilog=example("sync --root /srv/plots --timeout 10"))
@common_options
@click.option("--timeout", metavar="SECONDS", type=Seconds(), default=60.0, help="How long to wait.  [default: 60]")
def sync(config: Path | None, timeout: float, **options: str | None) -> None:
    """Wait until all that was drawn before is in the catalogue.

    Exits with 1 when it is not in time, or nobody indexes. To be put between drawing and asking.
    """
    from plotindex.index import open_catalog, require_indexer
    from plotindex.watch import wait_for_sync

    settings = read_settings(config, options)
    check_root_unless_known(settings)
    catalog = open_catalog(settings)
    if not wait_for_sync(settings.barrier_folder, timeout, lambda: require_indexer(catalog, is_here=True)):
        beat = catalog.heartbeats()[0]
        click.echo(f"plotindex: not within {timeout:g} seconds; the indexer is {beat.state}.", err=True)
        sys.exit(1)


@click.command(epilog=example("wait abc123 correlation_plot.png --root /srv/plots"))
@common_options
@click.argument("session", shell_complete=completion.sessions)
@click.argument("filename", shell_complete=completion.filenames)
@click.option("--timeout", metavar="SECONDS", type=Seconds(), default=60.0, help="How long to wait.  [default: 60]")
def wait(config: Path | None, session: str, filename: str, timeout: float, **options: str | None) -> None:
    """Wait until a session has a plot of that name.

    Prints its current copy's path below the root. Exits with 1 when there is none in time, or nobody indexes.
    """
    from plotindex.index import make_tree, open_catalog, wait_for_plot

    settings = read_settings(config, options)
    check_root_unless_known(settings)
    found = wait_for_plot(make_tree(settings), open_catalog(settings), session, filename, timeout)
    if found is None:
        click.echo(f"plotindex: {printable(f'{session}/{filename}')} was not drawn within {timeout:g} s.", err=True)
        sys.exit(1)
    click.echo(printable(found.path))


@click.command(epilog=example("status --root /srv/plots"))
@common_options
@json_option
def status(config: Path | None, as_json: bool, **options: str | None) -> None:
    """Say what is indexed, how fresh it is, and how well all is.

    Exits with 1 when something is not well, and says what mends it.
    """
    from plotindex.index import open_catalog
    from plotindex.ops.request_counts import read_counts
    from plotindex.ops.status import probe_server, read_status

    settings = read_settings(config, options)
    check_root_unless_known(settings)
    told = read_status(
        open_catalog(settings),
        settings.layout,
        read_counts(settings.request_counts_folder),
        settings.indexer_lock,
        probe_server(settings.host, settings.port),
    )
    click.echo(json.dumps(told.as_json(), indent=2) if as_json else told.as_text())
    if told.trouble:
        click.echo(f"plotindex: {told.trouble}", err=True)
        sys.exit(1)
