"""`plotindex wait`."""

import time
from pathlib import Path

from tests.support.processes import RunPlotindex, StartService, draw


def test_an_existing_plot_needs_no_wait_and_no_indexer(plotindex: RunPlotindex, root: Path) -> None:
    draw(root, "s/project_a/sub/x.png")
    assert plotindex("rebuild").returncode == 0
    done = plotindex("wait", "s", "sub/x.png", "--timeout", "0")
    assert (done.returncode, done.stdout) == (0, "s/project_a/sub/x.png\n")


def test_wait_ends_when_the_plot_is_drawn(
    plotindex: RunPlotindex, service: StartService, indexer: StartService, root: Path
) -> None:
    with indexer(), service("wait", "new session", "x.png", "--timeout", "60") as waiting:
        draw(root, "new session/project_a/y.png")
        assert plotindex("wait", "new session", "y.png").returncode == 0
        assert waiting.process.poll() is None
        draw(root, "new session/project_b/x.png")
        assert waiting.process.wait(20) == 0
        assert waiting.stdout == "new session/project_b/x.png\n"


def test_wait_ends_without_an_indexer_and_after_the_timeout(
    plotindex: RunPlotindex, indexer: StartService, root: Path
) -> None:
    draw(root, "s/project_a/x.png")
    assert plotindex("rebuild").returncode == 0
    began = time.monotonic()
    alone = plotindex("wait", "s", "gone.png", "--timeout", "50")
    assert (alone.returncode, time.monotonic() - began < 20) == (1, True)
    assert alone.stderr == "plotindex: No indexer is running: start `plotindex watch`.\n"
    with indexer():
        late = plotindex("wait", "s", "g\none.png", "--timeout", "0.2")
        assert (late.returncode, late.stdout) == (1, "")
        assert late.stderr == "plotindex: Timed out after 0.2 s. There is no plot s/g\\none.png.\n"


def test_an_invalid_name_is_refused(plotindex: RunPlotindex, root: Path) -> None:
    draw(root, "s/project_a/x.png")
    assert plotindex("rebuild").returncode == 0
    for session, filename in (("s", "notes.txt"), ("..", "x.png"), ("s", "../x.png"), ("s/project_a", "x.png")):
        done = plotindex("wait", session, filename)
        assert (done.returncode, done.stdout, "is not a valid plot" in done.stderr) == (2, "", True)
