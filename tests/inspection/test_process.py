"""The process that the indexer starts: inspects behind the clock, and is started again."""

import json
import os
import signal
from pathlib import Path

from plotindex.config.settings import Settings
from tests.support.images import encoded, halves
from tests.support.processes import RunPlotindex, StartService, children_running, draw

PNG = encoded(halves())


def test_the_indexer_has_plots_inspected_and_says_how_far_that_is(
    root: Path, indexer: StartService, plotindex: RunPlotindex
) -> None:
    draw(root, "s/project_a/old.png", PNG)
    with indexer("--inspect-share", "100") as running:
        draw(root, "s/project_a/new.png", PNG)
        running.wait_for(lambda: plotindex("inspect", "s", "new.png").returncode == 0)
        assert plotindex("wait", "s", "old.png", "--not-blank").stdout == "s/project_a/old.png\n"
        draw(root, "s/project_a/blank.png", encoded(halves((255, 255, 255), (255, 255, 255))))
        blank = plotindex("wait", "s", "blank.png", "--not-blank", "--timeout", "4")
        assert blank.returncode == 1
        assert "neither blank nor broken" in blank.stderr
        status = json.loads(plotindex("status", "--json").stdout)["inspection"]
        assert (status["problem"], status["behind"]) == ("", 0)


def test_a_killed_process_is_started_again(root: Path, indexer: StartService, plotindex: RunPlotindex) -> None:
    with indexer("--inspect-share", "100") as running:
        [pid] = running.wait_for(lambda: inspecting(running.pid))
        os.kill(pid, signal.SIGKILL)
        running.wait_for(lambda: "The inspection process ended with -9; restarting it in" in running.stderr)
        draw(root, "s/project_a/x.png", PNG)
        running.wait_for(lambda: plotindex("inspect", "s", "x.png").returncode == 0)


def test_status_says_why_nothing_is_inspected_until_it_is_again(
    root: Path, settings: Settings, indexer: StartService, plotindex: RunPlotindex
) -> None:
    def problem() -> str:
        return str(json.loads(plotindex("status", "--json").stdout)["inspection"]["problem"])

    settings.make_state_folder()
    os.mkfifo(settings.inspection_lock)
    draw(root, "s/project_a/x.png", PNG)
    with indexer("--inspect-share", "100") as running:
        running.wait_for(lambda: f"{settings.inspection_lock} is not a regular file" in problem())
        settings.inspection_lock.unlink()
        running.wait_for(lambda: plotindex("inspect", "s", "x.png").returncode == 0)
        running.wait_for(lambda: not problem(), 30)


def test_inspection_can_be_turned_off(root: Path, indexer: StartService, plotindex: RunPlotindex) -> None:
    draw(root, "s/project_a/x.png", PNG)
    with indexer("--inspect", "off") as running:
        assert inspecting(running.pid) == []
    assert json.loads(plotindex("status", "--json", env={"PLOTINDEX_INSPECT": "off"}).stdout)["inspection"] is None
    refused = plotindex("wait", "s", "x.png", "--not-blank", env={"PLOTINDEX_INSPECT": "off"})
    assert (refused.returncode, refused.stderr) == (2, "plotindex: --not-blank needs inspection: set inspect=on.\n")


def inspecting(pid: int) -> list[int]:
    """The processes that inspect for an indexer."""
    return children_running(pid, "plotindex.inspection.process")
