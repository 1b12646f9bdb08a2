"""A program that changes a tree at random: `python -m tests.churn ROOT SEED SECONDS`."""

import os
import random
import shutil
import sys
import time
from pathlib import Path

SESSIONS, PROJECTS, FOLDERS = ["s0", "s1"], ["project_a", "project_b", "project_c"], ["", "sub", "sub/deep", "tmp"]


def change(root: Path, chance: random.Random) -> None:
    """Make one change that a script could make; whether it works is a matter of what others do meanwhile."""
    folder = root / chance.choice(SESSIONS) / chance.choice(PROJECTS) / chance.choice(FOLDERS)
    other = root / chance.choice(SESSIONS) / chance.choice(PROJECTS) / chance.choice(FOLDERS)
    name = f"{chance.randrange(4)}.png"
    kind = chance.random()
    if kind < 0.45:
        folder.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(b"x" * chance.randrange(100))
    elif kind < 0.55:
        (folder / name).rename(other / name)
    elif kind < 0.65:
        (folder / name).unlink()
    elif kind < 0.72:
        folder.rename(other)
    elif kind < 0.78:
        shutil.rmtree(folder)
    elif kind < 0.84:
        new = root / chance.choice(SESSIONS) / f"new-{os.getpid()}"
        new.mkdir()
        (new / name).write_bytes(b"made aside")
        new.rename(new.with_name(f"project_{chance.choice('abc')}"))
    elif kind < 0.88:
        folder.rename(root.parent / f"outside-{os.getpid()}")
        (root.parent / f"outside-{os.getpid()}").rename(other)
    elif kind < 0.92:
        (folder / name).symlink_to(other / name)
    elif kind < 0.96:
        os.utime(folder / name, ns=(chance.randrange(10**18), chance.randrange(10**18)))
    elif kind < 0.98:
        (root / chance.choice(SESSIONS)).rename(root / "s2")
    else:
        (root / "s2").rename(root / chance.choice(SESSIONS))


def main() -> None:
    root, chance, deadline = Path(sys.argv[1]), random.Random(int(sys.argv[2])), time.monotonic() + float(sys.argv[3])
    while time.monotonic() < deadline:
        try:
            change(root, chance)
        except OSError:
            continue


if __name__ == "__main__":
    main()
