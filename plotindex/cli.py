"""The command line: parse, call, print.

Results go to stdout, everything else to stderr. Exit 0: yes; 1: the answer is no; 2: wrong use or configuration.
"""

import json
import signal
import sys
import threading
import time
from pathlib import Path
from typing import Any

import click

from plotindex import __version__
from plotindex.access_commands import key, token
from plotindex.barriers import wait_for_answer
from plotindex.doctor_command import doctor
from plotindex.errors import CatalogError, DamagedDatabaseError, SettingsError
from plotindex.indexer import Indexer, Rhythm
from plotindex.layout import Plot, printable
from plotindex.locks import sole_indexer
from plotindex.look import Options, Report
from plotindex.options import (
    Program,
    Seconds,
    check_root_unless_known,
    common_options,
    json_option,
    migrate_apart,
    open_catalog,
    prepare_catalog,
    read_settings,
    setting_options,
    tree_of,
)
from plotindex.polling import Polling
from plotindex.recent import read_recent, recent_folder
from plotindex.reconcile import reconcile
from plotindex.status import read_status, require_indexer
from plotindex.terminal import Progress
from plotindex.verify import differences
from plotindex.waiting import wait_for_plot

SWITCH_SECONDS = 0.0005
SERVING = (
    "host",
    "port",
    "url_prefix",
    "workers",
    "threads",
    "heal",
    "x_accel_prefix",
    "public_url",
    "proxies",
    "access_log",
)
INDEXING = ("rescan_seconds", "poll_seconds", "polling", "max_plots_per_session", "max_depth")
"""Settings of what is looked at, and how often."""


@click.group(cls=Program, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="plotindex")
def main() -> None:
    """An indexed catalogue of plots: every image below ROOT/<session>/project_*/."""


@main.command()
@common_options
@setting_options(*SERVING, *INDEXING, "log_format")
def run(config: Path | None, **options: str | None) -> None:
    """Index and serve in one command."""
    from plotindex.running import ChildDiedError, run_both  # noqa: PLC0415 - a client of HTTP, which only this needs
    from plotindex.web.server import check_address  # noqa: PLC0415 - Flask and Granian are a third of a start

    settings = read_settings(config, options)
    settings.check_root()
    check_address(settings)
    # Whether it is free: the indexer itself takes it a moment later.
    with sole_indexer(settings.make_state_folder() / "indexer.lock"):
        catalog = prepare_catalog(settings)
    stop = _stop_on_signals()
    try:
        run_both(settings, catalog, click.echo, stop)
    except ChildDiedError as error:
        click.echo(f"plotindex: {error}", err=True)
        sys.exit(2 if error.code == 2 else 1)


@main.command()
@common_options
@setting_options(*INDEXING, "log_format")
def watch(config: Path | None, **options: str | None) -> None:
    """Run the indexer service: every plot is in the catalogue as it is drawn."""
    settings = read_settings(config, options)
    check_root_unless_known(settings)
    with sole_indexer(settings.make_state_folder() / "indexer.lock"):
        migrate_apart(settings)
        catalog = prepare_catalog(settings)
        # The reader of events and the loop that looks pass the interpreter to and fro with each system call: in a flood
        # they would wait the usual 5 ms for it each time.
        sys.setswitchinterval(SWITCH_SECONDS)
        stop = _stop_on_signals(grace=1.5)
        try:
            rhythm = Rhythm(settings.rescan_seconds, settings.poll_seconds, Polling(settings.polling))
            Indexer(tree_of(settings), catalog, settings.barrier_folder, rhythm, stop).run()
        except KeyboardInterrupt:
            # Asked to stop, and cut short in a long look: nothing is lost, each transaction is whole or not at all.
            if not stop.is_set():
                raise
        finally:
            # An alarm that comes when the interpreter is on its way out would kill it.
            signal.setitimer(signal.ITIMER_REAL, 0)


@main.command()
@common_options
@setting_options(*SERVING, "max_depth", "log_format")
def serve(config: Path | None, **options: str | None) -> None:
    """Run the HTTP service."""
    from plotindex.web.extension import ANSWER_SECONDS  # noqa: PLC0415 - see run
    from plotindex.web.server import serve as serve_http  # noqa: PLC0415 - see run

    settings = read_settings(config, options)
    check_root_unless_known(settings)
    try:
        open_catalog(settings, ANSWER_SECONDS).database.close()
    except CatalogError as error:
        click.echo(f"plotindex: {error} Until then every answer comes from a scan.", err=True)
    serve_http(settings)


@main.command()
@common_options
@click.option("--timeout", type=Seconds(), default=60.0, show_default=True, help="Seconds to wait.")
def sync(config: Path | None, timeout: float, **options: str | None) -> None:
    """Return when all that was drawn before the call is in the catalogue; exit 1 when it is not in time."""
    settings = read_settings(config, options)
    check_root_unless_known(settings)
    catalog = open_catalog(settings)
    if not wait_for_answer(settings.barrier_folder, timeout, lambda: require_indexer(catalog)):
        beat = catalog.heartbeats()[0]
        click.echo(f"plotindex: not within {timeout:g} seconds; the indexer is {beat.state}.", err=True)
        sys.exit(1)


@main.command()
@common_options
@click.argument("session")
@click.argument("filename")
@click.option("--timeout", type=Seconds(), default=60.0, show_default=True, help="Seconds to wait.")
def wait(config: Path | None, session: str, filename: str, timeout: float, **options: str | None) -> None:
    """Return when that plot exists, and print where; exit 1 when it does not in time, or nobody indexes."""
    settings = read_settings(config, options)
    check_root_unless_known(settings)
    found = wait_for_plot(tree_of(settings), open_catalog(settings), session, filename, timeout)
    if found is None:
        click.echo(f"plotindex: {printable(f'{session}/{filename}')} was not drawn within {timeout:g} s.", err=True)
        sys.exit(1)
    click.echo(printable(found.path))


@main.command()
@common_options
@setting_options("max_plots_per_session", "max_depth")
@click.option("--from-scratch", is_flag=True, help="Write every row anew, session by session.")
@click.option("--allow-empty", is_flag=True, help="Believe a root that shares no session with the catalogue.")
@click.option("--adopt", is_flag=True, help="The root has moved here: the catalogue is now this root's.")
@json_option
def rebuild(
    config: Path | None, from_scratch: bool, allow_empty: bool, adopt: bool, as_json: bool, **options: str | None
) -> None:
    """Make the catalogue equal the whole tree."""
    settings = read_settings(config, options)
    check_root_unless_known(settings)
    catalog = prepare_catalog(settings, adopt=adopt)
    began = time.monotonic()
    how = Options(rewrite=from_scratch, allow_empty=allow_empty)

    def reconcile_all() -> Report:
        with Progress("sessions") as progress:
            return reconcile(tree_of(settings), catalog, [""], how, progress=progress)

    try:
        report = reconcile_all()
    except DamagedDatabaseError:
        catalog.begin(str(settings.root), settings.layout)
        report = reconcile_all()
    _print_report(report, time.monotonic() - began, as_json)
    if "" in report.unreadable:
        raise SettingsError(f"The root {settings.root} cannot be read: let this user read it.")


@main.command()
@common_options
@setting_options("max_plots_per_session", "max_depth")
@json_option
def verify(config: Path | None, as_json: bool, **options: str | None) -> None:
    """Compare catalogue and tree; change nothing; exit 1 and a list where they differ."""
    settings = read_settings(config, options)
    settings.check_root()
    catalog = open_catalog(settings)
    with Progress("sessions") as progress:
        found = list(differences(tree_of(settings), catalog, progress))
    if as_json:
        click.echo(json.dumps([difference._asdict() for difference in found], indent=2))
    else:
        for path, what in found:
            click.echo(f"{printable(path)}: {what}")
    if found:
        click.echo(f"{len(found)} differences; mend them with `plotindex rebuild`.", err=True)
        sys.exit(1)


@main.command()
@common_options
@click.argument("text")
@click.option("--session", help="Only in this session.")
@json_option
def find(config: Path | None, text: str, session: str | None, as_json: bool, **options: str | None) -> None:
    """Say where plots are whose path holds TEXT, in any case.

    With * ? or [ in it TEXT is a glob, tried on the filename and on the whole path; * matches slashes too. The first
    line of each key is its current copy.
    """
    settings = read_settings(config, options)
    check_root_unless_known(settings)
    catalog = open_catalog(settings)
    found = catalog.search(text, session)
    if as_json:
        listed = [{**_describe(plot), "current": current} for plot, current in found]
        click.echo(json.dumps(listed, indent=2))
        matched = bool(listed)
    else:
        matched = False
        for plot, _ in found:
            matched = True
            click.echo(printable(plot.path))
    if not matched:
        where = f" in session {printable(session)}" if session else ""
        click.echo(f"plotindex: nothing in the catalogue{where} matches {printable(text)}.", err=True)
        sys.exit(1)


@main.command()
@common_options
@json_option
def status(config: Path | None, as_json: bool, **options: str | None) -> None:
    """Say what is indexed, how fresh it is and how well the indexer is; exit 1 when it is not."""
    settings = read_settings(config, options)
    check_root_unless_known(settings)
    told = read_status(open_catalog(settings), settings.layout, read_recent(recent_folder(settings)))
    click.echo(json.dumps(told.as_json(), indent=2) if as_json else told.as_text())
    if told.trouble:
        click.echo(f"plotindex: {told.trouble}", err=True)
        sys.exit(1)


@main.command()
@common_options
def migrate(config: Path | None, **options: str | None) -> None:
    """Bring the database to this version's schema."""
    settings = read_settings(config, options)
    prepare_catalog(settings)
    click.echo("The database is of this version's schema.")


main.add_command(token)
main.add_command(key)
main.add_command(doctor)


def _stop_on_signals(grace: float | None = None) -> threading.Event:
    """An event that SIGTERM and SIGINT set; what has not ended `grace` seconds later is interrupted."""
    stop = threading.Event()

    def interrupt(_number: int, _frame: object) -> None:
        raise KeyboardInterrupt

    def request(_number: int, _frame: object) -> None:
        stop.set()
        if grace is not None:
            signal.signal(signal.SIGALRM, interrupt)
            signal.setitimer(signal.ITIMER_REAL, grace)

    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, request)
    return stop


def _print_report(report: Report, seconds: float, as_json: bool) -> None:
    numbers = {name: getattr(report, name) for name in ("sessions", "plots", "added", "changed", "removed")}
    left_out = {**{path: str(error.strerror) for path, error in report.unreadable.items()}, **report.odd}
    if as_json:
        click.echo(json.dumps({**numbers, "seconds": round(seconds, 3), "named": left_out}, indent=2))
        return
    for path, why in left_out.items():
        click.echo(f"{printable(path)}: {why}", err=True)
    told = ", ".join(f"{number} {name}" for name, number in numbers.items())
    click.echo(f"{told} in {seconds:.1f} seconds" + (f"; {len(left_out)} named above" if left_out else ""))


def _describe(plot: Plot) -> dict[str, Any]:
    return {**plot._asdict(), "version": plot.version, "path": plot.path}
