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
        self._changed = threading.Condition()

    def take(self, caller: str, wait_seconds: float = 0.0) -> bool:
        """Begin a turn; False if the caller has one still after this time, or too many others have."""
        with self._changed:
            if not self._changed.wait_for(lambda: self._may_begin(caller), wait_seconds):
                return False
            self._callers.add(caller)
            return True

    def release(self, caller: str) -> bool:
        """End a turn that `take` has begun; return whether nobody has one now."""
        with self._changed:
            self._callers.discard(caller)
            self._changed.notify_all()
            return not self._callers

    def _may_begin(self, caller: str) -> bool:
        return caller not in self._callers and len(self._callers) != self._most


def caller_of(viewer: Viewer, request: Request) -> str:
    """Whom a request counts for: its token or, in a host, the client's address."""
    return viewer.name or client_key(request.remote_addr)
