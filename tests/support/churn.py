"""A program that changes a tree at random: `python -m tests.support.churn ROOT SEED SECONDS [DEEPEST [KIND …]]`.

Several may run on one root at once. Folders are up to DEEPEST deep; named KINDs of change are left out. The default
stays within the indexed depth and makes no hard links, whose changes cause no event. Prints the number of changes.
"""

import ctypes
import os
import random
import shutil
import sys
import time
from contextlib import suppress
from pathlib import Path

SESSIONS, PROJECTS = ["s0", "s1", "s2", "s3"], ["project_a", "project_b", "project_c", "data"]
FOLDERS, NAMES, LINKED = ["", "", "sub", "sub/deep", "tmp"], ["0.png", "1.png", "2.PNG", "3.svg"], ["4.gif", "5.gif"]
"""Only LINKED names ever have hard links; renames stay within one kind."""
FAILS = OSError, RecursionError
"""Changes fail when others interfere."""


class Churn:
    """Makes random changes at random places. One method for each kind of change."""

    def __init__(self, root: Path, seed: int, deepest: int) -> None:
        self.root, self.outside = root, root.parent / f"outside-{os.getpid()}"
        self.chance, self.deepest = random.Random(seed), deepest
        self.number = os.getpid() * 10**10

    def content(self) -> bytes:
        """Content that is unique, even when truncated."""
        self.number += 1
        return b"%020d" % self.number + b"x" * self.chance.randrange(100)

    def session(self) -> Path:
        return self.root / self.chance.choice(SESSIONS)

    def project(self) -> Path:
        return self.session() / self.chance.choice(PROJECTS)

    def folder(self) -> Path:
        deep = self.chance.random() < 0.02
        return self.project() / ("d/" * self.chance.randrange(self.deepest) if deep else self.chance.choice(FOLDERS))

    def single(self) -> Path:
        return self.folder() / self.chance.choice(NAMES)

    def linked(self) -> Path:
        return self.folder() / self.chance.choice(LINKED)

    def plot(self) -> Path:
        return self.chance.choice([self.single, self.single, self.linked])()

    def two(self) -> tuple[Path, Path]:
        """Two paths, mostly of the same kind."""
        kinds = [self.single, self.linked, self.folder, self.project, self.session]
        one, other = self.chance.choices(kinds, [35, 15, 30, 15, 5], k=2)
        return one(), (one if self.linked in (one, other) or self.chance.random() < 0.9 else other)()

    def draw(self) -> None:
        plot = self.plot()
        plot.parent.mkdir(parents=True, exist_ok=True)
        plot.write_bytes(self.content())

    def overwrite(self) -> None:
        with self.plot().open("r+b") as file:
            file.write(self.content())

    def replace(self) -> None:
        plot = self.plot()
        aside = plot.with_name(f"{os.getpid()}.tmp")
        aside.write_bytes(self.content())
        aside.rename(plot)

    def fill_aside(self) -> None:
        """Fill a new folder, watched or not, and rename it into place.

        Sometimes it has so many subfolders that they change while it is scanned.
        """
        place = self.chance.choice([self.project, self.folder])()
        aside = place.with_name(f"new-{os.getpid()}")
        for number in range(self.chance.choice([2, 2, 2, 200])):
            (aside / f"d{number}").mkdir(parents=True, exist_ok=True)
        for folder in (aside, aside / "d0"):
            (folder / self.plot().name).write_bytes(self.content())
        shutil.rmtree(place, ignore_errors=True)
        aside.rename(place)

    def rename(self) -> None:
        one, other = self.two()
        one.rename(other)

    def exchange(self) -> None:
        one, other = map(os.fsencode, self.two())
        # renameat2(2): AT_FDCWD, RENAME_EXCHANGE.
        if ctypes.CDLL(None, use_errno=True).renameat2(-100, one, -100, other, 2):
            raise OSError(ctypes.get_errno(), "renameat2")

    def move_out(self) -> None:
        """Files drawn in a folder after it was moved out are not plots."""
        self.outside.mkdir(exist_ok=True)
        content, inside = self.content(), self.two()[0]
        moved = inside.rename(self.outside / f"{self.number}{inside.suffix}")
        if moved.is_dir():
            (moved / "elsewhere.png").write_bytes(content)

    def move_in(self, *, by_force: bool = False) -> None:
        moved = self.chance.choice([*self.outside.iterdir(), self.outside / "none"])
        place = (self.folder if moved.is_dir() else self.linked if moved.suffix == ".gif" else self.single)()
        if by_force:
            place.parent.mkdir(parents=True, exist_ok=True)
            shutil.rmtree(place, ignore_errors=True)
        moved.rename(place)

    def delete(self) -> None:
        self.plot().unlink()

    def delete_tree(self) -> None:
        shutil.rmtree(self.chance.choices([self.folder, self.project, self.session], [60, 35, 5])[0]())

    def date(self) -> None:
        """Set one of few mtimes, so that copies often have equal ones."""
        os.utime(self.plot(), ns=(0, self.chance.randrange(3) * 10**9))

    def symlink(self) -> None:
        one, other = self.two()
        one.symlink_to(other)

    def link(self) -> None:
        """Add a hard link."""
        one, other = self.linked(), self.linked()
        if one.exists():
            other.unlink(missing_ok=True)
        os.link(one, other)

    def truncate(self) -> None:
        os.truncate(self.plot(), 20 + self.chance.randrange(80))

    def forbid(self) -> None:
        """Close a folder for a moment, through a descriptor in case it is moved meanwhile."""
        folder = os.open(self.folder(), os.O_RDONLY | os.O_DIRECTORY)
        os.fchmod(folder, 0)
        time.sleep(0.001)
        os.fchmod(folder, 0o755)
        os.close(folder)


KINDS = {"draw": 30, "overwrite": 8, "replace": 8, "fill_aside": 1, "rename": 8, "exchange": 4, "move_out": 1}
KINDS |= {"move_in": 6, "delete": 6, "delete_tree": 1, "date": 4, "truncate": 3, "symlink": 1, "link": 9, "forbid": 1}
"""Kind of change -> how often."""


def main() -> None:
    root, seed, seconds, deepest, *without = [*sys.argv[1:], "8", "link"] if len(sys.argv) == 4 else sys.argv[1:]
    churn, deadline, made = Churn(Path(root), int(seed), int(deepest)), time.monotonic() + float(seconds), 0
    kinds = [kind for kind in KINDS if kind not in without]
    while time.monotonic() < deadline:
        with suppress(*FAILS):
            getattr(churn, churn.chance.choices(kinds, [KINDS[kind] for kind in kinds])[0])()
            made += 1
    # Move everything back: deleting it outside would change other hard links without an event.
    while churn.outside.exists() and any(churn.outside.iterdir()):
        with suppress(*FAILS):
            churn.move_in(by_force=True)
            made += 1
    with suppress(*FAILS):
        churn.outside.rmdir()
    print(made)  # noqa: T201 - a program's result


if __name__ == "__main__":
    main()
