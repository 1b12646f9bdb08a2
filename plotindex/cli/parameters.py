"""Parser of seconds on the command line."""

import math
from typing import Any

import click


class Seconds(click.FloatRange):
    """A finite, non-negative number of seconds."""

    def __init__(self) -> None:
        super().__init__(0, 1e9)

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:  # noqa: ANN401 - as click
        seconds = super().convert(value, param, ctx)
        if math.isnan(seconds):
            self.fail(f"{value!r} is not a number of seconds.", param, ctx)
        return seconds
