"""The value and source of each setting, and all errors and warnings, for `plotindex config`."""

from collections.abc import Mapping
from dataclasses import dataclass, fields
from itertools import chain
from pathlib import Path
from typing import Any, NamedTuple

from plotindex.config import (
    PARSERS,
    SECRETS,
    RawSetting,
    Settings,
    config_file,
    from_environment,
    from_file,
    from_options,
    make_settings,
    parse_setting,
    unknown_variables,
)
from plotindex.errors import SettingsError
from plotindex.ops.config_checks import config_warnings
from plotindex.storage import check_url
from plotindex.system import printable, redact_url

NOT_SHOWN = "set, not shown"
MAX_WIDTH = 60
"""Longer lines do not widen the column of sources."""


class Setting(NamedTuple):
    """The effective value of one setting."""

    name: str
    value: Any
    """As in JSON; None if not set."""
    source: str
    """option, environment, file or default."""
    location: str | None
    """The option, the variable, or file and line."""
    is_invalid: bool = False

    def as_toml(self) -> str:
        """A line of plotindex.toml; a comment if the value cannot be used there."""
        if self.is_invalid:
            return f"# {self.name}: invalid"
        if self.value is None:
            return f"# {self.name}: not set"
        if self.name in SECRETS:
            return f"# {self.name}: {self.value}"
        line = f"{self.name} = {_as_toml(self.value)}"
        return f"# {line}" if self.name == "database" and self.source == "default" else line


@dataclass(frozen=True)
class ConfigReport:
    """The report of `plotindex config`."""

    file: str | None
    """The configuration file, if one was read."""
    settings: list[Setting]
    errors: list[str]
    """With any, no command starts."""
    warnings: list[str]
    """Settings that look like mistakes."""

    def as_json(self) -> dict[str, Any]:
        settings = [
            {"name": one.name, "value": one.value, "from": one.source, "where": one.location, "wrong": one.is_invalid}
            for one in self.settings
        ]
        return {"file": self.file, "settings": settings, "wrong": self.errors, "doubtful": self.warnings}

    def as_text(self) -> str:
        """An equivalent plotindex.toml, with each source as a comment."""
        lines = [(one.as_toml(), printable(one.location or one.source)) for one in self.settings]
        width = min(MAX_WIDTH, max(len(line) for line, _ in lines))
        return "\n".join(f"{line:{width}}  # {source}" for line, source in lines)


def report_config(
    options: Mapping[str, object | None], environment: Mapping[str, str], config: Path | None
) -> ConfigReport:
    """The settings of a command with these options."""
    errors: list[str] = []
    try:
        in_file = list(from_file(environment, config))
    except SettingsError as error:
        in_file = []
        errors.append(str(error))
    values: dict[str, Any] = {}
    given: dict[str, RawSetting] = {}
    for one in chain(in_file, from_environment(PARSERS, environment), from_options(options)):
        given[one.name] = one
        values.pop(one.name, None)
        try:
            values[one.name] = parse_setting(one)
        except SettingsError as error:
            errors.append(str(error))
    settings = None
    try:
        if "root" in values or "root" not in given:
            settings = make_settings(values)
            if settings.database:
                check_url(settings.database)
    except SettingsError as error:
        errors.append(str(error))
    warnings = list(unknown_variables(PARSERS, environment).values())
    if settings and not errors:
        warnings += config_warnings(settings, given)
    file, is_named = config_file(environment, config)
    is_read = is_named or file.exists()
    listed = [_setting(name, settings, values, given.get(name)) for name in PARSERS]
    return ConfigReport(str(file.absolute()) if is_read else None, listed, errors, warnings)


def _setting(name: str, settings: Settings | None, values: Mapping[str, Any], given: RawSetting | None) -> Setting:
    if given is None:
        value = getattr(settings, name) if settings else _DEFAULTS[name]
        if name == "database" and settings:
            value = f"sqlite:///{settings.catalog_location}"
        return Setting(name, _as_json(value), "default", None)
    if name not in values:
        return Setting(name, None, given.source, given.location, is_invalid=True)
    # Empty instead of a default: "/" in the file.
    parsed = "/" if values[name] == "" and _DEFAULTS[name] else values[name]
    value = NOT_SHOWN if name in SECRETS else _as_json(parsed)
    return Setting(name, value, given.source, given.location)


_DEFAULTS = {field.name: field.default for field in fields(Settings)}


def _as_json(value: Any) -> Any:  # noqa: ANN401 - the type of any setting
    if isinstance(value, frozenset):
        return sorted(value)
    if isinstance(value, bool | int):
        return value
    # An empty value is one that is not set.
    return redact_url(str(value)) if value not in (None, "", ()) else None


def _as_toml(value: Any) -> str:  # noqa: ANN401 - as above
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, int):
        return str(value)
    if isinstance(value, list):
        return f"[{', '.join(map(_as_toml, value))}]"
    return f'"{"".join(map(_escaped, str(value)))}"'


def _escaped(character: str) -> str:
    """A character of a basic string in TOML, safe for a terminal."""
    if character in '"\\':
        return f"\\{character}"
    return character if character.isprintable() else f"\\U{ord(character):08X}"
