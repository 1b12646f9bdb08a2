"""What servers tell of their answers in the state folder, whatever else lies there."""

import os
from pathlib import Path

import pytest

from plotindex.config.settings import Settings
from plotindex.ops.request_counts import HITS, MISSES, SCANS, SLOT, Counts, Recent, read_recent

LONG_AGO = 20_000_000
"""A minute."""


@pytest.fixture
def folder(settings: Settings) -> Path:
    return settings.request_counts_folder


def test_processes_are_counted_together_and_a_fork_has_a_file_of_its_own(settings: Settings, folder: Path) -> None:
    assert read_recent(folder) is None
    recent = Recent(settings)
    for which in (HITS, HITS, MISSES, SCANS):
        recent.count(which)
    pid = os.fork()
    if not pid:
        recent.count(HITS)
        os._exit(0)
    os.waitpid(pid, 0)
    recent.count(HITS)
    assert read_recent(folder) == Counts(hits=4, misses=1, scans=1)
    assert len(list(folder.iterdir())) == 2


def test_what_a_process_that_lives_tells_is_kept_however_old_and_of_one_that_is_gone_until_it_is_old(
    settings: Settings, folder: Path
) -> None:
    recent = Recent(settings)
    recent.count(HITS)
    (own,) = folder.iterdir()
    own.write_bytes(SLOT.pack(LONG_AGO, 1, 0, 0))
    gone = folder / "12345-00aa00aa"
    gone.write_bytes(SLOT.pack(LONG_AGO, 1, 0, 0))
    Recent(settings).count(HITS)
    assert not gone.exists()
    recent.count(HITS)
    assert read_recent(folder) == Counts(hits=3)


def test_nothing_else_that_lies_there_is_read_waited_for_or_removed(settings: Settings, folder: Path) -> None:
    settings.make_state_folder()
    folder.mkdir()
    other = folder.parent / "other"
    other.write_bytes(b"")
    os.mkfifo(folder / "12345-00000000")
    (folder / "12345-11111111").symlink_to(other)
    (folder / "12345-22222222").mkdir()
    (folder / "notes").write_bytes(b"")
    before = set(folder.iterdir())
    Recent(settings).count(HITS)
    assert read_recent(folder) == Counts(hits=1)
    assert before < set(folder.iterdir())
    assert other.exists()


def test_on_a_full_disk_nothing_is_told_and_nothing_ends(settings: Settings, folder: Path, small_disk: Path) -> None:
    folder.mkdir(parents=True)
    recent = Recent(settings)
    with (small_disk / "filler").open("wb", buffering=0) as filler, pytest.raises(OSError, match="No space"):
        while True:
            filler.write(bytes(4096))
    for _ in range(3):
        recent.count(HITS)
    assert not read_recent(folder)
    (small_disk / "filler").unlink()
    recent.count(HITS)
    assert read_recent(folder) in (Counts(hits=4), None)
