"""What the answers of a server look like, as far as an agent reads them: another server may send anything."""

from functools import cache
from typing import Annotated, Any

from pydantic import Field, TypeAdapter, ValidationError
from typing_extensions import TypedDict  # pydantic takes that of the standard library from Python 3.12 on

Name = Annotated[str, Field(max_length=4096)]
"""A session, project, filename or a part of one."""
VERSION = "[0-9a-f]{16}"
Version = Annotated[str, Field(pattern=f"^{VERSION}$")]
Time = Annotated[str, Field(pattern="^[0-9TZ:.+-]{1,40}$")]
Word = Annotated[str, Field(pattern="^[a-z0-9]{0,16}$")]
"""A suffix, a format or a flag."""
Place = Annotated[str, Field(pattern="^[0-9a-f-]{1,40}$")]
MAX_ENTRIES = 10_000
"""Of one list: ten times as many as are asked for, or as a plot may have copies."""
AtMost = Field(max_length=MAX_ENTRIES)
Count = Annotated[int, Field(ge=0, lt=1 << 63)]


class KeyAnswer(TypedDict):
    """What a plot is asked for by."""

    session: Name
    filename: Name


class CopyAnswer(TypedDict):
    """One version of a copy."""

    project: Name
    version: Version
    size: Count
    mtime: Time


class VersionAnswer(CopyAnswer):
    """A version of a plot's history."""

    current: bool


class PlotAnswer(KeyAnswer, CopyAnswer):
    """A plot of a list."""

    copies: Annotated[list[dict[str, Any]], AtMost]
    siblings: Annotated[list[Word], AtMost]


class SessionAnswer(TypedDict):
    """A session of a list."""

    session: Name
    plots: Count
    mtime: Time


class KeptKeyAnswer(TypedDict):
    """A plot of a session's history."""

    filename: Name
    versions: Count
    seen: Time | None
    gone: Time | None


class SessionsAnswer(TypedDict):
    """A page of sessions."""

    sessions: Annotated[list[SessionAnswer], AtMost]
    next: str | None


class PlotsAnswer(TypedDict):
    """A page of a session's plots."""

    plots: Annotated[list[PlotAnswer], AtMost]
    next: str | None


class VersionsAnswer(TypedDict):
    """A page of a plot's versions."""

    versions: Annotated[list[VersionAnswer], AtMost]
    next: Place | None


class KeysAnswer(TypedDict):
    """A page of a session's history."""

    keys: Annotated[list[KeptKeyAnswer], AtMost]
    next: Name | None


class FactsAnswer(KeyAnswer):
    """What a version of a plot shows."""

    project: Name
    version: Version
    inspected: bool
    format: Word | None
    width: Count | None
    height: Count | None
    frames: Count | None
    title: str | None
    text: Annotated[list[str], AtMost]
    flags: Annotated[list[Word], AtMost]
    same: Annotated[list[KeyAnswer], AtMost]


class ErrorAnswer(TypedDict):
    """Why there is no other answer."""

    error: str


def parse_answer(body: bytes, kind: type) -> dict[str, Any] | None:
    """The object in a body, without fields that are not of this kind; None if it is no JSON of it."""
    try:
        return _adapter(kind).validate_json(body, strict=True)
    except ValidationError:
        return None


@cache
def _adapter(kind: type) -> TypeAdapter[dict[str, Any]]:
    return TypeAdapter(kind)
