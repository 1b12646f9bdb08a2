"""`plotindex service`: systemd accepts the units, and an installation keeps changes."""

import shutil
import subprocess
from dataclasses import replace
from pathlib import Path

import pytest

from plotindex.config import load_settings
from plotindex.config.settings import Settings
from plotindex.errors import SettingsError
from plotindex.ops.systemd.reachability import first_unreadable
from plotindex.ops.systemd.units import UnitFile, quoted, unit_files
from tests.support.processes import Refused, RunPlotindex

MOST_EXPOSED = 30
"""As `systemd-analyze security` counts: tenths, of 100 at most."""
STATE = Path("/var/lib/plotindex")


def analyze(*args: str | Path) -> "subprocess.CompletedProcess[str]":
    if shutil.which("systemd-analyze") is None:
        pytest.skip("systemd-analyze is missing: install Debian's package systemd")
    return subprocess.run(["systemd-analyze", *args], capture_output=True, text=True, check=False, timeout=60)


def write(files: list[UnitFile], prefix: Path) -> list[Path]:
    """Write the units below a folder; return where."""
    for file in files:
        (prefix / file.path.name).write_text(file.content)
    return [prefix / file.path.name for file in files if file.path.parent.name == "system"]


@pytest.mark.parametrize("read_only", [False, True], ids=["writing", "reading"])
def test_systemd_accepts_the_units(settings: Settings, tmp_path: Path, read_only: bool) -> None:
    odd = load_settings({"root": "/srv/pl ots $HOME 100%i é"}, {})
    units = write(unit_files(odd, "odd-1", STATE, read_only=read_only), tmp_path)
    assert [unit.suffix for unit in units] == [".service", ".socket", ".service"]
    verified = analyze("verify", "--man=no", *units)
    assert (verified.returncode, verified.stderr) == (0, "")
    for unit in units:
        if unit.suffix == ".service":
            judged = analyze("security", "--offline=true", f"--threshold={MOST_EXPOSED}", "--no-pager", unit)
            assert judged.returncode == 0, judged.stdout[-500:]
            # A root that is closed or late is exit 2, too, and mended by itself.
            assert "RestartPreventExitStatus" not in unit.read_text()
            assert "StartLimitIntervalSec=0" in unit.read_text()
    assert 'RequiresMountsFor="/srv/pl ots $HOME 100%%i é" ' in units[0].read_text()
    assert ("ReadWritePaths=" in units[2].read_text()) is not read_only


def test_the_indexer_may_write_the_folder_of_the_history(settings: Settings) -> None:
    given = replace(settings, history_dir=Path("/mnt/kept plots"))
    texts = {file.path.name: file.content for file in unit_files(given, "plotindex", STATE, read_only=True)}
    assert f'ReadWritePaths={STATE} "/mnt/kept plots"\n' in texts["plotindex-watch.service"]
    assert "ReadWritePaths" not in texts["plotindex-serve.service"]
    assert f'RequiresMountsFor={STATE} "/mnt/kept plots"\n' in texts["plotindex-serve.service"]
    assert 'history_dir = "/mnt/kept plots"\n' in texts["plotindex.toml"]


def test_shared_database_needs_network_and_a_private_password(
    tmp_path: Path,
) -> None:
    url = "postgresql+psycopg://plots:hunter2@db/plots"
    for given, place in ((url, ".env"), (url.replace(":hunter2", ""), ".toml")):
        files = unit_files(load_settings({"root": "/srv/plots", "database": given}, {}), "a", STATE, read_only=False)
        units = write(files, tmp_path)
        assert analyze("verify", "--man=no", *units).returncode == 0
        assert "PrivateNetwork=no" in units[0].read_text()
        assert [file.path.suffix for file in files if given in file.content] == [place]
    settings = load_settings({}, {}, tmp_path / "a.toml")
    assert settings.is_shared


def test_shell_and_systemd_read_the_same_database_url(
    plotindex: RunPlotindex, refused: Refused, tmp_path: Path
) -> None:
    url = "postgresql+psycopg://plots:hun&ter$2%23@/plots?host=a&host=b"
    done = plotindex("service", "install", "--prefix", str(tmp_path), "--database", url)
    file = "/etc/plotindex/plotindex.env"
    assert f"  editor {tmp_path}{file}   # PLOTINDEX_SECRET_KEY='KEY'" in done.stdout
    assert f"  set -a; . {file}; set +a" in done.stdout
    read = f'set -a; . {tmp_path}{file}; printf %s "$PLOTINDEX_DATABASE_URL"'
    assert subprocess.run(["sh", "-c", read], capture_output=True, text=True, check=True).stdout == url
    refused(["service show"], "a quote as %27", options=("--database", url.replace("&ter", "'ter")))


def test_install_writes_the_shown_files_and_keeps_changed_ones(
    plotindex: RunPlotindex, refused: Refused, root: Path, tmp_path: Path
) -> None:
    prefix = tmp_path / "image"
    install = ("service", "install", "--port", "8600", "--prefix", str(prefix))
    done = plotindex(*install)
    assert (done.returncode, done.stderr) == (0, ""), done.stderr
    assert f"systemctl --root={prefix} enable plotindex-watch.service" in done.stdout
    shown = plotindex("service", "show", "--port", "8600").stdout
    installed = [file for file in prefix.rglob("*") if file.is_file()]
    assert len(installed) == 7
    for file in installed:
        assert f"# /{file.relative_to(prefix)}\n{file.read_text()}" in shown

    settings, unit = prefix / "etc/plotindex/plotindex.toml", prefix / "etc/systemd/system/plotindex-watch.service"
    assert (settings.stat().st_mode & 0o777, settings.with_suffix(".env").stat().st_mode & 0o777) == (0o644, 0o600)
    read = load_settings({}, {}, settings)
    assert (read.root, read.state_dir, read.port) == (root, STATE, 8600)

    settings.write_text(settings.read_text() + "threads = 8\n")
    again = plotindex(*install)
    assert again.stdout.count("written  ") == 0
    assert f"yours, differs  {settings}\n" in again.stdout
    assert (again.stdout.count("same  "), again.stderr) == (6, "")
    unit.write_text("mine")
    refused(["service install"], str(unit), "--force", options=install[2:])
    assert unit.read_text() == "mine"
    forced = plotindex(*install, "--force", "--port", "8601")
    assert forced.stdout.count("written  ") == 2
    assert f"{settings} is kept, and has port = 8600: change it to port = 8601" in forced.stderr
    assert f"systemd-tmpfiles --root={prefix} --create" in forced.stdout
    assert "ExecStart=" in unit.read_text()
    assert "threads = 8" in settings.read_text()
    (other := tmp_path / "other").mkdir()
    refused(["service install"], "is for the root", options=(*install[2:], "--root", str(other)))


@pytest.mark.parametrize("name", ["a b", "../x", "", "a@b"])
def test_invalid_unit_name_is_refused(settings: Settings, name: str) -> None:
    with pytest.raises(SettingsError, match="is not a valid unit name"):
        unit_files(settings, name, STATE, read_only=False)


@pytest.mark.parametrize("path", ["/srv/a\nb", '/srv/a"b', "/srv/a\\b"])
def test_path_that_a_unit_cannot_contain_is_refused(path: str) -> None:
    with pytest.raises(SettingsError, match="cannot contain"):
        quoted(path)


def test_state_below_the_root_is_refused(settings: Settings) -> None:
    with pytest.raises(SettingsError, match="is below the root"):
        unit_files(settings, "plotindex", settings.root / "state", read_only=False)


def test_unreadable_program_is_found_through_symlinks(tmp_path: Path) -> None:
    for folder in reversed(tmp_path.parents):
        if str(folder).startswith("/tmp/pytest-of-"):
            folder.chmod(0o755)
    tmp_path.chmod(0o755)
    home, script = tmp_path / "home", tmp_path / "plotindex"
    (home / "bin").mkdir(parents=True)
    (home / "bin/python").touch(mode=0o755)
    (tmp_path / "link").symlink_to("home/bin")
    script.symlink_to("link/python")
    assert first_unreadable([script]) is None
    home.chmod(0o700)
    assert first_unreadable([script]) == home
    home.chmod(0o755)
    (home / "bin/python").chmod(0o700)
    assert first_unreadable([tmp_path, script]) == home / "bin/python"
