"""The command `plotindex support-bundle`."""

import time
from pathlib import Path

import click

from plotindex.cli.options import common_options, example
from plotindex.cli.startup import read_settings
from plotindex.errors import SettingsError
from plotindex.system import printable


@click.command("support-bundle", epilog=example("support-bundle report.tar.gz --root /srv/plots"))
@common_options
@click.argument("file", type=Path, required=False)
@click.option("--names", is_flag=True, help="Include paths and the names of sessions, projects and plots.")
def support_bundle(config: Path | None, file: Path | None, names: bool, **options: str | None) -> None:
    """Collect information for a bug report in one archive.

    Contains version, machine, settings, the output of status and doctor, counts and sizes. Contains no secrets;
    names of plots only with --names. FILE defaults to a name with the time, in the current directory.
    """
    from plotindex.ops.support_bundle import SupportBundle, write_archive

    settings = read_settings(config, options)
    file = file or Path(time.strftime("plotindex-support-%Y%m%d-%H%M%S.tar.gz"))
    parts = SupportBundle(settings, options, config, names).files()
    try:
        write_archive(file, parts)
    except FileExistsError:
        raise SettingsError(f"{printable(str(file))} already exists: name another file.") from None
    except OSError as error:
        raise SettingsError(
            f"{printable(str(file))} cannot be written ({error.strerror}): name a file that this user can write."
        ) from None
    click.echo(printable(str(file)))
