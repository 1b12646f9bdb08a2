"""What commands share: options, the mistakes they name, and what they open."""

import math
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from plotindex import completing
from plotindex.doubts import state_below_root
from plotindex.errors import CatalogError, DamagedDatabaseError, PlotIndexError, SettingsError, UnusableDatabaseError
from plotindex.layout import escape
from plotindex.logs import configure_logs
from plotindex.settings import PARSERS, Settings, load_settings
from plotindex.sources import option_of, other_variables, unknown_variables
from plotindex.tree import Tree

if TYPE_CHECKING:
    from plotindex.catalog import Catalog

Command = Callable[..., Any]
SETTINGS = {
    "host": "Address to listen on.  [default: 127.0.0.1]",
    "port": "Port to listen on.  [default: 8517]",
    "url_prefix": "Path before /plots.  [default: /api/smartstat]",
    "workers": "Server processes.  [default: 1]",
    "threads": "Threads of each server process.  [default: 4]",
    "heal": "Whether the server writes what a scan found: on or off.  [default: on]",
    "rescan_seconds": "Seconds between looks at everything.  [default: 3600]",
    "poll_seconds": "Seconds between looks at what no event tells of, such as NFS.  [default: 30]",
    "polling": "auto: look again and again at network file systems; always; never.  [default: auto]",
    "max_plots_per_session": "Plots of one session that are indexed.  [default: 100000]",
    "max_depth": "Folders below a project that are indexed.  [default: 32]",
    "x_accel_prefix": "Path of nginx's internal location that sends the files.  [default: none]",
    "public_url": "Address that browsers use, such as https://plots.example.org.",
    "proxies": "How many proxies in front are believed.  [default: 0]",
    "access_log": "Whether each request is a line of the log: on or off.  [default: on]",
    "log_format": "text or json.  [default: text]",
}
"""The settings that are options, and what their help says."""


class Program(click.Group):
    """A group of commands in which each mistake is one sentence on stderr."""

    def invoke(self, context: click.Context) -> Any:  # noqa: ANN401 - as click.Group
        try:
            return super().invoke(context)
        except (SettingsError, PlotIndexError) as error:
            click.echo(f"plotindex: {escape(str(error))}", err=True)
            sys.exit(2 if isinstance(error, SettingsError) else 1)


class Seconds(click.FloatRange):
    """A number of seconds: none that is negative, endless or no number."""

    def __init__(self) -> None:
        super().__init__(0, 1e9)

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:  # noqa: ANN401 - as click
        seconds = super().convert(value, param, ctx)
        if math.isnan(seconds):
            self.fail(f"{value!r} is no number of seconds.", param, ctx)
        return seconds


def setting_options(*names: str) -> Callable[[Command], Command]:
    """Options for settings: each is also a variable of the environment and a line of plotindex.toml."""

    def decorate(command: Command) -> Command:
        for name in reversed(names):
            command = click.option(
                option_of(name), name, help=SETTINGS[name], shell_complete=completing.choices_of(name)
            )(command)
        return command

    return decorate


def common_options(command: Command) -> Command:
    """What every command takes."""
    for option in (
        click.option(
            "--config", type=Path, shell_complete=completing.files, help="Settings file.  [default: plotindex.toml]"
        ),
        click.option("--database", help="SQLAlchemy URL of the catalogue, or PLOTINDEX_DATABASE_URL."),
        click.option(
            "--root", shell_complete=completing.folders, help="Directory that holds the sessions, or PLOTINDEX_ROOT."
        ),
    ):
        command = option(command)
    return command


json_option = click.option("--json", "as_json", is_flag=True, help="Print JSON.")


def read_settings(config: Path | None, options: dict[str, str | None]) -> Settings:
    """The settings of a command; logs go where they say."""
    settings = load_settings(options, config=config)
    configure_logs(settings.log_format)
    warnings = list(unknown_variables(PARSERS, os.environ).values())
    if below := state_below_root(settings):
        warnings.append(below)
    for warning in warnings:
        click.echo(f"plotindex: {escape(warning)}", err=True)
    return settings


def tree_of(settings: Settings) -> Tree:
    """The tree of the root."""
    return Tree(settings.root, settings.layout)


def prepare_catalog(settings: Settings, *, adopt: bool = False) -> "Catalog":
    """The catalogue, created or migrated when it has to be."""
    from plotindex.catalog import Catalog
    from plotindex.database import Database

    if not settings.database:
        settings.make_state_folder()
    catalog = Catalog(Database(settings.catalog_place))
    catalog.begin(str(settings.root), settings.layout, adopt=adopt)
    return catalog


def migrate_apart(settings: Settings) -> None:
    """Create or migrate the database in a process of its own: what that needs would stay in the indexer's memory."""
    if _is_ready(settings):
        return
    environment = {**other_variables(os.environ), **settings.as_environment()}
    # What is wrong, it has said.
    command = [sys.executable, "-m", "plotindex", "migrate"]
    done = subprocess.run(command, env=environment, stdout=subprocess.DEVNULL, check=False)  # noqa: S603 - itself
    if done.returncode:
        sys.exit(done.returncode)


def _is_ready(settings: Settings) -> bool:
    from plotindex.database import Database

    database = Database(settings.catalog_place)
    try:
        database.require_schema()
    except CatalogError as error:
        if isinstance(error, UnusableDatabaseError) and not isinstance(error, DamagedDatabaseError):
            raise
        return False
    finally:
        database.close()
    return True


def open_catalog(settings: Settings, patience: float | None = None) -> "Catalog":
    """The catalogue as it is, for commands that change nothing; `patience` as that of `Database`."""
    from plotindex.catalog import Catalog
    from plotindex.database import READ_SECONDS, Database

    catalog = Catalog(Database(settings.catalog_place, READ_SECONDS if patience is None else patience))
    catalog.require_root(str(settings.root))
    return catalog


def check_root_unless_known(settings: Settings) -> None:
    """A root that had plots and is gone is a lost mount, which may come back; one that never had any is a mistake."""
    if os.path.lexists(settings.root) or not _knows_plots(settings):
        settings.check_root()


def _knows_plots(settings: Settings) -> bool:
    try:
        return open_catalog(settings).counts()[0] > 0
    except CatalogError:
        return False
