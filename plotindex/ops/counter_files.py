"""Counters of several processes: each writes its own to a file of one folder, and reads those of the others.

Not memory-mapped: a file that is truncated, or a full disk, would kill the process (SIGBUS).
"""

import json
import os
import secrets
from collections.abc import Iterator, Mapping
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

from plotindex.system import PrivateFolder, make_private_folder, open_private_folder

SUFFIX = ".json"


class CounterKey(NamedTuple):
    """A counter: its family, its name, and its labels."""

    family: str
    name: str
    labels: tuple[tuple[str, str], ...]


class CounterFiles:
    """The files of one folder, which is created again when it is missing. Without it, nothing is shared."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._id = secrets.token_hex(4)

    def write(self, counters: Mapping[CounterKey, float]) -> None:
        """Replace this process's counters, if possible. Forked children write files of their own."""
        content = json.dumps([[*key, value] for key, value in counters.items()]).encode()
        with suppress(OSError):
            make_private_folder(self._folder)
            with open_private_folder(self._folder) as folder:
                if _is_own(folder):
                    folder.replace(self._name, content, is_durable=False)

    def read_others(self) -> Iterator[dict[CounterKey, float]]:
        """The counters of each other process, also of those that have exited; without damaged files."""
        with suppress(OSError), open_private_folder(self._folder) as folder:
            for name in folder.names() if _is_own(folder) else ():
                if name.endswith(SUFFIX) and name != self._name:
                    with suppress(OSError, TypeError, ValueError):
                        yield _read(folder, name)

    @property
    def _name(self) -> str:
        return f"{os.getpid()}-{self._id}{SUFFIX}"


def _read(folder: PrivateFolder, name: str) -> dict[CounterKey, float]:
    with os.fdopen(folder.open(name, os.O_RDONLY), "rb") as file:
        rows = json.load(file)
    return {
        CounterKey(str(family), str(counter), tuple((str(label), str(value)) for label, value in labels)): float(count)
        for family, counter, labels, count in rows
    }


def _is_own(folder: PrivateFolder) -> bool:
    """False for a folder that another user made in its place: its name in /tmp was free for a moment."""
    return os.fstat(folder.fd).st_uid in (0, os.geteuid())
