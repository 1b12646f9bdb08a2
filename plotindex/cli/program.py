"""The top-level group of commands: errors become one sentence on stderr and an exit code."""

import errno
import sys
from typing import Any

import click

from plotindex.errors import PlotIndexError, SettingsError
from plotindex.system import escape


class Program(click.Group):
    """A group that reports errors of its commands without a traceback."""

    def invoke(self, context: click.Context) -> Any:  # noqa: ANN401 - as click.Group
        try:
            _require_utf8()
            return super().invoke(context)
        except (SettingsError, PlotIndexError) as error:
            print_error(error)
            sys.exit(2 if isinstance(error, SettingsError) else 1)
        except OSError as error:
            if error.errno != errno.ENOSPC or error.filename:
                raise
            print_error(f"The output cannot be written ({error.strerror}): free some space there.")
            sys.exit(2)


def print_error(message: object) -> None:
    """Print an error or a warning to stderr."""
    click.echo(f"plotindex: {escape(str(message))}", err=True)


def _require_utf8() -> None:
    encoding = sys.getfilesystemencoding()
    if encoding != "utf-8":
        raise SettingsError(f"The locale encodes file names as {encoding}, not UTF-8: set LC_ALL=C.UTF-8.")
