"""The commands `plotindex backup` and `plotindex restore`: state that cannot be rebuilt."""

import time
from pathlib import Path

import click

from plotindex.cli import completion
from plotindex.cli.backup_file import PIPE, archive_history, opened_backup, replacing, restore_history
from plotindex.cli.options import common_options, example
from plotindex.cli.startup import make_state_folder, read_settings
from plotindex.ops.backup import make_backup, parse_backup, restore
from plotindex.system import printable

file_argument = click.argument("file", type=Path, shell_complete=completion.files)


@click.command("backup", epilog=example("backup plotindex.backup --root /srv/plots"))
@common_options
@file_argument
@click.option("--history", is_flag=True, help="Also back up earlier and deleted versions of plots, as a tar file.")
def backup(config: Path | None, file: Path, *, history: bool, **options: str | None) -> None:
    """Write tokens and keys to a private file.

    The catalogue is not included: it can be rebuilt. FILE may be - for stdout. Services may keep running.
    """
    settings = read_settings(config, options)
    content = make_backup(settings)
    if history:
        archive_history(settings, content, file)
    elif file == PIPE:
        click.echo(content.as_text(), nl=False)
    else:
        with replacing(file) as opened:
            opened.write(content.as_text().encode())
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
    with opened_backup(file) as (text, archive):
        content = parse_backup(text)
        make_state_folder(settings)
        changed = restore(settings, content, force=force)
        if archive is not None:
            restore_history(settings, archive)
    created = time.strftime("%Y-%m-%d %H:%M", time.localtime(content.made))
    result = f"Restored {', '.join(changed)}" if changed else "Nothing to restore: no differences"
    click.echo(f"{result} (backup of {printable(content.root)}, {created}).", err=True)
