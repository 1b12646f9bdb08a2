"""Rows of facts, and what they mean. No I/O."""

import json
import zlib
from collections.abc import Sequence
from typing import Any, NamedTuple, Self

from plotindex.tree import Plot

COMMON_METADATA = (
    b'"Creator": "Description": "Title": "Creation Time": "Date": "Matplotlib v3.10.8, https://matplotlib.org/"'
    b'{"Software": "Matplotlib version3.10.8, https://matplotlib.org/"}'
)
"""Texts that most metadata contains (a dictionary of RFC 1950). Changing them makes stored metadata unreadable."""


class StoredFacts(NamedTuple):
    """What inspection found in one version of a copy."""

    digest: str
    """BLAKE2b-128 of its bytes; empty if they were not read."""
    format: str
    width: int | None
    height: int | None
    frames: int
    dpi: float | None
    title: str
    text: tuple[str, ...]
    """Lines other than the title."""
    metadata: dict[str, str]
    picture_hash: bytes
    flags: frozenset[str]

    def to_row(self) -> dict[str, object]:
        """The values of the columns."""
        return {
            **self._asdict(),
            "digest": bytes.fromhex(self.digest),
            "text": "\n".join(self.text),
            "metadata": _pack(self.metadata),
            "flags": " ".join(sorted(self.flags)),
        }

    @classmethod
    def from_row(cls, row: Sequence[Any]) -> Self:
        """The facts in the columns FACTS."""
        facts = cls._make(row)
        return facts._replace(
            digest=bytes(row[0]).hex(),
            text=lines_of(row[7]),
            metadata=_unpack(bytes(row[8])),
            picture_hash=bytes(row[9]),
            flags=frozenset(row[10].split()),
        )


FACTS = ", ".join(StoredFacts._fields)
"""The columns of `StoredFacts`."""


class Place(NamedTuple):
    """Where a copy is."""

    session: str
    filename: str
    project: str


SHARED_TURN = "/"
"""Whose turn it is where nothing of a session was inspected; no session is called so."""


class DuePlace(NamedTuple):
    """A copy to inspect."""

    place: Place
    turn: str
    """Of its session, or the one that new sessions share."""


BacklogPosition = tuple[int, str, str, str]
"""Clock, session, filename and project: what lies before is to be inspected."""


class InspectionState(NamedTuple):
    """What the process that inspects says of itself."""

    host: str
    updated: float
    """Seconds since the epoch."""
    waiting: int
    """Plots that are not inspected yet."""
    pace: float
    """Seconds for each of these, pauses included; 0 if not known."""
    problem: str

    @property
    def days_left(self) -> float:
        return self.waiting * self.pace / 86_400


def place_of(plot: Plot) -> Place:
    return Place(plot.session, plot.filename, plot.project)


def place_values(place: Place) -> dict[str, object]:
    """The parameters of `OF_COPY`."""
    return {f"of_{name}": value for name, value in place._asdict().items()}


def backlog_values(position: BacklogPosition) -> dict[str, object]:
    """The parameters of a position in the order of changes."""
    return dict(zip(("of_clock", "of_session", "of_filename", "of_project"), position, strict=True))


def version_bytes(plot: Plot) -> bytes:
    """The version of a plot, as it is stored."""
    return bytes.fromhex(plot.version)


def lines_of(text: str) -> tuple[str, ...]:
    """The lines of a stored text."""
    return tuple(text.split("\n")) if text else ()


def _pack(metadata: dict[str, str]) -> bytes:
    if not metadata:
        return b""
    packer = zlib.compressobj(9, zdict=COMMON_METADATA)
    return packer.compress(json.dumps(metadata, ensure_ascii=False).encode()) + packer.flush()


def _unpack(packed: bytes) -> dict[str, str]:
    if not packed:
        return {}
    metadata: dict[str, str] = json.loads(zlib.decompressobj(zdict=COMMON_METADATA).decompress(packed))
    return metadata
