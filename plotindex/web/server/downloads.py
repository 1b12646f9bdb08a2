"""The places for large bodies, shared fairly: no caller keeps another one from downloading."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager


class DownloadEndedError(Exception):
    """The client is gone or too slow, or another caller has taken the place."""


class Download:
    """One large body that is being sent."""

    def __init__(self) -> None:
        self._is_ended = False
        self._step: asyncio.Timeout | None = None

    @asynccontextmanager
    async def step(self, seconds: float) -> AsyncIterator[None]:
        """Wait for the client, which has so many seconds.

        Raises:
            DownloadEndedError: it needs longer, or `end` was called, perhaps before this step.
        """
        self.check()
        try:
            async with asyncio.timeout(seconds) as self._step:
                yield
        except TimeoutError:
            # Not a failure: Granian would log a traceback for each.
            raise DownloadEndedError from None
        finally:
            self._step = None

    def check(self) -> None:
        """Raise DownloadEndedError if `end` was called."""
        if self._is_ended:
            raise DownloadEndedError

    def end(self) -> None:
        """End the current step, and every later one."""
        self._is_ended = True
        if self._step is not None and not self._step.expired():
            self._step.reschedule(0)


class Downloads:
    """A bounded number of downloads, for the event loop. One caller may use all places while nobody else wants one.

    When all are taken, a caller without a download, or with at least two fewer than the caller with the most, takes
    the place of the oldest download of that caller.
    """

    def __init__(self, places: int) -> None:
        self._places = places
        self._running: dict[Download, str] = {}

    @contextmanager
    def place(self, caller: str) -> Iterator[Download | None]:
        """A place for this caller; None if there is none."""
        download = Download() if self._make_room(caller) else None
        if download is not None:
            self._running[download] = caller
        try:
            yield download
        finally:
            if download is not None:
                self._running.pop(download, None)

    def _make_room(self, caller: str) -> bool:
        if len(self._running) < self._places:
            return True
        callers = list(self._running.values())
        own, most = callers.count(caller), max(callers, key=callers.count)
        # Two fewer: with one fewer, both would take the same place from each other again and again.
        if own and own + 1 >= callers.count(most):
            return False
        oldest = next(download for download, of in self._running.items() if of == most)
        del self._running[oldest]
        oldest.end()
        return True
