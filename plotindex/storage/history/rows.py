"""Rows of the history, and what they mean. No I/O."""

from hashlib import blake2b
from typing import NamedTuple

from plotindex.tree import Plot

BLOCK_BYTES = 4096
"""Disk space of the smallest file."""
REPEATED_BYTES = 512
"""What a version counts whose content its session has already: its rows, at most."""
DIGEST_BYTES = 16

Numbers = tuple[int, int, int, int]
"""Size, mtime_ns, ctime_ns and inode: the identity of a version within its copy."""


class FolderIdentity(NamedTuple):
    """What distinguishes the folder of a session from another one that had its name."""

    inode: int
    birth_ns: int | None
    """None where the file system does not tell."""

    def is_same(self, other: "FolderIdentity") -> bool:
        return self.inode == other.inode and (
            None in (self.birth_ns, other.birth_ns) or self.birth_ns == other.birth_ns
        )


class KeptSession(NamedTuple):
    """A folder that has, or had, the name of a session. Times are nanoseconds since the epoch."""

    id: int
    session: str
    identity: FolderIdentity
    since: int
    """When it was first seen."""
    ended: int | None
    """When its removal was observed."""


class PendingVersion(NamedTuple):
    """A version to keep."""

    copy_id: int
    session_id: int
    plot: Plot


class KeptVersion(NamedTuple):
    """A version whose bytes are kept."""

    id: int
    copy_id: int
    session_id: int
    plot: Plot
    seen: int
    """Since when it has stood, in nanoseconds; later than every version of its copy that was seen before."""
    digest: str


OF_NUMBERS = "size = :of_size AND mtime_ns = :of_mtime AND ctime_ns = :of_ctime AND inode = :of_inode"
"""A version by its numbers, in SQL."""


def numbers_values(numbers: Numbers) -> dict[str, object]:
    """The parameters of `OF_NUMBERS`."""
    return dict(zip(("of_size", "of_mtime", "of_ctime", "of_inode"), numbers, strict=True))


def is_same_content(old: Numbers, new: Numbers) -> bool:
    """Whether a file changed its times or permissions alone: what is written gets a later mtime."""
    return (old[0], old[3]) == (new[0], new[3]) and new[1] <= old[1]


def disk_bytes(size: int) -> int:
    """Disk space of a file."""
    return -(-size // BLOCK_BYTES) * BLOCK_BYTES


def forgotten_mark(plot: Plot) -> bytes:
    """What is stored of a forgotten version: it tells no name."""
    identity = "\0".join((plot.session, plot.project, plot.filename, plot.version))
    return blake2b(identity.encode(), digest_size=DIGEST_BYTES).digest()
