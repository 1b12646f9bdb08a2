"""What of a file the page cache holds, by fincore(1): reading it to find out would change that."""

import os
import subprocess
from pathlib import Path


def cached_bytes(*files: Path) -> int:
    """The bytes of these files in the page cache, in whole pages."""
    command = ["fincore", "--bytes", "--noheadings", "--output", "RES", *map(str, files)]
    done = subprocess.run(command, capture_output=True, check=True, text=True)
    return sum(int(size) for size in done.stdout.split())


def drop_cached(*files: Path) -> int:
    """Drop files from the page cache; return what it still holds of them."""
    for file in files:
        fd = os.open(file, os.O_RDONLY)
        os.fsync(fd)
        os.posix_fadvise(fd, 0, 0, os.POSIX_FADV_DONTNEED)
        os.close(fd)
    return cached_bytes(*files)
