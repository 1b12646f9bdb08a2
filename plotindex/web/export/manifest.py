"""What an export contains: each plot with its name, version, digest, times and title, and what is missing."""

import json
import os
import time
from collections.abc import Iterator
from hashlib import blake2b
from typing import Any

from plotindex.storage import DIGEST_BYTES
from plotindex.system import rfc3339
from plotindex.tree import OpenPlot, Plot, PlotKey, Tree, plot_from_stat

CHUNK = 1 << 18
GONE = "It is no longer there"
CHANGED = "It changed while it was read"
TOO_LARGE = "It did not fit: plots have grown since the export began"


class PlotCopy:
    """Copies the bytes of an open plot, as many as it had when it was opened; owns the descriptor."""

    def __init__(self, opened: OpenPlot) -> None:
        self.plot, self.fd = opened
        self.digest: str | None = None
        """Of the copied bytes, once they are read."""
        self.problem: str | None = None

    def __iter__(self) -> Iterator[bytes]:
        digest = blake2b(digest_size=DIGEST_BYTES)
        offset = 0
        try:
            while chunk := os.pread(self.fd, min(CHUNK, self.plot.size - offset), offset):
                digest.update(chunk)
                offset += len(chunk)
                yield chunk
            status = os.fstat(self.fd)
        except OSError as error:
            self.problem = f"It cannot be read to its end ({error.strerror})"
            return
        self.digest = digest.hexdigest()
        if plot_from_stat(*self.plot[:3], status) != self.plot:
            self.problem = CHANGED

    def close(self) -> None:
        os.close(self.fd)


class Manifest:
    """The manifest of an export, in the order of its plots."""

    def __init__(self) -> None:
        self._plots: list[str] = []
        self._missing: list[str] = []
        self.problems = 0
        """Plots that are missing, or were not copied as they were."""

    def open(self, tree: Tree, row: Plot, max_bytes: int | None = None) -> PlotCopy | None:
        """The plot as it is now; if it is missing or larger than `max_bytes`, note that and return None."""
        try:
            opened = tree.open(PlotKey(row.session, row.filename), row.project)
        except OSError as error:
            self._note_missing(row, f"It cannot be read ({error.strerror})")
            return None
        if opened is None:
            self._note_missing(row, GONE)
        elif max_bytes is not None and opened.plot.size > max_bytes:
            os.close(opened.fd)
            self._note_missing(row, TOO_LARGE)
        else:
            return PlotCopy(opened)
        return None

    def add(self, copy: PlotCopy, path: str, title: str | None) -> None:
        """Add a plot that was copied."""
        plot = copy.plot
        entry = {
            **_name(plot),
            "path": path,
            "size": plot.size,
            "mtime": rfc3339(plot.mtime_ns),
            "version": plot.version,
            "digest": copy.digest,
            "title": title,
            "problem": copy.problem,
        }
        self.problems += copy.problem is not None
        self._plots.append(json.dumps(entry))

    def encode(self) -> bytes:
        """The manifest as JSON, one plot a line."""
        plots, missing = ("[" + ",".join(f"\n{one}" for one in lines) + "]" for lines in (self._plots, self._missing))
        created = json.dumps(rfc3339(time.time_ns()))
        return f'{{"created": {created}, "plots": {plots}, "missing": {missing}}}\n'.encode()

    @property
    def missing(self) -> int:
        """Plots that could not be copied."""
        return len(self._missing)

    def _note_missing(self, plot: Plot, problem: str) -> None:
        self.problems += 1
        self._missing.append(json.dumps({**_name(plot), "problem": problem}))


def _name(plot: Plot) -> dict[str, Any]:
    return {"session": plot.session, "project": plot.project, "filename": plot.filename}
