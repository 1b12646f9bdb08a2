"""Logging to stderr, one line per record, as text or JSON."""

import json
import logging
import os
import select
import sys
import time
import traceback
from collections.abc import Iterable
from contextvars import ContextVar
from datetime import UTC, datetime
from functools import lru_cache
from typing import NamedTuple

from plotindex.system.text import printable

STDERR = 2
MAX_PATH_BYTES = 3000
"""Keeps a line below PIPE_BUF (4096 bytes), so that lines of several processes do not mix (pipe(7))."""

request_id: ContextVar[str] = ContextVar("request_id", default="")
"""The id of the current request."""


class JsonFormatter(logging.Formatter):
    """One JSON object per line."""

    def format(self, record: logging.LogRecord) -> str:
        line = {
            "time": _iso_time(record.created),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": record.getMessage(),
        }
        if request := request_id.get():
            line["request"] = request
        if record.exc_info:
            line["traceback"] = "".join(traceback.format_exception(*record.exc_info))
        return json.dumps(line)


class TextFormatter(logging.Formatter):
    """One line: time, level, message and, within a request, its id."""

    def __init__(self) -> None:
        super().__init__("%(asctime)s %(levelname)s %(message)s")

    def formatMessage(self, record: logging.LogRecord) -> str:  # noqa: N802 - as logging.Formatter
        line = super().formatMessage(record)
        request = request_id.get()
        return f"{line} [{request}]" if request else line


class AccessRecord(NamedTuple):
    """One answered request; the field names are those of the JSON log."""

    remote: str
    method: str
    path: str
    status: int
    bytes: int | None
    milliseconds: float
    answered: str | None
    """The value of Cache-Status, without the name of the cache."""
    request: str
    """The id of the request."""
    time: float
    """When it was answered, in seconds since the epoch."""


class AccessLog:
    """Writes one line per request to stderr. The logging module would cost a fifth of a cache hit."""

    def __init__(self, log_format: str) -> None:
        self._format = self._format_json if log_format == "json" else self._format_text
        self._second = -1
        self._time = ""

    def format(self, access: AccessRecord) -> bytes:
        return self._format(access).encode(errors="backslashreplace")

    def write(self, records: Iterable[AccessRecord]) -> None:
        """Write lines, each of them whole: what the kernel is given at once fits a pipe (pipe(7), PIPE_BUF)."""
        batch = b""
        for record in records:
            line = self.format(record)
            if len(batch) + len(line) > select.PIPE_BUF:
                _write(batch)
                batch = b""
            batch += line
        _write(batch)

    def _format_text(self, access: AccessRecord) -> str:
        now = access.time
        second = int(now)
        if second != self._second:
            # Not locked: at worst a line of another thread has the time of the adjacent second.
            self._time = time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(second))
            self._second = second
        size = "-" if access.bytes is None else access.bytes
        answered = f" {access.answered}" if access.answered else ""
        return (
            f"{self._time},{int(now * 1000) % 1000:03d} INFO "
            f"{_quote(access.remote)} {_quote(access.method)} {_quote(access.path, MAX_PATH_BYTES)} "
            f"{access.status} {size} {access.milliseconds:.1f} ms{answered} [{access.request}]\n"
        )

    def _format_json(self, access: AccessRecord) -> str:
        line = {"time": _iso_time(access.time), "level": "info", "logger": "plotindex.access"}
        client_values = {"remote": _truncate(access.remote), "method": _truncate(access.method)}
        client_values["path"] = _truncate(access.path, MAX_PATH_BYTES)
        fields = {name: value for name, value in access._asdict().items() if name != "time"}
        return json.dumps({**line, **fields, **client_values}) + "\n"


def _write(lines: bytes) -> None:
    try:
        if lines:
            os.write(STDERR, lines)
    except OSError:
        # A closed stderr must not fail the request.
        return


@lru_cache(512)
def _quote(text: str, max_bytes: int = 100) -> str:
    """Escape a value from the client as one word, so that it cannot forge other fields."""
    return _truncate(printable(text).replace(" ", r"\x20"), max_bytes)


def _truncate(text: str, max_bytes: int = 100) -> str:
    """Truncate to `max_bytes`, counted as escaped by JSON: up to twelve bytes per character."""
    if len(text) * 12 <= max_bytes or len(json.dumps(text)) <= max_bytes:
        return text
    return f"{text[: max_bytes // 12]}…"


def _iso_time(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).isoformat(timespec="milliseconds")


def configure_logs(log_format: str) -> None:
    """Log to stderr; `log_format` is "text" or "json"."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(JsonFormatter() if log_format == "json" else TextFormatter())
    logger = logging.getLogger("plotindex")
    logger.handlers = [handler]
    logger.setLevel(logging.INFO)
    logger.propagate = False
    # plotindex reports queue overflows itself.
    logging.getLogger("watchdog").setLevel(logging.ERROR)
