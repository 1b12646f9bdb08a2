"""Which sessions a caller may see, and what databases can select by."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Self

Allows = Callable[[str], bool]
"""Whether the caller may see a session."""


@dataclass(frozen=True)
class SessionFilter:
    """The sessions that a caller may see. Callable: whether the caller may see a session."""

    allows: Allows
    is_all: bool | None = None
    """Whether it allows every present and future session; None if unknown."""
    name: str | None = None
    """The only session allowed; empty for none."""
    prefix: str = ""
    """The beginning of each allowed name."""

    def __call__(self, session: str) -> bool:
        return self.allows(session)

    @classmethod
    def of(cls, allows: Allows) -> "SessionFilter":
        """A filter with this predicate, of which nothing else is known; a filter itself."""
        return allows if isinstance(allows, SessionFilter) else cls(allows)

    @classmethod
    def only(cls, name: str) -> Self:
        """Allow one session."""
        return cls(lambda session: session == name, is_all=False, name=name)


ALL_SESSIONS = SessionFilter(lambda _session: True, is_all=True)
NO_SESSIONS = SessionFilter(lambda _session: False, is_all=False, name="")
