"""The fonts that texts of an SVG are drawn with: those of the system, and one that is a dependency."""

import os
from collections.abc import Callable, Iterator
from importlib.resources import files
from pathlib import Path
from struct import pack, pack_into, unpack_from

FALLBACK_FAMILY = "Times New Roman"
"""What resvg takes when it has none of the families that a text names; without it such a text vanishes."""
SYSTEM_FOLDERS = ("/usr/share/fonts", "/usr/local/share/fonts")
SUFFIXES = (".ttf", ".otf", ".ttc")
MAX_SYSTEM_BYTES = 48 << 20
"""All fonts are in memory, since the renderer opens no file once it is confined."""
_FAMILY, _STYLE, _POSTSCRIPT_NAME = 1, 2, 6
_WINDOWS_ENGLISH = (3, 1, 0x409)
"""Platform, encoding (UTF-16) and language of a name."""


def load_fonts(load: Callable[[bytes], object]) -> None:
    """Pass the content of each font to `load`."""
    folder = files("fontpkg_inter") / "files"
    for name, style in (("Inter[opsz,wght].ttf", "Regular"), ("Inter-Italic[opsz,wght].ttf", "Italic")):
        load(rename((folder / name).read_bytes(), FALLBACK_FAMILY, style))
    for font in system_fonts():
        load(font)


def system_fonts() -> Iterator[bytes]:
    """The fonts of this machine, the smallest first, as far as there is room."""
    found = []
    for top in SYSTEM_FOLDERS:
        for folder, _, names in os.walk(top):
            paths = (Path(folder, name) for name in names if name.lower().endswith(SUFFIXES))
            found += [(path.stat().st_size, path) for path in paths if path.is_file()]
    room = MAX_SYSTEM_BYTES
    for size, path in sorted(found):
        room -= size
        if room < 0:
            return
        yield path.read_bytes()


def rename(font: bytes, family: str, style: str) -> bytes:
    """An OpenType font with another family name. Only its table `name` is replaced (OpenType, "Font file")."""
    tables = unpack_from(">H", font, 4)[0]
    renamed = bytearray(font)
    for entry in range(12, 12 + 16 * tables, 16):
        if font[entry : entry + 4] == b"name":
            names = {_FAMILY: family, _STYLE: style, _POSTSCRIPT_NAME: f"{family}-{style}".replace(" ", "")}
            table = _name_table(names)
            pack_into(">II", renamed, entry + 8, len(renamed), len(table))
            renamed += table
    return bytes(renamed)


def _name_table(names: dict[int, str]) -> bytes:
    records, texts = b"", b""
    for number, text in sorted(names.items()):
        encoded = text.encode("utf-16-be")
        records += pack(">6H", *_WINDOWS_ENGLISH, number, len(encoded), len(texts))
        texts += encoded
    return pack(">3H", 0, len(names), 6 + len(records)) + records + texts
