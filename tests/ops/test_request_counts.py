"""Request counts in the state folder."""

import os
from pathlib import Path

import pytest

from plotindex.config.settings import Settings
from plotindex.ops.request_counts import SLOT, Counts, RequestCounter, read_counts

LONG_AGO = 20_000_000
"""A minute."""


@pytest.fixture
def folder(settings: Settings) -> Path:
    return settings.request_counts_folder


def test_counts_of_all_processes_are_added(settings: Settings, folder: Path) -> None:
    assert read_counts(folder) is None
    counter = RequestCounter(settings)
    for _ in range(2):
        counter.count(hits=1)
    counter.count(misses=1)
    counter.count(scans=1)
    pid = os.fork()
    if not pid:
        counter.count(hits=1)
        os._exit(0)
    os.waitpid(pid, 0)
    counter.count(hits=1)
    assert read_counts(folder) == Counts(hits=4, misses=1, scans=1)
    assert len(list(folder.iterdir())) == 2


def test_only_expired_files_of_dead_processes_are_removed(settings: Settings, folder: Path) -> None:
    counter = RequestCounter(settings)
    counter.count(hits=1)
    (own,) = folder.iterdir()
    own.write_bytes(SLOT.pack(LONG_AGO, 1, 0, 0))
    gone = folder / "12345-00aa00aa"
    gone.write_bytes(SLOT.pack(LONG_AGO, 1, 0, 0))
    RequestCounter(settings).count(hits=1)
    assert not gone.exists()
    counter.count(hits=1)
    assert read_counts(folder) == Counts(hits=3)


def test_other_files_are_ignored(settings: Settings, folder: Path) -> None:
    settings.make_state_folder()
    folder.mkdir()
    other = folder.parent / "other"
    other.write_bytes(b"")
    os.mkfifo(folder / "12345-00000000")
    (folder / "12345-11111111").symlink_to(other)
    (folder / "12345-22222222").mkdir()
    (folder / "notes").write_bytes(b"")
    before = set(folder.iterdir())
    RequestCounter(settings).count(hits=1)
    assert read_counts(folder) == Counts(hits=1)
    assert before < set(folder.iterdir())
    assert other.exists()


def test_full_disk_stops_only_the_counting(settings: Settings, folder: Path, small_disk: Path) -> None:
    folder.mkdir(parents=True)
    counter = RequestCounter(settings)
    with (small_disk / "filler").open("wb", buffering=0) as filler, pytest.raises(OSError, match="No space"):
        while True:
            filler.write(bytes(4096))
    for _ in range(3):
        counter.count(hits=1)
    assert not read_counts(folder)
    (small_disk / "filler").unlink()
    counter.count(hits=1)
    assert read_counts(folder) in (Counts(hits=4), None)
