"""The commands `plotindex history list`, `get` and `forget`."""

import json
import os
import shutil
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click

from plotindex.cli import completion
from plotindex.cli.options import common_options, example, json_option
from plotindex.cli.program import print_error
from plotindex.cli.startup import read_settings
from plotindex.errors import SettingsError
from plotindex.system import format_age, format_size, printable, rfc3339

if TYPE_CHECKING:
    from plotindex.config import Settings
    from plotindex.history.access import History
    from plotindex.storage import KeptKey, KeptVersion


PAGE = 1000
"""Rows that are read at once."""
PIPE = Path("-")
COPY_BYTES = 1 << 20

session_argument = click.argument("session", shell_complete=completion.kept_sessions)


@click.group()
def history() -> None:
    """Show, copy or forget earlier versions of plots."""


@history.command("list", epilog=example("history list abc123 correlation_plot.png --root /srv/plots"))
@common_options
@session_argument
@click.argument("filename", required=False, shell_complete=completion.kept_filenames)
@json_option
def list_versions(
    config: Path | None, session: str, filename: str | None, *, as_json: bool, **options: str | None
) -> None:
    """List the kept versions of a plot, or the plots of a session.

    The newest version is listed first. Includes what was drawn in removed folders of this name. Exits 1 if nothing is
    kept.
    """
    kept = _open_history(read_settings(config, options))
    rows: Sequence[KeptVersion | KeptKey] = (
        _keys(kept, session) if filename is None else _versions(kept, session, filename)
    )
    if as_json:
        click.echo(json.dumps([_as_json(row) for row in rows], indent=2))
    else:
        for row in rows:
            click.echo(_as_line(row))
    if not rows:
        print_error(f"No version of {_shown(session, filename)} is kept.")
        sys.exit(1)


@history.command(
    epilog=example("history get abc123 correlation_plot.png 0123456789abcdef -o old.png --root /srv/plots")
)
@common_options
@session_argument
@click.argument("filename", shell_complete=completion.kept_filenames)
@click.argument("version")
@click.option(
    "-o", "--output", required=True, type=Path, shell_complete=completion.files, help="File to write; - for stdout."
)
def get(config: Path | None, session: str, filename: str, version: str, output: Path, **options: str | None) -> None:
    """Write the bytes of a kept version to a file.

    VERSION is as `plotindex history list` shows it. An existing file is not replaced. Exits 1 if it is not kept.
    """
    opened = _open_history(read_settings(config, options)).open(session, filename, version, is_limited=False)
    if opened is None:
        print_error(f"Version {printable(version)} of {_shown(session, filename)} is not kept.")
        sys.exit(1)
    with os.fdopen(opened.fd, "rb") as source:
        if output == PIPE:
            shutil.copyfileobj(source, sys.stdout.buffer, COPY_BYTES)
            return
        try:
            with output.open("xb") as target:
                shutil.copyfileobj(source, target, COPY_BYTES)
        except FileExistsError:
            raise SettingsError(f"{output} exists: name another file with -o.") from None
        except OSError as error:
            raise SettingsError(f"{output} cannot be written ({error.strerror}): name another file with -o.") from None


@history.command(epilog=example("history forget abc123 correlation_plot.png --yes --root /srv/plots"))
@common_options
@session_argument
@click.argument("filename", required=False, shell_complete=completion.kept_filenames)
@click.option("--yes", is_flag=True, help="Do not ask.")
def forget(config: Path | None, session: str, filename: str | None, *, yes: bool, **options: str | None) -> None:
    """Forget all kept versions of a plot or a session.

    Removes their rows, bytes and pictures. The plots that are there now stay, and are kept again only when they change.
    Backups made with `plotindex backup --history` still have what was forgotten. Exits 1 if nothing was kept.
    """
    from plotindex.history.forget import forget as forget_versions
    from plotindex.index import make_tree

    settings = read_settings(config, options)
    store = _open_history(settings).store
    shown = _shown(session, filename)
    if not yes and not click.confirm(f"Forget all kept versions of {shown}?", err=True):
        sys.exit(1)
    done = None
    if store and store.exists():
        done = forget_versions(store, make_tree(settings), settings.thumbnails_folder, session, filename)
    if done is None:
        print_error(f"No version of {shown} is kept.")
        sys.exit(1)
    if not done.versions:
        print_error(f"No version of {shown} is kept. What is there now is kept only when it changes.")
        sys.exit(1)
    click.echo(
        f"Forgot {done.versions} versions of {shown}: {done.contents} files and {done.pictures} pictures deleted. "
        "Backups still have them."
    )


def _open_history(settings: "Settings") -> "History":
    from plotindex.history.access import History
    from plotindex.history.store import READ_SECONDS
    from plotindex.index import make_tree

    settings.check_state_access()
    if not settings.has_history:
        fix = "set history_mb" if not settings.history_mb else "set history_dir to a folder that all nodes share"
        raise SettingsError(f"The history is off: {fix}.")
    return History.from_settings(settings, make_tree(settings), READ_SECONDS)


def _versions(kept: "History", session: str, filename: str) -> "list[KeptVersion]":
    found: list[KeptVersion] = []
    after: str | None = ""
    while after is not None:
        page = kept.versions(session, filename, None, PAGE, after, is_limited=False)
        found += page.versions
        after = page.next
    return found


def _keys(kept: "History", session: str) -> "list[KeptKey]":
    found: list[KeptKey] = []
    after: str | None = ""
    while after is not None:
        page = kept.keys(session, PAGE, after, is_limited=False)
        found += page.keys
        after = page.next
    return found


def _as_json(row: "KeptVersion | KeptKey") -> dict[str, object]:
    from plotindex.history.listing import key_to_json, version_to_json
    from plotindex.storage import KeptKey

    return key_to_json(row) if isinstance(row, KeptKey) else version_to_json(row)


def _as_line(row: "KeptVersion | KeptKey") -> str:
    from plotindex.storage import KeptKey

    if isinstance(row, KeptKey):
        gone = f"  removed {format_age(row.gone)}" if row.gone else ""
        return f"{row.versions:>6}  {format_age(row.seen):>12}  {printable(row.filename)}{gone}"
    plot = row.plot
    return f"{plot.version}  {rfc3339(row.seen)}  {format_size(plot.size):>8}  {printable(plot.project)}"


def _shown(session: str, filename: str | None) -> str:
    return printable(session if filename is None else f"{session}/{filename}")
