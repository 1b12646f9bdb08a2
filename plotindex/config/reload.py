"""Settings that are read again while a service runs: SIGHUP asks for it."""

import logging
from collections.abc import Callable, Collection
from dataclasses import replace
from typing import NamedTuple

from plotindex.config.settings import PARSERS, Settings
from plotindex.errors import SettingsError
from plotindex.system import configure_logs

log = logging.getLogger(__name__)


class Own(NamedTuple):
    """What a service has settings for: others may stand beside them in the file, for its neighbour."""

    live: Collection[str]
    """Those that it can change while it runs."""
    fixed: Collection[str]
    command: str
    """What starts the service."""


PLACES = ("root", "database", "state_dir")
INDEXER = Own(
    ("rescan_seconds", "poll_seconds", "rescan_share", "log_format"),
    (*PLACES, "project_pattern", "suffixes", "max_plots_per_session", "max_depth", "polling", "max_watches"),
    "watch",
)
SERVER = Own(
    (
        *("url_prefix", "project_pattern", "suffixes", "max_plots_per_session", "max_depth", "heal", "threads"),
        *("thumbnails_mb", "x_accel_prefix", "public_url", "proxies", "secret_key", "access_log", "log_format"),
    ),
    (*PLACES, "host", "port", "workers"),
    "serve",
)


class SettingsReloader:
    """The settings of a service, and those that it has after it was asked to read them again."""

    def __init__(self, settings: Settings, read: Callable[[], Settings], own: Own) -> None:
        """`read` reads them as at the start."""
        self.settings = settings
        self._read = read
        self._own = own
        self._is_asked = False

    def ask(self, _number: int = 0, _frame: object = None) -> None:
        """Read them soon; fit for a handler of signals, in which nothing can be done."""
        self._is_asked = True

    def due(self) -> Settings | None:
        """The settings from now on, when they were to be read again and could be; the log says what became of that."""
        if not self._is_asked:
            return None
        self._is_asked = False
        try:
            found = self._read()
        except SettingsError as error:
            log.error("The settings stay as they were: %s", error)
            return None
        changed = [name for name in PARSERS if getattr(found, name) != getattr(self.settings, name)]
        for name in changed:
            if name in self._own.fixed:
                log.warning(
                    "%s stays as it was until this service is restarted: stop and start `plotindex %s` or, with "
                    "systemd, run `systemctl restart plotindex-%s`.",
                    *(name, self._own.command, self._own.command),
                )
        taken = {name: getattr(found, name) for name in changed if name in self._own.live}
        self.settings = replace(self.settings, **taken)
        configure_logs(self.settings.log_format)
        log.info("The settings were read again: %s.", f"new are {', '.join(taken)}" if taken else "nothing is new")
        return self.settings
