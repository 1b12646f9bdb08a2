"""The file of a backup: text or, with the history, a tar file that holds that text first."""

import io
import os
import secrets
import sys
import tarfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, TYPE_CHECKING

import click

from plotindex.errors import PlotIndexError, SettingsError
from plotindex.ops.backup import Backup, parse_backup

if TYPE_CHECKING:
    from plotindex.config import Settings
    from plotindex.history.store import HistoryStore

PIPE = Path("-")
TEXT_FILE = "backup.json"
MAX_TEXT_BYTES = 1 << 26
"""More than all tokens and keys take."""


def archive_history(settings: "Settings", content: Backup, file: Path) -> None:
    """Write a backup with the history. Raises SettingsError, PlotIndexError."""
    from plotindex.history.archive import add_file, write_archive

    store = _open_store(settings)
    if not store.exists():
        raise PlotIndexError("There is no history to back up yet: start `plotindex watch`, or leave out --history.")
    with replacing(file) as opened, tarfile.open(fileobj=opened, mode="w|") as archive:
        text = content.as_text().encode()
        add_file(archive, TEXT_FILE, len(text), io.BytesIO(text), content.made)
        done = write_archive(store, archive)
    click.echo(f"Backed up {done.versions} versions of plots in {done.contents} files.", err=True)


def restore_history(settings: "Settings", archive: tarfile.TarFile) -> None:
    """Add the history of a backup to what is kept. Raises SettingsError, PlotIndexError."""
    from plotindex.history.archive import read_archive

    store = _open_store(settings)
    store.prepare()
    try:
        done = read_archive(store, archive)
    except OSError as error:
        raise SettingsError(f"The history cannot be written ({error.strerror}): make room on its disk.") from None
    click.echo(f"Restored {done.versions} versions of plots; others were kept already, or forgotten.", err=True)


@contextmanager
def opened_backup(file: Path) -> Iterator[tuple[str, tarfile.TarFile | None]]:
    """The text of a backup and, if it has a history, the tar file behind it. Raises SettingsError."""
    try:
        with sys.stdin.buffer if file == PIPE else file.open("rb") as opened:
            if not _is_tar(opened):
                yield opened.read().decode(), None
                return
            with tarfile.open(fileobj=opened, mode="r|") as archive:
                first = archive.next()
                content = archive.extractfile(first) if first and first.name == TEXT_FILE else None
                yield content.read(MAX_TEXT_BYTES).decode() if content else "", archive
    except UnicodeDecodeError:
        raise _unreadable(file, "not a text file") from None
    except (tarfile.TarError, EOFError):
        raise _unreadable(file, "not a whole tar file") from None
    except OSError as error:
        raise _unreadable(file, error.strerror) from None


@contextmanager
def replacing(file: Path) -> Iterator[IO[bytes]]:
    """Write a private file atomically, or stdout. Replaces an older backup, but no other file."""
    if file == PIPE:
        yield sys.stdout.buffer
        return
    if file.exists():
        try:
            with opened_backup(file) as (text, _):
                parse_backup(text)
        except SettingsError:
            raise SettingsError(f"{file} exists and is not a backup: name another file.") from None
    new = file.with_name(f".{file.name}.{secrets.token_hex(8)}")
    try:
        fd = os.open(new, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
        with os.fdopen(fd, "wb") as opened:
            yield opened
            opened.flush()
            os.fsync(fd)
        new.rename(file)
    except OSError as error:
        raise SettingsError(f"{file} cannot be written ({error.strerror}): name another file.") from None
    finally:
        new.unlink(missing_ok=True)


def _is_tar(opened: IO[bytes]) -> bool:
    """Whether a backup is a tar file; reads nothing from it."""
    peek = getattr(opened, "peek", None)
    return peek is not None and peek(1)[: len(TEXT_FILE)] == TEXT_FILE.encode()


def _open_store(settings: "Settings") -> "HistoryStore":
    from plotindex.history.store import HistoryStore

    store = HistoryStore.from_settings(settings)
    if store is None:
        raise SettingsError("The history is off, so that it has no backup: set history_mb, or leave out --history.")
    return store


def _unreadable(file: Path, reason: str | None) -> SettingsError:
    return SettingsError(f"{file} cannot be read ({reason}): name a file written by `plotindex backup`.")
