"""Where a picture is from, for `plotindex find --like`."""

import json
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click

from plotindex.cli.program import print_error
from plotindex.errors import SettingsError
from plotindex.system import printable

if TYPE_CHECKING:
    from plotindex.history.access import History
    from plotindex.storage import Catalog


def show_alike(catalog: "Catalog", history: "History", file: Path, session: str | None, *, as_json: bool) -> None:
    """Print the plots that a picture may be from, the likeliest first. Exits 1 if there are none."""
    from plotindex.inspection.alike import MAX_BYTES, NotAPictureError, find_sources
    from plotindex.rendering.renderer_client import RendererClient
    from plotindex.tree import ALL_SESSIONS, SessionFilter

    renderer = RendererClient()
    try:
        with file.open("rb") as opened:
            if os.fstat(opened.fileno()).st_size > MAX_BYTES:
                raise SettingsError(f"--like takes a picture of at most {MAX_BYTES >> 20} MB.")
            allows = ALL_SESSIONS if session is None else SessionFilter.only(session)
            matches = find_sources(catalog, history, renderer, opened.fileno(), allows)
    except OSError as error:
        raise SettingsError(f"{file} cannot be read ({error.strerror}): name a picture with --like.") from None
    except NotAPictureError as error:
        raise SettingsError(f"{file}: {error}") from None
    finally:
        renderer.close()
    if as_json:
        found = [
            {
                **match.plot._asdict(),
                "version": match.plot.version,
                "path": match.plot.path,
                "how": match.how,
                "distance": match.distance,
                "current": match.is_current,
            }
            for match in matches
        ]
        click.echo(json.dumps(found, indent=2))
    else:
        is_terminal = sys.stdout.isatty()
        for match in matches:
            how = "same" if match.is_same else str(match.distance)
            path = printable(match.plot.path)
            click.echo(f"{how:>6}  {path}" if is_terminal else path)
            if not match.is_current:
                print_error(f"{path} was that in version {match.plot.version}: plotindex history get has it.")
    if not matches:
        print_error(f"No plot looks like {printable(str(file))}.")
        sys.exit(1)
