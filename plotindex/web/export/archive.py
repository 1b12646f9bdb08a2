"""A ZIP archive of plots, written piece by piece: it is stored nowhere, and never in memory as a whole."""

import io
import time
from collections.abc import Callable, Generator, Sequence
from contextlib import closing
from datetime import UTC, datetime
from struct import pack
from zipfile import ZIP_STORED, ZipFile, ZipInfo

from plotindex.tree import Plot, Tree
from plotindex.web.export.descriptions import Describe
from plotindex.web.export.manifest import Manifest
from plotindex.web.export.names import MANIFEST, exported_path
from plotindex.web.export.selection import archived_bytes

MIN_DATE, MAX_DATE = (1980, 1, 1, 0, 0, 0), (2107, 12, 31, 23, 59, 58)
"""Of a ZIP archive."""
UNIX_TIME, HAS_MTIME = 0x5455, 1
"""An extra field with the exact time, since the other one has no time zone (Info-ZIP, proginfo/extrafld.txt)."""
MAX_UNIX_TIME = 2**31 - 1
READABLE = 0o100644 << 16

Report = Callable[[int, int], None]
"""Called with the number of plots done, and of all."""


def ignore_progress(_done: int, _total: int) -> None:
    """Report nothing."""


class _Buffer(io.RawIOBase):
    """What was written since the last `take`. Not seekable, so that ZipFile never goes back."""

    def __init__(self) -> None:
        self._content = bytearray()

    def writable(self) -> bool:
        return True

    def write(self, data: bytes) -> int:  # type: ignore[override]  # ZipFile writes bytes
        self._content += data
        return len(data)

    def take(self) -> bytes:
        content = bytes(self._content)
        self._content.clear()
        return content


def archive_pieces(
    tree: Tree,
    plots: Sequence[Plot],
    manifest: Manifest,
    describe: Describe,
    *,
    max_bytes: int | None = None,
    report: Report = ignore_progress,
) -> Generator[bytes, None, None]:
    """The pieces of an archive of these plots, as they are now, with their manifest as the last file. Some are empty.

    A plot that has grown is left out if the archive would become larger than `max_bytes`.
    """
    buffer = _Buffer()
    total = 0
    with ZipFile(buffer, "w", ZIP_STORED) as archive:
        for number, row in enumerate(plots, 1):
            copy = manifest.open(tree, row, None if max_bytes is None else max_bytes - total)
            if copy is not None:
                with closing(copy):
                    path = exported_path(row)
                    with archive.open(_info_of(path, copy.plot), "w") as file:
                        for chunk in copy:
                            file.write(chunk)
                            yield buffer.take()
                manifest.add(copy, path, describe(copy.plot).title)
                total += archived_bytes(copy.plot)
            report(number, len(plots))
            # Perhaps nothing: whoever has stopped reading is not to wait for plots without bytes.
            yield buffer.take()
        info = ZipInfo(MANIFEST, datetime.now(UTC).timetuple()[:6])
        info.external_attr = READABLE
        archive.writestr(info, manifest.encode())
    yield buffer.take()


def _info_of(path: str, plot: Plot) -> ZipInfo:
    seconds = plot.mtime_ns // 1_000_000_000
    date = time.gmtime(seconds)[:6]
    info = ZipInfo(path, min(max(date, MIN_DATE), MAX_DATE))
    if 0 <= seconds <= MAX_UNIX_TIME:
        info.extra = pack("<HHBl", UNIX_TIME, 5, HAS_MTIME, seconds)
    info.external_attr = READABLE
    # ZipFile chooses ZIP64 by it.
    info.file_size = plot.size
    return info
