"""Read untrusted XML with bounds: no entities, limited depth and number of events."""

import io
from typing import Protocol
from xml.parsers import expat

MAX_DEPTH = 1000
MAX_EVENTS = 300_000
"""Elements, pieces of text and comments that are read; what follows is not."""
READ_BYTES = 1 << 16
MAX_READ_BYTES = 1 << 24


class XmlListener(Protocol):
    """What hears of the parts of a document. Names are `namespace local`, or `local` without a namespace."""

    def start(self, name: str, attributes: dict[str, str]) -> None: ...
    def end(self, name: str) -> None: ...
    def text(self, text: str) -> None: ...
    def comment(self, text: str) -> None: ...


class _StopReadingError(Exception):
    """Nothing more is read."""


def read_xml(file: io.BufferedIOBase, listener: XmlListener) -> bool:
    """Tell a listener of the parts of a document. Return whether it is well-formed, as far as it was read.

    Reading ends where an entity is declared, or at a limit.
    """
    parser = expat.ParserCreate(namespace_separator=" ")
    parser.buffer_text = True
    events = depth = 0

    def count() -> None:
        nonlocal events
        events += 1
        if events > MAX_EVENTS:
            raise _StopReadingError

    def start(name: str, attributes: dict[str, str]) -> None:
        nonlocal depth
        count()
        depth += 1
        if depth > MAX_DEPTH:
            raise _StopReadingError
        listener.start(name, attributes)

    def end(name: str) -> None:
        nonlocal depth
        depth -= 1
        listener.end(name)

    def text(text: str) -> None:
        count()
        listener.text(text)

    def comment(text: str) -> None:
        count()
        listener.comment(text)

    def refuse(*_declaration: object) -> None:
        raise _StopReadingError

    parser.StartElementHandler, parser.EndElementHandler = start, end
    parser.CharacterDataHandler, parser.CommentHandler = text, comment
    parser.EntityDeclHandler = refuse
    size, before = READ_BYTES, 0
    try:
        while content := file.read(size):
            parser.Parse(content, False)
            # Expat begins anew in a token that is not complete: more each time, or a long one takes quadratic time.
            size = min(2 * size, MAX_READ_BYTES) if events == before else READ_BYTES
            before = events
        parser.Parse(b"", True)
    except _StopReadingError:
        return True
    except (expat.ExpatError, LookupError, ValueError):
        return False
    return True
