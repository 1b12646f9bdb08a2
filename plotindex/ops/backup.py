"""What of the state is no cache, as one file: tokens, keys, and which logins are over."""

import hashlib
import json
import time
from collections.abc import Callable, Mapping
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import Any, NamedTuple

from plotindex.auth import KEYS_FILE, LOGOUTS_FILE, TOKENS_FILE, parse_keys, parse_logouts, parse_tokens
from plotindex.config import Settings
from plotindex.errors import PlotIndexError, SettingsError
from plotindex.system import exclusive_lock, printable, read_private, write_private

VERSION = 1
PARSERS: dict[str, Callable[[bytes], object]] = {
    LOGOUTS_FILE: parse_logouts,
    KEYS_FILE: parse_keys,
    TOKENS_FILE: parse_tokens,
}
"""What is kept, in the order in which it is restored: nobody is let in by a part of it. Each raises ValueError."""
LATEST = 253_402_300_799.0
"""The last second of the year 9999, since the epoch."""


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
    for name, parse in PARSERS.items():
        shown = f"{name} in {printable(str(settings.state_folder))}"
        try:
            content = read_private(settings.state_folder / name)
            parse(content)
            files[name] = content.decode()
        except FileNotFoundError:
            continue
        except OSError as error:
            raise SettingsError(f"{shown} cannot be read ({error.strerror}): let this user read it.") from None
        except ValueError:
            raise SettingsError(f"{shown} is damaged, and nothing was backed up: restore it, or remove it.") from None
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
    except (ValueError, KeyError, TypeError, RecursionError):
        raise SettingsError("This is no backup of plotindex: name a file that `plotindex backup` wrote.") from None
    if version != VERSION:
        raise SettingsError("This backup is of a newer plotindex: upgrade plotindex, nothing was changed.")
    backup = _checked(told)
    if backup is None:
        raise SettingsError("This backup is damaged: its checksum is another one; take an older one.")
    for name, content in backup.files.items():
        try:
            PARSERS[name](content.encode())
        except ValueError:
            raise SettingsError(
                f"The {name} in this backup can be used by nobody, and nothing was changed: take an older one."
            ) from None
    return backup


def _checked(told: dict[str, Any]) -> Backup | None:
    match told:
        case {"root": str(root), "made": float(made), "files": dict(files), "sha256": str(digest)}:
            backup = Backup(root, made, files)
            known = all(name in PARSERS and isinstance(text, str) for name, text in files.items())
            return backup if known and 0 <= made <= LATEST and backup.digest == digest else None
    return None


def restore(settings: Settings, backup: Backup, *, force: bool = False) -> list[str]:
    """Put back what was backed up, each file whole or not at all; return the names of those that are different now.

    Services that run read them at once. Logins that have ended since stay ended.

    Raises:
        SettingsError: there are other tokens or keys, and `force` is not given; or this user cannot write.
    """
    folder = settings.make_state_folder()
    with ExitStack() as locks:
        for name in PARSERS:
            locks.enter_context(exclusive_lock(folder / name))
        after = {name: text.encode() for name, text in backup.files.items()}
        before = {name: content for name in after if (content := _content(folder / name)) is not None}
        words = {TOKENS_FILE: "tokens", KEYS_FILE: "keys"}
        others = [word for name, word in words.items() if name in before and before[name] != after[name]]
        if others and not force:
            raise SettingsError(
                f"In {printable(str(folder))} are other {' and '.join(others)} than in the backup, and nothing was "
                "changed: --force replaces them."
            )
        if LOGOUTS_FILE in before:
            after[LOGOUTS_FILE] = _joined(before[LOGOUTS_FILE], after[LOGOUTS_FILE])
        changed = [name for name in PARSERS if name in after and after[name] != before.get(name)]
        for name in changed:
            write_private(folder / name, after[name])
    return changed


def _content(file: Path) -> bytes | None:
    try:
        return read_private(file)
    except FileNotFoundError:
        return None
    except OSError as error:
        raise SettingsError(
            f"{printable(str(file))} cannot be read ({error.strerror}): let this user read it."
        ) from None


def _joined(now: bytes, then: bytes) -> bytes:
    """Every login that is over by one of them; what is damaged tells of none."""
    ended = {}
    for content in (now, then):
        with suppress(ValueError):
            ended.update(parse_logouts(content))
    return json.dumps(ended).encode()
