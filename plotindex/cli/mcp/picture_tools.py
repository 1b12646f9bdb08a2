"""The tools that look at plots: one, one that is awaited, and two beside each other."""

import os
import time
from collections.abc import Iterator
from contextlib import ExitStack
from typing import Any, NamedTuple
from urllib.parse import quote, urlencode

from plotindex.cli.mcp.list_tools import facts_entry, version_entry
from plotindex.cli.mcp.source import (
    MissingError,
    Reader,
    Reply,
    SourceError,
    TooLargeError,
    UnavailableError,
    UndrawableError,
)
from plotindex.cli.mcp.untrusted_text import MAX_TITLE_CHARS, NOTE, parse_name, shorten_text, shown
from plotindex.comparison.compare import NotComparedError, OpenFormat, compare_files
from plotindex.comparison.difference import difference_to_json
from plotindex.rendering.protocol import REASONS, Outcome
from plotindex.rendering.renderer_client import RendererClient, View

SIDES = (768, 1024, 1568)
LARGER_PICTURE = {768: 1280, 1024: 1280, 1568: 2560}
"""Length of a side -> the width of the picture that it is made from."""
PICTURE_SUFFIX = ".webp"
MAX_VERSIONS = 5
MAX_PLACES = 5
MAX_SAME = 5
MAX_TEXT_CHARS = 1_000
MAX_TRIES = 3
"""How often a plot is looked at that changes meanwhile."""
MAX_WAIT_SECONDS = 300.0
PAGE = 50

Object = dict[str, Any]


class ToolAnswer(NamedTuple):
    """What is known of a plot, or of two; a picture; and the address of the resource."""

    told: Object
    picture: View | None = None
    uri: str = ""


class Subject(NamedTuple):
    """A plot, a copy, or a version of one."""

    session: str
    filename: str
    project: str | None = None
    version: str | None = None

    @property
    def uri(self) -> str:
        query = {name: value for name, value in (("project", self.project), ("version", self.version)) if value}
        path = f"plot://{quote(self.session, '')}/{quote(self.filename)}"
        return f"{path}?{urlencode(query, quote_via=quote)}" if query else path

    @property
    def suffix(self) -> str:
        return os.path.splitext(self.filename)[1].lower()  # noqa: PTH122 - it is no path of this machine

    def __str__(self) -> str:
        return f"{shown(self.filename)} in session {shown(self.session)}"


class PictureTools:
    """Looks at the plots that a reader may read."""

    def __init__(self, reader: Reader, renderer: RendererClient) -> None:
        self._reader = reader
        self._renderer = renderer

    def subject(self, session: str, filename: str, project: str = "", version: str = "") -> Subject:
        """What is meant by names as they were shown. Raises SourceError."""
        if not filename:
            raise SourceError("Give `filename`: `plots` lists those of a session.")
        names = self._reader.session_of(session), parse_name(filename)
        return Subject(*names, parse_name(project) or None, parse_name(version) or None)

    def plot(self, subject: Subject, side: int, *, with_picture: bool = True) -> ToolAnswer:
        """What is known of a plot, and its picture. Raises SourceError."""
        for _ in range(MAX_TRIES):
            facts, view, problem = self._facts(subject), None, ""
            of = subject._replace(project=facts["project"] if facts else subject.project)
            if not with_picture:
                break
            try:
                view, version = self.picture(of, side)
            except (UndrawableError, TooLargeError) as error:
                problem = str(error)
                break
            if facts is None or facts["version"] == version:
                break
            problem = f"It is being drawn again: the picture is of version {version}."
        told = self._told(of, facts)
        if view is not None:
            told["picture"] = {"width": view.width, "height": view.height}
        if problem:
            told["problem"] = problem
        return ToolAnswer(told, view, of._replace(version=told["version"]).uri)

    def picture(self, subject: Subject, side: int) -> tuple[View, str]:
        """A picture, and the version that it shows. Raises SourceError."""
        reply = self._reader.image(
            subject.session,
            subject.filename,
            project=subject.project,
            version=subject.version,
            width=LARGER_PICTURE[side],
        )
        with ExitStack() as stack:
            fd = _stored(reply.body, stack)
            # A raster without a picture of its own is sent itself; its content tells what it is.
            return _checked(self._renderer.view((fd, PICTURE_SUFFIX), side)), reply.version

    def wait(
        self, subject: Subject, timeout: float, side: int, *, not_blank: bool, not_version: str, with_picture: bool
    ) -> Iterator[ToolAnswer | None]:
        """None for each time that the plot is not there yet, then what is known of it. Raises SourceError.

        It must be drawn, settled and, with `not_blank`, found to show something; and be another version than
        `not_version`.
        """
        deadline = time.monotonic() + min(timeout, MAX_WAIT_SECONDS)
        while True:
            reason = self._reason_to_wait(subject, not_blank=not_blank, not_version=not_version)
            if not reason:
                yield self.plot(subject, side, with_picture=with_picture)
                return
            if time.monotonic() >= deadline:
                raise SourceError(f"Timed out after {min(timeout, MAX_WAIT_SECONDS):g} s. {reason}")
            yield None

    def compare(self, before: Subject | None, after: Subject, side: int) -> ToolAnswer:
        """How two plots differ, and both in one picture; by default with the version before. Raises SourceError."""
        right = self._original(after)
        after = after._replace(version=right.version)
        before = before or self._version_before(after)
        left = self._original(before)
        before = before._replace(version=left.version)
        with ExitStack() as stack:
            one = OpenFormat(_stored(left.body, stack), before.suffix, None)
            other = OpenFormat(_stored(right.body, stack), after.suffix, None)
            try:
                difference = compare_files(one, other, self._renderer)
            except NotComparedError as error:
                raise UnavailableError(str(error)) from None
            found = self._renderer.view_beside((one.fd, one.suffix), (other.fd, other.suffix), side)
        told: Object = {"note": NOTE, "left": _named(before), "right": _named(after)}
        known = difference_to_json(difference)
        told |= {"kind": str(known["kind"]), "different_percent": round(known["score"], 3)}
        told["words"] = [shorten_text(word) for word in known["words"]]
        told["regions"] = [[round(number, 3) for number in region["to"]] for region in known["regions"][:MAX_PLACES]]
        try:
            view = _checked(found)
        except UndrawableError as error:
            return ToolAnswer(told | {"problem": str(error)})
        told["picture"] = {"width": view.width, "height": view.height}
        return ToolAnswer(told, view)

    def _reason_to_wait(self, subject: Subject, *, not_blank: bool, not_version: str) -> str:
        """What is still missing, and what to do about it; empty if nothing is."""
        try:
            facts, reply = self._reader.facts(subject.session, subject.filename, subject.project)
            if facts["version"] == not_version:
                return f"{subject} is still version {shown(not_version)}: it was not drawn again."
            if not facts["inspected"]:
                return self._reason_uninspected(subject, reply) if not_blank else self._reason_unsettled(facts)
            bad = " and ".join(flag for flag in ("blank", "broken") if flag in facts["flags"])
            return f"{subject} is {bad}: draw it again, or look at it with `plot`." if not_blank and bad else ""
        except MissingError:
            return f"There is no {subject} yet: check the script that draws it, and the names by `plots`."
        except UnavailableError as error:
            return str(error)

    def _reason_uninspected(self, subject: Subject, reply: Reply) -> str:
        if reply.is_unwatched:
            raise SourceError(
                f"{subject} is drawn, but no indexer runs that would inspect it: ask the user to start "
                "`plotindex watch`, or wait with not_blank=false."
            )
        return f"{subject} was drawn, but is not inspected yet: wait longer, or with not_blank=false."

    def _reason_unsettled(self, facts: Object) -> str:
        names = facts["session"], facts["filename"]
        if self._reader.head(*names, project=facts["project"], v=facts["version"]).is_settled:
            return ""
        return f"{Subject(*names)} was drawn, but still changes: wait longer."

    def _facts(self, subject: Subject) -> Object | None:
        """The facts; None of a version that is not the current one. Raises SourceError."""
        try:
            facts, _ = self._reader.facts(subject.session, subject.filename, subject.project)
        except MissingError:
            if subject.version is None:
                raise
            return None
        return facts if subject.version in (None, facts["version"]) else None

    def _told(self, subject: Subject, facts: Object | None) -> Object:
        session, filename, project, version = subject
        page = self._history(subject._replace(project=None))
        versions = page["versions"]
        version = facts["version"] if facts else version
        told: Object = {"note": NOTE, "session": shown(session), "filename": shown(filename), "version": version}
        known = [each for each in versions if each["version"] == version and project in (None, each["project"])]
        if known:
            told |= version_entry(known[0])
        elif project is not None:
            told["project"] = shown(project)
        if facts is not None:
            told["inspected"] = facts["inspected"]
            told |= facts_entry(facts, MAX_TITLE_CHARS)
            told |= _texts(facts)
        others = [each for each in versions if each not in known[:1]]
        if others:
            told["other_versions"] = list(map(version_entry, others[:MAX_VERSIONS]))
        if len(others) > MAX_VERSIONS or page["next"]:
            told["more_versions"] = f"{len(others) - MAX_VERSIONS}{'+' if page['next'] else ''}: see `history`"
        return told

    def _history(self, subject: Subject) -> Object:
        try:
            return self._reader.json("history", *subject[:2], limit=PAGE, project=subject.project)
        except (MissingError, UnavailableError):
            return {"versions": [], "next": None}

    def _version_before(self, subject: Subject) -> Subject:
        """The version that was there before this one. Raises SourceError."""
        versions = self._history(subject._replace(version=None))["versions"]
        own = [number for number, each in enumerate(versions) if each["version"] == subject.version]
        for each in versions[own[0] + 1 if own else 0 :]:
            if each["version"] != subject.version:
                return subject._replace(project=each["project"], version=each["version"])
        raise SourceError(
            f"No earlier version of {subject} is kept: name another plot, copy or version by `from_session`, "
            "`from_filename`, `from_project` or `from_version`."
        )

    def _original(self, subject: Subject) -> Reply:
        return self._reader.image(subject.session, subject.filename, project=subject.project, version=subject.version)


def _checked(found: View | Outcome) -> View:
    if isinstance(found, View):
        return found
    if found in REASONS:
        raise UndrawableError(f"No picture: {REASONS[found]}. Its facts may still tell what it is.")
    raise UnavailableError("The picture cannot be drawn now: try again in a few seconds.")


def _stored(content: bytes, stack: ExitStack) -> int:
    """A descriptor of these bytes, which no file has."""
    fd = os.memfd_create("plot")
    stack.callback(os.close, fd)
    view = memoryview(content)
    while view:
        view = view[os.write(fd, view) :]
    return fd


def _named(subject: Subject) -> Object:
    named = {name: shown(value) for name, value in subject._asdict().items() if value}
    return {**named, "uri": subject.uri}


def _texts(facts: Object) -> Object:
    told: Object = {}
    text = shorten_text(" | ".join(facts["text"]), MAX_TEXT_CHARS)
    if text:
        told["text"] = text
    if facts["same"]:
        told["same"] = [f"{shown(copy['session'])}/{shown(copy['filename'])}" for copy in facts["same"][:MAX_SAME]]
        told["same_count"] = len(facts["same"])
    return told
