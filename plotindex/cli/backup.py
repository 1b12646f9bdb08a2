"""The commands that back up what of the state is no cache, and restore it."""

import os
import sys
import time
from pathlib import Path

import click

from plotindex.cli import completion
from plotindex.cli.options import common_options, example, read_settings
from plotindex.errors import SettingsError
from plotindex.ops.backup import make_backup, parse_backup, restore
from plotindex.system import printable

file_argument = click.argument("file", type=Path, shell_complete=completion.files)
PIPE = Path("-")


@click.command("backup", epilog=example("backup plotindex.backup --root /srv/plots"))
@common_options
@file_argument
def back_up(config: Path | None, file: Path, **options: str | None) -> None:
    """Write tokens and keys into one file.

    Its owner alone can read it. The catalogue is a cache and not in it. FILE may be - for stdout. Services
    may run meanwhile.
    """
    backup = make_backup(read_settings(config, options))
    if file == PIPE:
        click.echo(backup.as_text(), nl=False)
    else:
        _replace(file, backup.as_text())
    click.echo(f"Backed up {', '.join(backup.files)}. Whoever has this can log in: keep it safe.", err=True)


@click.command("restore", epilog=example("restore plotindex.backup --root /srv/plots"))
@common_options
@file_argument
@click.option("--force", is_flag=True, help="Replace tokens and keys that are there and differ.")
def put_back(config: Path | None, file: Path, *, force: bool, **options: str | None) -> None:
    """Put back what `plotindex backup` wrote.

    Running services believe it at once. A token that was revoked since comes back; a login that has ended does not.
    FILE may be - for stdin.
    """
    settings = read_settings(config, options)
    backup = parse_backup(_read(file))
    changed = restore(settings, backup, force=force)
    made = time.strftime("%Y-%m-%d %H:%M", time.localtime(backup.made))
    what = f"Restored {', '.join(changed)}" if changed else "Everything is as it was backed up"
    click.echo(f"{what}: of {printable(backup.root)}, {made}.", err=True)


def _read(file: Path) -> str:
    try:
        return sys.stdin.read() if file == PIPE else file.read_text()
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is no text"
        raise SettingsError(f"{file} cannot be read ({reason}): name a file that `plotindex backup` wrote.") from None


def _replace(file: Path, text: str) -> None:
    """Write a file of its owner alone, whole or not at all; in place of an older backup, and of nothing else."""
    if file.exists():
        try:
            parse_backup(_read(file))
        except SettingsError:
            raise SettingsError(f"{file} is there and is no backup: name another file.") from None
    new = file.with_name(f".{file.name}.{os.getpid()}")
    try:
        fd = os.open(new, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
        with os.fdopen(fd, "w") as opened:
            opened.write(text)
            opened.flush()
            os.fsync(fd)
        new.rename(file)
    except OSError as error:
        new.unlink(missing_ok=True)
        raise SettingsError(f"{file} cannot be written ({error.strerror}): name another file.") from None
