"""Backup and restore of tokens, keys and logouts."""

import json
import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from plotindex.auth.keys import KeyFile, signing_keys
from plotindex.auth.logins import Logins, Logouts
from plotindex.auth.tokens import Tokens
from plotindex.config.settings import Settings
from plotindex.errors import PlotIndexError, SettingsError
from plotindex.ops.backup import Backup, make_backup, parse_backup, restore
from tests.support.processes import Refused, RunPlotindex


def test_backup_and_restore(settings: Settings, plotindex: RunPlotindex, tmp_path: Path, refused: Refused) -> None:
    tokens = Tokens(settings.make_state_folder() / "tokens.json")
    secret = tokens.create("web")
    keys = signing_keys(settings).load_or_create()
    token = tokens.check(secret)
    assert token is not None
    cookie = Logins.from_settings(settings).consume_code(Logins.from_settings(settings).create_code(token))
    file = tmp_path / "plotindex.backup"
    assert plotindex("backup", str(file)).returncode == 0
    assert file.stat().st_mode & 0o777 == 0o600
    assert secret not in file.read_text()
    assert plotindex("backup", "-").stdout.startswith('{\n "plotindex_backup": 1')

    for name in ("tokens.json", "secret.key"):
        (settings.state_folder / name).unlink()
    # Those that already run.
    assert tokens.check(secret) is None
    done = plotindex("restore", str(file))
    assert (done.returncode, done.stdout) == (0, ""), done.stderr
    assert done.stderr.startswith(f"Restored secret.key, tokens.json (backup of {settings.root}, ")
    assert tokens.check(secret) == token
    assert signing_keys(settings).load() == keys
    assert cookie is not None and Logins.from_settings(settings).check_cookie(cookie) == token
    assert "Nothing to restore" in plotindex("restore", str(file)).stderr

    KeyFile(settings.state_folder / "secret.key").rotate()
    refused([f"restore {file}"], "other keys than the backup", "--force")
    assert plotindex("restore", "--force", str(file)).stderr.startswith("Restored secret.key (backup of ")
    assert signing_keys(settings).load() == keys
    (notes := tmp_path / "notes").write_text("mine")
    refused([f"backup {notes}"], "is not a backup")
    assert notes.read_text() == "mine"


def test_restore_keeps_later_logouts(settings: Settings) -> None:
    ended = Logouts(settings.make_state_folder() / "logouts.json")
    ended.add("first", time.time() + 100)
    backup = make_backup(settings)
    ended.add("second", time.time() + 100)
    restore(settings, backup)
    assert ended.contains("first") and ended.contains("second")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"made": 1.0}, "damaged"),
        ({"files": {"tokens.json": "{}"}}, "damaged"),
        ({"files": {"../../etc/passwd": "x"}}, "damaged"),
        ({"plotindex_backup": 2}, "newer plotindex"),
    ],
)
def test_changed_backup_is_refused(change: dict[str, object], message: str) -> None:
    whole = Backup("/srv/plots", 2.0, {"secret.key": "0" * 64})
    assert parse_backup(whole.as_text()) == whole
    with pytest.raises(SettingsError, match=message):
        parse_backup(json.dumps({**json.loads(whole.as_text()), **change}))


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("tokens.json", "not json"),
        ("tokens.json", "[" * 100_000),
        ("tokens.json", '{"web": {"sha256": 1, "created": "then"}}'),
        ("tokens.json", '{"\udcff": {}}'),
        ("secret.key", ""),
        ("logouts.json", "[]"),
    ],
    ids=lambda value: value[:20],
)
def test_unusable_file_in_a_backup_is_refused(name: str, text: str) -> None:
    with pytest.raises(SettingsError, match=f"The backup's {name} is unusable"):
        parse_backup(Backup("/srv/plots", 2.0, {name: text}).as_text())


@pytest.mark.parametrize("made", [float("inf"), float("nan"), 1e18, -1.0])
def test_impossible_time_in_a_backup_is_refused(made: float) -> None:
    with pytest.raises(SettingsError, match="damaged"):
        parse_backup(Backup("/srv/plots", made, {"secret.key": "0" * 64}).as_text())


def test_damaged_state_is_not_backed_up(settings: Settings) -> None:
    (settings.make_state_folder() / "tokens.json").write_text("{")
    with pytest.raises(SettingsError, match="damaged; nothing was backed up"):
        make_backup(settings)


def test_pipe_in_place_of_a_file_is_refused(settings: Settings) -> None:
    folder = settings.make_state_folder()
    os.mkfifo(folder / "tokens.json")
    for call in (Tokens.from_settings(settings).list, lambda: make_backup(settings)):
        with pytest.raises(SettingsError, match=r"tokens\.json is not a regular file: remove it"):
            call()
    os.mkfifo(folder / "secret.key")
    with pytest.raises(SettingsError, match="not a regular file"):
        signing_keys(settings).load_or_create()
    os.mkfifo(folder / "logouts.json")
    assert Logouts(folder / "logouts.json").contains("any")


@pytest.mark.parametrize("text", ["", "[]", "{}", "null", "x", "[" * 100_000], ids=lambda text: text[:20])
def test_other_text_is_refused(text: str) -> None:
    with pytest.raises(SettingsError, match="not a plotindex backup"):
        parse_backup(text)


def test_unknown_file_in_a_backup_is_refused() -> None:
    with pytest.raises(SettingsError, match="damaged"):
        parse_backup(Backup("/srv/plots", 2.0, {"../tokens.json": "x"}).as_text())


def test_full_disk_behind_stdout_is_reported(
    settings: Settings, environment: dict[str, str], root: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    Tokens(settings.make_state_folder() / "tokens.json").create("web")
    with Path("/dev/full").open("w") as full:
        command = [sys.executable, "-m", "plotindex", "backup", "-", "--root", str(root)]
        done = subprocess.run(command, env=environment, stdout=full, check=False)
    assert done.returncode == 2
    assert capfd.readouterr().err == (
        "plotindex: The output cannot be written (No space left on device): free some space there.\n"
    )


def test_nothing_to_back_up_is_reported(settings: Settings) -> None:
    with pytest.raises(PlotIndexError, match="nothing to back up in"):
        make_backup(settings)
