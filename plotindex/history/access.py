"""Read what is kept: the versions of a key, the keys of a session, and the bytes of a version."""

import logging
import os
import re
import threading
from collections import Counter, OrderedDict, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from heapq import merge
from itertools import chain, groupby, islice
from operator import attrgetter
from typing import NamedTuple, Self

from plotindex.config import Settings
from plotindex.errors import CatalogError, PlotIndexError, SettingsError
from plotindex.history.contents import digest_of
from plotindex.history.store import HistoryStore, visible_folders
from plotindex.storage import HistoryReader, KeptKey, KeptSession, KeptVersion, RemovedCopy
from plotindex.system import call_after_fork, is_encodable, printable, rfc3339
from plotindex.tree import INT64_MAX, OpenPlot, Plot, SessionFilter, Tree

PLACE = re.compile(r"(?P<seen>-?\d{1,19})-(?P<version>[0-9a-f]{16})", re.ASCII)
SAME_MOMENT = 100
"""Versions of one key that may have stood since the same nanosecond."""
MAX_SEARCHED = 10_000
"""The newest versions of a key, among which one is found without its project. No copy has as many."""
MAX_VERIFIED = 4096
"""Contents that this process remembers to be whole."""

log = logging.getLogger(__name__)


class DamagedVersionError(PlotIndexError):
    """The bytes of a kept version are damaged, or lost."""


class UnknownMomentError(SettingsError):
    """Nothing is known about a session at a moment."""


class BadPlaceError(ValueError):
    """`after` is not the `next` of an earlier page."""


class VersionsPage(NamedTuple):
    """Versions of one key, the newest first."""

    versions: Sequence[KeptVersion]
    next: str | None
    new: Sequence[Plot]
    """Those of the given present copies that are not kept."""


class KeysPage(NamedTuple):
    """Keys by filename."""

    keys: Sequence[KeptKey]
    next: str | None


class RemovedPage(NamedTuple):
    """Removed copies by filename."""

    copies: Sequence[RemovedCopy]
    next: str | None


class History:
    """What is kept of one root. Opens nothing before it is used. Thread-safe.

    Callers with `is_limited` see a session's folder only as `visible_folders` says. Every method raises HistoryError
    where the history cannot be read, and OSError where the session cannot be looked at.
    """

    @classmethod
    def from_settings(cls, settings: Settings, tree: Tree, timeout: float) -> Self:
        return cls(HistoryStore.from_settings(settings, timeout), tree)

    def __init__(self, store: HistoryStore | None, tree: Tree) -> None:
        self.store = store
        self._tree = tree
        self._verified: OrderedDict[tuple[str, int, int, int], None] = OrderedDict()
        self._reset()
        call_after_fork(self._reset)

    def versions(
        self,
        session: str,
        filename: str,
        project: str | None,
        limit: int,
        after: str = "",
        *,
        is_limited: bool,
        present: Sequence[Plot] = (),
    ) -> VersionsPage:
        """One page of the versions of a key, and which `present` copies are not kept. Raises BadPlaceError."""
        place = _parse_place(after)
        if not _can_be_stored(filename, project):
            return VersionsPage([], None, present)
        found: list[KeptVersion] = []
        # Others may have stood since the same moment as the last one of the page before.
        upto, more = (place[0], limit + SAME_MOMENT) if place else (INT64_MAX, limit + 1)
        with self._folders(session, is_limited=is_limited) as folders:
            for reader, folder in folders:
                found += reader.versions(folder, filename, project, upto, more)
            new = [copy for copy in present if not any(reader.digest_of(folder, copy) for reader, folder in folders)]
        behind = (version for version in found if place is None or _place(version) < place)
        page = sorted(behind, key=_place, reverse=True)
        following = None
        if len(page) > limit:
            seen, version = _place(page[limit - 1])
            following = f"{seen}-{version}"
        return VersionsPage(page[:limit], following, new)

    def keys(self, session: str, limit: int, after: str = "", *, is_limited: bool, only_gone: bool = False) -> KeysPage:
        """One page of the keys of a session of which versions are kept."""
        after = _without_nul(after)
        with self._folders(session, is_limited=is_limited) as folders:
            is_one = len(folders) == 1
            pages = [
                reader.keys(folder, after, limit + 1, only_gone=only_gone and is_one) for reader, folder in folders
            ]
        page = list(islice(_merged(pages), limit + 1))
        following = page[limit - 1].filename if len(page) > limit else None
        return KeysPage([key for key in page[:limit] if key.gone or not only_gone], following)

    def at(self, session: str, moment: int, *, is_limited: bool) -> list[KeptVersion]:
        """The version that each copy of a session had at a moment, in nanoseconds, as far as it is kept.

        Raises:
            UnknownMomentError: the history began later, or there was no such session then.
        """
        with self._folders(session, is_limited=is_limited) as folders:
            for reader, folder in folders:
                if folder.since <= moment and (folder.ended is None or moment < folder.ended):
                    return reader.at(folder, moment)
        if not folders:
            raise UnknownMomentError(f"No history is kept of the session {printable(session)}.")
        began = rfc3339(min(folder.since for _, folder in folders))
        raise UnknownMomentError(f"The history of {printable(session)} begins at {began}, or it was removed then.")

    def with_digest(self, digest: str, allows: SessionFilter) -> list[Plot]:
        """The kept versions with these bytes, as far as a caller may see them, the newest first."""
        if self.store is None or not self.store.exists():
            return []
        with self.store.reading() as reader:
            found = reader.versions_with(digest, allows)
            visible = {
                folder.id
                for session in {kept.plot.session for kept in found}
                for folder in visible_folders(reader, self._tree, session, is_limited=not allows.is_all)
            }
        found.sort(key=_place, reverse=True)
        return [kept.plot for kept in found if kept.session_id in visible]

    def lost(self, session: str, filename: str, project: str, *, is_limited: bool) -> int:
        """How many versions of a copy were overwritten or removed before they were read."""
        with self._folders(session, is_limited=is_limited) as folders:
            return sum(reader.lost(folder, filename, project) for reader, folder in folders)

    def redrawn(self, session: str, *, is_limited: bool) -> Mapping[str, Mapping[str, int]]:
        """How often the copies of a session were drawn again, by project and filename."""
        counts: defaultdict[str, Counter[str]] = defaultdict(Counter)
        with self._folders(session, is_limited=is_limited) as folders:
            for reader, folder in folders:
                for project, filename, count in reader.redrawn(folder):
                    counts[project][filename] += count
        return counts

    def removed(self, session: str, limit: int, after: str = "", *, is_limited: bool) -> RemovedPage:
        """One page of the removed copies, of keys that have no other."""
        after = _without_nul(after)
        with self._folders(session, is_limited=is_limited) as folders:
            pages = [reader.removed(folder, after, limit + 1) for reader, folder in folders]
        found = list(islice(merge(*pages, key=lambda copy: copy.plot.filename.encode()), limit + 1))
        following = None
        if len(found) > limit:
            cut = found[limit].plot.filename
            # The copies of a key are on one page.
            found = [copy for copy in found if copy.plot.filename != cut] or found[:limit]
            following = found[-1].plot.filename
        # A copy that several folders had is the one of the newest.
        newest = {copy.plot.path: copy for copy in reversed(found)}
        return RemovedPage(list(reversed(newest.values())), following)

    def open(
        self, session: str, filename: str, version: str, project: str | None = None, *, is_limited: bool
    ) -> OpenPlot | None:
        """A version, with a descriptor of its bytes, which the caller closes; None if it is not kept.

        Raises:
            DamagedVersionError: its bytes are not those that were kept.
        """
        found = self._find(session, filename, version, project, is_limited=is_limited)
        if found is None or self.store is None:
            return None
        try:
            with self.store.folder.opened() as contents:
                fd = contents.open(found.digest)
        except FileNotFoundError:
            self.store.check_folder()
            if self._find(session, filename, version, project, is_limited=is_limited):
                raise self._damaged(found) from None
            return None
        try:
            self._verify(found, fd)
        except BaseException:
            os.close(fd)
            raise
        return OpenPlot(found.plot, fd)

    def keeps(self, plot: Plot) -> bool:
        """Whether a version is kept, as far as that can be read."""
        try:
            with self._folders(plot.session, is_limited=False) as folders:
                return any(reader.digest_of(folder, plot) for reader, folder in folders)
        except (CatalogError, OSError):
            return False

    def _find(
        self, session: str, filename: str, version: str, project: str | None, *, is_limited: bool
    ) -> KeptVersion | None:
        if not _can_be_stored(filename, project):
            return None
        with self._folders(session, is_limited=is_limited) as folders:
            pages = (reader.versions(folder, filename, project, limit=MAX_SEARCHED) for reader, folder in folders)
            kept = chain.from_iterable(pages)
            return next((each for each in kept if each.plot.version == version), None)

    @contextmanager
    def _folders(self, session: str, *, is_limited: bool) -> Iterator[Sequence[tuple[HistoryReader, KeptSession]]]:
        """The folders that the caller may see, each with what reads it."""
        if self.store is None or not self.store.exists() or not is_encodable(session):
            yield ()
            return
        with self.store.reading() as reader:
            folders = visible_folders(reader, self._tree, session, is_limited=is_limited)
            yield [(reader, folder) for folder in folders]

    def _verify(self, found: KeptVersion, fd: int) -> None:
        """Check the bytes, once for each content that stays as it is."""
        status = os.fstat(fd)
        signature = found.digest, status.st_ino, status.st_mtime_ns, status.st_ctime_ns
        if signature in self._verified:
            return
        if digest_of(fd, os.fstat(fd).st_size) != found.digest:
            raise self._damaged(found)
        with self._lock:
            self._verified[signature] = None
            if len(self._verified) > MAX_VERIFIED:
                self._verified.popitem(last=False)

    def _damaged(self, found: KeptVersion) -> DamagedVersionError:
        plot = found.plot
        message = f"The kept version {plot.version} of {printable(plot.path)} is damaged (content {found.digest})"
        log.error("%s: restore it from a backup, or forget it.", message)
        return DamagedVersionError(f"{message}: restore it from a backup, or forget it.")

    def _reset(self) -> None:
        """In a forked child, replace the lock that a thread of the parent may hold."""
        self._lock = threading.Lock()


def _can_be_stored(filename: str, project: str | None) -> bool:
    """Whether databases can compare with these names."""
    return all(is_encodable(name) and "\0" not in name for name in (filename, project or ""))


def _without_nul(after: str) -> str:
    """No name contains a NUL, which not every database can compare with."""
    return after.partition("\0")[0]


def _place(kept: KeptVersion) -> tuple[int, str]:
    return kept.seen, kept.plot.version


def _parse_place(after: str) -> tuple[int, str] | None:
    if not after:
        return None
    match = PLACE.fullmatch(after)
    if match is None or int(match["seen"]) > INT64_MAX:
        raise BadPlaceError("after must be the next of an earlier page")
    return int(match["seen"]), match["version"]


def _merged(pages: Sequence[Sequence[KeptKey]]) -> Iterator[KeptKey]:
    """The keys of several folders, by filename; the folders are sorted, the newest first."""
    name = attrgetter("filename")
    for filename, group in groupby(merge(*pages, key=lambda key: key.filename.encode()), name):
        same = list(group)
        gone = None if any(key.gone is None for key in same) else max(key.gone or 0 for key in same)
        yield KeptKey(filename, sum(key.versions for key in same), max(key.seen for key in same), gone)
