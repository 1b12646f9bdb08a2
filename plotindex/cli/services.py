"""The commands that go on until they are stopped: the indexer, the server, and both."""

import signal
import sys
import threading
from pathlib import Path

import click

from plotindex.auth import signing_keys
from plotindex.cli.options import (
    as_words,
    check_root_unless_known,
    common_options,
    example,
    migrate_apart,
    read_settings,
    reread_on_hangup,
    setting_options,
)
from plotindex.config import INDEXER_SETTINGS, SERVER_SETTINGS
from plotindex.errors import CatalogError
from plotindex.system import SystemdNotifier

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
INDEXING = (
    "rescan_seconds",
    "poll_seconds",
    "polling",
    "rescan_share",
    "max_watches",
    "max_plots_per_session",
    "max_depth",
)
"""Settings of what is looked at, and how often."""


@click.command(epilog=example("run --root /srv/plots"))
@common_options
@setting_options(*SERVING, *INDEXING, "log_format")
def run(config: Path | None, **options: str | None) -> None:
    """Index and serve in one command.

    Prints an address that logs a browser in, once, and a command that fetches a plot. Ctrl-C ends both.
    """
    from plotindex.cli.launcher import ChildDiedError, run_both
    from plotindex.index import hold_indexer_lock, prepare_catalog
    from plotindex.web.server.sockets import check_address

    # Whoever supervises this process hears nothing, and its children are not its voice.
    SystemdNotifier.from_environment()
    settings = read_settings(config, options)
    settings.check_root()
    signing_keys(settings)
    check_address(settings)
    # Whether it is free: the indexer itself takes it a moment later.
    settings.make_state_folder()
    with hold_indexer_lock(settings.indexer_lock):
        catalog = prepare_catalog(settings)
    stop = _stop_on_signals()
    commands = {"watch": [*INDEXING, "log_format"], "serve": [*SERVING, "max_depth", "log_format"]}
    words = {name: as_words(config, options, ("root", "database", *taken)) for name, taken in commands.items()}
    try:
        run_both(settings, catalog, click.echo, stop, words)
    except ChildDiedError as error:
        click.echo(f"plotindex: {error}", err=True)
        sys.exit(2 if error.code == 2 else 1)


@click.command(epilog=example("watch --root /srv/plots --rescan-seconds 600"))
@common_options
@setting_options(*INDEXING, "log_format")
def watch(config: Path | None, **options: str | None) -> None:
    """Keep the catalogue equal to the tree, as plots are drawn.

    It looks at everything when it starts, and goes on until it is stopped. There is one for each root; where the
    catalogue is on a PostgreSQL server, one on each host that writes plots.
    """
    from plotindex.index import hold_indexer_lock, make_tree, prepare_catalog
    from plotindex.watch import Indexer

    notifier = SystemdNotifier.from_environment()
    settings = read_settings(config, options)
    reloader = reread_on_hangup(settings, config, options, INDEXER_SETTINGS)
    check_root_unless_known(settings)
    settings.make_state_folder()
    with hold_indexer_lock(settings.indexer_lock) as tell:
        migrate_apart(settings)
        catalog = prepare_catalog(settings)
        # The reader of events and the loop that looks pass the interpreter to and fro with each system call: in a flood
        # they would wait the usual 5 ms for it each time.
        sys.setswitchinterval(SWITCH_SECONDS)
        stop = _stop_on_signals(grace=1.5)
        try:
            parts = make_tree(settings), catalog, settings, stop
            Indexer(*parts, notifier=notifier, reload=reloader.reload_if_requested, report=tell).run()
        except KeyboardInterrupt:
            # Asked to stop, and cut short in a long look: nothing is lost, each transaction is whole or not at all.
            if not stop.is_set():
                raise
        finally:
            # An alarm that comes when the interpreter is on its way out would kill it.
            signal.setitimer(signal.ITIMER_REAL, 0)


@click.command(epilog=example("serve --root /srv/plots --port 8600"))
@common_options
@setting_options(*SERVING, "max_depth", "log_format")
def serve(config: Path | None, **options: str | None) -> None:
    """Serve plots, lists and the gallery over HTTP.

    Whoever asks needs a token (`plotindex token create`). `plotindex watch` has to run beside it: what is not in the
    catalogue is answered by a scan.
    """
    from plotindex.index import REQUEST_DATABASE_SECONDS, open_catalog
    from plotindex.web.server.service import serve as serve_http

    notifier = SystemdNotifier.from_environment()
    settings = read_settings(config, options)
    reloader = reread_on_hangup(settings, config, options, SERVER_SETTINGS)
    settings.check_state_access()
    signing_keys(settings)
    check_root_unless_known(settings)
    try:
        open_catalog(settings, REQUEST_DATABASE_SECONDS).database.close()
    except CatalogError as error:
        click.echo(f"plotindex: {error} Until then every answer comes from a scan.", err=True)
    serve_http(reloader, notifier)


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
