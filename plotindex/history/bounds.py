"""The bound on all that is kept: the session that holds most loses its oldest versions first."""

from collections import Counter
from collections.abc import Callable, Mapping

from plotindex.storage import HistoryWriter, disk_bytes

ROWS_AT_ONCE = 200
MAX_SESSIONS = 1 << 31


def shrink(writer: HistoryWriter, is_enough: Callable[[int], bool], asked: Mapping[int, int] | None = None) -> set[str]:
    """Remove versions until `is_enough` of the bytes that are left; return the contents that nothing needs any more.

    The largest loses first, so that no session keeps more than a quarter while four others need room. What sessions
    have `asked` for counts as theirs: one that would be the largest takes nothing from others.
    """
    freed: set[str] = set()
    total = writer.total_bytes()
    while not is_enough(total) and (largest := _largest_sessions(writer, asked)):
        session_id, size = largest[0]
        second = largest[1][1] if len(largest) > 1 else 0
        # As few rows as can suffice, and at least one: others may need the same content.
        chosen: list[int] = []
        for number, bytes_ in writer.oldest_versions(session_id, ROWS_AT_ONCE):
            if chosen and (is_enough(total) or size < second):
                break
            chosen.append(number)
            total -= disk_bytes(bytes_)
            size -= disk_bytes(bytes_)
        if not chosen:
            break
        freed |= writer.remove(chosen)
        total = writer.total_bytes()
    return freed


def shrink_files(writer: HistoryWriter, count: int) -> set[str]:
    """Remove versions until so many contents are needed no more, and return these.

    The session with the most contents loses its oldest versions first.
    """
    freed: set[str] = set()
    while len(freed) < count and (session_id := writer.session_with_most_contents()) is not None:
        oldest = writer.oldest_versions(session_id, count - len(freed))
        if not oldest:
            break
        freed |= writer.remove(number for number, _ in oldest)
    return freed


def _largest_sessions(writer: HistoryWriter, asked: Mapping[int, int] | None) -> list[tuple[int, int]]:
    """The two that hold most, with what they have asked for."""
    if not asked:
        return writer.largest_sessions(2)
    held = Counter(dict(writer.largest_sessions(MAX_SESSIONS)))
    held.update(asked)
    return held.most_common(2)
