"""Checks of who can read or replace tokens and keys."""

import json
import os
import shlex
import subprocess
from dataclasses import replace
from pathlib import Path

import pytest

from plotindex.auth.keys import signing_keys
from plotindex.auth.tokens import Tokens
from plotindex.config.settings import Settings
from plotindex.ops.doctor.findings import Finding
from tests.ops.doctor.test_checks import findings_of
from tests.support.other_users import reachable_folder
from tests.support.processes import RunPlotindex, draw

SCRIPT, GROUP = 51_101, 51_102
"""The user that scripts run as, and a group; this machine has no names for them."""


reachable = pytest.fixture(reachable_folder)


@pytest.fixture
def shared(settings: Settings, reachable: Path) -> Settings:
    """Settings whose state is where every user of this machine could go, with tokens and keys in it."""
    if os.geteuid():
        pytest.skip("only root can give folders to other users: run the tests as root")
    given = replace(settings, state_dir=reachable)
    given.make_state_folder()
    Tokens.from_settings(given).create("name")
    signing_keys(given).load_or_create()
    draw(given.root, "s/project_a/x.png")
    for path in (given.root / "s", given.root / "s/project_a"):
        os.chown(path, SCRIPT, SCRIPT)
    return given


def findings_by_verdict(settings: Settings) -> dict[str, list[Finding]]:
    found: dict[str, list[Finding]] = {"ok": [], "warn": [], "bad": []}
    for finding in findings_of(settings, "state-place", "state-folder", "database-access", "scripts"):
        found[finding.verdict].append(finding)
    return found


def test_new_state_folder_is_ok(shared: Settings) -> None:
    found = findings_by_verdict(shared)
    assert (found["warn"], found["bad"]) == ([], [])
    assert f"Scripts run as user {SCRIPT}: they can neither read nor replace plotindex's state" in found["ok"][-1].seen


def test_other_user_gets_the_sudo_command(shared: Settings, plotindex: RunPlotindex) -> None:
    (finding,) = findings_of(shared, "user")
    assert finding.verdict == "ok"
    os.chown(shared.state_folder, GROUP, -1)
    (finding,) = findings_of(shared, "user")
    assert (finding.verdict, finding.remedy) == ("warn", f"`sudo -u '#{GROUP}' plotindex doctor`")
    environment = {
        "PLOTINDEX_STATE_DIR": str(shared.state_dir),
        "PLOTINDEX_SECRET_KEY": "nobodys-business-at-all",
    }
    done = plotindex("doctor", "--root", shared.root, "--json", env=environment)
    (remedy,) = (one["remedy"] for one in json.loads(done.stdout) if one["check"] == "user")
    assert "business" not in remedy, remedy
    words = shlex.split(remedy.strip("`"))
    assert words[:4] == ["sudo", "-u", f"#{GROUP}", "env"]
    assert words[4:6] == [f"PLOTINDEX_ROOT={shared.root}", f"PLOTINDEX_STATE_DIR={shared.state_dir}"]
    assert words[-2:] == ["doctor", f"--root={shared.root}"]
    assert subprocess.run([*words[6:-2], "--version"], capture_output=True, check=True).stdout.startswith(b"plotindex")


def test_scripts_running_as_plotindex_are_reported(shared: Settings) -> None:
    os.chown(shared.root / "s", os.geteuid(), -1)
    (finding,) = findings_by_verdict(shared)["warn"]
    assert (finding.check, "forge cookies" in finding.seen) == ("scripts", True)
    assert "plotindex service install" in finding.remedy


def test_key_readable_by_scripts_is_bad(shared: Settings) -> None:
    key = shared.state_folder / "secret.key"
    key.chmod(0o644)
    assert findings_by_verdict(shared)["bad"] == [], "nobody else can enter the folder"
    shared.state_folder.chmod(0o711)
    bad = [finding.text for finding in findings_by_verdict(shared)["bad"]]
    assert bad == [
        f"Any user of this machine can read {key}: `chmod o-rwx {key}`",
        f"Scripts run as user {SCRIPT}, who can read {key}: `chmod o-rwx {key}`",
    ]


def test_setgid_folder_may_be_shared_except_with_scripts(shared: Settings) -> None:
    folder = shared.state_folder
    os.chown(folder, -1, GROUP)
    folder.chmod(0o770)
    (finding,) = findings_by_verdict(shared)["warn"]
    assert finding.seen == f"{folder} is open to group {GROUP}"
    assert "`chmod g+s` it" in finding.remedy
    folder.chmod(0o2770)
    for file in ("secret.key", "tokens.json"):
        os.chown(folder / file, -1, GROUP)
        (folder / file).chmod(0o640)
    found = findings_by_verdict(shared)
    assert (found["warn"], found["bad"]) == ([], [])
    assert f"by group {GROUP} (setgid: shared on purpose)" in " ".join(finding.seen for finding in found["ok"])
    os.chown(folder, -1, SCRIPT)
    assert {
        (finding.check, "scripts run" in finding.seen.lower()) for finding in findings_by_verdict(shared)["bad"]
    } == {
        ("scripts", True),
        ("key-files", False),
    }


def test_the_documented_folder_of_two_users_is_ok(shared: Settings) -> None:
    parent, folder = shared.state_folder.parent, shared.state_folder
    for place, user in ((parent, GROUP), (folder, GROUP + 1)):
        os.chown(place, user, GROUP + 2)
        place.chmod(0o2770)
    for file in folder.iterdir():
        os.chown(file, GROUP, GROUP + 2)
    assert [finding.seen for finding in findings_by_verdict(shared)["warn"]] == []
    # Members that may only read could replace the state folder through its parent.
    folder.chmod(0o2750)
    seen = " ".join(finding.seen for finding in findings_by_verdict(shared)["warn"])
    assert f"can write {parent}, and so replace {folder}" in seen
    folder.chmod(0o2770)
    os.chown(parent, -1, GROUP + 3)
    seen = " ".join(finding.seen for finding in findings_by_verdict(shared)["warn"])
    assert f"can write {parent}, and so replace {folder}" in seen


def test_key_open_to_another_group_is_bad(shared: Settings) -> None:
    folder = shared.state_folder
    os.chown(folder, -1, GROUP)
    folder.chmod(0o2770)
    os.chown(folder / "secret.key", -1, GROUP + 1)
    (folder / "secret.key").chmod(0o660)
    (finding,) = findings_by_verdict(shared)["bad"]
    assert (finding.check, finding.remedy) == ("key-files", f"`chmod 600 {folder}/secret.key`")


def test_key_behind_a_symlink_and_a_folder_are_bad(shared: Settings) -> None:
    key = shared.state_folder / "secret.key"
    key.rename(shared.state_dir / "elsewhere")
    key.symlink_to(shared.state_dir / "elsewhere")
    found = findings_by_verdict(shared)
    assert [finding.text for finding in found["bad"]] == [
        f"{key} is a symlink, which is not followed: replace it by the file"
    ]
    assert found["warn"] == []
    key.unlink()
    key.mkdir()
    assert [finding.check for finding in findings_by_verdict(shared)["bad"]] == ["key-files"]


def test_symlink_loop_hides_no_other_finding(shared: Settings) -> None:
    folder = shared.state_folder
    (folder / "tokens.json").unlink()
    os.mkfifo(folder / "tokens.json", 0o600)
    (folder / "loop").symlink_to("loop")
    (folder / "secret.key").chmod(0o644)
    folder.chmod(0o711)
    found = findings_by_verdict(shared)
    assert {(finding.check, finding.seen) for finding in found["bad"]} == {
        ("key-files", f"{folder}/tokens.json is not a regular file"),
        ("state-folder", f"Any user of this machine can read {folder}/secret.key"),
        ("scripts", f"Scripts run as user {SCRIPT}, who can read {folder}/secret.key"),
    }
    assert f"{folder}/loop cannot be accessed (Too many levels of symbolic links)" in [
        finding.seen for finding in found["warn"]
    ]
    (folder / "logouts.json").symlink_to("logouts.json")
    assert f"{folder}/logouts.json cannot be accessed" in " ".join(
        finding.seen for finding in findings_by_verdict(shared)["bad"]
    )


@pytest.mark.parametrize(("mode", "is_bad"), [(0o777, True), (0o1777, False), (0o755, False), (0o773, True)])
def test_parent_writable_by_others_is_bad(shared: Settings, mode: int, *, is_bad: bool) -> None:
    shared.state_dir.chmod(mode)
    bad = findings_by_verdict(shared)["bad"]
    assert [finding.check for finding in bad] == (["state-folder", "scripts"] if is_bad else [])
    assert all(finding.remedy == f"`chmod go-w {shared.state_dir}`" for finding in bad)


def test_parent_owned_by_another_user_is_reported(shared: Settings) -> None:
    os.chown(shared.state_dir, GROUP, -1)
    assert f"{shared.state_dir} belongs to user {GROUP}, who can replace" in findings_by_verdict(shared)["warn"][0].seen
    os.chown(shared.state_dir, SCRIPT, -1)
    assert f"user {SCRIPT}, who owns {shared.state_dir}," in findings_by_verdict(shared)["bad"][0].seen
    os.chown(shared.state_dir, 0, GROUP)
    shared.state_dir.chmod(0o775)
    assert f"Group {GROUP} can write {shared.state_dir}" in findings_by_verdict(shared)["warn"][0].seen


def test_state_or_database_below_the_root_is_bad_also_through_a_symlink(settings: Settings, tmp_path: Path) -> None:
    below = settings.root / "below"
    below.mkdir()
    (tmp_path / "link").symlink_to(below)
    for given in (replace(settings, state_dir=below), replace(settings, state_dir=tmp_path / "link")):
        found = findings_of(given, "state-place")
        assert [finding.verdict for finding in found] == ["bad", "bad"]
        assert "and log in" in found[0].seen
    (finding,) = findings_of(replace(settings, database=f"sqlite:///{below}/catalog.db"), "state-place")
    assert (finding.verdict, finding.seen[:12]) == ("bad", "The database")


def test_access_of_others_to_a_separate_database(shared: Settings) -> None:
    database = shared.state_dir / "own.db"
    database.touch(mode=0o600)
    given = replace(shared, database=f"sqlite:///{database}")
    assert findings_by_verdict(given)["bad"] == []
    database.chmod(0o644)
    assert [(finding.verdict, finding.check) for finding in findings_by_verdict(given)["warn"]] == [
        ("warn", "database-access")
    ]
    database.chmod(0o666)
    assert [finding.check for finding in findings_by_verdict(given)["bad"]] == ["database-access", "scripts"]
    os.chown(database, -1, SCRIPT)
    database.chmod(0o660)
    (finding,) = findings_by_verdict(given)["bad"]
    assert f"user {SCRIPT}, who can write {database}" in finding.seen


def test_access_control_list_is_reported(shared: Settings) -> None:
    key = shared.state_folder / "secret.key"
    entry = b"".join(
        tag.to_bytes(2, "little") + bits.to_bytes(2, "little") + number.to_bytes(4, "little")
        for tag, bits, number in [
            (1, 6, 2**32 - 1),
            (2, 4, SCRIPT),
            (4, 0, 2**32 - 1),
            (16, 4, 2**32 - 1),
            (32, 0, 2**32 - 1),
        ]
    )
    os.setxattr(key, "system.posix_acl_access", (2).to_bytes(4, "little") + entry)
    assert f"{key} has an access control list" in findings_by_verdict(shared)["warn"][-1].seen
