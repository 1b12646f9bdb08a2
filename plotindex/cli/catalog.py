"""The commands `plotindex rebuild`, `verify` and `migrate`."""

import gc
import json
import math
import sys
import time
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import click

from plotindex.cli.options import SESSION_LIMITS, common_options, example, json_option, setting_options
from plotindex.cli.program import print_error
from plotindex.cli.progress import Progress
from plotindex.cli.startup import check_root_unless_indexed, read_settings
from plotindex.errors import CatalogError, DamagedDatabaseError, SettingsError
from plotindex.system import printable

if TYPE_CHECKING:
    from plotindex.index import Report
    from plotindex.storage import Catalog
    from plotindex.tree import Layout


NAMES_SECONDS = 0.1
"""How long a rebuild updates the name search without --names."""


@click.command(epilog=example("rebuild --root /srv/plots"))
@common_options
@setting_options(*SESSION_LIMITS)
@click.option("--from-scratch", is_flag=True, help="Rewrite all rows, session by session.")
@click.option("--allow-empty", is_flag=True, help="Accept a root that shares no session with the catalogue.")
@click.option(
    "--allow-removals",
    is_flag=True,
    help="Accept a project_pattern, suffixes, ignore or limits that exclude more than half of the catalogue.",
)
@click.option("--adopt", is_flag=True, help="The root has moved: use its catalogue for this --root.")
@click.option("--names", is_flag=True, help="Also complete the name search; an indexer does so in the background.")
@json_option
def rebuild(
    *,
    config: Path | None,
    from_scratch: bool,
    allow_empty: bool,
    allow_removals: bool,
    adopt: bool,
    names: bool,
    as_json: bool,
    **options: str | None,
) -> None:
    """Update the catalogue to match the whole tree (full scan).

    Works with and without a running indexer. Writes nothing if the root looks like a lost mount, or if these settings
    exclude more than half of the catalogue.
    """
    from plotindex.index import Options, make_tree, prepare_catalog, reconcile
    from plotindex.storage import Catalog, IndexUpdater, open_database

    settings = read_settings(config, options)
    check_root_unless_indexed(settings)
    if not allow_removals:
        # One that cannot be read is created, migrated or quarantined below.
        with suppress(CatalogError):
            _check_removals(Catalog(open_database(settings.catalog_location)), settings.layout)
    catalog = prepare_catalog(settings, adopt=adopt)
    if not allow_removals:
        with suppress(DamagedDatabaseError):
            _check_removals(catalog, settings.layout)
    start = time.monotonic()
    scan_options = Options(rewrite=from_scratch, allow_empty=allow_empty)

    # Rows have no reference cycles; looking for some takes a tenth of the time.
    gc.freeze()
    gc.set_threshold(100_000, 20, 20)

    def reconcile_all() -> "Report":
        with Progress("sessions") as progress:
            return reconcile(make_tree(settings), catalog, [""], scan_options, progress=progress)

    try:
        report = reconcile_all()
    except DamagedDatabaseError:
        catalog.initialise(str(settings.root), settings.layout)
        report = reconcile_all()
    seconds = time.monotonic() - start
    _print_report(report, seconds, as_json)
    if not IndexUpdater(catalog).run(math.inf if names else NAMES_SECONDS):
        print_error(
            "The name search is incomplete and slower until an indexer completes it; `plotindex rebuild --names` does "
            "so now."
        )
    if "" in report.unreadable:
        raise SettingsError(
            f"The root {settings.root} cannot be read: make it readable for this user (chmod, setfacl)."
        )


@click.command(epilog=example("verify --root /srv/plots"))
@common_options
@setting_options(*SESSION_LIMITS)
@json_option
def verify(config: Path | None, as_json: bool, **options: str | None) -> None:
    """Compare catalogue and tree without changing anything.

    Exits 1 and lists the differences, if any.
    """
    from plotindex.index import differences, make_tree, open_catalog
    from plotindex.ops.health import grammar_trouble

    settings = read_settings(config, options)
    settings.check_root()
    catalog = open_catalog(settings)
    with Progress("sessions") as progress:
        found = list(differences(make_tree(settings), catalog, progress))
    if as_json:
        click.echo(json.dumps([difference._asdict() for difference in found], indent=2))
    else:
        for path, difference in found:
            click.echo(f"{printable(path)}: {difference}")
    if found:
        removals = _find_removals(catalog, settings.layout)
        why = removals.why if removals else grammar_trouble(catalog.header(), settings.layout)
        fix = f". {why}" if why else ": run `plotindex rebuild` to fix them."
        click.echo(f"{len(found)} differences{fix}", err=True)
        sys.exit(1)


@click.command(epilog=example("migrate --root /srv/plots"))
@common_options
def migrate(config: Path | None, **options: str | None) -> None:
    """Migrate the databases to the schema of this version.

    The indexer does so when it starts; a server does not.
    """
    from plotindex.history.store import HistoryStore
    from plotindex.index import prepare_catalog

    settings = read_settings(config, options)
    prepare_catalog(settings)
    history = HistoryStore.from_settings(settings)
    # Without a state folder there is no history yet.
    if history and (settings.is_shared or settings.state_folder.is_dir()):
        history.migrate()
    click.echo("The database has the schema of this version.")


class Removals(NamedTuple):
    """The plots that a rebuild would remove: more than half of the catalogue."""

    why: str
    excluded: int
    total: int


def _find_removals(catalog: "Catalog", layout: "Layout") -> Removals | None:
    """What a rebuild by these settings would remove; None if that is not more than half of the catalogue.

    Raises:
        CatalogError: the catalogue cannot be read.
    """
    from plotindex.index import count_excluded
    from plotindex.ops.health import grammar_trouble

    excluded, total = count_excluded(catalog, layout)
    if excluded * 2 <= total:
        return None
    why = grammar_trouble(catalog.header(), layout) or "A limit is lower than before."
    return Removals(why, excluded, total)


def _check_removals(catalog: "Catalog", layout: "Layout") -> None:
    """Check that these settings do not exclude more than half of the catalogue.

    Raises:
        SettingsError: they do.
        CatalogError: the catalogue cannot be read.
    """
    if removals := _find_removals(catalog, layout):
        raise SettingsError(
            f"{removals.why} A rebuild would remove {removals.excluded} of {removals.total} plots, so nothing was "
            "changed: if they should go, run it with --allow-removals."
        )


def _print_report(report: "Report", seconds: float, as_json: bool) -> None:
    numbers = {name: getattr(report, name) for name in ("sessions", "plots", "added", "changed", "removed")}
    warnings = {**{path: str(error.strerror) for path, error in report.unreadable.items()}, **report.unsupported}
    if as_json:
        click.echo(json.dumps({**numbers, "seconds": round(seconds, 3), "named": warnings}, indent=2))
        return
    for path, why in warnings.items():
        click.echo(f"{printable(path)}: {why}", err=True)
    summary = ", ".join(f"{number} {name}" for name, number in numbers.items())
    click.echo(f"{summary} in {seconds:.1f} seconds" + (f"; {len(warnings)} warnings above" if warnings else ""))
