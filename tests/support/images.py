"""Test images of all kinds that scripts write, with known content."""

import io
import struct
import zlib
from collections.abc import Callable
from typing import Any

from PIL import Image, ImageCms

RED, GREEN, BLUE, WHITE = (255, 0, 0), (0, 255, 0), (0, 0, 255), (255, 255, 255)


def encoded(image: Image.Image, kind: str = "PNG", **options: Any) -> bytes:
    file = io.BytesIO()
    image.save(file, kind, **options)
    return file.getvalue()


def halves(left: Any = RED, right: Any = BLUE, size: tuple[int, int] = (800, 400), mode: str = "RGB") -> Image.Image:
    """An image whose left half has one colour, and the right half another."""
    image = Image.new(mode, size, right)
    image.paste(left, (0, 0, size[0] // 2, size[1]))
    return image


def png(width: int, height: int, colour: int, depth: int, rows: bytes, *more: tuple[bytes, bytes]) -> bytes:
    """A PNG whose header is independent of its rows."""

    def chunk(kind: bytes, content: bytes) -> bytes:
        return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))

    head = chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, depth, colour, 0, 0, 0))
    chunks = b"".join(chunk(kind, content) for kind, content in more)
    return b"\x89PNG\r\n\x1a\n" + head + chunks + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b"")


def _sixteen_bits(mode_bytes: bytes) -> Callable[[], bytes]:
    return lambda: png(2, 1, 0, 16, b"\0" + mode_bytes)


def _palette() -> bytes:
    image = Image.new("P", (800, 400), 1)
    image.putpalette([*RED, *BLUE])
    image.paste(0, (0, 0, 400, 400))
    return encoded(image, transparency=b"\x00\xff")


def _turned(orientation: int) -> bytes:
    exif = Image.Exif()
    exif[0x0112] = orientation
    # As it is to be seen its left half is red.
    seen = halves()
    lying = (
        seen.transpose(Image.Transpose.ROTATE_90) if orientation == 6 else seen.transpose(Image.Transpose.ROTATE_180)
    )
    return encoded(lying, "JPEG", exif=exif, quality=95)


def _frames(kind: str) -> bytes:
    return encoded(halves(), kind, save_all=True, append_images=[halves(GREEN, GREEN)], duration=100)


def _profile() -> bytes:
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    return encoded(halves(), icc_profile=profile)


def _transparent_colour() -> bytes:
    return encoded(halves(), transparency=RED)


TRANSPARENT = (0, 0, 0, 0)
UNUSUAL_IMAGES: dict[str, tuple[Callable[[], bytes], Any, Any]] = {
    "rgb.png": (lambda: encoded(halves()), RED, BLUE),
    "photo.jpg": (lambda: encoded(halves(), "JPEG", quality=95), RED, BLUE),
    "large.jpeg": (lambda: encoded(halves(size=(4000, 2000)), "JPEG", quality=95), RED, BLUE),
    "grey.jpg": (lambda: encoded(halves(0, 200, mode="L"), "JPEG"), (0, 0, 0), (200, 200, 200)),
    "still.gif": (lambda: encoded(halves(), "GIF"), RED, BLUE),
    "still.webp": (lambda: encoded(halves(), "WEBP", quality=95), RED, BLUE),
    "still.avif": (lambda: encoded(halves(), "AVIF", quality=95, max_threads=1), RED, BLUE),
    "still.tif": (lambda: encoded(halves(), "TIFF"), RED, BLUE),
    "tiff.png": (lambda: encoded(halves(), "TIFF", compression="tiff_lzw"), RED, BLUE),
    "float.tiff": (lambda: encoded(halves(-1.5, 8.0, mode="F"), "TIFF"), (0, 0, 0), WHITE),
    "png-content.jpg": (lambda: encoded(halves()), RED, BLUE),
    "UPPER.PNG": (lambda: encoded(halves()), RED, BLUE),
    "grey.png": (lambda: encoded(halves(0, 200, mode="L")), (0, 0, 0), (200, 200, 200)),
    "one-bit.png": (lambda: encoded(halves(0, 1, mode="1")), (0, 0, 0), WHITE),
    "grey16.png": (_sixteen_bits(b"\x40\x00\xc0\x00"), (64, 64, 64), (192, 192, 192)),
    "grey16-dark.png": (_sixteen_bits(b"\x00\x10\x00\xff"), (0, 0, 0), (0, 0, 0)),
    "rgb16.png": (lambda: png(2, 1, 2, 16, b"\0" + b"\xff\xff\0\0\0\0" + b"\0\0\0\0\xff\xff"), RED, BLUE),
    "la.png": (lambda: encoded(halves((90, 0), (90, 255), mode="LA")), TRANSPARENT, (90, 90, 90, 255)),
    "rgba.png": (lambda: encoded(halves((*RED, 255), (*BLUE, 0), mode="RGBA")), (*RED, 255), TRANSPARENT),
    "palette.png": (_palette, TRANSPARENT, (*BLUE, 255)),
    "transparent-colour.png": (_transparent_colour, TRANSPARENT, (*BLUE, 255)),
    "cmyk.jpg": (
        lambda: encoded(halves((0, 255, 255, 0), (255, 255, 0, 0), mode="CMYK"), "JPEG", quality=95),
        RED,
        BLUE,
    ),
    "lying.jpg": (lambda: _turned(6), RED, BLUE),
    "upside-down.jpg": (lambda: _turned(3), RED, BLUE),
    "animated.gif": (lambda: _frames("GIF"), RED, BLUE),
    "animated.webp": (lambda: _frames("WEBP"), RED, BLUE),
    "animated.png": (lambda: _frames("PNG"), RED, BLUE),
    "profile.png": (_profile, RED, BLUE),
}
"""Filename -> how to make it, and the visible colours of its left and right halves."""


def _truncated() -> bytes:
    return encoded(Image.effect_noise((400, 400), 80))[:20_000]


UNDECODABLE: dict[str, bytes] = {
    "bomb.png": png(20_000, 20_000, 0, 8, b"\0" * 1000),
    "bomb.gif": b"GIF89a\xff\xff\xff\xff\x80\0\0" + b"\0" * 6 + b",\0\0\0\0\xff\xff\xff\xff\0\x08\x01\0\0;",
    "truncated.png": _truncated(),
    "empty.png": b"",
    "page.png": b"<!doctype html><script>alert(1)</script>",
    "eps.png": b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 100 100\n(/etc/passwd) (r) file\n%%EOF\n",
    "ppm.png": encoded(halves(), "PPM"),
    "head.jpg": b"\xff\xd8\xff\xe0\0\x10JFIF\0",
    "no-size.png": png(0, 0, 0, 8, b""),
    "text-bomb.png": png(1, 1, 0, 8, b"\0\0", (b"zTXt", b"k\0\0" + zlib.compress(b"\0" * 200_000_000, 9))),
}
"""Filename -> content that no thumbnail can be made of."""


def pdf(operators: str, box: tuple[int, int] = (90, 60), *, name: str = "Helvetica") -> bytes:
    """A PDF of one page, in points, with these operators; /F is a font that is not embedded."""
    stream = operators.encode()
    objects = [
        b"<</Type/Catalog/Pages 2 0 R>>",
        b"<</Type/Pages/Kids[3 0 R]/Count 1>>",
        b"<</Type/Page/Parent 2 0 R/MediaBox[0 0 %d %d]/Contents 4 0 R/Resources<</Font<</F 5 0 R>>>>>>" % box,
        b"<</Length %d>>\nstream\n%s\nendstream" % (len(stream), stream),
        b"<</Type/Font/Subtype/Type1/BaseFont/%s>>" % name.encode(),
    ]
    content, offsets = b"%PDF-1.4\n", []
    for number, one in enumerate(objects, 1):
        offsets.append(len(content))
        content += b"%d 0 obj\n%s\nendobj\n" % (number, one)
    table = b"".join(b"%010d 00000 n \n" % offset for offset in offsets)
    end = b"trailer<</Size %d/Root 1 0 R>>\nstartxref\n%d\n%%%%EOF" % (len(objects) + 1, len(content))
    return content + b"xref\n0 %d\n0000000000 65535 f \n%s" % (len(objects) + 1, table) + end


PDF = pdf("1 0 0 rg 0 0 45 60 re f 0 0 1 rg 45 0 45 60 re f")
"""Its left half is red, the right half blue."""
