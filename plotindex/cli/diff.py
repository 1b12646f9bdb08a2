"""The command `plotindex diff`."""

import json
import os
import sys
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from queue import SimpleQueue
from typing import TYPE_CHECKING, Any

import click

from plotindex.cli import completion
from plotindex.cli.options import common_options, example, json_option
from plotindex.cli.progress import Progress
from plotindex.cli.startup import check_root_unless_indexed, read_settings
from plotindex.errors import SettingsError
from plotindex.system import printable, rfc3339

if TYPE_CHECKING:
    from plotindex.comparison.compare import PairComparer
    from plotindex.comparison.difference import ComparedPair, Kind, Pair
    from plotindex.comparison.sides import SidePlot
    from plotindex.config import Settings
    from plotindex.rendering.renderer_client import RendererClient

MAX_RENDERERS = 4


@click.command(epilog=example("diff abc123 abc123/project_1 --root /srv/plots"))
@common_options
@click.argument("before", metavar="A", shell_complete=completion.sessions)
@click.argument("after", metavar="B", shell_complete=completion.sessions)
@click.option("--only", metavar="KINDS", help="List these kinds only, separated by commas.")
@click.option(
    "--tolerance",
    type=click.FloatRange(0, 100),
    metavar="P",
    help="Disregard changed plots of which at most P percent of the pixels differ, and nothing known.",
)
@json_option
@click.option("--html", type=Path, shell_complete=completion.files, help="Also write a page with all pictures.")
def diff(
    *,
    config: Path | None,
    before: str,
    after: str,
    only: str | None,
    tolerance: float | None,
    as_json: bool,
    html: Path | None,
    **options: str | None,
) -> None:
    """Show what changed between two sessions, worst first.

    A and B are SESSION or SESSION/PROJECT; with @2h or @2026-11-28T10:00 at its end, a side is as it was then, by the
    history. Kinds are changed, restyled, alike, new, gone, same picture and same; the last two are listed only with
    --only. Exits 1 if a listed plot is changed, new or gone.
    """
    from plotindex.comparison.difference import FAILING, count_kinds, select, within_tolerance

    kinds = _parse_kinds(only)
    settings = read_settings(config, options)
    check_root_unless_indexed(settings)
    comparer, pairs = _prepare(settings, before, after)
    compared = _compare_all(comparer, pairs)
    if tolerance is not None:
        compared = [plot for plot in compared if not within_tolerance(plot, tolerance)]
    listed = select(compared, kinds)
    counts = count_kinds(compared)
    if html is not None:
        _write_html(html, comparer, f"{before} → {after}", counts, listed)
    if as_json:
        plots = [_to_json(plot) for plot in listed]
        click.echo(
            json.dumps(
                {"from": before, "to": after, "counts": counts, "pending": 0, "plots": plots, "next": None}, indent=2
            )
        )
    else:
        for plot in listed:
            click.echo(_as_line(plot))
        click.echo(", ".join(f"{count} {kind}" for kind, count in counts.items() if count), err=bool(listed))
    if any(plot.difference.kind in FAILING for plot in listed):
        sys.exit(1)


def _parse_kinds(only: str | None) -> "list[Kind] | None":
    from plotindex.comparison.difference import Kind

    if only is None:
        return None
    try:
        return [Kind(name.strip()) for name in only.split(",")]
    except ValueError:
        raise SettingsError(f"--only takes {', '.join(Kind)}, separated by commas, not {only!r}.") from None


def _prepare(settings: "Settings", before: str, after: str) -> "tuple[PairComparer, list[Pair]]":
    from plotindex.comparison.compare import PairComparer
    from plotindex.comparison.difference import make_pairs
    from plotindex.comparison.sides import parse_side, read_side
    from plotindex.history.access import History
    from plotindex.history.store import READ_SECONDS
    from plotindex.index import make_tree, open_catalog
    from plotindex.rendering.cache import FileCache
    from plotindex.rendering.thumbnails import MEGABYTE

    catalog, tree = open_catalog(settings), make_tree(settings)
    history = History.from_settings(settings, tree, READ_SECONDS)

    def exists(session: str, project: str | None) -> bool:
        if project is None:
            return catalog.session_row(session) is not None
        return any(plot.project == project for plot in catalog.plots(session))

    now_ns = time.time_ns()
    sides = [
        read_side(parse_side(text, exists, now_ns), catalog, history, is_limited=False) for text in (before, after)
    ]
    cache = FileCache(settings.thumbnails_folder, settings.thumbnails_mb * MEGABYTE, settings.make_state_folder)
    return PairComparer(tree, catalog.database, history, cache), make_pairs(*sides)


def _compare_all(comparer: "PairComparer", pairs: "Sequence[Pair]") -> "list[ComparedPair]":
    from plotindex.comparison.difference import ComparedPair

    count = min(MAX_RENDERERS, len(os.sched_getaffinity(0)))
    with _renderers(count) as renderers, ThreadPoolExecutor(count) as pool, Progress("plots") as progress:

        def compare(pair: "Pair") -> "ComparedPair":
            renderer = renderers.get()
            try:
                return ComparedPair(pair, comparer.compare(pair, renderer))
            finally:
                renderers.put(renderer)

        compared = []
        for plot in pool.map(compare, pairs):
            compared.append(plot)
            progress(len(compared), len(pairs))
        return compared


@contextmanager
def _renderers(count: int) -> "Iterator[SimpleQueue[RendererClient]]":
    from plotindex.rendering.renderer_client import RendererClient

    clients = [RendererClient() for _ in range(count)]
    queue: SimpleQueue[RendererClient] = SimpleQueue()
    for client in clients:
        queue.put(client)
    try:
        yield queue
    finally:
        for client in clients:
            client.close()


def _to_json(compared: "ComparedPair") -> dict[str, Any]:
    from plotindex.comparison.difference import difference_to_json

    pair = compared.pair
    return {
        "filename": pair.filename,
        **difference_to_json(compared.difference),
        "from": _side_to_json(pair.before),
        "to": _side_to_json(pair.after),
    }


def _side_to_json(side: "SidePlot | None") -> dict[str, Any] | None:
    """The fields of an entry of a list, without addresses, which a server has."""
    if side is None:
        return None
    plot = side.shown.plot
    return {
        "session": plot.session,
        "filename": plot.filename,
        "project": plot.project,
        "size": plot.size,
        "mtime": rfc3339(plot.mtime_ns),
        "version": plot.version,
        "siblings": sorted(file.plot.suffix[1:] for file in side.files if file is not side.shown),
    }


def _as_line(compared: "ComparedPair") -> str:
    """Kind, score, filename and words, separated by tabs."""
    kind, score, _, words, _ = compared.difference
    shown = f"{score:.3f}" if score else "-"
    return "\t".join([kind, shown, printable(compared.pair.filename), "; ".join(map(printable, words))])


def _write_html(
    path: Path, comparer: "PairComparer", title: str, counts: dict[str, int], listed: "Sequence[ComparedPair]"
) -> None:
    from plotindex.comparison.html_page import write_page

    with _renderers(1) as renderers, Progress("pictures") as progress:
        renderer = renderers.get()

        def told() -> "Iterator[ComparedPair]":
            for number, plot in enumerate(listed, 1):
                yield plot
                progress(number, len(listed))

        try:
            with path.open("w", encoding="utf-8") as file:
                write_page(file, title, counts, told(), lambda side, width: comparer.draw(side, renderer, width))
        except OSError as error:
            raise SettingsError(
                f"{path} cannot be written ({error.strerror}): name another file with --html."
            ) from None
