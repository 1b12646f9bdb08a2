"""`plotindex run`: the indexer and the server as two processes that live and end together."""

import os
import signal
import subprocess
import threading
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import partial

from plotindex.auth import Tokens
from plotindex.cli.addresses import curl_command, login_address
from plotindex.config import PARSERS, Settings, unknown_variables
from plotindex.errors import CatalogError
from plotindex.ops.probe import is_serving
from plotindex.storage import Catalog
from plotindex.system import die_with_parent, has_terminal, printable, python_command, python_path
from plotindex.tree import Plot

STOP_SECONDS = 5.0
POLL_SECONDS = 0.1
ANSWER_SECONDS = 1.0


class ChildDiedError(Exception):
    """The indexer or the server ended by itself."""

    def __init__(self, name: str, code: int) -> None:
        super().__init__(f"`plotindex {name}` ended by itself, with exit code {code}.")
        self.code = code


def run_both(
    settings: Settings,
    catalog: Catalog,
    say: Callable[[str], None],
    stop: threading.Event,
    words: Mapping[str, Sequence[str]],
) -> None:
    """Index and serve until `stop` is set; say the address and, once there is a plot, a command that fetches it.

    `words` are the options of `watch` and of `serve`. SIGHUP goes on to both.

    Raises:
        ChildDiedError: one of the two ended; the other has been stopped.
    """
    settings.make_state_folder()
    tokens = Tokens.from_settings(settings)
    name = f"run-{os.getpid()}"
    # The token of the printed command ends with the run that printed it, and by itself when that is killed.
    secret = tokens.create(name, expires="30d")
    children = {command: _start([command, *options]) for command, options in words.items()}
    if not has_terminal():
        signal.signal(signal.SIGHUP, partial(_send, children.values()))
    try:
        while not stop.wait(POLL_SECONDS) and not is_serving(settings.host, settings.port, ANSWER_SECONDS):
            _check_alive(children)
        root = printable(str(settings.root))
        token = tokens.check(secret)
        assert token is not None
        say(f"Serving the plots below {root}. Open this, once and within ten minutes:")
        say(f"  {login_address(settings, token)}")
        plot = None
        while not stop.wait(POLL_SECONDS) and not (plot := _newest(catalog)):
            _check_alive(children)
        if plot:
            say(f"Fetch one of them:\n  {curl_command(settings, plot, secret)}")
        while not stop.wait(POLL_SECONDS):
            _check_alive(children)
    finally:
        _end(children)
        tokens.revoke(name)


def _check_alive(children: "dict[str, subprocess.Popen[bytes]]") -> None:
    for name, child in children.items():
        if child.poll() is not None:
            raise ChildDiedError(name, child.returncode)


def _send(children: "Iterable[subprocess.Popen[bytes]]", number: int, _frame: object) -> None:
    for child in children:
        child.send_signal(number)


def _start(words: Sequence[str]) -> "subprocess.Popen[bytes]":
    unknown = unknown_variables(PARSERS, os.environ)
    known = {name: value for name, value in os.environ.items() if name not in unknown}
    return subprocess.Popen(  # noqa: S603 - this program itself
        python_command("-m", "plotindex", *words),
        # What is wrong in it, this process has said.
        env={**known, "PYTHONPATH": python_path()},
        stdin=subprocess.DEVNULL,
        preexec_fn=partial(die_with_parent, parent=os.getpid()),  # noqa: PLW1509 - no other thread is running
        # A group of its own: a terminal's Ctrl-C reaches this process alone, which ends both in order.
        start_new_session=True,
    )


def _end(children: dict[str, "subprocess.Popen[bytes]"]) -> None:
    for child in children.values():
        child.terminate()
    deadline = time.monotonic() + STOP_SECONDS
    for child in children.values():
        try:
            child.wait(max(0.0, deadline - time.monotonic()))
        except subprocess.TimeoutExpired:
            child.kill()
            child.wait()


def _newest(catalog: Catalog) -> Plot | None:
    try:
        catalog.database.check_replaced()
        return catalog.newest_plot()
    except CatalogError:
        return None
