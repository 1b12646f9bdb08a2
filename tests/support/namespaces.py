"""A mount namespace for one test: its mounts are invisible to others and vanish with it."""

import ctypes
import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.support.processes import wait_until

CLONE_NEWNS = 0x00020000


@contextmanager
def own_mounts() -> Iterator[None]:
    """Move this process, and its children, to a new mount namespace (unshare(2)); back on exit."""
    libc = ctypes.CDLL(None, use_errno=True)
    folder = os.getcwd()
    # /proc/self is the main thread, in which tests run.
    former = os.open("/proc/self/ns/mnt", os.O_RDONLY | os.O_CLOEXEC)
    try:
        if libc.unshare(CLONE_NEWNS):
            reason = os.strerror(ctypes.get_errno())
            pytest.skip(f"no mount namespace can be made here ({reason}): run the tests as root, with CAP_SYS_ADMIN")
        try:
            subprocess.run(["mount", "--make-rprivate", "/"], check=True)
            yield
        finally:
            assert libc.setns(former, CLONE_NEWNS) == 0, os.strerror(ctypes.get_errno())
            os.chdir(folder)
    finally:
        os.close(former)


def mount(*args: str | Path) -> None:
    """mount(8)."""
    subprocess.run(["mount", *args], check=True)


@contextmanager
def small_disk_at(folder: Path, options: str = "size=2m") -> Iterator[Path]:
    """Mount a 2 MB disk at a new folder, in a mount namespace."""
    folder.mkdir()
    with own_mounts():
        mount("-t", "tmpfs", "-o", options, "none", folder)
        yield folder


def unmount(place: Path) -> None:
    """umount(8), retried while files are open there."""
    wait_until(lambda: subprocess.run(["umount", place], capture_output=True, check=False).returncode == 0)
