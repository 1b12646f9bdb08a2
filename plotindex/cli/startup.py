"""What commands do before their work: read the settings, check the root, prepare the database."""

import os
import signal
import subprocess
import sys
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

import click

from plotindex.cli.program import print_error
from plotindex.config import (
    PARSERS,
    ServiceSettings,
    Settings,
    SettingsReloader,
    load_settings,
    unknown_variables,
    without_settings,
)
from plotindex.errors import CatalogError, DamagedDatabaseError, UnusableDatabaseError
from plotindex.ops.config_checks import service_state_hint, state_location_problem
from plotindex.system import configure_logs, has_terminal, python_command, python_path

if TYPE_CHECKING:
    from plotindex.storage import Database


def read_settings(config: Path | None, options: dict[str, str | None]) -> Settings:
    """The settings of a command. Configures the logs and prints warnings."""
    settings = load_settings(options, config=config)
    # For Program, to explain an error.
    click.get_current_context().find_root().obj = settings
    configure_logs(settings.log_format)
    warnings = list(unknown_variables(PARSERS, os.environ).values())
    if below_root := state_location_problem(settings):
        warnings.append(below_root)
    if other_state := service_state_hint(settings, os.environ, config):
        warnings.append(other_state)
    for warning in warnings:
        print_error(warning)
    return settings


def make_state_folder(settings: Settings) -> None:
    """Create the state folder for tokens and keys, and warn if another user can replace it.

    Raises:
        SettingsError: it cannot be created.
    """
    from plotindex.ops.doctor.state_exposure import replacement_findings

    folder = settings.make_state_folder()
    with suppress(OSError):
        for finding in replacement_findings(folder):
            print_error(f"{finding.text}. Run `plotindex doctor` to check the state folder.")


def reload_on_sighup(
    settings: Settings, config: Path | None, options: dict[str, str | None], used: ServiceSettings
) -> SettingsReloader:
    """A reloader that SIGHUP triggers. On a terminal, SIGHUP still ends the process."""
    environment = dict(os.environ)
    reloader = SettingsReloader(settings, lambda: load_settings(options, environment, config), used)
    if not has_terminal():
        signal.signal(signal.SIGHUP, reloader.request)
    return reloader


def check_root_unless_indexed(settings: Settings) -> None:
    """Check the root, unless the catalogue has plots of it: a missing root may then be a lost mount.

    Raises:
        SettingsError: the root is missing or not a readable directory.
    """
    if os.path.lexists(settings.root) or not _has_indexed_plots(settings):
        settings.check_root()


def migrate_in_subprocess(settings: Settings) -> None:
    """Migrate the databases in a child process, so that the indexer does not keep Alembic in memory.

    New files get their tables without it.
    """
    if _has_current_schema(settings) and _has_current_history(settings):
        return
    environment = {**without_settings(os.environ), **settings.as_environment(), "PYTHONPATH": python_path()}
    command = python_command("-m", "plotindex", "migrate")
    done = subprocess.run(command, env=environment, stdout=subprocess.DEVNULL, check=False)  # noqa: S603 - itself
    if done.returncode:
        # The child has printed the error.
        sys.exit(done.returncode)


def _has_current_schema(settings: Settings) -> bool:
    from plotindex.storage import open_database

    database = open_database(settings.catalog_location)
    try:
        database.require_schema()
    except CatalogError as error:
        if isinstance(error, UnusableDatabaseError) and not isinstance(error, DamagedDatabaseError):
            raise
        return _is_new_file(database)
    finally:
        database.close()
    return True


def _has_current_history(settings: Settings) -> bool:
    """Whether there is nothing to migrate in the history. A database that cannot be used is reported by its process."""
    from plotindex.history.store import HistoryStore

    history = HistoryStore.from_settings(settings)
    if history is None:
        return True
    try:
        history.database.require_schema()
    except CatalogError as error:
        return isinstance(error, UnusableDatabaseError) or _is_new_file(history.database)
    finally:
        history.database.close()
    return True


def _is_new_file(database: "Database") -> bool:
    """Whether the database will be a file that is not there yet."""
    return database.file is not None and not os.path.lexists(database.file)


def _has_indexed_plots(settings: Settings) -> bool:
    from plotindex.index import open_catalog

    try:
        return open_catalog(settings).counts()[0] > 0
    except CatalogError:
        return False
