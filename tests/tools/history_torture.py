"""Torture test of the history: `python -m tests.tools.history_torture SECONDS SEED [--engine ENGINE]`.

In rounds, plots change at random while the real indexer keeps them. First there are faults: processes are killed, the
disk of the history is full, single writes of the process that keeps fail (by strace(1), where it is installed), and
plots are forgotten. Then there are none. After each round the bytes of each row hash to its digest, none are without
a row, nothing is beyond the bound, forgotten versions are not there, and each version that stood for three seconds
without a fault is. Prints one line of figures, and exits 1 with the first differences if there are any.

Needs a mount namespace (root), for the full disk.
"""

import argparse
import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, closing, contextmanager, suppress
from dataclasses import dataclass, field
from hashlib import blake2b
from pathlib import Path

from plotindex.config import Settings, load_settings
from plotindex.history.contents import HistoryError
from plotindex.history.store import HistoryStore
from tests.support.history import keeper_of
from tests.support.history_drawing import FORGETTABLE, NAMES, Drawing, Version, change_for
from tests.support.namespaces import small_disk_at
from tests.support.postgres import run_postgres
from tests.support.processes import Service, clean_environment, run_plotindex, wait_until

DISK, BOUND_MB = "size=48m", 16
STORM_SECONDS, CALM_SECONDS = 6.0, 10.0
CATCH_UP_SECONDS = 60
MAX_NAMED = 20
WRITES = "write,pwrite64,fsync,fdatasync,rename,renameat,renameat2,ftruncate"


@dataclass
class Figures:
    """The results of a run."""

    rounds: int = 0
    changes: int = 0
    faults: dict[str, int] = field(default_factory=dict)
    stood: int = 0
    """Versions that had to be kept, and were looked for."""
    differences: list[str] = field(default_factory=list)

    def __str__(self) -> str:
        faults = ", ".join(f"{kind} {count}" for kind, count in self.faults.items())
        stood = f"stood {self.stood}, differences {len(self.differences)}"
        return f"rounds {self.rounds}, changes {self.changes}, {faults}, {stood}"


class TortureSite:
    """A root, the indexer that keeps its history on a small disk, and the faults."""

    def __init__(self, folder: Path, environment: Mapping[str, str], chance: random.Random) -> None:
        self.folder, self.disk, self.chance = folder, folder / "state", chance
        self.environment = {**environment, "PLOTINDEX_HISTORY_MB": str(BOUND_MB)}
        self.settings: Settings = load_settings({}, self.environment)
        self._services: list[Service] = []
        self.forgotten: set[Version] = set()
        self.perhaps_forgotten: set[Version] = set()
        """By a command that failed, or found nothing: it may have marked the plots that were there."""
        self.start()

    def start(self) -> None:
        place = self.folder / f"service-{len(self._services)}"
        self.indexer = Service(("watch",), self.environment, self.folder, place)
        self._services.append(self.indexer)
        self.indexer.wait_for(lambda: "Full scan finished" in self.indexer.stderr, CATCH_UP_SECONDS)

    def kill_indexer(self) -> None:
        os.killpg(self.indexer.pid, signal.SIGKILL)
        self.indexer.process.wait()
        self.start()

    def kill_keeper(self, _drawing: Drawing) -> None:
        if pid := keeper_of(self.indexer.pid):
            os.kill(pid, signal.SIGKILL)

    def fill_disk(self, drawing: Drawing) -> None:
        """Leave some pages of the disk, for a moment."""
        filling = self.disk / "filling"
        status = os.statvfs(self.disk)
        left = self.chance.choice((0, 1, 2, 5, 10, 30)) * status.f_frsize
        with suppress(OSError), filling.open("wb") as file:
            os.posix_fallocate(file.fileno(), 0, max(1, status.f_bavail * status.f_frsize - left))
        change_for(drawing, self.chance.uniform(1, 5))
        filling.unlink()

    def fail_writes(self, drawing: Drawing) -> None:
        """Let one write fail, or all from that one on, of the process that keeps."""
        pid = keeper_of(self.indexer.pid)
        if not (pid and shutil.which("strace")):
            return
        code, number = self.chance.choice(("ENOSPC", "EDQUOT", "EIO")), self.chance.randrange(1, 40)
        fault = f"inject={WRITES}:error={code}:when={number}{self.chance.choice(('', '+'))}"
        command = ["strace", "-f", "-qq", "-o", "/dev/null", "-e", fault, "-p", str(pid)]
        with subprocess.Popen(command, stdin=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as tracer:
            change_for(drawing, self.chance.uniform(1, 4))
            tracer.send_signal(signal.SIGINT)

    def forget(self, drawing: Drawing) -> None:
        """Forget a key, or the session, of which nothing is renamed."""
        filename = self.chance.choice((None, *NAMES))
        known = [key for key in drawing.drawn if filename in (None, key[1])]
        options = ["history", "forget", FORGETTABLE, *([filename] if filename else []), "--yes"]
        # Not by the fork server, which is outside this mount namespace.
        command = [sys.executable, "-m", "plotindex"]
        done = run_plotindex(options, self.environment, self.folder, command=command)
        meant = self.forgotten if done.returncode == 0 else self.perhaps_forgotten
        meant |= {(*key, digest) for key in known for digest in drawing.drawn[key]}

    def failures(self) -> Iterator[str]:
        """Services that crashed or logged a traceback."""
        for service in self._services:
            told = service.stderr
            # A write that is made to fail may be one of the log.
            if service.process.poll() not in (None, -signal.SIGKILL) or (
                told.count("Traceback") > told.count("--- Logging error ---")
            ):
                yield f"{service.process.args!r} exited with {service.process.returncode}: {told}"

    def close(self) -> None:
        for service in self._services:
            service.clean_up()

    def kept(self) -> set[Version]:
        """All versions that are kept; none where they cannot be read yet."""
        store = HistoryStore.from_settings(self.settings)
        assert store is not None
        with closing(store.database), suppress(HistoryError), store.reading() as reader:
            return {(each.plot.session, each.plot.filename, each.digest) for each in reader.all_versions()}
        return set()

    def disagreements(self) -> Iterator[str]:
        """Differences between rows and bytes, and what is beyond the bound."""
        needed = {digest for _, _, digest in self.kept()}
        files = {file.name: file.read_bytes() for file in self.settings.history_folder.iterdir()}
        contents = {name: content for name, content in files.items() if len(name) == 32}
        for name in sorted(files.keys() - contents.keys() - {"history.id", "writing.lock"}):
            yield f"{name}: left in the folder"
        for digest in sorted(needed ^ contents.keys()):
            yield f"{digest}: {'a row without bytes' if digest in needed else 'bytes without a row'}"
        for name, content in contents.items():
            if blake2b(content, digest_size=16).hexdigest() != name:
                yield f"{name}: bytes with another digest"
        if (size := sum(-(-len(content) // 4096) * 4096 for content in contents.values())) > BOUND_MB << 20:
            yield f"{size} bytes are kept, beyond the bound"


def torture(
    folder: Path,
    seconds: float,
    seed: int,
    url: str | None,
    storm_seconds: float = STORM_SECONDS,
    calm_seconds: float = CALM_SECONDS,
) -> Figures:
    """Run rounds for `seconds`, or until a round ends with differences. `url` is an empty catalogue's on PostgreSQL."""
    figures, chance = Figures(), random.Random(seed)
    with opened(folder, url, chance) as site:
        drawing = Drawing(site.settings.root, chance)
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline and not figures.differences:
            storm(site, drawing, figures, storm_seconds)
            figures.differences += calm(site, drawing, figures, calm_seconds)
            figures.differences += site.failures()
            figures.rounds += 1
        figures.changes = drawing.changes
    return figures


@contextmanager
def opened(folder: Path, url: str | None, chance: random.Random) -> Iterator[TortureSite]:
    """A site; its processes are killed on exit."""
    (folder / "plots").mkdir()
    environment = {**clean_environment(folder), "PLOTINDEX_ROOT": str(folder / "plots")}
    if url is not None:
        environment["PLOTINDEX_DATABASE_URL"] = url
        environment["PLOTINDEX_HISTORY_DIR"] = str(folder / "state/shared")
        environment["PLOTINDEX_SECRET_KEY"] = "one-key-of-all-the-nodes"
    with small_disk_at(folder / "state", DISK):
        (folder / "state/shared").mkdir(mode=0o700)
        with closing(TortureSite(folder, environment, chance)) as site:
            yield site


def storm(site: TortureSite, drawing: Drawing, figures: Figures, seconds: float) -> None:
    """Change plots among faults; then kill the indexer, whose successor removes what is left alone."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        change_for(drawing, site.chance.uniform(0, 2))
        fault = site.chance.choice((site.fill_disk, site.fail_writes, site.forget, site.kill_keeper))
        fault(drawing)
        figures.faults[fault.__name__] = figures.faults.get(fault.__name__, 0) + 1
    site.kill_indexer()


def calm(site: TortureSite, drawing: Drawing, figures: Figures, seconds: float) -> Iterator[str]:
    """Change plots without a fault, and compare."""
    yield from missing(site, drawing.current, "stands, and is not kept after the faults")
    drawing.begin()
    change_for(drawing, seconds)
    yield from missing(site, lambda: drawing.current() | drawing.stood, "stood for three seconds, and is not kept")
    figures.stood += len(drawing.current() | drawing.stood)
    yield from (f"{version}: was forgotten, and is there" for version in sorted(site.forgotten & site.kept()))
    yield from site.disagreements()


def missing(site: TortureSite, expected: Callable[[], set[Version]], what: str) -> Iterator[str]:
    """Wait until all that is expected is kept; yield what is not."""
    exempt = site.forgotten | site.perhaps_forgotten
    try:
        wait_until(lambda: expected() - exempt <= site.kept(), CATCH_UP_SECONDS)
    except AssertionError:
        yield from (f"{version}: {what}" for version in sorted(expected() - exempt - site.kept()))


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.tools.history_torture")
    parser.add_argument("seconds", type=float)
    parser.add_argument("seed", type=int)
    parser.add_argument("--engine", choices=("sqlite", "postgresql"), default="sqlite")
    given = parser.parse_args()
    folder = Path(tempfile.mkdtemp(prefix="history-torture-"))
    with ExitStack() as stack:
        url = None
        if given.engine == "postgresql":
            url = stack.enter_context(stack.enter_context(run_postgres()).database())
        figures = torture(folder, given.seconds, given.seed, url)
    print(f"{given.engine}: {figures}")  # noqa: T201 - a program's result
    if figures.differences:
        print("\n".join(figures.differences[:MAX_NAMED]), file=sys.stderr)  # noqa: T201
        print(f"The plots and the logs are in {folder}.", file=sys.stderr)  # noqa: T201
        return 1
    shutil.rmtree(folder)
    return 0


if __name__ == "__main__":
    sys.exit(main())
