"""Compare the two versions of a plot: by their bytes, their pictures, their texts and what they draw."""

import os
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from typing import NamedTuple, TypeVar

from plotindex.comparison.difference import GONE, NEW, SAME, Kind, Pair, PlotDifference, unreadable
from plotindex.comparison.sides import SideFile, SidePlot
from plotindex.comparison.words import NO_TEXTS, Texts, words_of_places, words_of_sizes, words_of_texts
from plotindex.errors import PlotIndexError
from plotindex.history.access import DamagedVersionError, History
from plotindex.history.contents import digest_of
from plotindex.inspection.examine import MAX_BYTES
from plotindex.rendering.cache import FileCache, pair_key
from plotindex.rendering.comparison import (
    UNKNOWN_DRAWING,
    Comparison,
    DrawingChanges,
    Likeness,
    bounded_words,
)
from plotindex.rendering.protocol import REASONS, Outcome, job_of
from plotindex.rendering.renderer_client import RendererClient
from plotindex.storage import SHOWN_FIRST, Database, FactsReader, StoredFacts
from plotindex.tree import PlotKey, Tree

DRAWING = ".svg"
TEXTS = (".svg", ".pdf")
"""Suffixes of plots whose texts are those that are drawn, the best first."""
UNREADABLE = "it has changed meanwhile, or cannot be read"
TOO_LARGE = f"it has more than {MAX_BYTES >> 20} MB"
MAX_BUSY = 3
"""How often the renderer is asked while it is busy, but not again once RETRY_SECONDS have passed."""
RETRY_SECONDS = 5.0
T = TypeVar("T")


class NotComparedError(PlotIndexError):
    """Plots are not compared: the renderer cannot be used."""


class _NotComparableError(Exception):
    """The pictures of two plots cannot be compared. The message is the reason."""


class OpenFormat(NamedTuple):
    """A format of a plot with an open descriptor."""

    fd: int
    suffix: str
    facts: StoredFacts | None


Formats = dict[str, OpenFormat]
"""The open formats of a plot by suffix."""
Digests = dict[str, str]
"""The digest of each format of a plot by suffix."""


class PairComparer:
    """Compares pairs, and remembers the results by the digests of both sides. Thread-safe."""

    def __init__(self, tree: Tree, database: Database, history: History, cache: FileCache) -> None:
        self._tree = tree
        self._database = database
        self._history = history
        self._cache = cache

    def known(self, pair: Pair) -> PlotDifference | None:
        """How a pair differs, if no plot need be read."""
        if pair.before is None or pair.after is None:
            return NEW if pair.before is None else GONE
        digests = [_known_digests(side) for side in pair]
        return self._known(pair.before, pair.after, digests) if all(digests) else None

    def compare(self, pair: Pair, renderer: RendererClient) -> PlotDifference:
        """How a pair differs.

        Raises:
            NotComparedError: the renderer cannot be used.
        """
        known = self.known(pair)
        if known is not None:
            return known
        assert pair.before is not None
        assert pair.after is not None
        sides = pair.before, pair.after
        if any(file.plot.size > MAX_BYTES for side in sides for file in side.files):
            return unreadable(TOO_LARGE)
        with ExitStack() as stack:
            try:
                fds = [self._open(side, stack) for side in sides]
                digests = [_read_digests(*each) for each in zip(sides, fds, strict=True)]
            except (OSError, DamagedVersionError):
                return unreadable(UNREADABLE)
            known = self._known(*sides, digests)
            if known is not None:
                return known
            before, after = (self._formats(side, opened) for side, opened in zip(sides, fds, strict=True))
            try:
                difference = _compare(before, after, digests, renderer)
            except _NotComparableError as error:
                return unreadable(str(error))
        kept = [file.plot for side in sides for file in side.files if file.is_kept]
        self._cache.put(_key(*sides, digests), difference.to_bytes(), lambda: all(map(self._history.keeps, kept)))
        return difference

    def draw(self, side: SidePlot, renderer: RendererClient, width: int) -> bytes:
        """The picture of the shown format as WebP, empty if none can be made."""
        with ExitStack() as stack:
            try:
                fd = self._open_file(side.shown, stack)
            except (OSError, DamagedVersionError):
                return b""
            return renderer.run(job_of(side.shown.plot.suffix, str(width)), fd)[1]

    def _known(self, before: SidePlot, after: SidePlot, digests: Sequence[Digests]) -> PlotDifference | None:
        if digests[0] == digests[1]:
            return SAME
        cached = self._cache.get(_key(before, after, digests))
        return PlotDifference.parse(cached.content) if cached else None

    def _open(self, side: SidePlot, stack: ExitStack) -> dict[str, int]:
        """A descriptor of each format by suffix. Raises OSError, DamagedVersionError."""
        return {file.plot.suffix: self._open_file(file, stack) for file in side.files}

    def _formats(self, side: SidePlot, fds: dict[str, int]) -> Formats:
        suffixes = {file.plot.suffix: file for file in side.files}
        return {suffix: OpenFormat(fds[suffix], suffix, self._facts(file)) for suffix, file in suffixes.items()}

    def _open_file(self, file: SideFile, stack: ExitStack) -> int:
        """A descriptor of exactly this version. Raises OSError, DamagedVersionError."""
        plot = file.plot
        if file.is_kept:
            opened = self._history.open(plot.session, plot.filename, plot.version, plot.project, is_limited=False)
        else:
            opened = self._tree.open(PlotKey(plot.session, plot.filename), plot.project)
        if opened is None:
            raise FileNotFoundError
        stack.callback(os.close, opened.fd)
        if opened.plot != plot:
            raise FileNotFoundError
        return opened.fd

    def _facts(self, file: SideFile) -> StoredFacts | None:
        """What inspection found, if it has looked at this version."""
        with self._database.reading() as connection:
            return FactsReader(connection).facts(file.plot)


def compare_files(before: OpenFormat, after: OpenFormat, renderer: RendererClient) -> PlotDifference:
    """How two open files differ.

    Raises:
        NotComparedError: the renderer cannot be used.
    """
    digests = [{file.suffix: digest_of(file.fd, os.fstat(file.fd).st_size)} for file in (before, after)]
    if digests[0] == digests[1]:
        return SAME
    try:
        return _compare({before.suffix: before}, {after.suffix: after}, digests, renderer)
    except _NotComparableError as error:
        return unreadable(str(error))


def _compare(before: Formats, after: Formats, digests: Sequence[Digests], renderer: RendererClient) -> PlotDifference:
    suffixes = _shown_suffixes(before, after)
    if digests[0][suffixes[0]] == digests[1][suffixes[1]]:
        return PlotDifference(Kind.SAME_PICTURE)
    first, second = before[suffixes[0]], after[suffixes[1]]
    found = _compare_pictures(first, second, renderer)
    if isinstance(found, Outcome):
        raise _NotComparableError(REASONS.get(found, "it cannot be drawn"))
    sizes = list(words_of_sizes(found.before, found.after))
    is_animated = max(found.before.frames, found.after.frames) > 1
    if found.likeness is Likeness.SAME and not is_animated:
        return PlotDifference(Kind.SAME_PICTURE)
    drawing = _compare_drawings(before, after, renderer)
    texts = list(_words_of_texts(before, after, renderer))
    is_certain = drawing.differs or (bool(texts) and not drawing.is_known) or is_animated
    words = bounded_words([*texts, *drawing.words, *sizes])
    if found.likeness is not Likeness.CHANGED and not is_certain:
        return PlotDifference(Kind.ALIKE, found.score, found.regions, words)
    if drawing.is_known and not is_certain:
        return PlotDifference(Kind.RESTYLED, found.score, found.regions, words)
    if not texts and not drawing.words:
        vague = "differs after the first frame or page" if found.likeness is Likeness.SAME else words_of_places(found)
        words = bounded_words([vague, *words])
    return PlotDifference(Kind.CHANGED, found.score, found.regions, words, is_certain)


def _shown_suffixes(before: Formats, after: Formats) -> tuple[str, str]:
    """The formats whose pictures are compared: one that both sides have, if there is one."""
    ordered = [f".{name}" for name in SHOWN_FIRST]
    common = [suffix for suffix in ordered if suffix in before and suffix in after]
    if common:
        return common[0], common[0]
    first, second = (
        next((suffix for suffix in ordered if suffix in side), next(iter(side))) for side in (before, after)
    )
    return first, second


def _compare_pictures(before: OpenFormat, after: OpenFormat, renderer: RendererClient) -> Comparison | Outcome:
    return _ask(lambda: renderer.compare((before.fd, before.suffix), (after.fd, after.suffix)))


def _compare_drawings(before: Formats, after: Formats, renderer: RendererClient) -> DrawingChanges:
    if DRAWING not in before or DRAWING not in after:
        return UNKNOWN_DRAWING
    found = _ask(lambda: renderer.compare_drawings(before[DRAWING].fd, after[DRAWING].fd))
    return found if isinstance(found, DrawingChanges) else UNKNOWN_DRAWING


def _words_of_texts(before: Formats, after: Formats, renderer: RendererClient) -> Iterator[str]:
    for suffix in TEXTS:
        if suffix in before and suffix in after:
            yield from words_of_texts(_read_texts(before[suffix], renderer), _read_texts(after[suffix], renderer))
            return


def _read_texts(file: OpenFormat, renderer: RendererClient) -> Texts:
    if file.facts is not None:
        return Texts(file.facts.title, file.facts.text)
    facts = _ask(lambda: renderer.inspect(file.fd, file.suffix))
    return NO_TEXTS if isinstance(facts, Outcome) else Texts(facts.title, facts.text)


def _ask(look: Callable[[], T | Outcome]) -> T | Outcome:
    """What the renderer answers; what is told without its answer would be remembered. Raises NotComparedError."""
    until = time.monotonic() + RETRY_SECONDS
    for _ in range(MAX_BUSY):
        found = look()
        if found is not Outcome.BUSY:
            return found
        if time.monotonic() > until:
            break
    raise NotComparedError("Plots cannot be compared: the renderer cannot be started, or is busy. Try again later.")


def _read_digests(side: SidePlot, fds: dict[str, int]) -> Digests:
    """The digests of the open formats of a plot. Raises OSError."""
    return {file.plot.suffix: digest_of(fds[file.plot.suffix], file.plot.size) for file in side.files}


def _known_digests(side: SidePlot | None) -> Digests:
    """The digests that are known without reading a plot; empty unless all are."""
    files = side.files if side else ()
    digests = {file.plot.suffix: file.digest for file in files if file.digest}
    return digests if len(digests) == len(files) else {}


def _key(before: SidePlot, after: SidePlot, digests: Sequence[Digests]) -> str:
    sessions = before.shown.plot.session, after.shown.plot.session
    sides = ["\n".join(f"{suffix} {digest}" for suffix, digest in sorted(side.items())) for side in digests]
    return pair_key(sessions, sides)
