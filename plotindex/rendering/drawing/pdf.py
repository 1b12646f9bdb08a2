"""Draw the first page of a PDF, and read its text, with PDFium."""

import ctypes
import io
import math
from collections.abc import Iterator
from typing import NamedTuple

import pypdfium2.raw as pdfium
from PIL import Image

from plotindex.rendering.drawing.size import fit
from plotindex.rendering.protocol import NoPictureError, Original, Outcome

MAX_BYTES = 256 << 20
MAX_METADATA_BYTES = 1 << 20
METADATA = ("Title", "Subject", "Keywords", "Author", "Creator", "Producer", "CreationDate", "ModDate")
"""Entries of the information dictionary (ISO 32000-2, table 349)."""
END = b"\0\0"
WHITE = 0xFFFFFFFF
SAMPLE = (
    b"%PDF-1.4\n1 0 obj<</Pages 2 0 R>>endobj 2 0 obj<</Kids[3 0 R]/Count 1>>endobj "
    b"3 0 obj<</Type/Page/Parent 2 0 R/MediaBox[0 0 9 9]/Contents 4 0 R/Resources<</Font<</F 5 0 R>>>>>>endobj "
    b"4 0 obj<</Length 28>>stream\nBT /F 9 Tf 1 1 Td (x) Tj ET \nendstream endobj "
    b"5 0 obj<</Type/Font/Subtype/Type1/BaseFont/Helvetica>>endobj 6 0 obj<</Title(x)>>endobj "
    b"trailer<</Root 1 0 R/Info 6 0 R>>"
)


def preload() -> None:
    """Start PDFium, draw and read once: it looks for the system's fonts, and its texts need a codec."""
    pdfium.FPDF_InitLibrary()
    draw_pdf(io.BytesIO(SAMPLE), 8)
    document = Document(SAMPLE)
    list(document.letters(0, 1))
    document.metadata()


def draw_pdf(file: io.BufferedIOBase, width: int) -> tuple[Image.Image, Original]:
    """The first page on white, in this width, and what the PDF has.

    Raises:
        NoPictureError: it is too large, protected, or has no page that can be read.
    """
    content = file.read(MAX_BYTES + 1)
    if len(content) > MAX_BYTES:
        raise NoPictureError(Outcome.TOO_LARGE)
    return Document(content).draw(width)


class Letter(NamedTuple):
    """A letter on a page, in points."""

    letter: str
    size: float
    angle: tuple[float, float]
    """The direction of its line."""
    start: tuple[float, float]
    end: tuple[float, float]
    """On its line, how far it reaches."""


class Document:
    """An open PDF. It stays open until the process of the job ends."""

    def __init__(self, content: bytes) -> None:
        """Open it.

        Raises:
            NoPictureError: it is protected, or has no page that can be read.
        """
        self._content = content
        self._document = pdfium.FPDF_LoadMemDocument64(content, len(content), None)
        if not self._document:
            protected = pdfium.FPDF_GetLastError() in (pdfium.FPDF_ERR_PASSWORD, pdfium.FPDF_ERR_SECURITY)
            raise NoPictureError(Outcome.PROTECTED if protected else Outcome.FAILED)
        self._first = self._load(0)
        size = pdfium.FPDF_GetPageWidthF(self._first), pdfium.FPDF_GetPageHeightF(self._first)
        self.size: tuple[float, float] = size
        self.pages: int = pdfium.FPDF_GetPageCount(self._document)

    def draw(self, width: int) -> tuple[Image.Image, Original]:
        """The first page on white, in this width, and what the PDF has."""
        size = fit(self.size, width, enlarges=True)
        pixels = bytearray(4 * size[0] * size[1])
        buffer = (ctypes.c_char * len(pixels)).from_buffer(pixels)
        bitmap = pdfium.FPDFBitmap_CreateEx(*size, pdfium.FPDFBitmap_BGRx, buffer, 4 * size[0])
        pdfium.FPDFBitmap_FillRect(bitmap, 0, 0, *size, WHITE)
        pdfium.FPDF_RenderPageBitmap(bitmap, self._first, 0, 0, *size, 0, pdfium.FPDF_ANNOT)
        original = Original(round(self.size[0]), round(self.size[1]), self.pages)
        return Image.frombuffer("RGB", size, pixels, "raw", "BGRX", 0, 1), original

    def letters(self, page: int, most: int) -> Iterator[Letter]:
        """The first letters of a page, without those that PDFium makes up, such as line ends."""
        texts = pdfium.FPDFText_LoadPage(self._first if page == 0 else self._load(page))
        matrix, x, y, box = pdfium.FS_MATRIX(), ctypes.c_double(), ctypes.c_double(), pdfium.FS_RECTF()
        for number in range(min(most, pdfium.FPDFText_CountChars(texts))):
            if pdfium.FPDFText_IsGenerated(texts, number):
                continue
            pdfium.FPDFText_GetMatrix(texts, number, matrix)
            pdfium.FPDFText_GetCharOrigin(texts, number, x, y)
            pdfium.FPDFText_GetLooseCharBox(texts, number, box)
            length = math.hypot(matrix.a, matrix.b) or 1.0
            angle = matrix.a / length, matrix.b / length
            yield Letter(
                chr(pdfium.FPDFText_GetUnicode(texts, number)),
                pdfium.FPDFText_GetFontSize(texts, number) * math.hypot(matrix.c, matrix.d),
                angle,
                (x.value, y.value),
                (box.right if angle[0] > 0 else box.left, box.top if angle[1] > 0 else box.bottom),
            )

    def metadata(self) -> list[tuple[str, str]]:
        """What the information dictionary states."""
        found = []
        for name in METADATA:
            length = pdfium.FPDF_GetMetaText(self._document, name.encode(), None, 0)
            if len(END) < length <= MAX_METADATA_BYTES:
                buffer = ctypes.create_string_buffer(length)
                pdfium.FPDF_GetMetaText(self._document, name.encode(), buffer, length)
                found.append((name, buffer.raw.removesuffix(END).decode("utf-16-le", "replace")))
        return found

    def _load(self, number: int) -> object:
        page = pdfium.FPDF_LoadPage(self._document, number)
        if not page:
            raise NoPictureError(Outcome.FAILED)
        return page
