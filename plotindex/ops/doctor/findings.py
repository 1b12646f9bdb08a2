"""What `plotindex doctor` says: lines of a verdict, what was seen, and what to do."""

from typing import NamedTuple

from plotindex.system import escape

OK, WARN, BAD = "ok", "warn", "bad"
"""All is well; it will hurt later, or costs time; it loses or exposes data, or something does not work."""


class Finding(NamedTuple):
    """One thing that was looked at. `check` is a short name that stays the same; `remedy` says what to do."""

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


def split(sentence: str) -> tuple[str, str]:
    """The two halves of an error's sentence: what is wrong, and the remedy where it names one."""
    text = escape(sentence).removesuffix(".")
    for mark in (": ", "; "):
        seen, found, remedy = text.rpartition(mark)
        if found:
            return seen, remedy
    return text, ""


def counted(number: int, what: str) -> str:
    """1 folder, 2 folders."""
    return f"{number} {what}" if number == 1 else f"{number} {what}s"


def size(number: float) -> str:
    """Bytes as people read them: 512 MB."""
    for unit in ("bytes", "kB", "MB", "GB"):
        if abs(number) < 1024:
            return f"{number:.0f} {unit}" if number >= 10 or unit == "bytes" else f"{number:.1f} {unit}"
        number /= 1024
    return f"{number:.1f} TB"
