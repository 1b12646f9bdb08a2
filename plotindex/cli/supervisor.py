"""The processes of `plotindex run`: an indexer and a server that start and stop together."""

import os
import signal
import subprocess
import time
from collections.abc import Iterable, Mapping, Sequence
from functools import partial

import click

from plotindex.auth import Tokens
from plotindex.cli.urls import curl_command, login_url
from plotindex.config import PARSERS, Settings, unknown_variables
from plotindex.errors import CatalogError
from plotindex.ops.probe import is_serving
from plotindex.storage import Catalog
from plotindex.system import StopRequest, die_with_parent, has_terminal, printable, python_command, python_path
from plotindex.tree import Plot

STOP_SECONDS = 5.0
POLL_SECONDS = 0.1
ANSWER_SECONDS = 1.0
SCAN_SECONDS = 2.0
"""How long the address waits for the first full scan: the first page then shows no warning of the indexer."""
NAMES = {"watch": "indexer", "serve": "server"}
SIGNALS = {number.value: number.name for number in signal.Signals}


class ChildExitedError(Exception):
    """The indexer or the server exited without being stopped."""

    def __init__(self, command: str, code: int) -> None:
        """`code` is negative after a signal, as in subprocess."""
        ended = f"was killed ({SIGNALS.get(-code, f'signal {-code}')})" if code < 0 else f"exited with code {code}"
        super().__init__(f"The {NAMES[command]} {ended}; stopping. Run `plotindex run` again.")
        self.code = code


def run_both(settings: Settings, catalog: Catalog, stop: StopRequest, arguments: Mapping[str, Sequence[str]]) -> None:
    """Index and serve until `stop` is set. Print a login URL and, once there is a plot, a command that downloads it.

    `arguments` are those of `watch` and `serve`. SIGHUP is forwarded to both.

    Raises:
        ChildExitedError: one of the two exited; the other has been stopped.
    """
    tokens = Tokens.from_settings(settings)
    name = f"run-{os.getpid()}"
    # The printed command's token is revoked at the end; it expires in case this process is killed.
    secret = tokens.create(name, expires="30d")
    children = {command: _start_child([command, *options]) for command, options in arguments.items()}
    if not has_terminal():
        signal.signal(signal.SIGHUP, partial(_forward_signal, children.values()))
    try:
        while not stop.wait(POLL_SECONDS) and not is_serving(settings.host, settings.port, ANSWER_SECONDS):
            _check_alive(children)
        deadline = time.monotonic() + SCAN_SECONDS
        while not stop.wait(POLL_SECONDS) and time.monotonic() < deadline and not _is_watched(catalog):
            _check_alive(children)
        token = tokens.check(secret)
        assert token is not None
        click.echo(f"Serving the plots below {printable(str(settings.root))}. Open this URL once, within ten minutes:")
        click.echo(f"  {login_url(settings, token)}")
        plot = None
        while not stop.wait(POLL_SECONDS) and not (plot := _newest_plot(catalog)):
            _check_alive(children)
        if plot:
            click.echo(f"Download a plot:\n  {curl_command(settings, plot, secret)}")
        while not stop.wait(POLL_SECONDS):
            _check_alive(children)
    finally:
        _stop_children(children)
        tokens.revoke(name)


def _check_alive(children: "dict[str, subprocess.Popen[bytes]]") -> None:
    for command, child in children.items():
        if child.poll() is not None:
            raise ChildExitedError(command, child.returncode)


def _forward_signal(children: "Iterable[subprocess.Popen[bytes]]", number: int, _frame: object) -> None:
    for child in children:
        child.send_signal(number)


def _start_child(arguments: Sequence[str]) -> "subprocess.Popen[bytes]":
    # Unknown variables are left out: this process has warned of them.
    unknown = unknown_variables(PARSERS, os.environ)
    environment = {name: value for name, value in os.environ.items() if name not in unknown}
    return subprocess.Popen(  # noqa: S603 - this program itself
        python_command("-m", "plotindex", *arguments),
        env={**environment, "PYTHONPATH": python_path()},
        stdin=subprocess.DEVNULL,
        preexec_fn=partial(die_with_parent, parent=os.getpid()),  # noqa: PLW1509 - no other thread is running
        # In its own group, the child does not receive the terminal's Ctrl-C: this process stops both in order.
        start_new_session=True,
    )


def _stop_children(children: dict[str, "subprocess.Popen[bytes]"]) -> None:
    for child in children.values():
        child.terminate()
    deadline = time.monotonic() + STOP_SECONDS
    for child in children.values():
        try:
            child.wait(max(0.0, deadline - time.monotonic()))
        except subprocess.TimeoutExpired:
            child.kill()
            child.wait()


def _is_watched(catalog: Catalog) -> bool:
    try:
        return any(heartbeat.is_recent and heartbeat.is_healthy for heartbeat in catalog.heartbeats())
    except CatalogError:
        return False


def _newest_plot(catalog: Catalog) -> Plot | None:
    try:
        catalog.database.check_replaced()
        return catalog.newest_plot()
    except CatalogError:
        return None
