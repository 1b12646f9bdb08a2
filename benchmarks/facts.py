"""What plots show, in a small and in a large catalogue: searches by text and by picture, and the bytes of a plot.

`PLOTS=1000000 python -m benchmarks facts` measures another size. Nothing is drawn: the database is filled directly.
"""

import os
import random
import time
from collections.abc import Callable
from contextlib import closing
from hashlib import blake2b
from pathlib import Path
from statistics import median, quantiles
from tempfile import TemporaryDirectory

from benchmarks.measure import print_table
from benchmarks.search import KINDS, QUANTITIES, database_bytes, fill_catalog
from plotindex.rendering.facts import HASH_BYTES
from plotindex.storage import (
    FactsWriter,
    SqliteDatabase,
    StoredFacts,
    find_alike,
    find_flagged,
    find_texts,
    latest_texts,
)
from plotindex.storage.catalog import Catalog
from plotindex.tree import ALL_SESSIONS, Plot

SIZES = sorted({10_000, int(os.environ.get("PLOTS", "100000"))})
ROUNDS = 40
SHOWN = 60
"""As many as a page of the gallery shows."""
METADATA = {"Software": "Matplotlib version3.10.8, https://matplotlib.org/"}

Search = Callable[[Catalog, random.Random, int], int]
"""Returns the number of results; the arguments select the query among so many plots."""


def facts() -> None:
    sizes, lines = [], []
    small: dict[str, float] = {}
    with TemporaryDirectory() as folder:
        for has_text in (False, True):
            for size in SIZES:
                with closing(SqliteDatabase(Path(folder) / f"{size}-{has_text}.db")) as database:
                    catalog = fill_catalog(database, size)
                    before = database_bytes(database)
                    _inspect(catalog, has_text=has_text)
                    grown = database_bytes(database) - before
                    sizes.append([f"{size:,}", "an ordinary plot's" if has_text else "none", f"{grown / size:.0f}"])
                    if has_text:
                        lines += [_line(name, seek, catalog, size, small) for name, seek in SEARCHES.items()]
    print_table("Facts in the database.", ["plots", "text", "bytes / plot"], sizes)
    print_table(
        f"Searching what plots show, in process. Each query another one, {ROUNDS} of a kind.",
        ["what", "plots", "p50 ms", "p95 ms", f"p50 / at {SIZES[0]:,}", "found"],
        lines,
    )


def _line(name: str, seek: Search, catalog: Catalog, size: int, small: dict[str, float]) -> list[str]:
    times, found = [], []
    seek(catalog, random.Random(-1), size)
    for number in range(ROUNDS):
        began = time.perf_counter()
        found.append(seek(catalog, random.Random(number), size))
        times.append((time.perf_counter() - began) * 1000)
    middle = median(times)
    p95 = quantiles(times, n=20)[-1]
    ratio = middle / small.setdefault(name, middle)
    return [name, f"{size:,}", f"{middle:.1f}", f"{p95:.1f}", f"{ratio:.1f}", f"{median(found):.0f}"]


def _inspect(catalog: Catalog, *, has_text: bool) -> None:
    """Store facts of each plot."""
    for session in catalog.sessions():
        found = [(plot, _facts_of(plot, has_text=has_text)) for plot in catalog.plots(session)]
        with catalog.writing() as writer:
            FactsWriter(writer.connection).store(found)


def _facts_of(plot: Plot, *, has_text: bool) -> StoredFacts:
    number = plot.inode
    kind, quantity = KINDS[number % 8], QUANTITIES[number // 8 % 8]
    title = f"{kind} of {quantity}, run {number:07}" if has_text else ""
    texts = (f"{quantity} (GeV)", "entries / bin", "data", "model", f"chi2 = {number % 997 / 100}") if has_text else ()
    flags = frozenset({"blank"} if number % 1000 == 0 else ())
    digest = blake2b(str(number).encode(), digest_size=16).hexdigest()
    return StoredFacts(digest, "png", 640, 480, 1, 100.0, title, texts, METADATA, _hash(number), flags)


def _hash(number: int) -> bytes:
    return random.Random(number).randbytes(HASH_BYTES)


def _everywhere(query: Callable[[random.Random, int], str]) -> Search:
    return lambda catalog, pick, size: len(find_texts(catalog.database, query(pick, size)))


def _in_gallery(query: Callable[[random.Random, int], str]) -> Search:
    return lambda catalog, pick, size: len(latest_texts(catalog.database, query(pick, size), SHOWN))


def _of_session(catalog: Catalog, pick: random.Random, size: int) -> int:
    session = pick.choice(catalog.sessions())
    return len(find_texts(catalog.database, _two_words(pick, size), session))


def _alike(catalog: Catalog, pick: random.Random, size: int) -> int:
    wanted = bytearray(_hash(pick.randrange(size)))
    wanted[0] ^= 1
    return len(find_alike(catalog.database, "00" * 16, bytes(wanted), ALL_SESSIONS, 20))


def _blank(catalog: Catalog, pick: random.Random, _size: int) -> int:
    return len(find_flagged(catalog.database, "blank", ALL_SESSIONS, pick.choice(catalog.sessions())))


def _one_title(pick: random.Random, size: int) -> str:
    return f"run {pick.randrange(size):07}"


def _two_words(pick: random.Random, _size: int) -> str:
    return f"{pick.choice(KINDS)} {pick.choice(QUANTITIES)}"


def _nowhere(pick: random.Random, _size: int) -> str:
    return "".join(pick.choices("qxzwk", k=8))


SEARCHES: dict[str, Search] = {
    "one title": _everywhere(_one_title),
    "one title, in the gallery": _in_gallery(_one_title),
    "common words, in the gallery": _in_gallery(_two_words),
    "nowhere": _everywhere(_nowhere),
    "common words, of one session": _of_session,
    "blank plots, of one session": _blank,
    "pictures alike": _alike,
}
