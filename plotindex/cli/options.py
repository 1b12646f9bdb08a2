"""What commands share: options, the mistakes they name, and what they open."""

import errno
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import click

from plotindex.cli import completion
from plotindex.config import (
    PARSERS,
    ServiceSettings,
    Settings,
    SettingsReloader,
    default_text,
    load_settings,
    option_name,
    unknown_variables,
    without_settings,
)
from plotindex.errors import CatalogError, DamagedDatabaseError, PlotIndexError, SettingsError, UnusableDatabaseError
from plotindex.ops.config_checks import service_state_hint, state_location_problem
from plotindex.system import configure_logs, escape, has_terminal, python_command, python_path

Command = Callable[..., Any]
SETTINGS = {
    "host": ("ADDRESS", "Address to listen on; 0.0.0.0 is every one of this machine."),
    "port": ("PORT", "Port to listen on."),
    "url_prefix": ("PATH", "Path of the HTTP interface, before /plots."),
    "workers": ("NUMBER", "Server processes."),
    "threads": ("NUMBER", "Threads of each server process; a quarter of them may wait for changes."),
    "heal": ("on|off", "Whether the server mends the catalogue when a plot is found that is not in it."),
    "rescan_seconds": ("SECONDS", "How often everything is looked at, besides what events tell of."),
    "poll_seconds": ("SECONDS", "How often that is looked at which no event tells of, such as NFS."),
    "polling": ("auto|always|never", "What is looked at so often: network file systems; everything; nothing."),
    "rescan_share": ("PERCENT", "What that may take of the time of one core, when it is much."),
    "max_watches": ("NUMBER", "How many folders are watched at most, if not as many as the kernel allows."),
    "max_plots_per_session": ("NUMBER", "How many plots of one session are indexed."),
    "max_depth": ("NUMBER", "How many folders deep below a project plots are indexed."),
    "x_accel_prefix": ("PATH", "Path of nginx's internal location, when nginx is to send the files."),
    "public_url": ("URL", "Address that browsers use, such as https://plots.example.org."),
    "proxies": ("NUMBER", "How many proxies in front are believed when they say who asks."),
    "access_log": ("on|off", "Whether each request is a line of the log."),
    "log_format": ("text|json", "What a line of the log is."),
}
"""The settings that are options: what each takes, and what its help says."""

ROOT = "Directory that holds the sessions, or PLOTINDEX_ROOT."
DATABASE = "SQLAlchemy URL of the catalogue, or PLOTINDEX_DATABASE_URL.  [default: a file below PLOTINDEX_STATE_DIR]"
CONFIG = "File of settings, or PLOTINDEX_CONFIG.  [default: plotindex.toml, when it is there]"


class Program(click.Group):
    """A group of commands in which each mistake is one sentence on stderr."""

    def invoke(self, context: click.Context) -> Any:  # noqa: ANN401 - as click.Group
        try:
            _require_utf8()
            return super().invoke(context)
        except (SettingsError, PlotIndexError) as error:
            click.echo(f"plotindex: {escape(str(error))}", err=True)
            sys.exit(2 if isinstance(error, SettingsError) else 1)
        except OSError as error:
            if error.errno != errno.ENOSPC or error.filename:
                raise
            click.echo(f"plotindex: what is printed cannot be written ({error.strerror}): make room there.", err=True)
            sys.exit(2)


def _require_utf8() -> None:
    encoding = sys.getfilesystemencoding()
    if encoding != "utf-8":
        raise SettingsError(
            f"By its locale this process takes names of files for {encoding}, and the catalogue keeps them as UTF-8: "
            "set LC_ALL=C.UTF-8."
        )


def setting_options(*names: str) -> Callable[[Command], Command]:
    """Options for settings: each is also a variable of the environment and a line of plotindex.toml."""

    def decorate(command: Command) -> Command:
        for name in reversed(names):
            takes, what = SETTINGS[name]
            completed = completion.choices_of(name)
            told = f"{what}  [default: {default_text(name)}]"
            command = click.option(option_name(name), name, metavar=takes, shell_complete=completed, help=told)(command)
        return command

    return decorate


def example(line: str) -> str:
    """The end of a command's help: one real use of it."""
    return f"\b\nExample: plotindex {line}"


def common_options(command: Command) -> Command:
    """What every command takes."""
    for option in (
        click.option("--config", metavar="FILE", type=Path, shell_complete=completion.files, help=CONFIG),
        click.option("--database", metavar="URL", help=DATABASE),
        click.option("--root", metavar="FOLDER", shell_complete=completion.folders, help=ROOT),
    ):
        command = option(command)
    return command


json_option = click.option("--json", "as_json", is_flag=True, help="Print JSON.")


def read_settings(config: Path | None, options: dict[str, str | None]) -> Settings:
    """The settings of a command; logs go where they say."""
    settings = load_settings(options, config=config)
    configure_logs(settings.log_format)
    warnings = list(unknown_variables(PARSERS, os.environ).values())
    if below := state_location_problem(settings):
        warnings.append(below)
    if other := service_state_hint(settings, os.environ, config):
        warnings.append(other)
    for warning in warnings:
        click.echo(f"plotindex: {escape(warning)}", err=True)
    return settings


def reread_on_hangup(
    settings: Settings, config: Path | None, options: dict[str, str | None], own: ServiceSettings
) -> SettingsReloader:
    """The settings of a service, to be read again on SIGHUP; when its terminal is closed it ends by that, as ever."""
    environment = dict(os.environ)
    reloader = SettingsReloader(settings, lambda: load_settings(options, environment, config), own)
    if not has_terminal():
        signal.signal(signal.SIGHUP, reloader.request)
    return reloader


def as_words(config: Path | None, options: dict[str, str | None], names: Iterable[str]) -> list[str]:
    """Options as they were given, those of these names, for another command."""
    given = {"config": config, **{name: options[name] for name in names}}
    return [f"--{name.replace('_', '-')}={value}" for name, value in given.items() if value is not None]


def migrate_apart(settings: Settings) -> None:
    """Create or migrate the database in a process of its own: what that needs would stay in the indexer's memory."""
    if _is_ready(settings):
        return
    environment = {**without_settings(os.environ), **settings.as_environment(), "PYTHONPATH": python_path()}
    # What is wrong, it has said.
    command = python_command("-m", "plotindex", "migrate")
    done = subprocess.run(command, env=environment, stdout=subprocess.DEVNULL, check=False)  # noqa: S603 - itself
    if done.returncode:
        sys.exit(done.returncode)


def _is_ready(settings: Settings) -> bool:
    from plotindex.storage import open_database

    database = open_database(settings.catalog_location)
    try:
        database.require_schema()
    except CatalogError as error:
        if isinstance(error, UnusableDatabaseError) and not isinstance(error, DamagedDatabaseError):
            raise
        return False
    finally:
        database.close()
    return True


def check_root_unless_known(settings: Settings) -> None:
    """A root that had plots and is gone is a lost mount, which may come back; one that never had any is a mistake."""
    if os.path.lexists(settings.root) or not _knows_plots(settings):
        settings.check_root()


def _knows_plots(settings: Settings) -> bool:
    from plotindex.index import open_catalog

    try:
        return open_catalog(settings).counts()[0] > 0
    except CatalogError:
        return False
