"""How late the indexer is: overall, and for the sessions that are not busy."""

import time

from plotindex.watch.barriers import Barriers
from plotindex.watch.full_scan import FullScanSchedule
from plotindex.watch.scheduler import FairScheduler


def longest_delay(scheduler: FairScheduler, full_scans: FullScanSchedule, barriers: Barriers) -> float:
    """Seconds since the oldest scope, loss of events or self-test that is not dealt with."""
    return max(scheduler.delay, _seconds_since(full_scans.behind_since), _seconds_since(barriers.self_test_started))


def delay_of_others(scheduler: FairScheduler, full_scans: FullScanSchedule, barriers: Barriers) -> float:
    """`longest_delay` without sessions that are late by their own changes, although they get their turns."""
    return max(
        scheduler.turn_delay, _seconds_since(full_scans.delayed_since), _seconds_since(barriers.self_test_unreported)
    )


def _seconds_since(moment: float | None) -> float:
    return 0.0 if moment is None else time.monotonic() - moment
