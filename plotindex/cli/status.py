"""The commands `plotindex sync`, `wait` and `status`."""

import json
import sys
from pathlib import Path

import click

from plotindex.cli import completion
from plotindex.cli.options import common_options, example, json_option
from plotindex.cli.parameters import Seconds
from plotindex.cli.program import print_error
from plotindex.cli.startup import check_root_unless_indexed, read_settings
from plotindex.errors import SettingsError
from plotindex.system import format_age, printable


@click.command(epilog=example("sync --root /srv/plots --timeout 10"))
@common_options
@click.option("--timeout", metavar="SECONDS", type=Seconds(), default=60.0, help="Maximum time to wait.  [default: 60]")
def sync(config: Path | None, timeout: float, **options: str | None) -> None:
    """Wait until the catalogue has all plots drawn so far.

    Run it between drawing and reading. Exits 1 on timeout, or if no indexer is running.
    """
    from plotindex.index import indexer_problem, open_catalog, read_indexer_lock, require_indexer
    from plotindex.watch import wait_for_sync

    settings = read_settings(config, options)
    check_root_unless_indexed(settings)
    catalog = open_catalog(settings)
    if not wait_for_sync(
        settings.barrier_folder, timeout, lambda: require_indexer(catalog, settings.indexer_lock, is_here=True)
    ):
        beat = catalog.heartbeats()[0]
        problem = indexer_problem(beat, read_indexer_lock(settings.indexer_lock))
        state = f"The indexer (pid {beat.pid}) is {beat.state}, last heartbeat {format_age(beat.heartbeat * 1e9)}."
        print_error(f"Timed out after {timeout:g} s. {problem or state}")
        sys.exit(1)


@click.command(epilog=example("wait abc123 correlation_plot.png --root /srv/plots"))
@common_options
@click.argument("session", shell_complete=completion.sessions)
@click.argument("filename", shell_complete=completion.filenames)
@click.option("--timeout", metavar="SECONDS", type=Seconds(), default=60.0, help="Maximum time to wait.  [default: 60]")
@click.option(
    "--not-blank", is_flag=True, help="Also wait until inspection has found that it is neither blank nor broken."
)
def wait(
    *, config: Path | None, session: str, filename: str, timeout: float, not_blank: bool, **options: str | None
) -> None:
    """Wait until a session has a plot with that filename.

    Prints the path of its current copy below the root. Exits 1 on timeout, or if no indexer is running.
    """
    from plotindex.index import make_tree, open_catalog, wait_for_plot

    settings = read_settings(config, options)
    check_root_unless_indexed(settings)
    if not_blank and not settings.inspect:
        raise SettingsError("--not-blank needs inspection: set inspect=on.")
    found = wait_for_plot(
        *(make_tree(settings), open_catalog(settings), session, filename, timeout),
        lock=settings.indexer_lock,
        not_blank=not_blank,
    )
    if found is None:
        is_good = " that is inspected and neither blank nor broken" if not_blank else ""
        print_error(f"Timed out after {timeout:g} s. There is no plot {printable(f'{session}/{filename}')}{is_good}.")
        sys.exit(1)
    click.echo(printable(found.path))


@click.command(epilog=example("status --root /srv/plots"))
@common_options
@json_option
def status(config: Path | None, as_json: bool, **options: str | None) -> None:
    """Show what is indexed, how fresh it is, and any problem.

    Exits 1 if there is a problem, and prints its fix.
    """
    from plotindex.history.store import HistoryStore
    from plotindex.index import open_catalog
    from plotindex.ops.followers import HistoryStatus, InspectionStatus
    from plotindex.ops.request_counts import read_counts
    from plotindex.ops.server_address import with_server_address
    from plotindex.ops.status import probe_server, read_status

    settings = read_settings(config, options)
    check_root_unless_indexed(settings)
    server = with_server_address(settings, options)
    catalog = open_catalog(settings)
    report = read_status(
        catalog,
        settings.layout,
        read_counts(settings.request_counts_folder),
        settings.indexer_lock,
        probe_server(server.host, server.port),
        history=HistoryStatus.read(catalog, HistoryStore.from_settings(settings), settings.history_mb << 20),
        inspection=InspectionStatus.read(catalog) if settings.inspect else None,
    )
    click.echo(json.dumps(report.as_json(), indent=2) if as_json else report.as_text())
    if report.trouble:
        print_error(report.trouble)
        sys.exit(1)
