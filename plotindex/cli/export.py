"""The command `plotindex export`."""

import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click

from plotindex.cli import completion
from plotindex.cli.options import common_options, example
from plotindex.cli.program import print_error
from plotindex.cli.progress import Progress
from plotindex.cli.startup import read_settings
from plotindex.errors import RootLostError, SettingsError
from plotindex.system import printable

if TYPE_CHECKING:
    from plotindex.config import Settings
    from plotindex.tree import Plot, Tree
    from plotindex.web.export.descriptions import Describe
    from plotindex.web.export.manifest import Manifest


PIPE = Path("-")


@click.command(epilog=example("export abc123 --zip abc123.zip --name 'correlation*' --root /srv/plots"))
@common_options
@click.argument("sessions", metavar="SESSION...", nargs=-1, required=True, shell_complete=completion.sessions)
@click.option(
    "--zip",
    "archive",
    metavar="FILE",
    type=Path,
    shell_complete=completion.files,
    help="Archive to write; - for stdout.",
)
@click.option(
    "--html",
    "folder",
    metavar="DIR",
    type=Path,
    shell_complete=completion.folders,
    help="Folder to write, with a page that opens without a server.",
)
@click.option("--name", metavar="GLOB", help="Only plots whose filename, or its last part, matches this glob.")
@click.option(
    "--project", metavar="GLOB", shell_complete=completion.projects, help="Only plots in projects matching this glob."
)
@click.option(
    "--since",
    metavar="WHEN",
    help="Only plots modified since then: an age such as 2h or 3d, or a time such as 2026-11-23T14:00.",
)
def export(
    *,
    config: Path | None,
    sessions: Sequence[str],
    archive: Path | None,
    folder: Path | None,
    name: str | None,
    project: str | None,
    since: str | None,
    **options: str | None,
) -> None:
    """Take plots along: in one archive, or in a folder of pages.

    Contains every copy that matches, as SESSION/PROJECT/FILENAME, and manifest.json, which names each plot with its
    version, digest and times. An existing file or folder is not replaced. Exits 1 if nothing matches, or if a plot
    vanished or changed meanwhile; the manifest names it.
    """
    from plotindex.config import parse_time
    from plotindex.index import is_root_lost, make_tree, open_catalog
    from plotindex.web.export.descriptions import description_reader
    from plotindex.web.export.selection import Selection, select_plots

    if (archive is None) == (folder is None):
        raise SettingsError("Name what to write: either a file with --zip or a folder with --html.")
    settings = read_settings(config, options)
    settings.check_root()
    selection = Selection(name, project, parse_time("--since", since, time.time_ns()) if since else None)
    catalog, tree = open_catalog(settings), make_tree(settings)
    if is_root_lost(tree, catalog):
        raise RootLostError(f"The root {settings.root} is missing: mount it again.")
    plots = [plot for session in dict.fromkeys(sessions) for plot in select_plots(catalog.database, session, selection)]
    if not plots:
        print_error(f"No plot in the catalogue of {', '.join(map(printable, sessions))} matches.")
        sys.exit(1)
    describe = description_reader(catalog.database)
    if archive is not None:
        done = _write_archive(tree, plots, describe, archive)
    else:
        done = _write_folder(settings, tree, plots, describe, folder or Path())
    click.echo(f"Exported {len(plots) - done.missing} plots to {archive or folder}.", err=True)
    if done.problems:
        print_error(f"{done.problems} plots vanished or changed meanwhile: manifest.json names them.")
        sys.exit(1)


def _write_archive(tree: "Tree", plots: "Sequence[Plot]", describe: "Describe", file: Path) -> "Manifest":
    from plotindex.web.export.archive import archive_pieces
    from plotindex.web.export.manifest import Manifest

    manifest = Manifest()
    with Progress("plots") as progress:
        pieces = archive_pieces(tree, plots, manifest, describe, report=progress)
        if file == PIPE:
            sys.stdout.buffer.writelines(pieces)
            return manifest
        try:
            with file.open("xb") as target:
                try:
                    target.writelines(pieces)
                except BaseException:
                    file.unlink()
                    raise
        except FileExistsError:
            raise SettingsError(f"{file} exists: name another file with --zip.") from None
        except OSError as error:
            raise SettingsError(f"{file} cannot be written ({error.strerror}): name another file with --zip.") from None
    return manifest


def _write_folder(
    settings: "Settings", tree: "Tree", plots: "Sequence[Plot]", describe: "Describe", folder: Path
) -> "Manifest":
    from plotindex.rendering.thumbnails import Thumbnails
    from plotindex.web.export.site import SiteWriter

    try:
        folder.mkdir(parents=True)
    except FileExistsError:
        raise SettingsError(f"{folder} exists: name a new folder with --html.") from None
    except OSError as error:
        raise SettingsError(f"{folder} cannot be created ({error.strerror}): name another one with --html.") from None
    thumbnails = Thumbnails(settings, 1)
    site = SiteWriter(tree, folder, thumbnails, describe)
    try:
        with Progress("plots") as progress:
            site.write(plots, progress)
    except OSError as error:
        raise SettingsError(f"{folder} cannot be written ({error.strerror}): make room there.") from None
    finally:
        thumbnails.renderer.close()
    return site.manifest
