"""What plotindex has of the application that it is part of: settings, keys, free names."""

import logging
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from flask import Flask
from werkzeug.exceptions import HTTPException

from plotindex.config import PARSERS, Settings, check_setting_names, load_settings, variable_name

log = logging.getLogger(__name__)


def read_settings(app: Flask, given: Mapping[str, object]) -> Settings:
    """What was given, then what the application's configuration says, then as everywhere.

    Raises:
        SettingsError: a setting is missing, unknown or wrong.
    """
    names = {variable_name(name): name for name in PARSERS}
    mine = {name: value for name, value in app.config.items() if name.startswith("PLOTINDEX_") and value is not None}
    file = mine.pop("PLOTINDEX_CONFIG", None)
    configured = {names.get(name, name.removeprefix("PLOTINDEX_").lower()): value for name, value in mine.items()}
    check_setting_names(configured, "app.config")
    return load_settings(
        {**configured, **given},
        config=Path(file) if file else None,
        name_option=lambda name: f"{name}=" if name in given else variable_name(name),
    )


def host_signing_keys(app: Flask, settings: Settings) -> Sequence[bytes]:
    """The keys that sign for an application, the newest first."""
    given: Sequence[Any] = settings.secret_key
    if not given and app.secret_key:
        given = [app.secret_key, *(app.config.get("SECRET_KEY_FALLBACKS") or ())]
    return [key if isinstance(key, bytes) else str(key).encode() for key in given]


def warn_about_existing_route(app: Flask, path: str) -> None:
    """Say in the log when something else answers there already: Flask asks the route that came first."""
    try:
        endpoint, _ = app.url_map.bind("localhost").match(path)
    except HTTPException:
        return
    log.warning(
        "%s answers below %s already and goes on doing so: remove that route.", endpoint, path.rpartition("/")[0]
    )


def unused_blueprint_name(app: Flask, name: str) -> str:
    """A name that no blueprint has yet: there may be several of this extension in one application."""
    number, free = 2, name
    while free in app.blueprints:
        free, number = f"{name}_{number}", number + 1
    return free
