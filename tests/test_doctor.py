"""What `plotindex doctor` names: what the old function served and plotindex will not."""

import json
from pathlib import Path

from tests.helpers import RunPlotindex, draw


def test_a_tree_without_symlinks_is_well(plotindex: RunPlotindex, root: Path, tmp_path: Path) -> None:
    draw(root, "s/project_a/x.png")
    (root / "s/notes").symlink_to(tmp_path)
    (root / "s/project_a/notes.txt").symlink_to(tmp_path / "gone")
    (root / "file").symlink_to(root / "s/project_a/x.png")
    done = plotindex("doctor")
    assert (done.returncode, done.stdout) == (0, "ok  No session, project or plot is a symlink\n")


def test_symlinks_that_the_old_function_followed_are_named(plotindex: RunPlotindex, root: Path, tmp_path: Path) -> None:
    draw(tmp_path, "away/project_z/z.png")
    draw(root, "s/project_a/sub/x.png")
    (root / "linked").symlink_to(tmp_path / "away")
    (root / "s/project_link").symlink_to(tmp_path / "away/project_z")
    (root / "s/project_a/y\x1b.png").symlink_to(tmp_path / "away/project_z/z.png")
    (root / "s/project_a/sub/folder").symlink_to(tmp_path / "away/project_z")
    done = plotindex("doctor", "--json")
    findings = json.loads(done.stdout)
    assert (done.returncode, {finding["verdict"] for finding in findings}) == (1, {"bad"})
    seen = sorted(finding["seen"].partition(" by a symlink to ")[0] for finding in findings)
    assert seen == [
        "linked is a session",
        "s/project_a/sub/folder is a folder of plots",
        "s/project_a/y\\x1b.png is a plot",
        "s/project_link is a project",
    ]
    told = plotindex("doctor").stdout.splitlines()
    assert len(told) == 4
    assert all(line.startswith("bad ") and line.isprintable() and "is not served: " in line for line in told)
