"""Where settings are given: options, the environment, plotindex.toml. Values are not parsed here."""

import re
import tomllib
from collections.abc import Callable, Collection, Iterator, Mapping
from difflib import get_close_matches
from pathlib import Path
from typing import Any, NamedTuple

from plotindex.errors import SettingsError

CONFIG_FILE = "plotindex.toml"
CONFIG_VARIABLE = "PLOTINDEX_CONFIG"
TOKEN_VARIABLE = "PLOTINDEX_TOKEN"  # noqa: S105 - the name of a variable
"""The token of a client: of `plotindex mcp --url`."""
PREFIX = "PLOTINDEX_"


class RawSetting(NamedTuple):
    """An unparsed value of a setting, and its source."""

    name: str
    value: Any
    source: str
    """option, environment or file."""
    location: str
    """--port, PLOTINDEX_PORT or /etc/plotindex.toml:3."""
    label: str
    """How error messages call it: as `location`, but `port in plotindex.toml`."""


def variable_name(name: str) -> str:
    """The environment variable of a setting."""
    return "PLOTINDEX_DATABASE_URL" if name == "database" else f"{PREFIX}{name.upper()}"


def option_name(name: str) -> str:
    """The command-line option of a setting."""
    return "--" + name.replace("_", "-")


def config_file(environment: Mapping[str, str], config: Path | None) -> tuple[Path, bool]:
    """The configuration file, and whether it was named explicitly: only then must it exist."""
    named = config or environment.get(CONFIG_VARIABLE)
    return Path(named or CONFIG_FILE), bool(named)


def from_file(environment: Mapping[str, str], config: Path | None) -> Iterator[RawSetting]:
    """Settings in the configuration file.

    Raises:
        SettingsError: the file cannot be read, or a named one does not exist.
    """
    file, is_named = config_file(environment, config)
    try:
        text = file.read_text()
        content = tomllib.loads(text)
    except FileNotFoundError:
        if is_named:
            raise SettingsError(f"The file {file} does not exist: name another one with --config.") from None
        return
    except OSError as error:
        raise SettingsError(
            f"{file} cannot be read ({error.strerror}): "
            "make it readable for this user (chmod, chown), or name another one with --config."
        ) from None
    except UnicodeDecodeError:
        raise SettingsError(f"{file} is not valid TOML: save it as UTF-8.") from None
    except tomllib.TOMLDecodeError as error:
        raise SettingsError(
            f'{file} is not valid TOML: {error}. Each line is `name = value`, text in quotes: root = "/srv/plots".'
        ) from None
    for name, value in content.items():
        yield RawSetting(name, value, "file", f"{file.absolute()}:{_line_of(name, text)}", f"{name} in {file}")


def from_environment(names: Collection[str], environment: Mapping[str, str]) -> Iterator[RawSetting]:
    """Settings in environment variables. An empty variable counts as unset."""
    for name in names:
        if value := environment.get(variable_name(name)):
            yield RawSetting(name, value, "environment", variable_name(name), variable_name(name))


def from_options(
    options: Mapping[str, object | None], name_option: Callable[[str], str] = option_name
) -> Iterator[RawSetting]:
    """Settings in options. `name_option` returns how an option is written."""
    for name, value in options.items():
        if value is not None:
            yield RawSetting(name, value, "option", name_option(name), name_option(name))


def unknown_variables(names: Collection[str], environment: Mapping[str, str]) -> dict[str, str]:
    """PLOTINDEX_ variables that are not settings, each with a warning."""
    known = {*map(variable_name, names), CONFIG_VARIABLE, TOKEN_VARIABLE}
    short = [name.removeprefix(PREFIX) for name in known]
    warnings = {}
    for name in sorted(environment):
        if name.startswith(PREFIX) and name not in known:
            closest = closest_name(name.removeprefix(PREFIX), short)
            hint = f"do you mean {PREFIX}{closest}?" if closest else "`plotindex config` lists the settings."
            warnings[name] = f"{name} is not a setting and has no effect: {hint}"
    return warnings


def without_settings(environment: Mapping[str, str]) -> dict[str, str]:
    """The environment without PLOTINDEX_ variables, for a child process that receives the settings themselves."""
    return {name: value for name, value in environment.items() if not name.startswith(PREFIX)}


def closest_name(name: str, names: Collection[str]) -> str | None:
    """The most similar name, preferring one with the same first letter; None if none is similar."""
    similar = sorted(get_close_matches(name, sorted(names)), key=lambda candidate: candidate[:1] != name[:1])
    return similar[0] if similar else None


def _line_of(name: str, text: str) -> int:
    match = re.search(rf"""^[ \t]*["']?{re.escape(name)}["']?[ \t]*=""", text, re.M)
    return text.count("\n", 0, match.start()) + 1 if match else 1
