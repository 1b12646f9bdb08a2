"""Logs: one line per thing that matters, as text or JSON, on stderr."""

import json
import logging
import sys
import traceback
from datetime import UTC, datetime


class JsonLines(logging.Formatter):
    """One JSON object per line."""

    def format(self, record: logging.LogRecord) -> str:
        line = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": record.getMessage(),
        }
        if record.exc_info:
            line["traceback"] = "".join(traceback.format_exception(*record.exc_info))
        return json.dumps(line)


def configure_logs(log_format: str) -> None:
    """Log to stderr; `log_format` is text or json."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(
        JsonLines() if log_format == "json" else logging.Formatter("%(asctime)s %(levelname)s %(message)s")
    )
    logger = logging.getLogger("plotindex")
    logger.handlers = [handler]
    logger.setLevel(logging.INFO)
    logger.propagate = False
    # What watchdog warns of, an overflow, plotindex says itself.
    logging.getLogger("watchdog").setLevel(logging.ERROR)
