"""When the processes that keep the history and inspect plots start."""

from collections.abc import Callable, Iterator

import psutil
import pytest

from plotindex.config.settings import Settings
from plotindex.history.store import HistoryStore
from plotindex.watch import background_process
from plotindex.watch.background_process import PROGRAMS, BackgroundProcess, BackgroundProgram

HISTORY, INSPECTION = PROGRAMS
Start = Callable[[BackgroundProgram], BackgroundProcess]


@pytest.fixture
def new_process(settings: Settings) -> Iterator[Start]:
    """Processes that end with the test."""
    made: list[BackgroundProcess] = []

    def make(program: BackgroundProgram) -> BackgroundProcess:
        made.append(BackgroundProcess(settings, program))
        return made[-1]

    yield make
    for process in made:
        process.stop()


def starts(process: BackgroundProcess, *, is_busy: bool) -> bool:
    before = psutil.Process().children()
    process.check(is_leader=True, is_busy=is_busy)
    return len(psutil.Process().children()) > len(before)


def test_a_history_begins_when_no_row_waits_and_goes_on_at_once(settings: Settings, new_process: Start) -> None:
    process = new_process(HISTORY)
    assert not starts(process, is_busy=True)
    assert starts(process, is_busy=False)
    process.stop()
    settings.make_state_folder()
    store = HistoryStore.from_settings(settings)
    assert store is not None
    store.prepare()
    store.database.close()
    assert starts(process, is_busy=True)


def test_a_history_does_not_wait_for_ever_to_begin(new_process: Start, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(background_process, "BEGIN_SECONDS", 0.0)
    assert starts(new_process(HISTORY), is_busy=True)


def test_the_inspection_waits_until_no_row_does(new_process: Start) -> None:
    assert not starts(new_process(INSPECTION), is_busy=False)
    process = new_process(INSPECTION._replace(start_seconds=0.0))
    assert not starts(process, is_busy=True)
    assert starts(process, is_busy=False)
