"""The commands `plotindex backup` and `plotindex restore`: state that cannot be rebuilt."""

import os
import secrets
import sys
import time
from pathlib import Path

import click

from plotindex.cli import completion
from plotindex.cli.options import common_options, example
from plotindex.cli.startup import make_state_folder, read_settings
from plotindex.errors import SettingsError
from plotindex.ops.backup import make_backup, parse_backup, restore
from plotindex.system import printable

file_argument = click.argument("file", type=Path, shell_complete=completion.files)
PIPE = Path("-")


@click.command("backup", epilog=example("backup plotindex.backup --root /srv/plots"))
@common_options
@file_argument
def backup(config: Path | None, file: Path, **options: str | None) -> None:
    """Write tokens and keys to a private file.

    The catalogue is not included: it can be rebuilt. FILE may be - for stdout. Services may keep running.
    """
    content = make_backup(read_settings(config, options))
    if file == PIPE:
        click.echo(content.as_text(), nl=False)
    else:
        _replace(file, content.as_text())
    click.echo(
        f"Backed up {', '.join(content.files)}. Keep the backup secret: it grants access to the plots.", err=True
    )


@click.command("restore", epilog=example("restore plotindex.backup --root /srv/plots"))
@common_options
@file_argument
@click.option("--force", is_flag=True, help="Replace existing tokens and keys that differ.")
def restore_backup(config: Path | None, file: Path, *, force: bool, **options: str | None) -> None:
    """Restore a file written by `plotindex backup`.

    Takes effect at once in running services. Tokens revoked since the backup are valid again; logins ended since then
    stay ended. FILE may be - for stdin.
    """
    settings = read_settings(config, options)
    content = parse_backup(_read(file))
    make_state_folder(settings)
    changed = restore(settings, content, force=force)
    created = time.strftime("%Y-%m-%d %H:%M", time.localtime(content.made))
    result = f"Restored {', '.join(changed)}" if changed else "Nothing to restore: no differences"
    click.echo(f"{result} (backup of {printable(content.root)}, {created}).", err=True)


def _read(file: Path) -> str:
    try:
        return sys.stdin.read() if file == PIPE else file.read_text()
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "not a text file"
        raise SettingsError(f"{file} cannot be read ({reason}): name a file written by `plotindex backup`.") from None


def _replace(file: Path, text: str) -> None:
    """Write a private file atomically. Replaces an older backup, but no other file."""
    if file.exists():
        try:
            parse_backup(_read(file))
        except SettingsError:
            raise SettingsError(f"{file} exists and is not a backup: name another file.") from None
    new = file.with_name(f".{file.name}.{secrets.token_hex(8)}")
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
