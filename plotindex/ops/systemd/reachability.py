"""Whether other users can run this installation, by file modes, without access control lists."""

import os
import stat
import sys
from collections.abc import Iterable
from pathlib import Path

import plotindex


def program_files(command: Path) -> list[Path]:
    """Files that are read to run the command: itself, the interpreter, this package and the standard library."""
    return [command, Path(sys.executable), Path(plotindex.__file__), Path(os.__file__)]


def first_unreadable(files: Iterable[Path]) -> Path | None:
    """The first folder or file that keeps other users from reading one of these; symlinks are followed.

    Raises:
        OSError: this user cannot access one of them.
    """
    for file in files:
        place = Path(os.path.abspath(file))
        while True:
            if closed := _closed_folder(place):
                return closed
            if not place.is_symlink():
                break
            place = Path(os.path.abspath(place.parent / place.readlink()))
        real = Path(os.path.realpath(place))
        if closed := _closed_folder(real):
            return closed
        if not real.stat().st_mode & stat.S_IROTH:
            return real
    return None


def _closed_folder(place: Path) -> Path | None:
    return next((folder for folder in reversed(place.parents) if not folder.stat().st_mode & stat.S_IXOTH), None)
