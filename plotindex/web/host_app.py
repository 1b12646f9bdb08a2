"""What the extension needs of the host application: settings, keys, names, and its functions, async ones too."""

import inspect
import logging
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

from flask import Flask, current_app
from werkzeug.exceptions import HTTPException
from werkzeug.routing import Rule

from plotindex.config import PARSERS, Settings, check_setting_names, load_settings, variable_name
from plotindex.errors import SettingsError
from plotindex.system import printable

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
    settings = load_settings(
        _with_absolute_root(app, {**configured, **given}),
        config=Path(file) if file else None,
        name_option=lambda name: f"{name}=" if name in given else variable_name(name),
    )
    _warn_about_symlink(settings)
    return settings


def _with_absolute_root(app: Flask, options: dict[str, object]) -> dict[str, object]:
    """A relative root is below the application's folder: the current directory differs between servers."""
    root = options.get("root")
    if not isinstance(root, str | Path) or not str(root) or str(root).startswith(("/", "~")):
        return options
    resolved = Path(app.root_path, root)
    log.info("The root %r is relative to the application: %s.", str(root), printable(str(resolved)))
    return {**options, "root": resolved}


def _warn_about_symlink(settings: Settings) -> None:
    """The state of a root belongs to its path: an indexer of the folder behind a symlink has another one."""
    with suppress(OSError, RuntimeError):
        target = replace(settings, root=settings.root.resolve())
        own, other = settings.catalog_location, target.catalog_location
        if isinstance(own, Path) and isinstance(other, Path) and other.exists() and not own.exists():
            log.warning(
                "The root %s leads to %s, which has a catalogue of its own: pass root=%r to use it.",
                printable(str(settings.root)),
                printable(str(target.root)),
                str(target.root),
            )


def host_signing_keys(app: Flask, settings: Settings) -> Sequence[bytes]:
    """The signing keys of an application, newest first; empty if none is set."""
    keys: Sequence[Any] = settings.secret_key
    if not keys and app.secret_key:
        keys = [app.secret_key, *(app.config.get("SECRET_KEY_FALLBACKS") or ())]
    return [key if isinstance(key, bytes) else str(key).encode() for key in keys]


def find_rule(app: Flask, path: str) -> Rule | None:
    """The rule that answers a GET of `path`: Flask uses the first match."""
    try:
        return app.url_map.bind("localhost").match(path, return_rule=True)[0]
    except HTTPException:
        return None


def warn_about_existing_route(app: Flask, path: str) -> None:
    """Log a warning if the application already has a route for `path`."""
    rule = find_rule(app, path)
    if rule is not None:
        log.warning(
            "%s already serves %s. Delete that route; otherwise Flask keeps using it.", rule.endpoint, rule.rule
        )


def check_endpoint(app: Flask, endpoint: str) -> None:
    """Check that no view has the name of this endpoint.

    Raises:
        SettingsError: one has.
    """
    if endpoint in app.view_functions:
        routes = ", ".join(rule.rule for rule in app.url_map.iter_rules(endpoint))
        raise SettingsError(
            f"The endpoint {endpoint} is in use: delete its route ({routes}), or pass another endpoint=."
        )


def resolve(value: Any) -> Any:  # noqa: ANN401 - of a host's view or `may_see`
    """The value, awaited if a function of the host is async."""
    if not inspect.isawaitable(value):
        return value

    async def wait() -> Any:  # noqa: ANN401 - see above
        return await value

    return current_app.async_to_sync(wait)()


class SessionCheck:
    """The host's `may_see`. Only True grants access."""

    def __init__(self, may_see: Callable[[str], Any]) -> None:
        self._may_see = may_see
        self._has_warned = False

    def __call__(self, session: str) -> bool:
        verdict = resolve(self._may_see(session))
        if not isinstance(verdict, bool) and not self._has_warned:
            self._has_warned = True
            kind = type(verdict).__name__
            log.warning("may_see returned %s, not True: access denied. Return True to grant access.", kind)
        return verdict is True


def unused_blueprint_name(app: Flask, name: str) -> str:
    """`name`, with a number if a blueprint already has it: an application may have several PlotIndex objects."""
    number, unused = 2, name
    while unused in app.blueprints:
        unused, number = f"{name}_{number}", number + 1
    return unused
