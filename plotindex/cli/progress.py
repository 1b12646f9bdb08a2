"""Progress on stderr: a bar on a terminal, occasional lines elsewhere."""

import sys
import time
from types import TracebackType
from typing import Any, Self

import click

QUIET_SECONDS = 1.0
"""Shorter work shows no progress."""
LINE_SECONDS = 5.0


class Progress:
    """Shows progress; call it with the number of items done and the total."""

    def __init__(self, label: str) -> None:
        self._label = label
        self._start = self._printed_at = time.monotonic()
        self._bar: Any = None

    def __enter__(self) -> Self:
        return self

    def __call__(self, done: int, total: int) -> None:
        now = time.monotonic()
        if now - self._start < QUIET_SECONDS:
            return
        if sys.stderr.isatty():
            if self._bar is None:
                self._bar = click.progressbar(
                    length=total, label=self._label, file=sys.stderr, show_pos=True
                ).__enter__()
            self._bar.update(done - self._bar.pos)
        elif now - self._printed_at >= LINE_SECONDS or self._printed_at == self._start:
            self._printed_at = now
            click.echo(f"{done} of {total} {self._label}", err=True)

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._bar is not None:
            self._bar.__exit__(kind, error, trace)
