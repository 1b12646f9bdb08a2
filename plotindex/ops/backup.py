"""Back up and restore the state that is not a cache: tokens, keys and logouts."""

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
"""Each file with its parser, which raises ValueError; in the order of restoring: no part of it allows a login."""
MAX_TIME = 253_402_300_799.0
"""The last second of the year 9999, since the epoch."""


class Backup(NamedTuple):
    """The content of a backup file."""

    root: str
    made: float
    """Seconds since the epoch."""
    files: Mapping[str, str]

    @property
    def digest(self) -> str:
        """The checksum of the content."""
        content = json.dumps([self.root, self.made, dict(self.files)], sort_keys=True)
        return hashlib.sha256(content.encode()).hexdigest()

    def as_text(self) -> str:
        document = {"plotindex_backup": VERSION, **self._asdict(), "sha256": self.digest}
        return json.dumps(document, indent=1) + "\n"


def make_backup(settings: Settings) -> Backup:
    """Back up the current state; services may be running.

    Raises:
        SettingsError: a file cannot be read, or is damaged.
        PlotIndexError: there is no state yet.
    """
    files = {}
    for name, parse in PARSERS.items():
        file = settings.state_folder / name
        if (content := _read(file)) is None:
            continue
        try:
            parse(content)
            files[name] = content.decode()
        except ValueError:
            shown = printable(str(file))
            raise SettingsError(f"{shown} is damaged; nothing was backed up. Restore or delete it.") from None
    if not files:
        raise PlotIndexError(f"There is nothing to back up in {printable(str(settings.state_folder))} yet.")
    return Backup(str(settings.root), time.time(), files)


def parse_backup(text: str) -> Backup:
    """Parse the text of `Backup.as_text`.

    Raises:
        SettingsError: it is not a backup, or damaged.
    """
    try:
        document = json.loads(text)
        version = document["plotindex_backup"]
    except (ValueError, KeyError, TypeError, RecursionError):
        raise SettingsError("This is not a plotindex backup: give a file that `plotindex backup` wrote.") from None
    if version != VERSION:
        raise SettingsError("This backup was made by a newer plotindex; nothing was restored. Upgrade plotindex.")
    backup = _verified(document)
    if backup is None:
        raise SettingsError("This backup is damaged (wrong checksum); nothing was restored. Use an older backup.")
    for name, content in backup.files.items():
        try:
            PARSERS[name](content.encode())
        except ValueError:
            message = f"The backup's {name} is unusable; nothing was restored. Use an older backup."
            raise SettingsError(message) from None
    return backup


def _verified(document: dict[str, Any]) -> Backup | None:
    match document:
        case {"root": str(root), "made": float(made), "files": dict(files), "sha256": str(digest)}:
            backup = Backup(root, made, files)
            is_known = all(name in PARSERS and isinstance(text, str) for name, text in files.items())
            return backup if is_known and 0 <= made <= MAX_TIME and backup.digest == digest else None
    return None


def restore(settings: Settings, backup: Backup, *, force: bool = False) -> list[str]:
    """Restore each file atomically; return the names of the files that changed.

    Running services read them at once. Logouts since the backup are kept.

    Raises:
        SettingsError: there are other tokens or keys, and `force` is not set; or this user cannot write.
    """
    folder = settings.make_state_folder()
    with ExitStack() as locks:
        for name in PARSERS:
            locks.enter_context(exclusive_lock(folder / name))
        after = {name: text.encode() for name, text in backup.files.items()}
        before = {name: content for name in after if (content := _read(folder / name)) is not None}
        words = {TOKENS_FILE: "tokens", KEYS_FILE: "keys"}
        others = [word for name, word in words.items() if name in before and before[name] != after[name]]
        if others and not force:
            raise SettingsError(
                f"{printable(str(folder))} has other {' and '.join(others)} than the backup; nothing was restored. "
                "Use --force to replace them."
            )
        if LOGOUTS_FILE in before:
            after[LOGOUTS_FILE] = _merge_logouts(before[LOGOUTS_FILE], after[LOGOUTS_FILE])
        changed = [name for name in PARSERS if name in after and after[name] != before.get(name)]
        for name in changed:
            write_private(folder / name, after[name])
    return changed


def _read(file: Path) -> bytes | None:
    try:
        return read_private(file)
    except FileNotFoundError:
        return None
    except OSError as error:
        shown = printable(str(file))
        raise SettingsError(
            f"{shown} cannot be read ({error.strerror}): make it readable for this user (chmod, chown)."
        ) from None


def _merge_logouts(now: bytes, then: bytes) -> bytes:
    """The logouts of both; a damaged file has none."""
    logouts = {}
    for content in (now, then):
        with suppress(ValueError):
            logouts.update(parse_logouts(content))
    return json.dumps(logouts).encode()
