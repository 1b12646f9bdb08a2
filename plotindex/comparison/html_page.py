"""A page of what changed that needs nothing else: one file with all pictures in it."""

from base64 import b64encode
from collections.abc import Callable, Iterable, Mapping
from html import escape
from typing import TextIO

from plotindex.comparison.difference import ComparedPair
from plotindex.comparison.sides import SidePlot
from plotindex.rendering.comparison import Box
from plotindex.system import printable

WIDTH = 640
STYLE = """
:root { color-scheme: light dark; font: 15px/1.5 system-ui, sans-serif }
body { margin: 1rem auto; max-width: 84rem; padding: 0 1rem }
article { border-top: 1px solid #8886; padding: .5rem 0 1rem }
h2 { font-size: 1rem; overflow-wrap: anywhere; margin: .5rem 0 }
h2 b { border-radius: 3px; padding: 0 .4em; background: #8883 }
.pair { display: grid; grid-template-columns: 1fr 1fr; gap: 1rem; align-items: start }
.picture { position: relative }
img { display: block; width: 100%; background: #fff }
i { position: absolute; outline: 2px solid #d20; outline-offset: 2px }
"""

Draw = Callable[[SidePlot, int], bytes]
"""The picture of a plot in a width, as WebP; empty if there is none."""


def write_page(file: TextIO, title: str, counts: Mapping[str, int], plots: Iterable[ComparedPair], draw: Draw) -> None:
    """Write the page, plot by plot."""
    shown = escape(printable(title))
    summary = ", ".join(f"{count} {kind}" for kind, count in counts.items() if count)
    file.write(
        '<!doctype html><html lang="en"><meta charset="utf-8">'
        '<meta http-equiv="Content-Security-Policy" '
        "content=\"default-src 'none'; img-src data:; style-src 'unsafe-inline'\">"
        f"<title>{shown}</title><style>{STYLE}</style><h1>{shown}</h1><p>{escape(summary)}</p>\n"
    )
    for plot in plots:
        file.write(_article(plot, draw))


def _article(compared: ComparedPair, draw: Draw) -> str:
    pair, difference = compared
    score = f" · {difference.score:.3f} %" if difference.score else ""
    words = "".join(f"<li>{escape(printable(word))}</li>" for word in difference.words)
    pictures = _picture(pair.before, draw, (region.before for region in difference.regions))
    pictures += _picture(pair.after, draw, (region.after for region in difference.regions))
    return (
        f"<article><h2><b>{difference.kind}</b> {escape(printable(pair.filename))}{score}</h2>"
        f'<ul>{words}</ul><div class="pair">{pictures}</div></article>\n'
    )


def _picture(side: SidePlot | None, draw: Draw, boxes: Iterable[Box]) -> str:
    if side is None:
        return "<div></div>"
    content = draw(side, WIDTH)
    label = escape(printable(side.shown.plot.path))
    if not content:
        return f"<p>No picture of {label}</p>"
    regions = "".join(
        f'<i style="left:{100 * box.left:.3f}%;top:{100 * box.top:.3f}%;'
        f'width:{100 * box.width:.3f}%;height:{100 * box.height:.3f}%"></i>'
        for box in boxes
    )
    address = f"data:image/webp;base64,{b64encode(content).decode()}"
    return f'<div class="picture"><img alt="{label}" src="{address}">{regions}</div>'
