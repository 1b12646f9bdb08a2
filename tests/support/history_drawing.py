"""Change plots at random, and remember which versions stood for long enough to be kept."""

import random
import shutil
import time
from contextlib import suppress
from hashlib import blake2b
from pathlib import Path

SESSIONS, PROJECTS, NAMES = ("s0", "s1", "s2"), ("project_a", "project_b"), ("0.png", "1.png", "sub/2.svg")
FORGETTABLE = "forget"
"""A session whose plots are never renamed, so that what was forgotten does not come back under another name."""
STOOD_SECONDS = 3.0
PAUSE_SECONDS = 0.01

Version = tuple[str, str, str]
"""Session, filename and digest."""


class Drawing:
    """Changes plots at random, and remembers how long each version stood."""

    def __init__(self, root: Path, chance: random.Random) -> None:
        self.root, self._chance = root, chance
        self._there: dict[str, tuple[str, float]] = {}
        """Path -> digest, and since when."""
        self._number = 0
        self.changes = 0
        self.drawn: dict[tuple[str, str], set[str]] = {}
        """Digests of all that was drawn under a key of the session FORGETTABLE."""
        self.stood: set[Version] = set()

    def begin(self) -> None:
        """Forget what stood, and count from now."""
        self.stood.clear()
        now = time.monotonic()
        self._there = {path: (digest, now) for path, (digest, _) in self._there.items()}

    def change(self) -> None:
        """Make one change."""
        kind = self._chance.choices((self._draw, self._delete, self._rename, self._remove_session), (60, 8, 8, 1))[0]
        with suppress(OSError):
            kind()
            self.changes += 1

    def current(self) -> set[Version]:
        """What is there now."""
        return {_version(path, digest) for path, (digest, _) in self._there.items()}

    def _place(self) -> str:
        session = self._chance.choice((*SESSIONS, FORGETTABLE))
        return f"{session}/{self._chance.choice(PROJECTS)}/{self._chance.choice(NAMES)}"

    def _draw(self) -> None:
        path = self._place()
        self._number += 1
        content = b"%012d" % self._number * self._chance.randrange(1, 1500)
        digest = blake2b(content, digest_size=16).hexdigest()
        plot = self.root / path
        plot.parent.mkdir(parents=True, exist_ok=True)
        self._end(path)
        if self._chance.random() < 0.5:
            plot.write_bytes(content)
        else:
            aside = plot.with_name("aside.tmp")
            aside.write_bytes(content)
            aside.rename(plot)
        self._there[path] = digest, time.monotonic()
        session, filename, _ = _version(path, digest)
        if session == FORGETTABLE:
            self.drawn.setdefault((session, filename), set()).add(digest)

    def _delete(self) -> None:
        path = self._place()
        self._end(path)
        (self.root / path).unlink()

    def _rename(self) -> None:
        one, other = self._place(), self._place()
        if one == other or one not in self._there or one.startswith(FORGETTABLE) or other.startswith(FORGETTABLE):
            return
        if not (self.root / other).parent.is_dir() or one[-3:] != other[-3:]:
            return
        self._end(other)
        digest = self._end(one)
        (self.root / one).rename(self.root / other)
        self._there[other] = digest, time.monotonic()

    def _remove_session(self) -> None:
        session = self._chance.choice(SESSIONS)
        for path in [path for path in self._there if path.startswith(f"{session}/")]:
            self._end(path)
        shutil.rmtree(self.root / session)

    def _end(self, path: str) -> str:
        """Note that the version of a path is about to end; return its digest."""
        digest, since = self._there.pop(path, ("", 0.0))
        if digest and time.monotonic() - since >= STOOD_SECONDS:
            self.stood.add(_version(path, digest))
        return digest


def _version(path: str, digest: str) -> Version:
    session, _, filename = path.split("/", 2)
    return session, filename, digest


def change_for(drawing: Drawing, seconds: float) -> None:
    """Change plots for some seconds."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        drawing.change()
        time.sleep(PAUSE_SECONDS)
