"""Logs: one line per thing that matters, as text or JSON, on stderr."""

import json
import logging
import os
import sys
import time
import traceback
from contextvars import ContextVar
from datetime import UTC, datetime
from typing import NamedTuple

from plotindex.system.text import printable

STDERR = 2
PATH_BYTES = 3000
"""A line of less than PIPE_BUF (4096 bytes) is never mixed with another one (pipe(7))."""

request_id: ContextVar[str] = ContextVar("request_id", default="")
"""Of the request that is being answered."""


class JsonLines(logging.Formatter):
    """One JSON object per line."""

    def format(self, record: logging.LogRecord) -> str:
        line = {
            "time": _moment(record.created),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": record.getMessage(),
        }
        if request := request_id.get():
            line["request"] = request
        if record.exc_info:
            line["traceback"] = "".join(traceback.format_exception(*record.exc_info))
        return json.dumps(line)


class TextLines(logging.Formatter):
    """One line: when, how grave, what; and the id of the request that it is about."""

    def __init__(self) -> None:
        super().__init__("%(asctime)s %(levelname)s %(message)s")

    def formatMessage(self, record: logging.LogRecord) -> str:  # noqa: N802 - as logging.Formatter
        line = super().formatMessage(record)
        request = request_id.get()
        return f"{line} [{request}]" if request else line


class Access(NamedTuple):
    """A request that was answered."""

    remote: str
    method: str
    path: str
    status: int
    bytes: int | None
    milliseconds: float
    answered: str | None
    """Who answered, as Cache-Status has it."""


class AccessLog:
    """One line for each request, on stderr. The logging module would cost a fifth of a hit."""

    def __init__(self, log_format: str) -> None:
        self._line = self._as_json if log_format == "json" else self._as_text
        self._second = 0
        self._time = ""

    def line(self, access: Access) -> bytes:
        """What `write` writes."""
        return self._line(access, time.time()).encode(errors="backslashreplace")

    def write(self, access: Access) -> None:
        try:
            os.write(STDERR, self.line(access))
        except OSError:
            # Whoever read it is gone; the answer is not.
            return

    def _as_text(self, access: Access, now: float) -> str:
        second = int(now)
        if second != self._second:
            # One assignment each: at worst a line has the time of a second that has just begun or ended.
            self._time = time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(second))
            self._second = second
        size = "-" if access.bytes is None else access.bytes
        answered = f" {access.answered}" if access.answered else ""
        return (
            f"{self._time},{int(now * 1000) % 1000:03d} INFO "
            f"{_word(access.remote)} {_word(access.method)} {_word(access.path, PATH_BYTES)} "
            f"{access.status} {size} {access.milliseconds:.1f} ms{answered} [{request_id.get()}]\n"
        )

    def _as_json(self, access: Access, now: float) -> str:
        line = {"time": _moment(now), "level": "info", "logger": "plotindex.access"}
        chosen = {"remote": _bounded(access.remote), "method": _bounded(access.method)}
        chosen["path"] = _bounded(access.path, PATH_BYTES)
        return json.dumps({**line, **access._asdict(), **chosen, "request": request_id.get()}) + "\n"


def _word(text: str, most: int = 100) -> str:
    """What a caller has chosen, escaped as one word, so that it cannot pass for other fields."""
    return _bounded(printable(text).replace(" ", r"\x20"), most)


def _bounded(text: str, most: int = 100) -> str:
    """As much of the text as takes `most` bytes, also when JSON escapes it: up to twelve for a character."""
    if len(text) * 12 <= most or len(json.dumps(text)) <= most:
        return text
    return f"{text[: most // 12]}…"


def _moment(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).isoformat(timespec="milliseconds")


def configure_logs(log_format: str) -> None:
    """Log to stderr; `log_format` is text or json."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(JsonLines() if log_format == "json" else TextLines())
    logger = logging.getLogger("plotindex")
    logger.handlers = [handler]
    logger.setLevel(logging.INFO)
    logger.propagate = False
    # What watchdog warns of, an overflow, plotindex says itself.
    logging.getLogger("watchdog").setLevel(logging.ERROR)
