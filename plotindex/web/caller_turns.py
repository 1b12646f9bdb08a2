"""Turns for work that is costly or lasts long: one at a time for each caller, so that none keeps others from it."""

import threading

from flask import Request

from plotindex.web.login_throttle import client_key
from plotindex.web.views.lists import Viewer


class CallerTurns:
    """The callers who have a turn in this process."""

    def __init__(self, most: int | None = None) -> None:
        """At most so many callers have one at a time."""
        self._most = most
        self._callers: set[str] = set()
        self._lock = threading.Lock()

    def take(self, caller: str) -> bool:
        """Begin a turn; False if the caller has one, or too many others have."""
        with self._lock:
            if caller in self._callers or len(self._callers) == self._most:
                return False
            self._callers.add(caller)
            return True

    def release(self, caller: str) -> None:
        """End a turn that `take` has begun."""
        with self._lock:
            self._callers.discard(caller)


def caller_of(viewer: Viewer, request: Request) -> str:
    """Whom a request counts for: its token or, in a host, the client's address."""
    return viewer.name or client_key(request.remote_addr)
