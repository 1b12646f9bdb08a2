"""Draw plots for programs that look at them: PNG in few colours, which every model reads, and small."""

import io

from PIL import Image

from plotindex.rendering.drawing.size import fit_square

COLOURS = 64
GAP = 8
"""Pixels between two plots."""
WHITE = (255, 255, 255, 255)


def preload() -> None:
    """Draw and encode once."""
    image = Image.effect_noise((40, 40), 80).convert("RGBA")
    draw_beside(image, image.convert("L"), 60)


def draw_view(image: Image.Image, side: int) -> bytes:
    """The image on white as PNG, neither side longer than this."""
    return _encode(_shrink(image, side))


def draw_beside(before: Image.Image, after: Image.Image, side: int) -> bytes:
    """Two images beside each other on white, in one PNG, neither side longer than this."""
    left, right = (_shrink(image, (side - GAP) // 2) for image in (before, after))
    both = Image.new("RGB", (left.width + GAP + right.width, max(left.height, right.height)), WHITE[:3])
    both.paste(left, (0, 0))
    both.paste(right, (left.width + GAP, 0))
    return _encode(both)


def flatten(image: Image.Image, colour: tuple[int, int, int, int] = WHITE) -> Image.Image:
    """An image in mode L, RGB or RGBA on a background, in mode RGB."""
    if image.mode != "RGBA":
        return image.convert("RGB")
    return Image.alpha_composite(Image.new("RGBA", image.size, colour), image).convert("RGB")


def _shrink(image: Image.Image, side: int) -> Image.Image:
    return flatten(image).resize(fit_square(image.size, side), Image.Resampling.LANCZOS, reducing_gap=2.0)


def _encode(image: Image.Image) -> bytes:
    output = io.BytesIO()
    # Other methods lose the colour of a few points.
    reduced = image.quantize(COLOURS, Image.Quantize.FASTOCTREE, dither=Image.Dither.NONE)
    reduced.save(output, "PNG", optimize=True)
    return output.getvalue()
