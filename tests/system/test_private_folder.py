"""State files of another user: what an owner who is not trusted can plant, and what root does with it."""

import os
import stat
import struct
import subprocess
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

import pytest

from plotindex.auth.keys import KeyFile
from plotindex.auth.logins import Logins
from plotindex.auth.tokens import Token, Tokens
from plotindex.config.settings import Settings
from plotindex.errors import PlotIndexError, UnsafePathError, UnusableDatabaseError
from plotindex.index.indexer_lock import hold_indexer_lock, read_indexer_lock
from plotindex.ops.backup import make_backup, restore
from plotindex.ops.request_counts import RequestCounter, read_counts
from plotindex.rendering.cache import FileCache
from plotindex.storage.sqlite.database import SqliteDatabase
from plotindex.storage.sqlite.writer_queue import WriterQueue
from plotindex.system.private_files import MAX_BYTES, open_private, read_private, write_private
from plotindex.system.private_folder import make_private_folder
from plotindex.watch.barriers import Barriers, create_barrier
from tests.support.other_users import reachable_folder
from tests.support.processes import RunPlotindex

OWNER, MEMBER, GROUP = 51_201, 51_202, 51_203

reachable = pytest.fixture(reachable_folder)
pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="only root can give folders to other users")


@pytest.fixture
def owned(settings: Settings, reachable: Path) -> Settings:
    """Settings whose state belongs to an unprivileged user, who can change it."""
    given = replace(settings, state_dir=reachable / "states")
    given.state_dir.mkdir(mode=0o700)
    os.chown(given.state_dir, OWNER, OWNER)
    given.make_state_folder()
    return given


@pytest.fixture
def treasure(tmp_path: Path) -> Iterator[Path]:
    """A folder of root's with one file; asserts that nothing happens in it."""
    folder = tmp_path / "treasure"
    folder.mkdir(mode=0o700)
    (folder / "file").write_bytes(b"precious")
    yield folder
    assert [path.name for path in folder.iterdir()] == ["file"]
    status = (folder / "file").stat()
    assert ((folder / "file").read_bytes(), status.st_uid, stat.S_IMODE(status.st_mode)) == (b"precious", 0, 0o644)
    assert folder.stat().st_uid == 0


def plant_link(path: Path, target: Path) -> None:
    """A symlink by the state's owner, in the place of what is there."""
    if path.is_dir() and not path.is_symlink():
        path.rmdir()
    path.unlink(missing_ok=True)
    path.symlink_to(target)
    os.lchown(path, OWNER, OWNER)


def use_all(settings: Settings) -> None:
    """Use each kind of state file; some refuse."""
    logins = Logins.from_settings(settings)
    steps: list[Callable[[], object]] = [
        lambda: Tokens.from_settings(settings).create("web"),
        lambda: Tokens.from_settings(settings).list(),
        lambda: KeyFile.from_settings(settings).rotate(),
        lambda: KeyFile.from_settings(settings).load_or_create(),
        lambda: logins.log_out(logins.consume_code(logins.create_code(Token("", 0))) or ""),
        lambda: WriterQueue(settings.state_folder / "catalog.db").turn().__enter__(),
        lambda: hold_indexer_lock(settings.indexer_lock).__enter__().report("problem"),
        lambda: read_indexer_lock(settings.indexer_lock),
        lambda: restore(settings, make_backup(settings), force=True),
        lambda: RequestCounter(settings).count(hits=1),
        lambda: read_counts(settings.request_counts_folder),
        lambda: FileCache(settings.thumbnails_folder, 1 << 20, settings.make_state_folder).put("file", b"x"),
        lambda: FileCache(settings.thumbnails_folder, 1 << 20, settings.make_state_folder).get("file"),
        lambda: make_private_folder(settings.barrier_folder),
        lambda: create_barrier(settings.barrier_folder, "sync-1"),
        Barriers(settings.barrier_folder).start_self_test,
        lambda: SqliteDatabase(settings.state_folder / "catalog.db").migrate(),
    ]
    for step in steps:
        with suppress(PlotIndexError, OSError):
            step()


FILES = [
    *(name + end for name in ("tokens.json", "secret.key", "logins.json", "logouts.json") for end in ("", ".lock")),
    *("catalog.db.queue", "catalog.db.turn", "indexer.lock", "catalog.db", "catalog.db-wal", "catalog.db-shm"),
    *("tokens.json.new", "secret.key.new", "recent", "thumbnails", "sync"),
]


@pytest.mark.parametrize("name", FILES)
@pytest.mark.parametrize("target", ["file", "missing", "."])
def test_root_follows_no_link_in_another_users_state(owned: Settings, treasure: Path, name: str, target: str) -> None:
    plant_link(owned.state_folder / name, treasure / target)
    use_all(owned)


def test_root_enters_no_folder_that_another_user_replaced_by_a_link(owned: Settings, treasure: Path) -> None:
    plant_link(owned.state_folder, treasure)
    use_all(owned)
    with pytest.raises(PlotIndexError, match=rf"leads through {owned.state_folder.name}, a symlink of user {OWNER}"):
        Tokens.from_settings(owned).create("web")


def plant_journal(database: Path, named: Path) -> None:
    """A journal of a commit of several databases (sqlite.org/fileformat2.html#the_rollback_journal).

    SQLite rolls it back, and deletes the file that it names.
    """
    magic, content = bytes.fromhex("d9d505f920a163d7"), database.read_bytes()
    page_bytes, name = int.from_bytes(content[16:18], "big"), str(named).encode()
    head = magic + struct.pack(">IIIII", 0, 0, len(content) // page_bytes, 512, page_bytes)
    tail = struct.pack(">I", 0x40000000 // page_bytes + 1) + name + struct.pack(">II", len(name), sum(name)) + magic
    journal = database.with_name(f"{database.name}-journal")
    journal.write_bytes(head.ljust(512, b"\0") + tail)
    os.chown(journal, OWNER, OWNER)


def test_root_plays_back_no_journal_of_another_user(owned: Settings, treasure: Path) -> None:
    database = SqliteDatabase(owned.state_folder / "catalog.db")
    database.migrate()
    database.close()
    plant_journal(database.path, treasure / "file")
    with pytest.raises(UnusableDatabaseError, match="is a rollback journal of another user"), database.reading():
        pass
    with pytest.raises(UnusableDatabaseError, match="is a rollback journal of another user"):
        database.migrate()
    database.close()


def test_root_gives_away_no_folder_that_was_put_in_the_place_of_a_new_one(
    owned: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    secret = owned.state_folder / "secret"
    secret.mkdir(0o700)
    (secret / "key").write_text("of root")
    mkdir = os.mkdir

    def swap(name: str, mode: int, *, dir_fd: int) -> None:
        mkdir(name, mode, dir_fd=dir_fd)
        os.rmdir(name, dir_fd=dir_fd)
        os.rename(secret, name, dst_dir_fd=dir_fd)

    monkeypatch.setattr(os, "mkdir", swap)
    with pytest.raises(UnsafePathError, match="is not the folder that was just created: try again"):
        make_private_folder(owned.state_folder / "sub")
    [given] = [folder for folder in owned.state_folder.iterdir() if (folder / "key").exists()]
    assert given.stat().st_uid == os.geteuid()


def test_links_of_root_and_of_the_folders_owner_are_followed(owned: Settings) -> None:
    for number, owner in enumerate((0, OWNER)):
        link = owned.state_dir / f"link{number}"
        link.symlink_to(owned.state_folder.name)
        os.lchown(link, owner, owner)
        write_private(link / "file", b"x")
        assert read_private(link / "file") == b"x"


@pytest.mark.parametrize(
    ("kind", "message"),
    [
        ("symlink", "is a symlink, which is not followed: delete it"),
        ("hard link", "has 2 hard links: replace it by a copy"),
        ("pipe", "is not a regular file: remove it"),
        ("folder", "is not a regular file: remove it"),
        ("other user's", f"belongs to user {MEMBER}, its folder to user {OWNER}"),
    ],
)
@pytest.mark.parametrize("access", [open_private, read_private])
def test_a_state_file_is_a_regular_file_with_one_name_and_a_known_owner(
    owned: Settings, treasure: Path, kind: str, message: str, access: Callable[[Path], object]
) -> None:
    file = owned.state_folder / "tokens.json"
    if kind == "symlink":
        plant_link(file, treasure / "file")
    elif kind == "hard link":
        write_private(file, b"{}")
        file.with_name("other").hardlink_to(file)
    elif kind == "pipe":
        os.mkfifo(file)
    elif kind == "folder":
        file.mkdir()
    else:
        write_private(file, b"{}")
        os.chown(file, MEMBER, GROUP)
    with pytest.raises((UnsafePathError, PlotIndexError), match=message):
        access(file)


@pytest.mark.parametrize(
    ("mode", "group", "is_read"), [(0o2770, GROUP, True), (0o2770, OWNER, False), (0o770, GROUP, False)]
)
def test_files_of_members_are_read_where_the_group_shares_the_folder(
    owned: Settings, mode: int, group: int, *, is_read: bool
) -> None:
    os.chown(owned.state_folder, OWNER, GROUP)
    owned.state_folder.chmod(mode)
    write_private(file := owned.state_folder / "tokens.json", b"{}")
    os.chown(file, MEMBER, group)
    if is_read:
        assert read_private(file) == b"{}"
    else:
        with pytest.raises(PlotIndexError, match="belongs to"):
            read_private(file)


def test_a_state_file_is_neither_read_nor_written_beyond_its_bound(owned: Settings) -> None:
    file = owned.state_folder / "tokens.json"
    write_private(file, b"x" * MAX_BYTES)
    assert len(read_private(file)) == MAX_BYTES
    with pytest.raises(PlotIndexError, match=r"cannot grow beyond 8\.4 MB: remove entries"):
        write_private(file, b"x" * (MAX_BYTES + 1))
    assert len(read_private(file)) == MAX_BYTES
    os.truncate(file, 1 << 26)
    for read in (lambda: read_private(file), Tokens.from_settings(owned).list, lambda: make_backup(owned)):
        with pytest.raises(PlotIndexError, match=r"tokens\.json is damaged \(larger than 8\.4 MB\): restore it, or"):
            read()


def test_a_file_left_by_a_killed_writer_is_deleted_by_the_next(owned: Settings) -> None:
    file = owned.state_folder / "tokens.json"
    (left := file.with_name(".tokens.json.0123456789abcdef")).touch()
    (other := file.with_name(".tokens.json.lock.0123456789abcdef")).touch()
    write_private(file, b"{}")
    assert (left.exists(), other.exists()) == (False, True)


SPIN = """
import os, sys
folder, stop = sys.argv[1:]
os.setgid(int({group})); os.setuid(int({member}))
print("ready", flush=True)
seen = set()
while not os.path.exists(stop):
    for name in ("lock", "folder/x", "catalog.db-wal", "catalog.db-shm"):
        try:
            os.close(os.open(f"{{folder}}/{{name}}", os.O_RDWR))
            seen.add(name)
        except FileNotFoundError:
            pass
        except PermissionError:
            sys.exit(f"{{name}}: permission denied")
"""


def test_a_new_shared_file_is_open_to_the_group_from_its_first_moment(reachable: Path) -> None:
    folder = reachable / "shared"
    folder.mkdir()
    os.chown(folder, OWNER, GROUP)
    folder.chmod(0o2770)
    script = SPIN.format(group=GROUP, member=MEMBER)
    command = ["/usr/bin/env", "python3", "-c", script, str(folder), str(reachable / "stop")]
    umask = os.umask(0o077)
    database = SqliteDatabase(folder / "catalog.db")
    try:
        database.migrate()
        database.close()
        with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as member:
            assert member.stdout and member.stderr and member.stdout.readline() == "ready\n"
            for _ in range(300):
                os.close(open_private(folder / "lock"))
                (folder / "lock").unlink()
                make_private_folder(folder / "folder")
                (folder / "folder").rmdir()
                with database.reading():
                    assert (folder / "catalog.db-wal").exists()
                database.close()
                if member.poll() is not None:
                    break
            (reachable / "stop").touch()
            assert (member.wait(), member.stderr.read()) == (0, "")
    finally:
        os.umask(umask)


@pytest.mark.parametrize(
    "command",
    [
        ("token", "create", "--name", "second"),
        ("token", "link", "first"),
        ("token", "revoke", "first"),
        ("key", "rotate"),
        ("restore", "backup"),
    ],
    ids=" ".join,
)
@pytest.mark.parametrize("mode", [0o777, 0o755])
def test_commands_that_write_tokens_or_keys_warn_if_another_user_can_replace_them(
    settings: Settings, reachable: Path, plotindex: RunPlotindex, command: tuple[str, ...], mode: int
) -> None:
    environment = {"PLOTINDEX_STATE_DIR": str(reachable)}
    assert plotindex("token", "create", "--name", "first", env=environment).stderr == ""
    assert plotindex("backup", "backup", env=environment).returncode == 0
    reachable.chmod(mode)
    done = plotindex(*command, env=environment)
    assert done.returncode == 0, done.stderr
    folder = replace(settings, state_dir=reachable).state_folder
    expected = f"Any user of this machine can replace {folder}: `chmod go-w {reachable}`"
    assert (expected in done.stderr) == (mode == 0o777), done.stderr
