"""Settings, keys and names from the host application."""

import logging
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from flask import Flask
from werkzeug.exceptions import HTTPException

from plotindex.config import PARSERS, Settings, check_setting_names, load_settings, variable_name

log = logging.getLogger(__name__)


def read_settings(app: Flask, given: Mapping[str, object]) -> Settings:
    """Settings by precedence: `given`, `app.config`, then environment, file and defaults.

    Raises:
        SettingsError: a setting is missing, unknown or wrong.
    """
    names = {variable_name(name): name for name in PARSERS}
    variables = {
        name: value for name, value in app.config.items() if name.startswith("PLOTINDEX_") and value is not None
    }
    file = variables.pop("PLOTINDEX_CONFIG", None)
    configured = {names.get(name, name.removeprefix("PLOTINDEX_").lower()): value for name, value in variables.items()}
    check_setting_names(configured, "app.config")
    return load_settings(
        {**configured, **given},
        config=Path(file) if file else None,
        name_option=lambda name: f"{name}=" if name in given else variable_name(name),
    )


def host_signing_keys(app: Flask, settings: Settings) -> Sequence[bytes]:
    """The signing keys of an application, newest first; empty if none is set."""
    keys: Sequence[Any] = settings.secret_key
    if not keys and app.secret_key:
        keys = [app.secret_key, *(app.config.get("SECRET_KEY_FALLBACKS") or ())]
    return [key if isinstance(key, bytes) else str(key).encode() for key in keys]


def warn_about_existing_route(app: Flask, path: str) -> None:
    """Log a warning if the application already has a route for `path`: Flask uses the first match."""
    try:
        rule, _ = app.url_map.bind("localhost").match(path, return_rule=True)
    except HTTPException:
        return
    log.warning("%s already serves %s. Delete that route; otherwise Flask keeps using it.", rule.endpoint, rule.rule)


def unused_blueprint_name(app: Flask, name: str) -> str:
    """`name`, with a number if a blueprint already has it: an application may have several PlotIndex objects."""
    number, unused = 2, name
    while unused in app.blueprints:
        unused, number = f"{name}_{number}", number + 1
    return unused
