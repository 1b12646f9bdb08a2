"""Options that several commands share."""

from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import click

from plotindex.cli import completion
from plotindex.config import default_text, option_name

Command = Callable[..., Any]
SETTINGS = {
    "host": ("ADDRESS", "Server address; 0.0.0.0 is every address of this machine."),
    "port": ("PORT", "Server port."),
    "url_prefix": ("PATH", "Path of the HTTP interface, before /plots."),
    "workers": ("NUMBER", "Number of server processes."),
    "threads": ("NUMBER", "Threads of each server process; a quarter of them may wait for changes."),
    "heal": ("on|off", "Whether the server corrects the catalogue when a request finds it out of date."),
    "rescan_seconds": ("SECONDS", "Interval between full scans, which find changes without events."),
    "poll_seconds": ("SECONDS", "Polling interval for file systems without change events, such as NFS."),
    "polling": ("auto|always|never", "What to poll: file systems without change events; everything; nothing."),
    "rescan_share": ("PERCENT", "Maximum percent of one core for rolling rescans."),
    "max_watches": ("NUMBER", "Maximum number of watched folders, if less than the kernel allows."),
    "max_plots_per_session": ("NUMBER", "Maximum number of indexed plots in a session."),
    "max_depth": ("NUMBER", "Maximum depth of indexed folders below a project."),
    "max_filename_bytes": ("BYTES", "Maximum length of an indexed filename, with its folders below the project."),
    "max_names_mb": ("MB", "Maximum sum of the lengths of a session's indexed filenames."),
    "history_mb": ("MB", "Bound on the disk space of earlier and deleted versions; 0 keeps none."),
    "history_versions": ("NUMBER", "Versions of each plot to keep of the last hour."),
    "history_days": ("DAYS", "How long earlier and deleted versions are kept; 0 is for ever."),
    "history_dir": ("FOLDER", "Folder of these versions; needed, and shared, with a catalogue on PostgreSQL."),
    "inspect": ("on|off", "Whether plots are inspected: their text, size, flags and looks."),
    "inspect_share": ("PERCENT", "Maximum percent of one core for inspection."),
    "x_accel_prefix": ("PATH", "Path of nginx's internal location, if nginx sends the files (X-Accel-Redirect)."),
    "frame_ancestors": ("ORIGINS", "Sites whose pages may frame the gallery: none, self, or origins."),
    "public_url": ("URL", "URL that browsers use, such as https://plots.example.org."),
    "proxies": ("NUMBER", "Number of trusted reverse proxies (X-Forwarded-For)."),
    "access_log": ("on|off", "Whether to log each request."),
    "log_format": ("text|json", "Format of log lines."),
}
"""The settings that are options: metavar and help."""
FILENAME_LIMITS = ("max_depth", "max_filename_bytes")
SESSION_LIMITS = ("max_plots_per_session", "max_names_mb", *FILENAME_LIMITS)
"""The limits of the index."""
HISTORY_SETTINGS = ("history_mb", "history_dir")
"""What decides whether there is a history, and where; for the server, too."""
HISTORY_RULES = ("history_versions", "history_days")

ROOT = "Root directory (environment: PLOTINDEX_ROOT)."
DATABASE = (
    "SQLAlchemy URL of the catalogue (environment: PLOTINDEX_DATABASE_URL).  "
    "[default: a file below PLOTINDEX_STATE_DIR]"
)
PATTERN = (
    "Globs of the project folders, separated by blanks or commas; `.` for plots directly in a session.  "
    f"[default: {default_text('project_pattern')}]"
)
CONFIG = "Configuration file (environment: PLOTINDEX_CONFIG).  [default: plotindex.toml, if it exists]"


def setting_options(*names: str) -> Callable[[Command], Command]:
    """Options for settings."""

    def decorate(command: Command) -> Command:
        for name in reversed(names):
            metavar, text = SETTINGS[name]
            help_text = f"{text}  [default: {default_text(name)}]"
            complete = completion.choices(name)
            option = click.option(option_name(name), name, metavar=metavar, shell_complete=complete, help=help_text)
            command = option(command)
        return command

    return decorate


def common_options(command: Command) -> Command:
    """The options of every command."""
    for option in (
        click.option("--project-pattern", metavar="GLOBS", help=PATTERN),
        click.option("--config", metavar="FILE", type=Path, shell_complete=completion.files, help=CONFIG),
        click.option("--database", metavar="URL", help=DATABASE),
        click.option("--root", metavar="FOLDER", shell_complete=completion.folders, help=ROOT),
    ):
        command = option(command)
    return command


json_option = click.option("--json", "as_json", is_flag=True, help="Print JSON.")


def example(line: str) -> str:
    """An example command line, for the end of a command's help."""
    return f"\b\nExample: plotindex {line}"


def option_arguments(config: Path | None, options: dict[str, str | None], names: Iterable[str]) -> list[str]:
    """The given options of these names, as arguments for another command."""
    given = {"config": config, **{name: options[name] for name in names}}
    return [f"{option_name(name)}={value}" for name, value in given.items() if value is not None]
