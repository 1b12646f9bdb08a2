"""Texts of a PDF, put together from its letters, and which of them is the title."""

from dataclasses import dataclass

from plotindex.rendering.drawing.pdf import Document, Letter
from plotindex.rendering.facts import clean
from plotindex.rendering.reading.metadata import is_default

PAGES = 3
MAX_LETTERS = 5000
SAME_LINE = 0.7
"""Largest distance of a letter from the line of the one before, as a part of their height: exponents belong to it."""
OVERLAP, LETTER_GAP, WORD_GAP = -0.5, 0.15, 0.8
"""Gaps between two letters of one text, and of one word, as a part of their height."""
LARGER = 1.05
"""A title has letters at least that much larger than all other texts."""
MAX_TITLES = 4
"""If more texts are as large, they are no titles."""


@dataclass
class Line:
    """A text on one line of a page."""

    last: Letter
    size: float
    letters: str

    def add(self, letter: Letter) -> bool:
        """Add the next letter, if it belongs to this text."""
        last = self.last
        size = max(letter.size, last.size)
        across, gap = _along(last, letter.start, last.start)[1], _along(last, letter.start, last.end)[0]
        is_parallel = letter.angle[0] * last.angle[0] + letter.angle[1] * last.angle[1] > 0.99
        # The letters of a ligature have one place.
        is_next = letter.start == last.start or OVERLAP * size < gap < WORD_GAP * size
        if not (is_parallel and is_next and abs(across) < SAME_LINE * size):
            return False
        self.letters += " " * (gap > LETTER_GAP * size) + letter.letter
        self.size = max(self.size, letter.size)
        self.last = letter
        return True


def read_pdf(document: Document) -> tuple[str, list[str]]:
    """The title, empty if it cannot be told, and the texts of the first pages."""
    lines: list[Line] = []
    first: list[Line] = []
    room = MAX_LETTERS
    for page in range(min(PAGES, document.pages)):
        current: Line | None = None
        for letter in document.letters(page, room):
            room -= 1
            if current is None or not current.add(letter):
                current = Line(letter, letter.size, letter.letter)
                lines.append(current)
        first = first or list(lines)
    texts = [clean(line.letters) for line in lines]
    return _title_of(first), [text for text in texts if any(letter.isalpha() for letter in text)]


def _title_of(lines: list[Line]) -> str:
    largest = max((line.size for line in lines), default=0.0)
    titles = [line for line in lines if line.size * LARGER > largest]
    texts = dict.fromkeys(clean(line.letters) for line in titles)
    # Where the label of a vertical axis is as large, all labels are.
    is_rotated = any(line.last.angle[0] < 0.99 for line in titles)
    if is_rotated or len(texts) > MAX_TITLES or len(titles) == len(lines) > 1:
        return ""
    return "; ".join(text for text in texts if not is_default(text))


def _along(letter: Letter, to: tuple[float, float], origin: tuple[float, float]) -> tuple[float, float]:
    """The way from an origin to a point, along the line of a letter and across it."""
    x, y = to[0] - origin[0], to[1] - origin[1]
    return x * letter.angle[0] + y * letter.angle[1], y * letter.angle[0] - x * letter.angle[1]
