"""`plotindex diff`, with a catalogue and without an indexer."""

import json
import re
from pathlib import Path

from tests.rendering.test_comparison import plot
from tests.support.images import encoded
from tests.support.processes import RunPlotindex, draw

ONE, GROWN, MORE = (encoded(plot(50, height)) for height in (80, 84, 130))


def draw_both(root: Path) -> None:
    for name, before, after in (
        ("a.png", ONE, GROWN),
        ("b.png", ONE, MORE),
        ("same.png", ONE, ONE),
        ("new.png", None, ONE),
        ("gone.png", ONE, None),
    ):
        for session, content in (("one", before), ("two", after)):
            if content is not None:
                draw(root, f"{session}/project_a/{name}", content)


def test_what_changed_is_listed_worst_first_and_told_by_the_exit_code(
    root: Path, plotindex: RunPlotindex, tmp_path: Path
) -> None:
    draw_both(root)
    assert plotindex("rebuild").returncode == 0
    done = plotindex("diff", "one", "two")
    assert (done.returncode, done.stderr.splitlines()[-1]) == (1, "2 changed, 1 new, 1 gone, 1 same")
    assert re.fullmatch(
        "changed\t[0-9.]+\tb.png\tdiffers in 1 place\nchanged\t[0-9.]+\ta.png\tdiffers in 1 place\n"
        "new\t-\tnew.png\t\ngone\t-\tgone.png\t\n",
        done.stdout,
    ), done.stdout
    assert plotindex("diff", "one/project_a", "one").returncode == 0
    only = plotindex("diff", "one", "two", "--only", "same,same picture")
    assert (only.returncode, only.stdout) == (0, "same\t-\tsame.png\t\n")
    tolerant = plotindex("diff", "one", "two", "--only", "changed", "--tolerance", "0.5")
    assert (tolerant.returncode, tolerant.stdout.count("changed")) == (1, 1)
    found = json.loads(plotindex("diff", "one", "two", "--json").stdout)
    assert (found["from"], found["to"], found["pending"], found["next"]) == ("one", "two", 0, None)
    assert found["counts"] == {
        "changed": 2,
        "restyled": 0,
        "alike": 0,
        "new": 1,
        "gone": 1,
        "same picture": 0,
        "same": 1,
    }
    first, *_, last = found["plots"]
    assert (first["filename"], first["kind"], first["from"]["session"]) == ("b.png", "changed", "one")
    assert len(first["regions"][0]["to"]) == 4
    assert (last["from"]["project"], last["to"]) == ("project_a", None)
    page = plotindex("diff", "one", "two", "--html", "changes.html")
    content = (tmp_path / "changes.html").read_text()
    assert (page.returncode, content.count("data:image/webp;base64,"), content.count("<i ")) == (1, 6, 4)
    assert not re.search(r"(?:src|href)=\"(?!data:)", content)


def test_wrong_use_is_refused_with_a_sentence(root: Path, plotindex: RunPlotindex) -> None:
    draw_both(root)
    assert plotindex("rebuild").returncode == 0
    for arguments, message in (
        (("one", "three"), "There are no plots of three."),
        (("one", "two/project_b"), "There are no plots of two/project_b."),
        (("one@2h", "one"), "No history is kept of the session one."),
        (("one", "two", "--only", "worse"), "--only takes new, gone, same, same picture, alike, restyled, changed"),
        (("one", "two", "--html", "missing/x.html"), "missing/x.html cannot be written"),
    ):
        done = plotindex("diff", *arguments)
        assert done.returncode == 2, arguments
        assert message in done.stderr
