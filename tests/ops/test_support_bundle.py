"""The support bundle: its content, and what it must not contain."""

import json
import os
import socket
import sqlite3
import stat
import tarfile
import time
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pytest

from plotindex.auth.tokens import Tokens
from plotindex.config import load_settings
from plotindex.config.settings import Settings
from plotindex.ops.redaction import PathAlias, Redactor
from plotindex.ops.support_bundle import SupportBundle
from plotindex.storage.catalog import Catalog
from plotindex.storage.heartbeat import Heartbeat
from plotindex.storage.sqlite.database import SqliteDatabase
from plotindex.storage.stats import IndexerStats
from tests.support.postgres import on_postgresql
from tests.support.processes import Index, RunPlotindex, draw

NAMES = ("confidential-session", "project_confidential", "confidential.png", "confidential-folder")
KEY = "this-key-signs-all-cookies"


def contents(file: Path) -> dict[str, str]:
    with tarfile.open(file) as archive:
        found = {}
        for entry in archive:
            content = archive.extractfile(entry)
            assert content is not None
            found[entry.name.rpartition("/")[2]] = content.read().decode()
        return found


@pytest.fixture
def secret(root: Path, index: Index, settings: Settings) -> str:
    """A root with things that are nobody's business; a token's secret."""
    session, project, filename, folder = NAMES
    plot = draw(root, f"{session}/{project}/{folder}/{filename}")
    (root / session / "project_link").symlink_to(plot.parent)
    (root / session / f"project_odd{folder}").symlink_to(root)
    index()
    return Tokens.from_settings(settings).create("of somebody")


def test_bundle_contains_no_secret_name_or_path(
    plotindex: RunPlotindex, secret: str, root: Path, tmp_path: Path, settings: Settings
) -> None:
    done = plotindex("support-bundle", "report.tar.gz", env={"PLOTINDEX_SECRET_KEY": KEY})
    assert (done.returncode, done.stdout) == (0, "report.tar.gz\n"), done.stderr
    file = tmp_path / "report.tar.gz"
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    found = contents(file)
    (token,) = Tokens.from_settings(settings).list().values()
    for text in (*NAMES, secret, KEY, token.sha256, "of somebody", str(root), str(tmp_path)):
        assert not [name for name, content in found.items() if text in content], text
    documents = {name: json.loads(content) for name, content in found.items() if name.endswith(".json")}
    assert documents["about.json"]["packages"]["watchdog"].startswith("7.")
    assert [
        setting["where"] for setting in documents["settings.json"]["settings"] if setting["name"] == "secret_key"
    ] == ["PLOTINDEX_SECRET_KEY"]
    assert (documents["status.json"]["plots"], documents["status.json"]["root"]) == (1, "ROOT")
    assert {
        "check": "symlinks",
        "verdict": "bad",
        "seen": "not shown: --names",
        "remedy": "not shown: --names",
    } in documents["doctor.json"]
    assert documents["database.json"]["rows"]["plot"] == 1
    assert "plotindex_plots 1.0" in found["metrics.txt"]
    assert "tokens.json" in {entry["name"] for entry in documents["state.json"]}
    again = plotindex("support-bundle", "report.tar.gz")
    assert (again.returncode, again.stdout) == (2, "")
    assert again.stderr == "plotindex: report.tar.gz already exists: name another file.\n"


def test_bundle_hides_paths_of_settings_and_host(
    root: Path, environment: dict[str, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    session, project, filename, folder = NAMES
    place = draw(root, f"{session}/{project}/{folder}/{filename}").parent
    config = tmp_path / "analysts" / "plotindex.toml"
    config.parent.mkdir()
    config.write_text(f'root = "{root}"\ndatabase = "sqlite:///{place}/confidential.db"\n')
    monkeypatch.setenv("HOME", "/")
    settings = load_settings({}, environment, config)
    with closing(SqliteDatabase(settings.catalog_location)) as database:
        catalog = Catalog(database)
        catalog.initialise(str(root), settings.layout)
        catalog.store_heartbeat(Heartbeat("host-of-somebody", 1, time.time(), time.time(), "watching"))
    found = SupportBundle(settings, {}, config, names=False).files()
    for text in (*NAMES, "confidential", "analysts", "host-of-somebody", str(root), str(tmp_path)):
        assert not [name for name, content in found.items() if text in content], text
    documents = json.loads(found["settings.json"])
    values = {one["name"]: (one["value"], one["where"]) for one in documents["settings"]}
    assert values["database"] == ("sqlite:///DATABASE", "CONFIG:2")
    assert (documents["file"], values["url_prefix"][0]) == ("CONFIG", "/api/smartstat")
    named = SupportBundle(settings, {}, config, names=True).files()
    assert str(place) in named["settings.json"]


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give links to other users")
def test_bundle_of_another_users_state_follows_no_link(settings: Settings, catalog: Catalog, tmp_path: Path) -> None:
    catalog.database.close()
    outside = tmp_path / "outside"
    (outside / "folder/file").mkdir(parents=True)
    with closing(sqlite3.connect(outside / "other.db")) as other:
        other.execute("CREATE TABLE payroll (x)")
    catalog.database.path.unlink()
    for name, target in (("catalog.db", "other.db"), ("link", "folder")):
        (settings.state_folder / name).symlink_to(outside / target)
        os.lchown(settings.state_folder / name, 51_201, 51_201)
    found = SupportBundle(settings, {}, None, names=True).files()
    assert "payroll" not in "".join(found.values())
    assert "catalog.db is a symlink" in json.loads(found["database.json"])["unavailable"]
    assert [entry.get("files") for entry in json.loads(found["state.json"]) if entry["name"] == "link"] == [None]
    assert sorted(path.name for path in outside.iterdir()) == ["folder", "other.db"]


@on_postgresql
def test_bundle_hides_hosts_of_indexers_that_are_silent(
    settings: Settings, catalog: Catalog, index: Index, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(socket, "gethostname", lambda: "this-host-of-somebody")
    now = time.time()
    stats = IndexerStats()
    stats.elected = True
    leader = Heartbeat("this-host-of-somebody", 1, now, now, "watching", measured=stats.dump())
    catalog.store_heartbeat(leader)
    catalog.store_heartbeat(Heartbeat("silent.host-of-somebody", 2, now - 60, now - 60, "watching"))
    given = replace(settings, public_url="https://plots.host-of-somebody")
    found = SupportBundle(given, {"public_url": given.public_url}, None, names=False).files()
    assert not [name for name, content in found.items() if "somebody" in content]
    assert "The indexer on HOST is silent" in json.loads(found["status.json"])["trouble"]
    assert "The indexer on HOST is silent" in found["doctor.json"]
    named = SupportBundle(given, {"public_url": given.public_url}, None, names=True).files()
    assert "silent.host-of-somebody" in named["status.json"]


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("/srv/plots", "ROOT"),
        ("of /srv/plots.", "of ROOT."),
        ("sqlite:////srv/plots/s/x.db", "sqlite:///ROOT/…"),
        ("/srv/plots-2 and /srv/plots.bak", "/srv/plots-2 and /srv/plots.bak"),
        ("/mnt/srv/plots", "/mnt/srv/plots"),
        ("/srv/plots/state/x, /srv/plots/state", "STATE/x, STATE"),
    ],
)
def test_alias_replaces_whole_components_only(text: str, shown: str) -> None:
    redactor = Redactor(
        [PathAlias(Path("/srv/plots"), "ROOT", hides_content=True), PathAlias(Path("/srv/plots/state"), "STATE")]
    )
    assert redactor.redact({"seen": [text, 1]}) == {"seen": [shown, 1]}
    assert Redactor([PathAlias(Path("/"), "HOME")]).redact(text) == text


def test_bundle_with_names_of_a_damaged_catalogue(
    plotindex: RunPlotindex, secret: str, catalog: Catalog, tmp_path: Path
) -> None:
    catalog.database.close()
    catalog.database.path.write_bytes(b"damage! " * 4096)
    done = plotindex("support-bundle", "--names", "report.tar.gz")
    assert done.returncode == 0, done.stderr
    found = contents(tmp_path / "report.tar.gz")
    assert "project_odd" in found["doctor.json"]
    assert "is damaged" in json.loads(found["status.json"])["unavailable"]
    assert secret not in "".join(found.values())
