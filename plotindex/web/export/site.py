"""A folder of plots with a page that shows and searches them, without a server."""

import os
from base64 import b64encode
from collections import defaultdict
from collections.abc import Iterable, Sequence
from contextlib import closing
from hashlib import sha256
from importlib.resources import files
from pathlib import Path
from typing import NamedTuple
from urllib.parse import quote

from plotindex.rendering.protocol import Outcome, original_of
from plotindex.rendering.thumbnails import PICTURE_ONLY, Thumbnails
from plotindex.storage import one_of_each, stem_of
from plotindex.tree import OpenPlot, Plot, Tree
from plotindex.web.export.archive import Report, ignore_progress
from plotindex.web.export.descriptions import Describe
from plotindex.web.export.manifest import Manifest, PlotCopy
from plotindex.web.export.names import MANIFEST, exported_path
from plotindex.web.pages import page_pieces

CARD_WIDTH, LARGE_WIDTH = "320", "1280"
NOT_IN_PAGES = PICTURE_ONLY - {".svg"}
"""Suffixes of plots that a page cannot show themselves."""


class Picture(NamedTuple):
    """A picture of a plot."""

    path: str | None
    """Relative to the page; None if there is none."""
    pixels: tuple[int, int] | None
    """The size of the plot itself, where its picture tells it."""


NO_PICTURE = Picture(None, None)


class Shown(NamedTuple):
    """A plot on the page. The paths are relative to it and quoted."""

    plot: Plot
    path: str
    card: str | None
    """What the card shows."""
    large: str | None
    """What is shown when the card is opened: as an image, which runs no scripts."""
    pixels: tuple[int, int] | None
    digest: str | None
    title: str | None
    text: Sequence[str]
    problem: str | None
    link: str | None
    """The plot; for an SVG its picture, since an SVG that is opened may run scripts."""


class SiteWriter:
    """Writes plots into a new folder."""

    def __init__(self, tree: Tree, folder: Path, thumbnails: Thumbnails, describe: Describe) -> None:
        self._tree = tree
        self._folder = folder
        self._thumbnails = thumbnails
        self._describe = describe
        self._pictures = 0
        self.manifest = Manifest()

    def write(self, plots: Sequence[Plot], report: Report = ignore_progress) -> None:
        """Write the plots as they are now, their pictures, the page and the manifest.

        Raises:
            OSError: the folder cannot be written.
        """
        shown = []
        for number, row in enumerate(plots, 1):
            copy = self.manifest.open(self._tree, row)
            if copy is not None:
                with closing(copy):
                    shown.append(self._add(copy))
            report(number, len(plots))
        (self._folder / MANIFEST).write_bytes(self.manifest.encode())
        self._write_page(shown)

    def _add(self, copy: PlotCopy) -> Shown:
        plot = copy.plot
        path = f"plots/{exported_path(plot)}"
        target = self._folder / path
        target.parent.mkdir(parents=True, exist_ok=True)
        with target.open("xb") as file:
            for chunk in copy:
                file.write(chunk)
        os.utime(target, ns=(plot.mtime_ns, plot.mtime_ns))
        title, text = self._describe(plot)
        self.manifest.add(copy, path, title)
        card = self._picture(copy, CARD_WIDTH)
        address = quote(path)
        is_picture_only = plot.suffix in PICTURE_ONLY
        picture = self._picture(copy, LARGE_WIDTH).path if is_picture_only else None
        return Shown(
            plot=plot,
            path=address,
            card=card.path or (None if is_picture_only else address),
            large=picture if plot.suffix in NOT_IN_PAGES else address,
            pixels=card.pixels,
            digest=copy.digest,
            title=title,
            text=text,
            problem=copy.problem,
            link=picture if plot.suffix == ".svg" else address,
        )

    def _picture(self, copy: PlotCopy, width: str) -> Picture:
        opened = OpenPlot(copy.plot, copy.fd)
        result = self._thumbnails.cached(opened, width) or self._thumbnails.render(opened, width)
        if result.outcome is not Outcome.RENDERED:
            return NO_PICTURE
        self._pictures += 1
        path = f"pictures/{self._pictures}.webp"
        target = self._folder / path
        target.parent.mkdir(exist_ok=True)
        target.write_bytes(result.content)
        original = original_of(result.content)
        return Picture(path, original[:2] if original else None)

    def _write_page(self, shown: Sequence[Shown]) -> None:
        script, style = (_read(name) for name in ("export.js", "export.css"))
        pieces = page_pieces(
            "export.html",
            sessions=_cards_by_session(shown),
            count=len(shown),
            script=script,
            style=style,
            script_digest=_source_digest(script),
            style_digest=_source_digest(style),
        )
        with (self._folder / "index.html").open("x", encoding="utf-8") as page:
            page.writelines(pieces)


Card = tuple[Shown, Sequence[Shown]]
"""The file to show of a plot, and all its formats."""


def _cards_by_session(shown: Iterable[Shown]) -> dict[str, list[Card]]:
    """The cards of each session, the newest first; siblings share one."""
    groups: defaultdict[tuple[str, str, str], list[Shown]] = defaultdict(list)
    for one in shown:
        groups[one.plot.session, one.plot.project, stem_of(one.plot.filename)].append(one)
    sessions: defaultdict[str, list[Card]] = defaultdict(list)
    for (session, _, _), group in groups.items():
        [best] = one_of_each(one.plot for one in group)
        sessions[session].append((next(one for one in group if one.plot == best), group))
    return {name: sorted(cards, key=_newest_first) for name, cards in sorted(sessions.items())}


def _newest_first(card: Card) -> tuple[int, str, str]:
    plot = card[0].plot
    return -plot.mtime_ns, plot.filename, plot.project


def _read(name: str) -> str:
    return (files("plotindex.web") / "templates" / name).read_text("utf-8")


def _source_digest(text: str) -> str:
    """What names an inline script or style in a Content Security Policy (CSP3 2.3.1)."""
    return "sha256-" + b64encode(sha256(text.encode()).digest()).decode()
