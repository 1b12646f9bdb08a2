"""Reload a running service's settings on SIGHUP."""

import logging
from collections.abc import Callable, Collection
from dataclasses import replace
from typing import NamedTuple

from plotindex.config.settings import PARSERS, Settings
from plotindex.errors import SettingsError
from plotindex.system import configure_logs

log = logging.getLogger(__name__)


class ServiceSettings(NamedTuple):
    """The settings that a service uses. The file may hold others, for the other service."""

    reloadable: Collection[str]
    restart_only: Collection[str]
    command: str
    """The command that starts the service."""


LOCATIONS = ("root", "database", "state_dir")
TREE_SETTINGS = (
    *("project_pattern", "suffixes", "ignore"),
    *("max_plots_per_session", "max_names_mb", "max_depth", "max_filename_bytes"),
)
INDEXER_SETTINGS = ServiceSettings(
    (
        *("rescan_seconds", "poll_seconds", "rescan_share", "log_format"),
        *("history_mb", "history_versions", "history_days", "history_dir", "inspect", "inspect_share"),
    ),
    (*LOCATIONS, *TREE_SETTINGS, "polling", "max_watches"),
    "watch",
)
SERVER_SETTINGS = ServiceSettings(
    (
        *TREE_SETTINGS,
        *("url_prefix", "heal", "threads"),
        *("thumbnails_mb", "prerender", "x_accel_prefix", "public_url", "frame_ancestors", "proxies", "secret_key"),
        *("access_log", "log_format"),
        *("history_mb", "history_dir", "export_mb"),
    ),
    (*LOCATIONS, "host", "port", "workers"),
    "serve",
)


class SettingsReloader:
    """The current settings of a service, reloaded on request."""

    def __init__(self, settings: Settings, load: Callable[[], Settings], used: ServiceSettings) -> None:
        """`load` reads the settings as at the start."""
        self.settings = settings
        self._load = load
        self._used = used
        self._is_requested = False

    def request(self, _number: int = 0, _frame: object = None) -> None:
        """Request a reload. Safe as a signal handler: it only sets a flag."""
        self._is_requested = True

    def reload_if_requested(self) -> Settings | None:
        """The new settings, or None if no reload was requested or it failed. Logs the result."""
        if not self._is_requested:
            return None
        self._is_requested = False
        try:
            loaded = self._load()
        except SettingsError as error:
            log.error("Reload failed; the settings stay as they were: %s", error)
            return None
        changed = [name for name in PARSERS if getattr(loaded, name) != getattr(self.settings, name)]
        for name in changed:
            if name in self._used.restart_only:
                log.warning(
                    "%s takes effect after a restart: stop and start `plotindex %s` or, with systemd, run "
                    "`systemctl restart plotindex-%s`.",
                    *(name, self._used.command, self._used.command),
                )
        applied = {name: getattr(loaded, name) for name in changed if name in self._used.reloadable}
        self.settings = replace(self.settings, **applied)
        configure_logs(self.settings.log_format)
        log.info("Settings reloaded: %s.", f"changed {', '.join(applied)}" if applied else "no change")
        return self.settings
