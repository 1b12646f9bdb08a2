"""Parsers of settings. A value is text from a variable or an option, or any TOML value.

Each takes the name to call the setting by, and the value. All raise SettingsError.
"""

import os
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from plotindex.errors import SettingsError
from plotindex.system import is_encodable, redact_url
from plotindex.tree import MEDIA_TYPES, is_name

MIN_KEY_LENGTH = 16
FRAME_ANCESTOR = re.compile(r"'self'|https?://(\*\.)?[\w.-]+(:\d+)?", re.ASCII)
"""A source of the directive frame-ancestors (CSP3 6.4.2)."""


def text(name: str, value: Any) -> str:  # noqa: ANN401 - TOML and environment hold anything
    if not isinstance(value, str) or not value or not is_encodable(value) or "\0" in value:
        raise SettingsError(f"{name} must be non-empty text, not {value!r}.")
    return value


def path(name: str, value: Any) -> Path:  # noqa: ANN401 - see above
    given = text(name, str(value) if isinstance(value, Path) else value)
    try:
        return Path(os.path.abspath(Path(given).expanduser()))
    except RuntimeError:
        raise SettingsError(f"{name} must be a path with an existing home directory, not {value!r}.") from None


def integer(minimum: int, maximum: int) -> Callable[[str, Any], int]:
    def parse(name: str, value: Any) -> int:  # noqa: ANN401 - see above
        try:
            number = int(value) if isinstance(value, str | int) and not isinstance(value, bool) else None
        except ValueError:
            number = None
        if number is None or not minimum <= number <= maximum:
            raise SettingsError(f"{name} must be a whole number from {minimum} to {maximum}, not {value!r}.")
        return number

    return parse


@dataclass(frozen=True)
class OneOf:
    """Parser of a fixed set of words; also accepts the values that they stand for."""

    choices: Mapping[str, object]

    def __call__(self, name: str, value: Any) -> Any:  # noqa: ANN401 - see above
        for choice, meaning in self.choices.items():
            if value in (choice, meaning) and isinstance(value, type(meaning) | str):
                return meaning
        raise SettingsError(f"{name} must be one of {', '.join(self.choices)}, not {value!r}.")


def url_path(name: str, value: Any) -> str:  # noqa: ANN401 - see above
    given = "/" + text(name, value).strip("/")
    if any(c in given for c in "<>?# "):
        raise SettingsError(f"{name} must be a plain path such as /api/smartstat, not {value!r}.")
    return given if given != "/" else ""


def folder_patterns(name: str, value: Any) -> str:  # noqa: ANN401 - see above
    given = _words(value)
    if not given or not all(isinstance(pattern, str) and (pattern == "." or is_name(pattern)) for pattern in given):
        raise SettingsError(f"{name} must be globs of folder names, such as project_* run_*, or `.`, not {value!r}.")
    return " ".join(dict.fromkeys(given))


def ignored_names(name: str, value: Any) -> str:  # noqa: ANN401 - see above
    # An empty variable counts as unset; "/" is no name.
    given = [] if value in ("", "/") else _words(value)
    is_list = isinstance(value, str | list | tuple | set | frozenset)
    if not is_list or not all(isinstance(glob, str) and is_name(glob) for glob in given):
        raise SettingsError(f"{name} must be globs of names, such as .* *~, or / for none, not {value!r}.")
    return " ".join(dict.fromkeys(given))


def _words(value: Any) -> Any:  # noqa: ANN401 - see above
    """The words of a text, separated by blanks or commas; another list as it is; else an empty one."""
    if isinstance(value, str):
        return value.replace(",", " ").split()
    return value if isinstance(value, list | tuple | set | frozenset) else []


def suffixes(name: str, value: Any) -> frozenset[str]:  # noqa: ANN401 - see above
    given = _words(value)
    if not given:
        raise SettingsError(f"{name} must be a list of suffixes such as .png .svg, not {value!r}.")
    for suffix in given:
        if not isinstance(suffix, str) or suffix.lower() not in MEDIA_TYPES:
            raise SettingsError(f"{name} can hold {' '.join(MEDIA_TYPES)}, not {suffix!r}.")
    return frozenset(suffix.lower() for suffix in given)


def secret_keys(name: str, value: Any) -> tuple[str, ...]:  # noqa: ANN401 - see above
    given = tuple(value.split() if isinstance(value, str) else value) if isinstance(value, str | list | tuple) else ()
    if not given or not all(isinstance(key, str) and is_encodable(key) and len(key) >= MIN_KEY_LENGTH for key in given):
        # The message omits the value: it may be almost the right key.
        raise SettingsError(
            f"{name} must be one or more keys of at least {MIN_KEY_LENGTH} characters, newest first, separated by "
            "blanks: `openssl rand -hex 32` makes one."
        )
    return given


def frame_ancestors(name: str, value: Any) -> str:  # noqa: ANN401 - see above
    given = value.split() if isinstance(value, str) else value
    words = [f"'{word}'" if word in ("self", "none") else word for word in given] if isinstance(given, list) else []
    if not words or not (words == ["'none'"] or all(map(FRAME_ANCESTOR.fullmatch, words))):
        raise SettingsError(f"{name} must be none, self, or origins such as https://portal.example.org, not {value!r}.")
    return " ".join(words)


def url(name: str, value: Any) -> str:  # noqa: ANN401 - see above
    given = text(name, value)
    try:
        parts = urlsplit(given)
        is_valid = parts.scheme in ("http", "https") and parts.hostname and not parts.query and not parts.fragment
    except ValueError:
        is_valid = False
    if not is_valid:
        raise SettingsError(f"{name} must be a URL such as https://plots.example.org, not {redact_url(value)!r}.")
    return given.rstrip("/")
