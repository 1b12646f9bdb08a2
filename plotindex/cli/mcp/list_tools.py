"""The tools that list: sessions, the plots of a session, what is found, and versions."""

import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from heapq import nlargest
from itertools import islice
from operator import itemgetter
from typing import Any

from plotindex.cli.mcp.source import MissingError, Reader, SourceError
from plotindex.cli.mcp.untrusted_text import (
    MAX_PAGE,
    NOTE,
    page_of_entries,
    parse_name,
    seconds_of,
    shorten_text,
    shown,
)

MAX_SKIP = 10_000
SEARCH_SECONDS, LIST_SECONDS = 10.0, 20.0
"""How long a search in all sessions, and the reading of one list, may take."""
MAX_FOUND_IN_SESSION = 500
"""Plots that a search reads of one session, if it is not in this one alone."""
TITLE_CHARS = 120

Object = dict[str, Any]
_MTIME = itemgetter("mtime")


class ListTools:
    """Lists what a reader may read; each answer is bounded, and says how many more there are."""

    def __init__(self, reader: Reader) -> None:
        self._reader = reader

    def sessions(self, q: str = "", skip: int = 0) -> Object:
        """Sessions, the latest first. Raises SourceError."""
        only = self._reader.only
        pages = self._reader.pages("plots", q=parse_name(q) or None)
        rows = (row for page in pages for row in page["sessions"] if only in (None, row["session"]))
        return list_latest("sessions", rows, skip, _session_entry)

    def plots(self, session: str, q: str = "", flag: str = "", project: str = "", skip: int = 0) -> Object:
        """The plots of a session with what is known of them, the latest first. Raises SourceError."""
        name = self._reader.session_of(session)
        query = {"q": parse_name(q) or None, "flag": flag or None, "project": parse_name(project) or None}
        pages = self._reader.pages("plots", name, **query)
        return list_latest("plots", (entry for page in pages for entry in page["plots"]), skip, self._with_facts)

    def search(self, q: str, session: str = "", skip: int = 0) -> Object:
        """Plots whose name contains `q`, or that show all its words, the latest first. Raises SourceError."""
        if not q.strip():
            raise SourceError("Give `q`: a part of a filename, or words of a title, label or legend.")
        text = parse_name(q)
        if session or self._reader.only is not None:
            return list_latest("plots", self._found(self._reader.session_of(session), text), skip, self._with_facts)
        done = _Searched()
        answer = list_latest("plots", self._found_anywhere(text, done), skip, self._with_facts)
        if done.searched < done.sessions:
            hint = (
                f"Only the latest {done.searched} of {done.sessions} sessions were searched in "
                f"{SEARCH_SECONDS:.0f} s: name a `session` to search in another one."
            )
            answer |= {"hint": hint}
        return answer

    def history(self, session: str, filename: str = "", project: str = "", after: str = "") -> Object:
        """The versions of a plot, the latest first, or the plots of a session that have any. Raises SourceError."""
        name, query = self._reader.session_of(session), {"limit": MAX_PAGE, "after": parse_name(after) or None}
        if not filename:
            page = self._reader.json("history", name, **query)
            keys = page_of_entries(map(_key_entry, page["keys"]))
            following = page["next"] if len(keys) == len(page["keys"]) else parse_name(keys[-1]["filename"])
            return {"note": NOTE, "session": shown(name), "keys": keys, "next": following and shown(following)}
        plot = parse_name(filename)
        page = self._reader.json("history", name, plot, **query, project=parse_name(project) or None)
        versions = [version_entry(each) for each in page["versions"]]
        return {
            "note": NOTE,
            "session": shown(name),
            "filename": shown(plot),
            "versions": versions,
            "next": page["next"],
        }

    def _found(self, session: str, text: str) -> Iterator[Object]:
        """The entries of a session whose name contains the text, or that show its words."""
        known = set()
        for query in ({"q": text}, {"text": text}):
            for page in self._reader.pages("plots", session, **query):
                for entry in page["plots"]:
                    if entry["filename"] not in known:
                        known.add(entry["filename"])
                        yield entry

    def _found_anywhere(self, text: str, done: "_Searched") -> Iterator[Object]:
        rows = [row for page in self._reader.pages("plots") for row in page["sessions"]]
        done.sessions = len(rows)
        deadline = time.monotonic() + SEARCH_SECONDS
        for row in sorted(rows, key=_MTIME, reverse=True):
            if time.monotonic() > deadline:
                return
            # It may be removed meanwhile.
            with suppress(MissingError):
                yield from islice(self._found(row["session"], text), MAX_FOUND_IN_SESSION)
            done.searched += 1

    def _with_facts(self, entry: Object) -> Object:
        session, filename = entry["session"], entry["filename"]
        told: Object = {
            "session": shown(session),
            "filename": shown(filename),
            "project": shown(entry["project"]),
            "version": entry["version"],
            "mtime": seconds_of(entry["mtime"]),
            "bytes": entry["size"],
        }
        if len(entry["copies"]) > 1:
            told["copies"] = len(entry["copies"])
        if entry["siblings"]:
            told["siblings"] = entry["siblings"]
        try:
            facts, _ = self._reader.facts(session, filename, entry["project"])
        except MissingError:
            return told | {"problem": "It was removed meanwhile."}
        if not facts["inspected"]:
            return told | {"inspected": False}
        return told | facts_entry(facts, TITLE_CHARS)


class _Searched:
    """How many sessions there are, and how many of these were searched."""

    def __init__(self) -> None:
        self.sessions = self.searched = 0


def list_latest(name: str, entries: Iterable[Object], skip: int, describe: Callable[[Object], Object]) -> Object:
    """A page of the latest entries behind `skip` others, how many there are, and how many follow."""
    count, hint = 0, {}
    deadline = time.monotonic() + LIST_SECONDS

    def counted() -> Iterator[Object]:
        nonlocal count
        for entry in entries:
            count += 1
            yield entry
            if time.monotonic() > deadline:
                hint["hint"] = f"Only the first {count} were read in {LIST_SECONDS:.0f} s: narrow the list by `q`."
                return

    skip = min(max(0, skip), MAX_SKIP)
    latest = nlargest(skip + MAX_PAGE, counted(), key=_MTIME)[skip:]
    page = page_of_entries(map(describe, latest))
    end = skip + len(page)
    more = max(0, count - end)
    return {"note": NOTE, name: page, "count": count, "more": more, "next": end if more and page else None} | hint


def facts_entry(facts: Object, title_chars: int) -> Object:
    """What inspection found, as far as it says something."""
    title = shorten_text(facts["title"] or "", title_chars)
    told = {name: facts[name] for name in ("format", "width", "height", "flags")}
    told |= {"title": title, "frames": facts["frames"] if facts["frames"] != 1 else None}
    return {name: value for name, value in told.items() if value}


def version_entry(version: Object) -> Object:
    """A version of a plot."""
    return {
        "project": shown(version["project"]),
        "version": version["version"],
        "bytes": version["size"],
        "mtime": seconds_of(version["mtime"]),
        "current": version["current"],
    }


def _session_entry(row: Object) -> Object:
    return {"session": shown(row["session"]), "plots": row["plots"], "mtime": seconds_of(row["mtime"])}


def _key_entry(key: Object) -> Object:
    times = {name: seconds_of(key[name]) for name in ("seen", "gone")}
    return {"filename": shown(key["filename"]), "versions": key["versions"], **times}
