"""The history in a backup: rows as lines of JSON, and the bytes, in a tar file that any program can read."""

import io
import json
import os
import tarfile
import time
from collections.abc import Iterator
from hashlib import blake2b
from typing import IO, Any, NamedTuple

from plotindex.errors import SettingsError
from plotindex.history.contents import CONTENT_NAME, OpenContents
from plotindex.history.store import HistoryStore
from plotindex.storage import (
    DIGEST_BYTES,
    FolderIdentity,
    HistoryReader,
    HistoryWriter,
    KeptSession,
    KeptVersion,
    forgotten_mark,
)
from plotindex.tree import Plot

VERSIONS_FILE = "versions.jsonl"
CONTENTS_FOLDER = "contents/"
MAX_LINES_BYTES = 1 << 30
DAMAGED = "This backup is damaged; what was read before that is restored. Use an older backup."


class Archived(NamedTuple):
    """What was backed up or restored."""

    versions: int
    contents: int


def write_archive(store: HistoryStore, archive: tarfile.TarFile) -> Archived:
    """Add the history to a tar file; the indexer waits meanwhile.

    Raises:
        HistoryError: it cannot be read.
        OSError: the file cannot be written.
    """
    with store.locked(), store.folder.opened() as contents:
        with store.reading() as reader:
            lines = list(_lines(reader))
            digests = sorted(reader.digests())
        text = "".join(f"{line}\n" for line in lines).encode()
        add_file(archive, VERSIONS_FILE, len(text), io.BytesIO(text))
        written = 0
        for digest in digests:
            # A lost content is reported when it is read.
            if not contents.exists(digest):
                continue
            with os.fdopen(contents.open(digest), "rb") as file:
                add_file(archive, f"{CONTENTS_FOLDER}{digest}", os.fstat(file.fileno()).st_size, file)
            written += 1
    return Archived(len(lines), written)


def read_archive(store: HistoryStore, archive: tarfile.TarFile) -> Archived:
    """Add what a tar file holds to the history. What was forgotten stays so; the bound applies when versions are kept.

    Raises:
        SettingsError: the file is damaged.
        HistoryError: the history cannot be written.
        OSError: its folder cannot be written.
    """
    lines: list[dict[str, Any]] = []
    whole: set[str] = set()
    try:
        with store.locked(), store.folder.opened() as contents:
            for member in archive:
                file = archive.extractfile(member) if member.isfile() else None
                if file is None:
                    continue
                if member.name == VERSIONS_FILE and member.size <= MAX_LINES_BYTES:
                    lines = [json.loads(line) for line in file]
                elif member.name.startswith(CONTENTS_FOLDER):
                    whole |= _restore_content(contents, member.name.removeprefix(CONTENTS_FOLDER), file)
            contents.sync_folder()
            with store.writing() as writer:
                restored = sum(_restore_row(writer, line) for line in lines if line["digest"] in whole)
                contents.delete_all(digest for digest in whole if not writer.reader.has_content(digest))
    except (tarfile.TarError, EOFError, ValueError, KeyError, TypeError) as error:
        raise SettingsError(DAMAGED) from error
    return Archived(restored, len(whole))


def _lines(reader: HistoryReader) -> Iterator[str]:
    folders: dict[str, dict[int, KeptSession]] = {}
    for version in reader.all_versions():
        name = version.plot.session
        if name not in folders:
            folders[name] = {folder.id: folder for folder in reader.sessions(name)}
        folder = folders[name][version.session_id]
        yield json.dumps({
            "folder": [*folder.identity, folder.since, folder.ended],
            "plot": list(version.plot),
            "seen": version.seen,
            "digest": version.digest,
        })  # fmt: skip


def add_file(archive: tarfile.TarFile, name: str, size: int, file: IO[bytes], made: float | None = None) -> None:
    """Add a private file to a tar file; it was made then, or now."""
    member = tarfile.TarInfo(name)
    member.size, member.mtime, member.mode = size, int(made or time.time()), 0o600
    archive.addfile(member, file)


def _restore_content(contents: OpenContents, digest: str, file: IO[bytes]) -> set[str]:
    """Store a content, if its bytes are what its name says."""
    if not CONTENT_NAME.fullmatch(digest):
        return set()
    content = file.read()
    if blake2b(content, digest_size=DIGEST_BYTES).hexdigest() != digest:
        return set()
    if not contents.has(digest, len(content)):
        contents.write(digest, content)
    return {digest}


def _restore_row(writer: HistoryWriter, line: dict[str, Any]) -> bool:
    """Add the row of a version, unless it is kept or was forgotten."""
    plot = Plot(*line["plot"])
    inode, birth_ns, since, ended = line["folder"]
    if writer.is_forgotten(forgotten_mark(plot)):
        return False
    session_id = writer.restore_session(plot.session, FolderIdentity(inode, birth_ns), since, ended)
    copy_id = writer.find_copy(session_id, plot.filename, plot.project)
    if copy_id is None:
        copy_id = writer.add_copy(session_id, plot.filename, plot.project)
    if writer.has_version(copy_id, plot[3:]):
        return False
    writer.restore_version(KeptVersion(0, copy_id, session_id, plot, int(line["seen"]), line["digest"]))
    return True
