"""`plotindex doctor` on a healthy machine, on a broken one, and without read access."""

import json
from collections import Counter
from pathlib import Path

import pytest

from plotindex.config.settings import Settings
from plotindex.ops.doctor.checks import CHECKS, run_checks
from plotindex.ops.doctor.context import open_context
from plotindex.ops.doctor.findings import Finding, split_remedy
from plotindex.storage.catalog import Catalog
from plotindex.storage.sqlite.read_only import stamp_of_closed
from tests import CHECKOUT
from tests.support.processes import Index, RunPlotindex, StartService, draw, wait_until

DOCUMENT = CHECKOUT / "docs/troubleshooting.md"


def findings_of(settings: Settings, *checks: str) -> list[Finding]:
    """What is found in this process; with names only by these checks."""
    with open_context(settings) as context:
        if checks:
            return [finding for name in checks for finding in CHECKS[name](context)]
        return list(run_checks(context))


def verdicts(findings: list[Finding]) -> Counter[tuple[str, str]]:
    return Counter((finding.verdict, finding.check) for finding in findings)


def everything_below(*folders: Path) -> dict[Path, tuple[int, bytes]]:
    """Each file and folder, when it was changed, and what is in it."""
    found = sorted(path for folder in folders for path in [folder, *folder.rglob("*")])
    return {path: (path.stat().st_ctime_ns, path.read_bytes() if path.is_file() else b"") for path in found}


def test_healthy_machine(plotindex: RunPlotindex, root: Path, tmp_path: Path, index: Index) -> None:
    draw(root, "s/project_a/x.png")
    (root / "s/notes").symlink_to(tmp_path)
    (root / "s/project_a/notes.txt").symlink_to(tmp_path / "gone")
    (root / "file").symlink_to(root / "s/project_a/x.png")
    index()
    done = plotindex("doctor")
    assert (done.returncode, done.stderr) == (0, "")
    lines = done.stdout.splitlines()
    assert all(line.isprintable() and line[:6] in ("ok    ", "warn  ") for line in lines)
    assert "ok    symlinks              No session, project or plot is a symlink" in lines
    checks = {line[6:28].strip() for line in lines}
    assert checks >= CHECKS.keys() - {"database-access"}


def test_symlinks_are_listed(plotindex: RunPlotindex, root: Path, tmp_path: Path) -> None:
    draw(tmp_path, "away/project_z/z.png")
    draw(root, "s/project_a/sub/x.png")
    (root / "linked").symlink_to(tmp_path / "away")
    (root / "s/project_link").symlink_to(tmp_path / "away/project_z")
    (root / "s/project_a/y\x1b.png").symlink_to(tmp_path / "away/project_z/z.png")
    (root / "s/project_a/sub/folder").symlink_to(tmp_path / "away/project_z")
    done = plotindex("doctor", "--json")
    findings = [Finding(**finding) for finding in json.loads(done.stdout)]
    bad = [finding for finding in findings if finding.verdict == "bad"]
    assert (done.returncode, {finding.check for finding in bad}) == (1, {"symlinks"})
    assert sorted(finding.seen.partition(" behind a symlink to ")[0] for finding in bad) == [
        "linked is a session",
        "s/project_a/sub/folder is a folder of plots",
        "s/project_a/y\\x1b.png is a plot",
        "s/project_link is a project",
    ]
    assert all("is not served" in finding.seen and finding.remedy for finding in bad)


def test_unreadable_root_fails_only_its_checks(unprivileged: RunPlotindex, root: Path, index: Index) -> None:
    draw(root, "s/project_a/x.png")
    index()
    root.chmod(0)
    try:
        done = unprivileged("doctor", "--json")
    finally:
        root.chmod(0o755)
    assert (done.returncode, done.stderr) == (1, "")
    findings = [Finding(**finding) for finding in json.loads(done.stdout)]
    assert [finding.check for finding in findings if finding.verdict == "bad"] == ["root"]
    unseen = {finding.check for finding in findings if finding.seen.startswith("could not be checked: ")}
    assert unseen == {"root-folders", "ignored", "symlinks", "clock", "inotify-watches", "scripts"}
    assert {finding.check for finding in findings if finding.verdict == "ok"} > {"database", "disk-space", "port"}


def test_runs_without_root_state_and_database(settings: Settings, tmp_path: Path) -> None:
    settings.root.rmdir()
    before = everything_below(tmp_path)
    found = verdicts(findings_of(settings))
    assert [check for verdict, check in found if verdict == "bad"] == ["root"]
    assert found["warn", "database"]
    assert found["ok", "state-folder"]
    assert everything_below(tmp_path) == before


def test_a_missing_root_is_one_finding(settings: Settings, root: Path, index: Index) -> None:
    draw(root, "s/project_a/x.png")
    index()
    for make in (lambda: root.rename(root.with_name("moved")), lambda: root.write_text("")):
        make()
        found = findings_of(settings)
        about_root = [finding for finding in found if str(root) in finding.text or "root" in finding.check]
        assert [finding.check for finding in about_root] == ["root"]
        assert [finding for finding in found if "could not be checked" in finding.seen] == []
        assert [finding.check for finding in found if finding.verdict == "bad"] == ["root"]


def test_a_missing_root_is_one_finding_also_while_the_indexer_waits_for_it(
    settings: Settings, root: Path, indexer: StartService
) -> None:
    draw(root, "s/project_a/x.png")
    with indexer() as running:
        root.rename(root.with_name("moved"))
        running.wait_for(lambda: "root" in running.stderr.partition("Full scan finished")[2])
        wait_until(lambda: not [f for f in findings_of(settings) if f.check == "indexer" and f.verdict != "bad"])
        assert [f.check for f in findings_of(settings) if f.verdict != "ok"] == ["root"]


def test_changes_nothing(settings: Settings, root: Path, index: Index, catalog: Catalog, tmp_path: Path) -> None:
    for number in range(3):
        draw(root, f"s/project_{number}/sub/x.png")
    index()
    with open_context(settings) as context:
        context.catalog.database.close()
    before = everything_below(root, tmp_path / "state")
    findings_of(settings)
    after = everything_below(root, tmp_path / "state")
    # The folder itself: while somebody may have the database open, SQLite opens its log beside it and closes it again.
    assert {path: entry[1] for path, entry in after.items()} == {path: entry[1] for path, entry in before.items()}
    assert everything_below(root) == {path: entry for path, entry in before.items() if path.is_relative_to(root)}
    catalog.database.close()
    wait_until(lambda: stamp_of_closed(catalog.database.path))
    before = everything_below(root, tmp_path / "state")
    found = findings_of(settings)
    assert {finding.check for finding in found if finding.verdict == "ok"} >= {"database-integrity", "journal-mode"}
    assert everything_below(root, tmp_path / "state") == before


def test_every_problem_has_a_remedy(settings: Settings) -> None:
    settings.root.rmdir()
    findings = [finding for finding in findings_of(settings) if finding.verdict != "ok"]
    assert findings
    assert [finding for finding in findings if not finding.remedy] == []


def test_every_check_is_documented(settings: Settings, root: Path, index: Index) -> None:
    draw(root, "s/project_a/x.png")
    index()
    text = DOCUMENT.read_text()
    named = {finding.check for finding in findings_of(settings)} | CHECKS.keys()
    assert [check for check in sorted(named) if f"`{check}`" not in text] == []


@pytest.mark.parametrize(
    ("sentence", "halves"),
    [
        ("It is gone: bring it back.", ("It is gone", "bring it back")),
        ("/a: b is old; run it.", ("/a", "b is old; run it")),
        ("It is of an older schema; run it.", ("It is of an older schema", "run it")),
        ("It cannot be.", ("It cannot be", "")),
        ("\x1b[2J: do.", ("\\x1b[2J", "do")),
    ],
)
def test_split_remedy(sentence: str, halves: tuple[str, str]) -> None:
    assert split_remedy(sentence) == halves
