"""Commit notifications of an SQLite file: each writer closes the file of its turn after COMMIT.

Not the log: it is written before a commit can be read, and by checkpoints, and it may be deleted.
"""

import threading
from pathlib import Path

from plotindex.storage.commit_notifications import CommitNotifications
from plotindex.system import LOCAL_FS_TYPES, ClosedFiles, FolderLostError, find_mount


class CommitWatcher(CommitNotifications):
    """Watches the folder of the database for writers that close the file of their turn."""

    def __init__(self, turn: Path) -> None:
        self._turn = turn
        self._files: ClosedFiles | None = None
        super().__init__()

    def _reset(self) -> None:
        # In a forked child: copies of the parent's descriptors.
        if self._files is not None:
            self._files.close()
            self._files = None
        super()._reset()

    def _receive(self, stop: threading.Event) -> None:
        mount = find_mount(self._turn.parent)
        if mount is None or mount.fs_type not in LOCAL_FS_TYPES:
            # Writers on other hosts cause no events here.
            stop.wait()
            return
        try:
            files = ClosedFiles(self._turn.parent)
        except OSError:
            return
        with self._changed:
            self._files = files
        try:
            while not stop.is_set():
                # At first, too: earlier commits are not reported.
                self._wake()
                files.wait(self._turn.name)
        except FolderLostError:
            return
        finally:
            with self._changed:
                self._files = None
                files.close()

    def _interrupt(self) -> None:
        with self._changed:
            if self._files is not None:
                self._files.stop()
