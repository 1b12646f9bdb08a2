"""Where settings are given: options, the environment, plotindex.toml. What they say is not looked at here."""

import re
import tomllib
from collections.abc import Callable, Collection, Iterator, Mapping
from difflib import get_close_matches
from pathlib import Path
from typing import Any, NamedTuple

from plotindex.errors import SettingsError

CONFIG_FILE = "plotindex.toml"
CONFIG_VARIABLE = "PLOTINDEX_CONFIG"
PREFIX = "PLOTINDEX_"


class Given(NamedTuple):
    """What one place says of a setting."""

    name: str
    value: Any
    kind: str
    """option, environment or file."""
    place: str
    """Where it can be found: --port, PLOTINDEX_PORT or /etc/plotindex.toml:3."""
    called: str
    """What a mistake in it is called by: the same, but `port in plotindex.toml`."""


def variable(name: str) -> str:
    """The environment variable of a setting."""
    return "PLOTINDEX_DATABASE_URL" if name == "database" else f"{PREFIX}{name.upper()}"


def file_of(environment: Mapping[str, str], config: Path | None) -> tuple[Path, bool]:
    """The file that settings are read from, and whether somebody named it: then it has to be there."""
    named = config or environment.get(CONFIG_VARIABLE)
    return Path(named or CONFIG_FILE), bool(named)


def option_of(name: str) -> str:
    """The option of a setting, on the command line."""
    return "--" + name.replace("_", "-")


def from_file(environment: Mapping[str, str], config: Path | None) -> Iterator[Given]:
    """What the file says: that which is named, else plotindex.toml in the current folder, if it is there.

    Raises:
        SettingsError: it cannot be read.
    """
    file, named = file_of(environment, config)
    try:
        text = file.read_text()
        content = tomllib.loads(text)
    except FileNotFoundError:
        if named:
            raise SettingsError(f"The file {file} does not exist: name another one with --config.") from None
        return
    except OSError as error:
        raise SettingsError(
            f"{file} cannot be read ({error.strerror}): let this user read it, or name another one with --config."
        ) from None
    except UnicodeDecodeError:
        raise SettingsError(f"{file} cannot be read as TOML: it is no text in UTF-8.") from None
    except tomllib.TOMLDecodeError as error:
        raise SettingsError(
            f'{file} cannot be read as TOML: {error}. Each line is `name = value`, text in quotes: root = "/srv/plots".'
        ) from None
    for name, value in content.items():
        yield Given(name, value, "file", f"{file.absolute()}:{_line_of(name, text)}", f"{name} in {file}")


def from_environment(names: Collection[str], environment: Mapping[str, str]) -> Iterator[Given]:
    """What variables say. An empty one is what a service manager leaves of an unset one."""
    for name in names:
        if value := environment.get(variable(name)):
            yield Given(name, value, "environment", variable(name), variable(name))


def from_options(
    options: Mapping[str, object | None], name_option: Callable[[str], str] = option_of
) -> Iterator[Given]:
    """What options say; `name_option` says what one is called."""
    for name, value in options.items():
        if value is not None:
            yield Given(name, value, "option", name_option(name), name_option(name))


def unknown_variables(names: Collection[str], environment: Mapping[str, str]) -> dict[str, str]:
    """Variables that are called like settings and are none, each with what is to be said of it."""
    known = {*map(variable, names), CONFIG_VARIABLE}
    short = [name.removeprefix(PREFIX) for name in known]
    found = {}
    for name in sorted(environment):
        if name.startswith(PREFIX) and name not in known:
            near = nearest(name.removeprefix(PREFIX), short)
            hint = f"do you mean {PREFIX}{near}?" if near else "`plotindex config` lists the settings."
            found[name] = f"{name} is no setting and does nothing: {hint}"
    return found


def other_variables(environment: Mapping[str, str]) -> dict[str, str]:
    """The environment without what is called like a setting: a child process is given the settings themselves."""
    return {name: value for name, value in environment.items() if not name.startswith(PREFIX)}


def nearest(name: str, names: Collection[str]) -> str | None:
    """The name that may be meant; of equally near ones, that which begins alike."""
    near = sorted(get_close_matches(name, sorted(names)), key=lambda candidate: candidate[:1] != name[:1])
    return near[0] if near else None


def _line_of(name: str, text: str) -> int:
    found = re.search(rf"""^[ \t]*["']?{re.escape(name)}["']?[ \t]*=""", text, re.M)
    return text.count("\n", 0, found.start()) + 1 if found else 1
