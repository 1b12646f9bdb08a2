"""The commands that make the catalogue, and compare it with the tree."""

import gc
import json
import math
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

import click

from plotindex.cli.options import (
    check_root_unless_known,
    common_options,
    example,
    json_option,
    read_settings,
    setting_options,
)
from plotindex.cli.progress import Progress
from plotindex.errors import DamagedDatabaseError, SettingsError
from plotindex.system import printable

if TYPE_CHECKING:
    from plotindex.index import Report


NAMES_SECONDS = 0.1
"""For so long a rebuild takes in names for the search: an indexer goes on with it."""


@click.command(epilog=example("rebuild --root /srv/plots"))
@common_options
@setting_options("max_plots_per_session", "max_depth")
@click.option("--from-scratch", is_flag=True, help="Write every row anew, session by session.")
@click.option("--allow-empty", is_flag=True, help="Believe a root that shares no session with the catalogue.")
@click.option("--adopt", is_flag=True, help="The root has moved here: the catalogue is now this root's.")
@click.option(
    "--names", is_flag=True, help="Take in all names for the search, however long; an indexer does so anyway."
)
@json_option
def rebuild(
    *,
    config: Path | None,
    from_scratch: bool,
    allow_empty: bool,
    adopt: bool,
    names: bool,
    as_json: bool,
    **options: str | None,
) -> None:
    """Make the catalogue equal the whole tree, now.

    Works beside an indexer and without one. Nothing is written when the root seems to be a lost mount.
    """
    from plotindex.index import Options, make_tree, prepare_catalog, reconcile
    from plotindex.storage import IndexUpdater

    settings = read_settings(config, options)
    check_root_unless_known(settings)
    catalog = prepare_catalog(settings, adopt=adopt)
    began = time.monotonic()
    how = Options(rewrite=from_scratch, allow_empty=allow_empty)

    # Of millions of rows none refers to itself in a circle: looking for such things takes a tenth of the time.
    gc.freeze()
    gc.set_threshold(100_000, 20, 20)

    def reconcile_all() -> "Report":
        with Progress("sessions") as progress:
            return reconcile(make_tree(settings), catalog, [""], how, progress=progress)

    try:
        report = reconcile_all()
    except DamagedDatabaseError:
        catalog.initialise(str(settings.root), settings.layout)
        report = reconcile_all()
    seconds = time.monotonic() - began
    _print_report(report, seconds, as_json)
    if not IndexUpdater(catalog).run(math.inf if names else NAMES_SECONDS):
        click.echo(
            "plotindex: the search does not have all names yet, and is slower until an indexer has taken them in; "
            "`plotindex rebuild --names` does so now.",
            err=True,
        )
    if "" in report.unreadable:
        raise SettingsError(f"The root {settings.root} cannot be read: let this user read it.")


@click.command(epilog=example("verify --root /srv/plots"))
@common_options
@setting_options("max_plots_per_session", "max_depth")
@json_option
def verify(config: Path | None, as_json: bool, **options: str | None) -> None:
    """Compare catalogue and tree, and change nothing.

    Lists where they differ, and exits with 1 then.
    """
    from plotindex.index import differences, make_tree, open_catalog

    settings = read_settings(config, options)
    settings.check_root()
    catalog = open_catalog(settings)
    with Progress("sessions") as progress:
        found = list(differences(make_tree(settings), catalog, progress))
    if as_json:
        click.echo(json.dumps([difference._asdict() for difference in found], indent=2))
    else:
        for path, what in found:
            click.echo(f"{printable(path)}: {what}")
    if found:
        click.echo(f"{len(found)} differences; mend them with `plotindex rebuild`.", err=True)
        sys.exit(1)


@click.command(epilog=example("migrate --root /srv/plots"))
@common_options
def migrate(config: Path | None, **options: str | None) -> None:
    """Bring the database to this version's schema.

    The indexer does so by itself when it starts; a server does not.
    """
    from plotindex.index import prepare_catalog

    settings = read_settings(config, options)
    prepare_catalog(settings)
    click.echo("The database is of this version's schema.")


def _print_report(report: "Report", seconds: float, as_json: bool) -> None:
    numbers = {name: getattr(report, name) for name in ("sessions", "plots", "added", "changed", "removed")}
    left_out = {**{path: str(error.strerror) for path, error in report.unreadable.items()}, **report.odd}
    if as_json:
        click.echo(json.dumps({**numbers, "seconds": round(seconds, 3), "named": left_out}, indent=2))
        return
    for path, why in left_out.items():
        click.echo(f"{printable(path)}: {why}", err=True)
    told = ", ".join(f"{number} {name}" for name, number in numbers.items())
    click.echo(f"{told} in {seconds:.1f} seconds" + (f"; {len(left_out)} named above" if left_out else ""))
