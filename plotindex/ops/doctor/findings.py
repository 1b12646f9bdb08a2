"""The results of `plotindex doctor`: a verdict, the observation and the remedy."""

from typing import NamedTuple

from plotindex.system import escape

OK, WARN, BAD = "ok", "warn", "bad"
"""No problem; will cause a problem, or costs time; loses or exposes data, or something does not work."""


class Finding(NamedTuple):
    """The result of one check. `check` is a stable name; `remedy` says what to do."""

    verdict: str
    check: str
    seen: str
    remedy: str = ""

    @property
    def text(self) -> str:
        return f"{self.seen}: {self.remedy}" if self.remedy else self.seen


def ok(check: str, seen: str) -> Finding:
    return Finding(OK, check, seen)


def warn(check: str, seen: str, remedy: str) -> Finding:
    return Finding(WARN, check, seen, remedy)


def bad(check: str, seen: str, remedy: str) -> Finding:
    return Finding(BAD, check, seen, remedy)


def proc_missing(check: str, file: str) -> Finding:
    return warn(check, f"could not be checked: {file} does not exist", "mount /proc")


def split_remedy(message: str) -> tuple[str, str]:
    """The two halves of an error message: what is wrong, and the remedy, if any."""
    text = escape(message).removesuffix(".")
    for mark in (": ", "; "):
        seen, found, remedy = text.rpartition(mark)
        if found:
            return seen, remedy
    return text, ""


def quantity(number: int, noun: str) -> str:
    """`1 folder`, `2 folders`."""
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"
