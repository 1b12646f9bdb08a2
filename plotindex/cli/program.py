"""The top-level group of commands: errors become one sentence on stderr and an exit code."""

import errno
import sys
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from importlib import import_module
from typing import TYPE_CHECKING, Any, NamedTuple

import click

from plotindex.errors import CatalogError, DamagedDatabaseError, PlotIndexError, SettingsError, UnsafePathError
from plotindex.system import escape

if TYPE_CHECKING:
    from plotindex.config import Settings


class Listed(NamedTuple):
    """A command that is imported only when it runs: its name, its module in `cli`, and its line in the list."""

    name: str
    module: str
    summary: str

    def load(self) -> click.Command:
        commands = vars(import_module(f"plotindex.cli.{self.module}")).values()
        return next(each for each in commands if isinstance(each, click.Command) and each.name == self.name)


class Program(click.Group):
    """A group that reports errors of its commands without a traceback, and imports a command when it runs."""

    def __init__(self, *, listed: Iterable[Listed], **attributes: Any) -> None:  # noqa: ANN401 - as click.Group
        super().__init__(**attributes, commands=[click.Command(each.name, help=each.summary) for each in listed])
        self._listed = {each.name: each for each in listed}

    def loaded(self) -> click.Group:
        """The group with its commands imported: in `commands` there are only their names and summaries."""
        commands = [listed.load() for listed in self._listed.values()]
        return click.Group(self.name, commands, help=self.help, epilog=self.epilog)

    def resolve_command(
        self, context: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        name, command, rest = super().resolve_command(context, args)
        return name, self._listed[name].load() if name and command else None, rest

    def invoke(self, context: click.Context) -> Any:  # noqa: ANN401 - as click.Group
        try:
            _require_utf8()
            with _damage_explained(context):
                return super().invoke(context)
        except (PlotIndexError, UnsafePathError) as error:
            print_error(error)
            sys.exit(2 if isinstance(error, SettingsError | UnsafePathError) else 1)
        except OSError as error:
            if error.errno != errno.ENOSPC or error.filename:
                raise
            print_error(f"The output cannot be written ({error.strerror}): free some space there.")
            sys.exit(2)


@contextmanager
def _damage_explained(context: click.Context) -> Iterator[None]:
    """Raise DamagedDatabaseError for errors that come from a catalogue with values of other types."""
    try:
        yield
    except (TypeError, ValueError, AttributeError, ArithmeticError):
        if context.obj is not None:
            _check_integrity(context.obj)
        raise


def _check_integrity(settings: "Settings") -> None:
    """Raise DamagedDatabaseError if the catalogue is damaged."""
    from plotindex.storage import open_database

    try:
        open_database(settings.catalog_location).check_integrity()
    except DamagedDatabaseError:
        raise
    except CatalogError:
        # None to explain the error with.
        return


def print_error(message: object) -> None:
    """Print an error or a warning to stderr."""
    click.echo(f"plotindex: {escape(str(message))}", err=True)


def _require_utf8() -> None:
    encoding = sys.getfilesystemencoding()
    if encoding != "utf-8":
        raise SettingsError(f"The locale encodes file names as {encoding}, not UTF-8: set LC_ALL=C.UTF-8.")
