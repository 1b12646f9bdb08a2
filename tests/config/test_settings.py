"""Settings from options, environment and plotindex.toml."""

import json
import pwd
from collections.abc import Mapping
from dataclasses import fields
from pathlib import Path

import pytest
import requests
from hypothesis import given
from hypothesis import strategies as st

from plotindex.config import load_settings
from plotindex.config.settings import PARSERS, Settings
from plotindex.config.sources import variable_name
from plotindex.errors import SettingsError
from plotindex.ops import config_checks
from plotindex.ops.config_checks import service_state_hint
from plotindex.ops.support_bundle import SupportBundle
from plotindex.storage.catalog import Catalog
from tests import CHECKOUT
from tests.support.processes import RunPlotindex, StartService, draw

DEFAULTS = {
    "database": None,
    "host": "127.0.0.1",
    "port": 8517,
    "url_prefix": "/api/smartstat",
    "project_pattern": "project_*",
    "suffixes": frozenset([".png", ".jpg", ".jpeg", ".svg", ".gif", ".webp", ".avif", ".pdf", ".tif", ".tiff"]),
    "rescan_seconds": 3600,
    "heal": True,
}
WRONG: list[tuple[str, object]] = [
    ("root", 5),
    ("root", ""),
    ("root", "a\0b"),
    ("root", "\udcff"),
    ("root", "~nobody-has-this-name"),
    ("state_dir", ["x"]),
    ("database", ""),
    ("host", 127),
    ("port", "http"),
    ("port", 0),
    ("port", 65536),
    ("port", 80.5),
    ("port", True),
    ("port", "8e3"),
    ("port", [80]),
    ("threads", 0),
    ("workers", -1),
    ("rescan_seconds", "hourly"),
    ("rescan_seconds", "1" * 5000),
    ("heal", "maybe"),
    ("heal", 1),
    ("log_format", "xml"),
    ("url_prefix", "/a b"),
    ("url_prefix", "/<x>"),
    ("url_prefix", 1),
    ("project_pattern", "a/b"),
    ("project_pattern", ".."),
    ("project_pattern", "project_* a/b"),
    ("project_pattern", " , "),
    ("project_pattern", ["project_*", 1]),
    ("ignore", "a/b"),
    ("ignore", ["/", ".*"]),
    ("ignore", [".."]),
    ("ignore", 1),
    ("ignore", True),
    ("public_url", "plots.example.org"),
    ("public_url", "http://[::1"),
    ("suffixes", ".eps"),
    ("suffixes", "png"),
    ("suffixes", []),
    ("suffixes", [1]),
    ("suffixes", [["x"]]),
]


def load(
    options: Mapping[str, object] | None = None,
    environment: Mapping[str, str] | None = None,
    config: Path | None = None,
) -> Settings:
    return load_settings({"root": "/plots", **(options or {})}, environment or {}, config)


def test_the_defaults_are_the_documented_ones(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.delenv("XDG_STATE_HOME", raising=False)
    settings = load()
    assert {name: getattr(settings, name) for name in DEFAULTS} == DEFAULTS
    assert settings.state_dir == tmp_path / ".local/state/plotindex"
    assert settings.state_folder.parent == settings.state_dir
    assert settings.state_folder.name.startswith("plots-")
    assert settings.catalog_location == settings.state_folder / "catalog.db"


def test_a_user_without_a_home_has_to_set_the_state_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def nobody(_user: int) -> None:
        raise KeyError

    monkeypatch.setattr(pwd, "getpwuid", nobody)
    for variable_of_a_home in ("HOME", "XDG_STATE_HOME"):
        monkeypatch.delenv(variable_of_a_home, raising=False)
    with pytest.raises(SettingsError, match="no home directory for the state: set PLOTINDEX_STATE_DIR"):
        load()
    settings = load(environment={"PLOTINDEX_STATE_DIR": str(tmp_path)})
    assert settings.state_dir == tmp_path
    # A support bundle does not need a home either.
    assert "about.json" in SupportBundle(settings, {}, None, names=False).files()


def test_a_setting_is_called_the_same_everywhere() -> None:
    assert list(PARSERS) == [field.name for field in fields(Settings)]
    assert [variable_name(name) for name in ("root", "database", "url_prefix")] == [
        "PLOTINDEX_ROOT",
        "PLOTINDEX_DATABASE_URL",
        "PLOTINDEX_URL_PREFIX",
    ]


def test_options_take_precedence_over_environment_and_file(tmp_path: Path) -> None:
    file = tmp_path / "given.toml"
    file.write_text('port = 3\nhost = "file"\nthreads = 3\nroot = "/by/file"\n')
    environment = {"PLOTINDEX_PORT": "2", "PLOTINDEX_HOST": "environment", "PLOTINDEX_WORKERS": ""}
    settings = load({"port": "1", "host": None}, environment, file)
    assert (settings.port, settings.host, settings.threads, settings.workers) == (1, "environment", 3, 1)
    assert settings.root == Path("/plots")
    assert load_settings({}, environment, file).root == Path("/by/file")


def test_paths_are_made_absolute_without_resolving_symlinks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", str(tmp_path))
    (tmp_path / "real").mkdir()
    (tmp_path / "link").symlink_to("real")
    assert load({"root": "link"}).root == tmp_path / "link"
    assert load({"root": "real/../link/"}).root == tmp_path / "link"
    assert load({"root": "~/link"}).root == tmp_path / "link"


def test_each_root_has_a_state_folder_of_its_own() -> None:
    folders = {load({"root": root, "state_dir": "/state"}).state_folder for root in ("/a/x", "/b/x", "/", "/a")}
    assert len(folders) == 4
    assert {folder.parent for folder in folders} == {Path("/state")}


@pytest.mark.parametrize("name", ["a" * 255, "\u00e9" * 127])
def test_a_root_with_the_longest_name_has_a_state_folder(tmp_path: Path, name: str) -> None:
    assert load({"root": tmp_path / name, "state_dir": tmp_path}).make_state_folder().is_dir()


@pytest.mark.parametrize(("name", "value"), WRONG, ids=lambda value: repr(value)[:20])
def test_an_invalid_value_is_reported_with_a_valid_one(name: str, value: object) -> None:
    with pytest.raises(SettingsError) as caught:
        load({name: value})
    sentence = str(caught.value)
    assert sentence.startswith(f"--{name.replace('_', '-')} ")
    assert sentence.endswith(".")
    assert "\n" not in sentence


@pytest.mark.parametrize("line", ["root = 5", "port = 80.5", "suffixes = [1]", "heal = 1", "state_dir = ['x']"])
def test_an_invalid_value_in_the_file_is_reported_with_the_file(tmp_path: Path, line: str) -> None:
    file = tmp_path / "plotindex.toml"
    file.write_text(line)
    with pytest.raises(SettingsError, match=rf"^{line.split(maxsplit=1)[0]} in {file} (must|can hold) .*\.$"):
        load(config=file)


@pytest.mark.parametrize("content", [b"port = ", b"\xff", b"port = 1\nport = 2", b"[port]\nx = 1"])
def test_a_file_that_is_not_valid_toml_is_refused(tmp_path: Path, content: bytes) -> None:
    file = tmp_path / "plotindex.toml"
    file.write_bytes(content)
    with pytest.raises(SettingsError, match=str(file)):
        load(config=file)


def test_an_unknown_setting_suggests_the_closest_name_or_lists_all(tmp_path: Path) -> None:
    file = tmp_path / "plotindex.toml"
    for wrong, right in (("suffix", "suffixes"), ("rescan-second", "rescan_seconds"), ("url-prefix", "url_prefix")):
        file.write_text(f"{wrong} = 1")
        with pytest.raises(SettingsError, match=rf"'{wrong}': do you mean {right}\?$"):
            load(config=file)
    file.write_text("quality = 1")
    with pytest.raises(SettingsError, match=r"'quality': it can hold root, database, .*, log_format\.$"):
        load(config=file)


@pytest.mark.parametrize("prefix", ["/api", "/api/smartstat", "/api/smartstat/plots"])
def test_x_accel_prefix_must_not_overlap_the_path_of_plots(prefix: str) -> None:
    with pytest.raises(SettingsError, match=rf"^x_accel_prefix {prefix} overlaps /api/smartstat/plots.*\.$"):
        load({"x_accel_prefix": prefix})
    assert load({"x_accel_prefix": f"{prefix}-files"}).x_accel_prefix == f"{prefix}-files"


@given(
    port=st.integers(1, 65535),
    heal=st.booleans(),
    prefix=st.sampled_from(["/", "/api", "x/y/"]),
    suffixes=st.sets(st.sampled_from([".png", ".svg", ".WEBP"]), min_size=1),
    name=st.text(st.characters(exclude_characters="/\0", exclude_categories=["Cs"]), min_size=1, max_size=20),
    log_format=st.sampled_from(["text", "json"]),
    database=st.none() | st.just("sqlite:////x/y.db"),
)
def test_a_child_process_reads_the_same_settings(
    port: int, heal: bool, prefix: str, suffixes: set[str], name: str, log_format: str, database: str | None
) -> None:
    settings = load(
        {
            "root": f"/plots/{name}",
            "state_dir": "/state",
            "port": port,
            "heal": heal,
            "url_prefix": prefix,
            "suffixes": suffixes,
            "project_pattern": f"p{name}*",
            "log_format": log_format,
            "database": database,
        }
    )
    assert load_settings({}, settings.as_environment()) == settings


@pytest.mark.parametrize("given", [[], (), "/", ".* tmp*", ".*, tmp*", [".*", "tmp*", ".*"]])
def test_child_processes_inherit_the_ignored_names(given: object) -> None:
    settings = load_settings({"root": "/srv/plots", "ignore": given}, {})
    assert settings.ignore == ("" if given in ([], (), "/") else ".* tmp*")
    assert load_settings({}, settings.as_environment()) == settings
    assert settings.layout.is_ignored(".git") == bool(settings.ignore)


def test_an_empty_list_in_the_file_ignores_nothing_and_config_prints_it(
    plotindex: RunPlotindex, root: Path, tmp_path: Path
) -> None:
    file = tmp_path / "plotindex.toml"
    file.write_text("ignore = []\n")
    printed = plotindex("config").stdout
    assert 'ignore = "/"' in printed
    file.write_text(printed)
    assert load_settings({"root": str(root)}, {}, file).ignore == ""


def test_a_named_file_replaces_the_default_one_in_every_process(
    root: Path, service: StartService, tmp_path: Path, server: StartService
) -> None:
    draw(root, "s/project_1/x.png")
    (tmp_path / "plotindex.toml").write_text("unknown = 1\n")
    (tmp_path / "named.toml").write_text("threads = 2\n")
    with server("--config", "named.toml") as running:
        assert running.process.poll() is None
    with service("run", "--config", "named.toml", env={"PLOTINDEX_PORT": running.url.rpartition(":")[2]}) as both:
        both.wait_for(lambda: "curl" in both.stdout)


def test_the_pattern_and_the_suffixes_define_plots(plotindex: RunPlotindex, root: Path, tmp_path: Path) -> None:
    for path in ("s/run-1/a.PNG", "s/run-1/b.svg", "s/project_1/c.png", "s/run-2/sub/d.png"):
        draw(root, path)
    (tmp_path / "plotindex.toml").write_text('project_pattern = "run-*"\nsuffixes = [".png"]\n')
    report = json.loads(plotindex("rebuild", "--json").stdout)
    assert (report["plots"], report["added"]) == (2, 2)
    again = json.loads(plotindex("rebuild", "--json", env={"PLOTINDEX_SUFFIXES": ".png, .SVG"}).stdout)
    assert (again["plots"], again["added"], again["removed"]) == (3, 1, 0)


def test_the_indexer_logs_lines_of_json(root: Path, indexer: StartService) -> None:
    draw(root, "s/project_1/\udcff.png")
    with indexer("--log-format", "json") as running:
        lines = [json.loads(line) for line in running.stderr.splitlines()]
    assert {"warning", "info"} == {line["level"] for line in lines}
    assert all({"time", "level", "logger", "message"} == line.keys() for line in lines)


def test_the_server_logs_lines_of_json(settings: Settings, catalog: Catalog, server: StartService) -> None:
    (settings.state_folder / "tokens.json").write_text("damaged")
    with server("--log-format", "json") as running:
        answer = requests.get(
            f"{running.url}/api/smartstat/plots/a/b.png", headers={"Authorization": "Bearer x"}, timeout=10
        )
        assert answer.status_code == 500
        running.wait_for(lambda: running.stderr.count("\n") >= 3)
        _, why, access = [json.loads(line) for line in running.stderr.splitlines()]
    assert (why["level"], access["status"], access["path"]) == ("error", 500, "/api/smartstat/plots/a/b.png")
    assert answer.json()["error"].split()[-1] == why["request"] == access["request"]


def test_the_documented_file_has_every_setting_and_is_valid(tmp_path: Path) -> None:
    document = (CHECKOUT / "docs/settings.md").read_text()
    block = document.partition("```toml\n")[2].partition("```")[0]
    (tmp_path / "plotindex.toml").write_text(block)
    settings = load_settings({}, {}, tmp_path / "plotindex.toml")
    named = {line.partition(" = ")[0] for line in block.splitlines()}
    assert named == set(PARSERS) - {"database", "state_dir", "secret_key"}
    differing = {
        name for name in named if getattr(settings, name) != getattr(load_settings({"root": "/srv/plots"}, {}), name)
    }
    assert differing == {"x_accel_prefix", "public_url", "max_watches", "history_dir"}


def test_a_command_warns_if_the_services_of_its_root_use_another_state(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    own, services = tmp_path / "plotindex.toml", tmp_path / "etc"
    monkeypatch.setattr(config_checks, "SERVICES_FOLDER", services)
    settings = load_settings({"root": "/srv/plots"}, {}, Path("/dev/null"))
    services.mkdir()
    (services / "broken.toml").write_text("root = ")
    (services / "other.toml").write_text('root = "/srv/other"\nstate_dir = "/var/lib/plotindex"\n')

    def hint(**environment: str) -> str | None:
        return service_state_hint(settings, environment, None)

    assert hint() is None
    (services / "plotindex.toml").write_text('root = "/srv/plots"\nstate_dir = "/var/lib/plotindex"\n')
    assert f"`--config {services}/plotindex.toml` to use theirs" in str(hint())
    assert hint(PLOTINDEX_STATE_DIR="/elsewhere") is hint(PLOTINDEX_CONFIG=str(own)) is None
    assert service_state_hint(settings, {}, own) is None


@pytest.mark.parametrize("given", [".", "project_* .", "., project_*", [".", "project_*"]])
def test_a_dot_among_the_project_patterns_is_the_session_itself(given: object) -> None:
    layout = load({"root": "/srv", "project_pattern": given}).layout
    assert layout.has_session_project
    assert layout.is_project("project_a") == (given != ".")


@pytest.mark.parametrize("given", ["run_* fig_*", "run_*,fig_*", " run_* , fig_*  run_*", ["run_*", "fig_*"]])
def test_several_project_patterns_are_separated_by_blanks_or_commas(given: object) -> None:
    settings = load({"root": "/srv", "project_pattern": given})
    assert settings.project_pattern == "run_* fig_*"
    assert [settings.layout.is_project(name) for name in ("run_1", "fig_1", "project_1")] == [True, True, False]
