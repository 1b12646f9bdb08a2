"""The commands `plotindex run`, `watch` and `serve`, which run until stopped."""

import signal
import sys
from pathlib import Path

import click

from plotindex.auth import signing_keys
from plotindex.cli.options import (
    FILENAME_LIMITS,
    HISTORY_RULES,
    HISTORY_SETTINGS,
    SESSION_LIMITS,
    common_options,
    example,
    option_arguments,
    setting_options,
)
from plotindex.cli.program import print_error
from plotindex.cli.startup import (
    check_root_unless_indexed,
    make_state_folder,
    migrate_in_subprocess,
    read_settings,
    reload_on_sighup,
)
from plotindex.config import INDEXER_SETTINGS, SERVER_SETTINGS
from plotindex.errors import CatalogError
from plotindex.system import StopRequest, SystemdNotifier

SWITCH_INTERVAL_SECONDS = 0.0005
SERVER_OPTIONS = (
    "host",
    "port",
    "url_prefix",
    "workers",
    "threads",
    "heal",
    "x_accel_prefix",
    "public_url",
    "frame_ancestors",
    "proxies",
    "access_log",
)
SERVED_LIMITS = (*FILENAME_LIMITS, *HISTORY_SETTINGS)
INDEXER_OPTIONS = (
    "rescan_seconds",
    "poll_seconds",
    "polling",
    "rescan_share",
    "max_watches",
    *SESSION_LIMITS,
    *HISTORY_SETTINGS,
    *HISTORY_RULES,
    "inspect",
    "inspect_share",
)


@click.command(epilog=example("run --root /srv/plots"))
@common_options
@setting_options(*SERVER_OPTIONS, *INDEXER_OPTIONS, "log_format")
def run(config: Path | None, **options: str | None) -> None:
    """Index and serve in one command.

    Prints a login URL and a download command. Ctrl-C stops the indexer and the server.
    """
    from plotindex.cli.supervisor import ChildExitedError, run_both
    from plotindex.index import hold_indexer_lock, prepare_catalog
    from plotindex.web.server.sockets import check_address

    # The children must not notify systemd in the name of this process.
    SystemdNotifier.from_environment()
    settings = read_settings(config, options)
    settings.check_root()
    signing_keys(settings)
    check_address(settings)
    make_state_folder(settings)
    # Fails if another indexer is running. The child takes the lock later.
    with hold_indexer_lock(settings.indexer_lock):
        catalog = prepare_catalog(settings)
    stop = _stop_on_signals()
    commands = {"watch": [*INDEXER_OPTIONS, "log_format"], "serve": [*SERVER_OPTIONS, *SERVED_LIMITS, "log_format"]}
    arguments = {
        command: option_arguments(config, options, ("root", "database", "project_pattern", *names))
        for command, names in commands.items()
    }
    try:
        run_both(settings, catalog, stop, arguments)
    except ChildExitedError as error:
        print_error(error)
        sys.exit(2 if error.code == 2 else 1)


@click.command(epilog=example("watch --root /srv/plots --rescan-seconds 600"))
@common_options
@setting_options(*INDEXER_OPTIONS, "log_format")
def watch(config: Path | None, **options: str | None) -> None:
    """Run the indexer: keep the catalogue up to date.

    The indexer starts with a full scan and runs until stopped. Run one per root or, with a catalogue on a PostgreSQL
    server, one on each host that writes plots.
    """
    from plotindex.index import hold_indexer_lock, make_tree, prepare_catalog
    from plotindex.watch import Indexer, background_processes

    notifier = SystemdNotifier.from_environment()
    settings = read_settings(config, options)
    reloader = reload_on_sighup(settings, config, options, INDEXER_SETTINGS)
    check_root_unless_indexed(settings)
    settings.make_state_folder()
    with hold_indexer_lock(settings.indexer_lock) as lock:
        migrate_in_subprocess(settings)
        catalog = prepare_catalog(settings)
        # The event reader and the scan loop hand over the GIL at each system call. With the default of 5 ms, a flood of
        # events would make them wait that long each time.
        sys.setswitchinterval(SWITCH_INTERVAL_SECONDS)
        stop = _stop_on_signals(grace=1.5)
        try:
            parts = make_tree(settings), catalog, settings, stop
            processes = background_processes(settings)
            reload = reloader.reload_if_requested
            Indexer(*parts, notifier=notifier, reload=reload, lock=lock, processes=processes).run()
        except KeyboardInterrupt:
            # Interrupting a long scan loses nothing: transactions are atomic.
            if not stop.is_set():
                raise
        finally:
            # SIGALRM during interpreter shutdown would kill the process.
            signal.setitimer(signal.ITIMER_REAL, 0)


@click.command(epilog=example("serve --root /srv/plots --port 8600"))
@common_options
@setting_options(*SERVER_OPTIONS, *SERVED_LIMITS, "log_format")
def serve(config: Path | None, **options: str | None) -> None:
    """Serve plots, lists and the gallery over HTTP.

    Clients need a token (`plotindex token create`). Run `plotindex watch` as well: plots that are not in the catalogue
    are found by a scan, which is slow.
    """
    from plotindex.index import REQUEST_DATABASE_SECONDS, open_catalog
    from plotindex.web.server.service import serve as serve_http

    notifier = SystemdNotifier.from_environment()
    settings = read_settings(config, options)
    reloader = reload_on_sighup(settings, config, options, SERVER_SETTINGS)
    settings.check_state_access()
    signing_keys(settings)
    check_root_unless_indexed(settings)
    try:
        open_catalog(settings, REQUEST_DATABASE_SECONDS).database.close()
    except CatalogError as error:
        print_error(f"{error} Until then, every request scans the disk.")
    serve_http(reloader, notifier)


def _stop_on_signals(grace: float | None = None) -> StopRequest:
    """What SIGTERM and SIGINT set. After `grace` seconds more, KeyboardInterrupt is raised."""
    stop = StopRequest()

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
