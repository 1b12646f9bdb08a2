"""Each setting's value and where it came from, and what is wrong with them: all of it, not only the first."""

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
    parse,
    unknown_variables,
)
from plotindex.errors import SettingsError
from plotindex.ops.config_checks import config_warnings
from plotindex.storage import check_url
from plotindex.system import printable, redact_url

NOT_SHOWN = "given, not shown"
WIDEST = 60


class Setting(NamedTuple):
    """What counts for one setting."""

    name: str
    value: Any
    """As JSON has it: text, a number, a list, or None where there is none."""
    kind: str
    """option, environment, file or default."""
    place: str | None
    """The option, the variable, or file and line."""
    is_wrong: bool = False

    def as_toml(self) -> str:
        """The setting as a line of plotindex.toml; a comment, when it would not do there."""
        if self.is_wrong:
            return f"# {self.name}: wrong"
        if self.value is None:
            return f"# {self.name}: none"
        if self.name in SECRETS:
            return f"# {self.name}: {self.value}"
        line = f"{self.name} = {_as_toml(self.value)}"
        return f"# {line}" if self.name == "database" and self.kind == "default" else line


@dataclass(frozen=True)
class Configuration:
    """What `plotindex config` says."""

    file: str | None
    """The file that was read, or None."""
    settings: list[Setting]
    wrong: list[str]
    """What no command goes on with."""
    doubtful: list[str]
    """What can hardly be meant."""

    def as_json(self) -> dict[str, Any]:
        settings = [
            {"name": one.name, "value": one.value, "from": one.kind, "where": one.place, "wrong": one.is_wrong}
            for one in self.settings
        ]
        return {"file": self.file, "settings": settings, "wrong": self.wrong, "doubtful": self.doubtful}

    def as_text(self) -> str:
        """A plotindex.toml that says the same, and in comments where it came from."""
        lines = [(one.as_toml(), printable(one.place or one.kind)) for one in self.settings]
        width = min(WIDEST, max(len(line) for line, _ in lines))
        return "\n".join(f"{line:{width}}  # {place}" for line, place in lines)


def configuration(
    options: Mapping[str, object | None], environment: Mapping[str, str], config: Path | None
) -> Configuration:
    """The settings that a command with these options has."""
    wrong: list[str] = []
    try:
        in_file = list(from_file(environment, config))
    except SettingsError as error:
        in_file = []
        wrong.append(str(error))
    values: dict[str, Any] = {}
    given: dict[str, RawSetting] = {}
    for one in chain(in_file, from_environment(PARSERS, environment), from_options(options)):
        given[one.name] = one
        values.pop(one.name, None)
        try:
            values[one.name] = parse(one)
        except SettingsError as error:
            wrong.append(str(error))
    settings = None
    try:
        if "root" in values or "root" not in given:
            settings = make_settings(values)
            if settings.database:
                check_url(settings.database)
    except SettingsError as error:
        wrong.append(str(error))
    doubtful = list(unknown_variables(PARSERS, environment).values())
    if settings and not wrong:
        doubtful += config_warnings(settings, given)
    file, named = config_file(environment, config)
    is_read = named or file.exists()
    listed = [_setting(name, settings, values, given.get(name)) for name in PARSERS]
    return Configuration(str(file.absolute()) if is_read else None, listed, wrong, doubtful)


def _setting(name: str, settings: Settings | None, values: Mapping[str, Any], given: RawSetting | None) -> Setting:
    if given is None:
        value = getattr(settings, name) if settings else _DEFAULTS[name]
        if name == "database" and settings:
            value = f"sqlite:///{settings.catalog_location}"
        return Setting(name, _as_json(value), "default", None)
    if name not in values:
        return Setting(name, None, given.source, given.location, is_wrong=True)
    value = NOT_SHOWN if name in SECRETS else _as_json(values[name])
    return Setting(name, value, given.source, given.location)


_DEFAULTS = {field.name: field.default for field in fields(Settings)}


def _as_json(value: Any) -> Any:  # noqa: ANN401 - of any type that a setting has
    if isinstance(value, frozenset):
        return sorted(value)
    if isinstance(value, bool | int):
        return value
    # What is empty is what was not given. A password in an address is nobody's business.
    return redact_url(str(value)) if value not in (None, "", ()) else None


def _as_toml(value: Any) -> str:  # noqa: ANN401 - see above
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, int):
        return str(value)
    if isinstance(value, list):
        return f"[{', '.join(map(_as_toml, value))}]"
    return f'"{"".join(map(_escaped, str(value)))}"'


def _escaped(character: str) -> str:
    """A character in a basic string of TOML, which does as a terminal's, too."""
    if character in '"\\':
        return f"\\{character}"
    return character if character.isprintable() else f"\\U{ord(character):08X}"
