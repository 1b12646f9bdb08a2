"""Read the HTTP interface of a source of plots, within one session if it is narrowed to that."""

import re
import time
from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple, Protocol
from urllib.parse import quote, urlencode

from plotindex.cli.mcp.answers import (
    VERSION,
    ErrorAnswer,
    FactsAnswer,
    KeysAnswer,
    PlotsAnswer,
    SessionsAnswer,
    VersionsAnswer,
    parse_answer,
)
from plotindex.cli.mcp.untrusted_text import parse_name, shorten_text, shown
from plotindex.errors import PlotIndexError

MAX_BODY_BYTES = 64 << 20
MAX_ERROR_CHARS = 300
LIST_PAGE = 1_000
PAGES_SECONDS = 30.0
"""How long the pages of one list may take."""
ANSWERS: Mapping[tuple[str, int], type] = {
    ("plots", 0): SessionsAnswer,
    ("plots", 1): PlotsAnswer,
    ("history", 1): KeysAnswer,
    ("history", 2): VersionsAnswer,
}
"""By the kind of an object, and the number of names behind it."""
UNAUTHORIZED = "Set PLOTINDEX_TOKEN to one that `plotindex token create` prints there, and start this server again."
NOT_PLOTINDEX = "The answer is not one of plotindex: check the address after --url."


class SourceError(PlotIndexError):
    """No answer to a question. The message says why, and what to do next."""


class MissingError(SourceError):
    """There is no such session, plot or version, or the caller may not see it."""


class UnavailableError(SourceError):
    """The source cannot answer at the moment."""


class UndrawableError(SourceError):
    """No picture can be made of a plot."""


class TooLargeError(SourceError):
    """A file, or a list, has more bytes than are read."""

    def __init__(self) -> None:
        super().__init__(
            f"It has more than {MAX_BODY_BYTES >> 20} MB: look at such a plot with `plot`, and narrow a list by `q`."
        )


class Reply(NamedTuple):
    """An HTTP response; names of headers are in lower case."""

    status: int
    headers: Mapping[str, str]
    body: bytes

    @property
    def version(self) -> str:
        """The version of the plot that an image is of."""
        return self.headers.get("etag", "").removeprefix("W/").strip('"').partition("-")[0]

    @property
    def is_settled(self) -> bool:
        """Whether an image that was asked for with `v` is final."""
        return "immutable" in self.headers.get("cache-control", "")

    @property
    def is_unwatched(self) -> bool:
        """Whether no indexer keeps what this was read from up to date."""
        return "detail=unwatched" in self.headers.get("cache-status", "")


class PlotSource(Protocol):
    """Answers requests of the HTTP interface."""

    advice: str
    """What to do when it does not answer."""

    def ask(self, method: str, target: str) -> Reply:
        """The response to a request; `target` is the path below the interface's prefix, with the query.

        Raises:
            SourceError: there is none.
        """


class Reader:
    """Reads a source. With `only`, no other session exists."""

    def __init__(self, source: PlotSource, only: str | None = None) -> None:
        self._source = source
        self.only = only

    def session_of(self, given: str) -> str:
        """The session that is meant by a name as it was shown. Raises SourceError."""
        name = parse_name(given) or self.only
        if not name:
            raise SourceError("Give `session`: `sessions` lists them.")
        return name

    def json(self, kind: str, *parts: str, **query: str | int | None) -> dict[str, Any]:
        """The object at `/kind/parts`.

        Raises:
            SourceError: there is none.
        """
        return _parse(self._ask("GET", kind, parts, query), ANSWERS[kind, len(parts)])

    def pages(self, kind: str, *parts: str, **query: str | int | None) -> Iterator[dict[str, Any]]:
        """All pages of a list. Raises as `json`."""
        after: str | None = ""
        deadline = time.monotonic() + PAGES_SECONDS
        while after is not None:
            if time.monotonic() > deadline:
                raise SourceError(f"The list does not end within {PAGES_SECONDS:.0f} s: narrow it by `q` or `session`.")
            page = self.json(kind, *parts, **query, limit=LIST_PAGE, after=after or None)
            yield page
            after = page["next"]

    def image(self, session: str, filename: str, **query: str | int | None) -> Reply:
        """The bytes of a plot or, with `width`, its picture. Raises as `json`."""
        reply = self._ask("GET", "plots", (session, filename), query)
        if re.fullmatch(VERSION, reply.version) is None:
            raise SourceError(NOT_PLOTINDEX)
        return reply

    def head(self, session: str, filename: str, **query: str | int | None) -> Reply:
        """The headers of `image`. Raises as `json`."""
        return self._ask("HEAD", "plots", (session, filename), query)

    def facts(self, session: str, filename: str, project: str | None) -> tuple[dict[str, Any], Reply]:
        """The facts of a copy, and the response that they were in. Raises as `json`."""
        reply = self._ask("GET", "facts", (session, filename), {"project": project})
        found = _parse(reply, FactsAnswer)
        if self.only is not None:
            found["same"] = [copy for copy in found["same"] if copy["session"] == self.only]
            if not found["same"]:
                found["flags"] = [flag for flag in found["flags"] if flag != "duplicate"]
        return found, reply

    def _ask(self, method: str, kind: str, parts: tuple[str, ...], query: Mapping[str, str | int | None]) -> Reply:
        # A proxy may resolve dots, to another session.
        has_dots = not {"", ".", ".."}.isdisjoint("/".join(parts).split("/")) if parts else False
        if parts and (self.only not in (None, parts[0]) or has_dots):
            raise self._missing(parts)
        given = {name: value for name, value in query.items() if value is not None}
        try:
            path = "/".join((kind, quote(parts[0], ""), *(quote(part) for part in parts[1:]))) if parts else kind
            target = f"/{path}?{urlencode(given, quote_via=quote)}" if given else f"/{path}"
        except UnicodeEncodeError:
            raise self._missing(parts) from None
        reply = self._source.ask(method, target)
        if reply.status != 200:
            raise self._error(reply, parts)
        return reply

    def _missing(self, parts: tuple[str, ...]) -> MissingError:
        if len(parts) < 2:
            return MissingError(f"There is no session {shown(parts[0] if parts else '')}: `sessions` lists them.")
        return MissingError(
            f"There is no such plot or version of {shown(parts[1])} in session {shown(parts[0])}: "
            "`plots` lists the filenames, `history` the versions, and `wait` waits for a plot that is being drawn."
        )

    def _error(self, reply: Reply, parts: tuple[str, ...]) -> SourceError:
        message = _message(reply)
        if message is None:
            return SourceError(f"{NOT_PLOTINDEX} It has status {reply.status}{_redirection(reply)}.")
        if reply.status == 404:
            return self._missing(parts)
        if reply.status == 422:
            return UndrawableError(f"{message}. Its facts may still tell what it is.")
        if reply.status in (429, 503):
            return UnavailableError(f"{message}. {self._source.advice}")
        remedy = f". {UNAUTHORIZED}" if reply.status == 401 else f" (status {reply.status})."
        return SourceError(f"{message}{remedy}")


def _message(reply: Reply) -> str | None:
    """What an error of plotindex says; None of any other."""
    if not reply.body and reply.headers.get("cache-status", "").startswith("plotindex"):
        # An answer to HEAD.
        return ""
    found = parse_answer(reply.body, ErrorAnswer)
    return shorten_text(found["error"], MAX_ERROR_CHARS) if found else None


def _redirection(reply: Reply) -> str:
    place = reply.headers.get("location")
    return f", and redirects to {shorten_text(place, MAX_ERROR_CHARS)}, where no token is sent" if place else ""


def _parse(reply: Reply, kind: type) -> dict[str, Any]:
    found = parse_answer(reply.body, kind)
    if found is None:
        raise SourceError(NOT_PLOTINDEX)
    return found
