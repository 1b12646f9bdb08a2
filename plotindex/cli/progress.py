"""Progress: a bar on a terminal, a plain line now and then elsewhere; always on stderr."""

import sys
import time
from types import TracebackType
from typing import Any, Self

import click

QUIET_SECONDS = 1.0
"""Work that is done sooner says nothing."""
LINE_SECONDS = 5.0


class Progress:
    """Called with how much is done and how much there is."""

    def __init__(self, what: str) -> None:
        self._what = what
        self._began = self._said = time.monotonic()
        self._bar: Any = None

    def __enter__(self) -> Self:
        return self

    def __call__(self, done: int, total: int) -> None:
        now = time.monotonic()
        if now - self._began < QUIET_SECONDS:
            return
        if sys.stderr.isatty():
            if self._bar is None:
                self._bar = click.progressbar(
                    length=total, label=self._what, file=sys.stderr, show_pos=True
                ).__enter__()
            self._bar.update(done - self._bar.pos)
        elif now - self._said >= LINE_SECONDS or self._said == self._began:
            self._said = now
            click.echo(f"{done} of {total} {self._what}", err=True)

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._bar is not None:
            self._bar.__exit__(kind, error, trace)
