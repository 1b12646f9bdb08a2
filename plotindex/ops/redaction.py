"""Replace paths and names of hosts in texts by aliases. Pure, except for resolving symlinks."""

import os
import re
from collections.abc import Iterable, Iterator
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

from plotindex.system import escape, printable

HOST = "HOST"


class PathAlias(NamedTuple):
    """A path, and the word that replaces it."""

    path: Path
    alias: str
    hides_content: bool = False
    """Whether everything below the path is replaced, too."""


class Redactor:
    """Replaces paths by their aliases, where all their components match, and hosts by HOST."""

    def __init__(self, aliases: Iterable[PathAlias], hosts: Iterable[str] = ()) -> None:
        """The first of several aliases for a path wins."""
        by_spelling: dict[str, PathAlias] = {}
        for alias in aliases:
            for spelling in _spellings(alias.path):
                by_spelling.setdefault(spelling, alias)
        # The longest path first: one may be below another.
        self._rules = [
            (_pattern(path, hides_content=alias.hides_content), alias.alias)
            for path, alias in sorted(by_spelling.items(), key=lambda item: -len(item[0]))
            if path != "/"
        ]
        names = {spelling for host in hosts for spelling in (host, escape(host), printable(host)) if spelling}
        self._rules += [(_pattern(name, hides_content=False), HOST) for name in sorted(names, key=len, reverse=True)]

    def redact(self, value: Any) -> Any:  # noqa: ANN401 - any JSON value
        """`value` with all its texts redacted."""
        if isinstance(value, dict):
            return {name: self.redact(child) for name, child in value.items()}
        if isinstance(value, list):
            return [self.redact(child) for child in value]
        if not isinstance(value, str):
            return value
        for pattern, alias in self._rules:
            value = pattern.sub(partial(_substitute, alias), value)
        return value


def _substitute(alias: str, found: "re.Match[str]") -> str:
    return f"{alias}/…" if found[1] else alias


def _pattern(path: str, *, hides_content: bool) -> "re.Pattern[str]":
    """A path as whole components; with `hides_content` also the rest of the text: names can contain anything."""
    rest = "/.*" if hides_content else "(?!)"
    return re.compile(rf"(?<![\w.-]){re.escape(path)}(?![\w-]|\.\w)({rest})?", re.DOTALL)


def _spellings(path: Path) -> Iterator[str]:
    for spelling in (str(path), os.path.realpath(path)):
        yield from (spelling, escape(spelling), printable(spelling))
