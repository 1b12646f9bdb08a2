"""What keeps each part of the tree up to date, and how old the view of it can be: in words, and for programs."""

from typing import Any

from plotindex.storage import Heartbeat, IndexerStats


def parts_of(beat: Heartbeat, measured: IndexerStats) -> list[dict[str, Any]]:
    """Each means and how much it serves; ages are in seconds."""
    events = {"means": "events", "folders": beat.watched}
    if not measured.rolled_folders:
        return [events]
    rounds = {
        "means": "rounds",
        "sessions": measured.rolled_sessions,
        "folders": measured.rolled_folders,
        "polled": beat.polled,
        "by_folders": {"seconds": measured.folders_round, "age": measured.folders_age},
        "by_files": {"seconds": measured.files_round, "age": measured.files_age},
    }
    return [events, rounds]


def describe(measured: IndexerStats) -> str | None:
    """What the rolling rescan looks at, and how old the view of that can be; None where it is nothing."""
    if not measured.rolled_folders:
        return None
    what = f"{measured.rolled_folders} folders in {measured.rolled_sessions} sessions"
    if not measured.files_round:
        return f"{what}; the first round by files began {measured.files_age:.0f} seconds ago"
    news = f"what comes and goes is seen within {measured.folders_age:.0f} seconds"
    return f"{what}: {news}, what is rewritten within {measured.files_age:.0f}"
