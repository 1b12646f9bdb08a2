"""Properties that RDF states, in XMP and in the metadata of an SVG."""

import io
from collections.abc import Iterator

from plotindex.rendering.facts import MAX_TEXT_BYTES
from plotindex.rendering.reading.xml import read_xml

RDF = "http://www.w3.org/1999/02/22-rdf-syntax-ns#"
XML = "http://www.w3.org/XML/1998/namespace"
NODES = (f"{RDF} Description", "http://creativecommons.org/ns# Work")
"""Elements whose children are properties of the document; of an agent they would be its own."""
IGNORED = {"format", "type"}
"""Properties that tell nothing about a plot."""
MAX_CHARACTERS = 4 * MAX_TEXT_BYTES


class Properties:
    """The properties of a document by their local names, as a listener of its elements."""

    def __init__(self) -> None:
        self._found: dict[str, list[str]] = {}
        self._path: list[str] = []
        self._room = MAX_CHARACTERS

    def __iter__(self) -> Iterator[tuple[str, str]]:
        for name, parts in self._found.items():
            if value := " ".join(part for part in parts if not part.isspace()):
                yield name, value

    def start(self, name: str, attributes: dict[str, str]) -> None:
        self._path.append(name)
        if self._path[-2:-1] == [f"{RDF} RDF"] and name in NODES:
            for attribute, value in attributes.items():
                namespace, _, local = attribute.rpartition(" ")
                if namespace not in ("", RDF, XML):
                    self._add(local, value)

    def end(self, _name: str) -> None:
        self._path.pop()

    def text(self, text: str) -> None:
        for place in range(len(self._path) - 1):
            if self._path[place] in NODES:
                self._add(self._path[place + 1].rpartition(" ")[2], text)
                return

    def comment(self, text: str) -> None:
        """Comments state nothing."""

    def _add(self, name: str, text: str) -> None:
        if name not in IGNORED and self._room > 0:
            self._found.setdefault(name, []).append(text[: self._room])
            self._room -= len(name) + len(text)


def read_xmp(content: bytes) -> list[tuple[str, str]]:
    """The properties in a packet of XMP."""
    properties = Properties()
    # The padding after it is white space, and some programs end it with zeros.
    read_xml(io.BytesIO(content.rstrip(b"\0")), properties)
    return list(properties)
