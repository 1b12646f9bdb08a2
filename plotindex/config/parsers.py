"""What one value of a setting may be: text of a variable, an option's, or anything that TOML holds."""

import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from plotindex.errors import SettingsError
from plotindex.system import is_encodable, redact_url
from plotindex.tree import MEDIA_TYPES, is_name

SHORTEST_KEY = 16


def text(name: str, value: Any) -> str:  # noqa: ANN401 - TOML and environment hold anything
    if not isinstance(value, str) or not value or not is_encodable(value) or "\0" in value:
        raise SettingsError(f"{name} must be text that is not empty, not {value!r}.")
    return value


def path(name: str, value: Any) -> Path:  # noqa: ANN401 - see above
    given = text(name, str(value) if isinstance(value, Path) else value)
    try:
        return Path(os.path.abspath(Path(given).expanduser()))
    except RuntimeError:
        raise SettingsError(f"{name} must be a path whose home directory is known, not {value!r}.") from None


def whole(lowest: int, highest: int) -> Callable[[str, Any], int]:
    def parse(name: str, value: Any) -> int:  # noqa: ANN401 - see above
        try:
            number = int(value) if isinstance(value, str | int) and not isinstance(value, bool) else None
        except ValueError:
            number = None
        if number is None or not lowest <= number <= highest:
            raise SettingsError(f"{name} must be a whole number from {lowest} to {highest}, not {value!r}.")
        return number

    return parse


@dataclass(frozen=True)
class OneOf:
    """One of some words, each of which stands for a value, as which it can be given too."""

    choices: Mapping[str, object]

    def __call__(self, name: str, value: Any) -> Any:  # noqa: ANN401 - see above
        for choice, meaning in self.choices.items():
            if value in (choice, meaning) and isinstance(value, type(meaning) | str):
                return meaning
        raise SettingsError(f"{name} must be one of {', '.join(self.choices)}, not {value!r}.")


def prefix(name: str, value: Any) -> str:  # noqa: ANN401 - see above
    given = "/" + text(name, value).strip("/")
    if any(c in given for c in "<>?# "):
        raise SettingsError(f"{name} must be a plain path such as /api/smartstat, not {value!r}.")
    return given if given != "/" else ""


def pattern(name: str, value: Any) -> str:  # noqa: ANN401 - see above
    given = text(name, value)
    if not is_name(given):
        raise SettingsError(f"{name} must match one folder name, such as project_*, not {value!r}.")
    return given


def suffixes(name: str, value: Any) -> frozenset[str]:  # noqa: ANN401 - see above
    given = value.replace(",", " ").split() if isinstance(value, str) else value
    if not isinstance(given, list | tuple | set | frozenset) or not given:
        raise SettingsError(f"{name} must be a list of suffixes such as .png .svg, not {value!r}.")
    for suffix in given:
        if not isinstance(suffix, str) or suffix.lower() not in MEDIA_TYPES:
            raise SettingsError(f"{name} can hold {' '.join(MEDIA_TYPES)}, not {suffix!r}.")
    return frozenset(suffix.lower() for suffix in given)


def keys(name: str, value: Any) -> tuple[str, ...]:  # noqa: ANN401 - see above
    given = tuple(value.split() if isinstance(value, str) else value) if isinstance(value, str | list | tuple) else ()
    if not given or not all(isinstance(key, str) and is_encodable(key) and len(key) >= SHORTEST_KEY for key in given):
        # What was given is not repeated: it may be nearly the right one.
        raise SettingsError(
            f"{name} must be one or more keys of at least {SHORTEST_KEY} characters, the newest first, "
            "with blanks between: `openssl rand -hex 32` makes one."
        )
    return given


def url(name: str, value: Any) -> str:  # noqa: ANN401 - see above
    given = text(name, value)
    try:
        parts = urlsplit(given)
        is_right = parts.scheme in ("http", "https") and parts.hostname and not parts.query and not parts.fragment
    except ValueError:
        is_right = False
    if not is_right:
        raise SettingsError(f"{name} must be an address such as https://plots.example.org, not {redact_url(value)!r}.")
    return given.rstrip("/")
