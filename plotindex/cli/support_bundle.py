"""The command `plotindex support-bundle`."""

import time
from pathlib import Path

import click

from plotindex.cli.options import common_options, example, read_settings
from plotindex.errors import SettingsError
from plotindex.system import printable


@click.command("support-bundle", epilog=example("support-bundle report.tar.gz --root /srv/plots"))
@common_options
@click.argument("file", type=Path, required=False)
@click.option("--names", is_flag=True, help="With the names of sessions, projects and plots, and with paths.")
def support_bundle(config: Path | None, file: Path | None, names: bool, **options: str | None) -> None:
    """Gather what a maintainer would ask for into one archive.

    That is the version and the machine, the settings, what status and doctor say, numbers and sizes; no secrets, and
    no names of plots unless they are asked for. Without FILE it is named by the time, in the current directory.
    """
    from plotindex.ops.support_bundle import SupportBundle, write_archive

    settings = read_settings(config, options)
    file = file or Path(time.strftime("plotindex-support-%Y%m%d-%H%M%S.tar.gz"))
    parts = SupportBundle(settings, options, config, names).parts()
    try:
        write_archive(file, parts)
    except FileExistsError:
        raise SettingsError(f"There is a file {printable(str(file))} already: name another one.") from None
    except OSError as error:
        raise SettingsError(
            f"{printable(str(file))} cannot be written ({error.strerror}): name a file where this user can write."
        ) from None
    click.echo(printable(str(file)))
