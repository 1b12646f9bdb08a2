"""A tree of files that look like plots, secrets around it, and plots with unusual but legal names."""

import ctypes
import os
import socket
import sqlite3
import stat
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager
from itertools import count
from pathlib import Path

from plotindex.config import load_settings
from tests.support.processes import SVG, clean_environment, draw

SECRET = b"top-secret-of-another"
LIBC = ctypes.CDLL(None, use_errno=True)
UNUSUAL_NAMES = [
    "100%.png",
    "a#b.png",
    "a;b.png",
    "a..b.png",
    "a b.png",
    "a'b\"c.png",
    "a\nb.png",
    "+.png",
    "&x=y.png",
    "e\u0301.png",
    "\xe9.png",
    "..hidden.png",
    "\\back\\slash.png",
    "..\\..\\secret.png",
    "%2e%2e%2fsecret.png",
    "\uff0e\uff0e\uff0fsecret.png",
    "\u2025.png",
    "~.png",
    "C:x.png",
    "con.png",
    "....png",
    "..;.png",
    "%00.png",
    "..%c0%af.png",
    " .png",
    "file:x.png",
    "\x1b[31mx\x07.png",
    "\u202eg\u2066.png",
    "\u2028\x85.png",
    "\u0131\xff.png",
    "x\r\nSet-Cookie: injected=1\r\n\r\n.png",
    'x"; filename="injected.html.png',
    "sub;\n/%2e%2e/?.png",
]
"""Legal filenames, including those that become a traversal if decoded once too often."""
UNUSUAL_SESSION, UNUSUAL_PROJECT = "odd\n;\u202e#session%2f", "project_%61\r\n&\x1b"
NOT_PLOTS = [
    ("s", "project_a", "link.png"),
    ("s", "project_a", "passwd.png"),
    ("s", "project_a", "inside.png"),
    ("s", "project_a", "tokens.png"),
    ("s", "project_a", "catalog.png"),
    ("s", "project_a", "dir/secret.png"),
    ("s", "project_a", "fifo.png"),
    ("s", "project_a", "socket.png"),
    ("s", "project_a", "device.png"),
    ("s", "project_a", "folder.png"),
    ("s", "project_a", "../elsewhere/secret.png"),
    ("s", "project_a", "../../../secret.png"),
    ("s", "project_linked", "secret.png"),
    ("s", "elsewhere", "secret.png"),
    ("s", "project_a/../../..", "secret.png"),
    ("s", "project_a", "/etc/passwd.png"),
    ("linked", "project_a", "secret.png"),
    ("..", "project_a", "secret.png"),
    (".", "project_a", "secret.png"),
    ("s/../../plots-secret", "project_a", "secret.png"),
]
"""Session, project and filename of entries that are not plots."""


def insert_rows(folder: Path, rows: list[tuple[str, str, str]]) -> None:
    """Insert rows into the catalogue that no scan of the tree would."""
    with closing(sqlite3.connect(next((folder / "state").glob("*/catalog.db")))) as connection, connection:
        for session, project, filename in rows:
            values = (session, filename, project, 1, 1, 1, 1, 1)
            connection.execute("INSERT OR REPLACE INTO plot VALUES (?, ?, ?, ?, ?, ?, ?, ?)", values)


def draw_hostile_tree(folder: Path) -> None:
    """Draw below `folder`/plots, with a secret at each place that a trick could reach."""
    root = folder / "plots"
    for path in ["", "project_a/", "plots-secret/", "plots-secret/project_a/"]:
        draw(folder, f"{path}secret.png", SECRET)
    for path in ["", "project_a/", "s/", "s/elsewhere/", "other/project_a/"]:
        draw(root, f"{path}secret.png", SECRET)
    draw(root, "s/project_a/x.png")
    draw(root, "s/project_a/sub/x.svg", SVG)
    draw(root, "s/project_a/notes.txt", SECRET)
    for name in UNUSUAL_NAMES:
        draw(root, f"{UNUSUAL_SESSION}/{UNUSUAL_PROJECT}/{name}", name.encode())
    draw_not_plots(root / "s/project_a", folder)
    (root / "s/project_linked").symlink_to(folder / "project_a")
    (root / "linked").symlink_to(folder)


def draw_not_plots(project: Path, outside: Path) -> None:
    """Create entries of every other kind, named like plots."""
    state = load_settings({"root": str(outside / "plots")}, clean_environment(outside)).state_folder
    for name, target in {
        "link.png": outside / "secret.png",
        "passwd.png": Path("/etc/passwd"),
        "inside.png": Path("x.png"),
        "x.png.gz": outside / "secret.png",
        "tokens.png": state / "tokens.json",
        "catalog.png": state / "catalog.db",
        "dir": outside,
    }.items():
        (project / name).symlink_to(target)
    os.mkfifo(project / "fifo.png")
    with socket.socket(socket.AF_UNIX) as unix:
        unix.bind(str(project / "socket.png"))
    # mknod(2): 0, 0 is the one character device that needs no privilege.
    os.mknod(project / "device.png", 0o644 | stat.S_IFCHR, os.makedev(0, 0))
    draw(project, "folder.png/secret.txt", SECRET)


def exchange(one: Path, other: Path) -> None:
    """Swap two entries atomically: renameat2(2), AT_FDCWD, RENAME_EXCHANGE."""
    if LIBC.renameat2(-100, os.fsencode(one), -100, os.fsencode(other), 2):
        raise OSError(ctypes.get_errno(), "renameat2")


@contextmanager
def swapping_symlinks(root: Path, outside: Path) -> Iterator[list[str]]:
    """Plots of session `swap`, each "public", while each part of their paths is swapped with symlinks to a secret."""
    plots = ["file.png", "sub/folder.png", "project.png", "session.png"]
    for plot in plots:
        draw(root, f"swap/project_a/{plot}", b"public")
        draw(outside, f"project_a/{plot}", SECRET)
    places = [
        (root / "swap/project_a/file.png", outside / "project_a/file.png"),
        (root / "swap/project_a/sub", outside / "project_a/sub"),
        (root / "swap/project_a", outside / "project_a"),
        (root / "swap", outside),
    ]
    stop = threading.Event()

    def swap() -> int:
        times = 0
        # Outer folders more rarely: below a symlink, there is nothing to swap.
        for times in count(1):
            place, target = places[min(3, (times & -times).bit_length() - 1)]
            place.with_name("aside").symlink_to(target)
            exchange(place, place.with_name("aside"))
            exchange(place, place.with_name("aside"))
            place.with_name("aside").unlink()
            if stop.is_set():
                break
        return times

    with ThreadPoolExecutor(1) as pool:
        swapping = pool.submit(swap)
        try:
            yield plots
        finally:
            stop.set()
        assert swapping.result() > 100
