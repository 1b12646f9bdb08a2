"""What of the state is no cache, as one file: tokens, keys, and which logins are over."""

import hashlib
import json
import time
from collections.abc import Mapping
from contextlib import ExitStack
from typing import Any, NamedTuple

from plotindex.errors import PlotIndexError, SettingsError
from plotindex.layout import printable
from plotindex.locks import changing, write_private
from plotindex.settings import Settings

VERSION = 1
TOKENS, KEYS, LOGOUTS = "tokens.json", "secret.key", "logouts.json"
NAMES = (LOGOUTS, KEYS, TOKENS)
"""What is kept, in the order in which it is restored: nobody is let in by a part of it."""


class Backup(NamedTuple):
    """What was backed up."""

    root: str
    made: float
    """Seconds since the epoch."""
    files: Mapping[str, str]

    @property
    def digest(self) -> str:
        """By which it is known to be whole."""
        content = json.dumps([self.root, self.made, dict(self.files)], sort_keys=True)
        return hashlib.sha256(content.encode()).hexdigest()

    def as_text(self) -> str:
        told = {"plotindex_backup": VERSION, **self._asdict(), "sha256": self.digest}
        return json.dumps(told, indent=1) + "\n"


def make_backup(settings: Settings) -> Backup:
    """Back up what there is, as it is now; services may run.

    Raises:
        SettingsError: this user cannot read it.
        PlotIndexError: there is nothing.
    """
    files = {}
    for name in NAMES:
        try:
            files[name] = (settings.state_folder / name).read_text()
        except FileNotFoundError:
            continue
        except (OSError, UnicodeDecodeError) as error:
            raise SettingsError(
                f"{name} in {printable(str(settings.state_folder))} cannot be read ({error}): let this user read it."
            ) from None
    if not files:
        raise PlotIndexError(f"There is nothing to back up yet in {printable(str(settings.state_folder))}.")
    return Backup(str(settings.root), time.time(), files)


def parse_backup(text: str) -> Backup:
    """What `Backup.as_text` told.

    Raises:
        SettingsError: it is something else, or not whole.
    """
    try:
        told = json.loads(text)
        version = told["plotindex_backup"]
    except (ValueError, KeyError, TypeError):
        raise SettingsError("This is no backup of plotindex: name a file that `plotindex backup` wrote.") from None
    if version != VERSION:
        raise SettingsError("This backup is of a newer plotindex: upgrade plotindex, nothing was changed.")
    backup = _checked(told)
    if backup is None:
        raise SettingsError("This backup is damaged: its checksum is another one; take an older one.")
    return backup


def _checked(told: dict[str, Any]) -> Backup | None:
    match told:
        case {"root": str(root), "made": float(made), "files": dict(files), "sha256": str(digest)}:
            backup = Backup(root, made, files)
            known = all(name in NAMES and isinstance(text, str) for name, text in files.items())
            return backup if known and backup.digest == digest else None
    return None


def restore(settings: Settings, backup: Backup, *, force: bool = False) -> list[str]:
    """Put back what was backed up, each file whole or not at all; return the names of those that are different now.

    Services that run read them at once. Logins that have ended since stay ended.

    Raises:
        SettingsError: there are other tokens or keys, and `force` is not given; or this user cannot write.
    """
    folder = settings.make_state_folder()
    with ExitStack() as locks:
        for name in NAMES:
            locks.enter_context(changing(folder / name))
        before = {name: file.read_text() for name in backup.files if (file := folder / name).exists()}
        others = [name for name in (TOKENS, KEYS) if name in before and before[name] != backup.files[name]]
        if others and not force:
            raise SettingsError(
                f"There are other {' and '.join(others)} in {printable(str(folder))}, and nothing was changed: "
                "--force replaces them."
            )
        after = dict(backup.files)
        if LOGOUTS in before:
            after[LOGOUTS] = _joined(before[LOGOUTS], after[LOGOUTS])
        changed = [name for name in NAMES if name in after and after[name] != before.get(name)]
        for name in changed:
            write_private(folder / name, after[name].encode())
    return changed


def _joined(*texts: str) -> str:
    """Every login that is over by one of them; what is damaged tells of none."""
    ended: dict[str, float] = {}
    for text in texts:
        try:
            ended.update(json.loads(text))
        except (ValueError, TypeError):
            continue
    return json.dumps(ended)
