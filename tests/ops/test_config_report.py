"""`plotindex config`: values, sources, errors and warnings."""

import json
import tomllib
from collections.abc import Mapping
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from plotindex.config import load_settings
from plotindex.config.settings import PARSERS
from plotindex.ops.config_report import ConfigReport, report_config
from tests.support.namespaces import mount, own_mounts
from tests.support.processes import RunPlotindex, StartService, draw

SECRET = "do-not-show-this-to-anybody"


def report(
    options: Mapping[str, str] | None = None,
    environment: Mapping[str, str] | None = None,
    config: Path | None = Path("/dev/null"),
) -> ConfigReport:
    return report_config(
        {"root": "/plots", **(options or {})}, {"PLOTINDEX_STATE_DIR": "/s", **(environment or {})}, config
    )


def test_each_value_has_its_source(tmp_path: Path) -> None:
    file = tmp_path / "given.toml"
    file.write_text('# mine\nport = 3\n  "threads"=5\nworkers = 2\n')
    found = report({"port": "1"}, {"PLOTINDEX_PORT": "2", "PLOTINDEX_WORKERS": "3"}, file)
    settings = {one.name: (one.value, one.source, one.location) for one in found.settings}
    assert list(settings) == list(PARSERS)
    assert settings["port"] == (1, "option", "--port")
    assert settings["workers"] == (3, "environment", "PLOTINDEX_WORKERS")
    assert settings["threads"] == (5, "file", f"{file}:3")
    assert settings["heal"] == (True, "default", None)
    assert settings["public_url"] == (None, "default", None)
    assert settings["database"][0].startswith("sqlite:////s/plots-")
    assert (found.file, found.errors, found.warnings) == (str(file), [], [])


@given(
    port=st.integers(1, 65535),
    heal=st.sampled_from(["on", "off"]),
    suffixes=st.sets(st.sampled_from([".png", ".svg", ".WEBP"]), min_size=1),
    name=st.text(st.characters(exclude_characters="/\0", exclude_categories=["Cs"]), min_size=1, max_size=20),
    public_url=st.sampled_from(["https://plots.example.org", "http://localhost:8517/x"]),
)
def test_output_is_a_valid_file(
    tmp_path_factory: pytest.TempPathFactory, port: int, heal: str, suffixes: set[str], name: str, public_url: str
) -> None:
    options = {
        "root": f"/plots/{name}",
        "port": str(port),
        "heal": heal,
        "suffixes": " ".join(suffixes),
        "project_pattern": f"{name}*",
        "public_url": public_url,
    }
    text = report(options).as_text()
    assert all(line.isprintable() for line in text.split("\n"))
    file = tmp_path_factory.getbasetemp() / "said.toml"
    file.write_text(text)
    assert load_settings({}, {}, file) == load_settings(options, {"PLOTINDEX_STATE_DIR": "/s"}, Path("/dev/null"))


def test_no_secret_is_shown(tmp_path: Path) -> None:
    file = tmp_path / "given.toml"
    file.write_text(f'secret_key = ["{SECRET}"]\ndatabase = "sqlite://me:{SECRET}@/x.db"\n')
    for found in (
        report({}, {}, file),
        report({}, {"PLOTINDEX_SECRET_KEY": SECRET, "PLOTINDEX_SECRET": SECRET}),
        report({}, {"PLOTINDEX_SECRET_KEY": SECRET[:15]}),
    ):
        assert SECRET[:15] not in found.as_text() + json.dumps(found.as_json())
        settings = {one.name: one for one in found.settings}["secret_key"]
        assert settings.is_invalid or settings.value == "set, not shown"
        assert settings.location in (f"{file}:1", "PLOTINDEX_SECRET_KEY")


@pytest.mark.parametrize(
    "given",
    [
        "https://me:{}@h/",
        "https://me:top/{}@h/",
        "https://me:{}@top@h:81/x",
        "postgresql://me:top/{}@h/db",
        "postgresql://me:top@top:{}@h/db",
        "postgresql://me:{}/db?sslmode=require",
        "postgresql+psycopg://me:{}",
        "postgresql:///db?user=me&password={}",
        "no scheme://me:{}@h",
        "sqlite:///x.db?Key={}&mode=ro",
    ],
)
def test_no_password_of_a_url_is_shown_even_if_invalid(given: str) -> None:
    address = given.format(SECRET)
    for found in (report({"public_url": address}), report({"database": address})):
        assert SECRET not in found.as_text() + json.dumps(found.as_json())
    plain = "sqlite:////srv/a:b@c/catalog.db"
    assert plain in report({"database": plain}).as_text()


def test_all_errors_are_reported(tmp_path: Path) -> None:
    file = tmp_path / "given.toml"
    file.write_text('port = "http"\ncolour = "red"\nroot = "/plots"\n')
    found = report({"threads": "0"}, {}, file)
    assert [sentence.partition(" must")[0] for sentence in found.errors] == [
        f"port in {file}",
        next(sentence for sentence in found.errors if "unknown setting 'colour'" in sentence),
        "--threads",
    ]
    assert [one.name for one in found.settings if one.is_invalid] == ["port", "threads"]
    assert tomllib.loads(found.as_text())["root"] == "/plots"
    file.write_text("port = ")
    [broken] = report({}, {}, file).errors
    assert "is not valid TOML" in broken and 'root = "/srv/plots"' in broken
    [closed] = report({}, {}, tmp_path).errors
    assert closed.startswith(f"{tmp_path} cannot be read (Is a directory): make it readable for this user")
    [other] = report({"database": "mysql://x/y"}).errors
    assert "sqlite:////absolute/path" in other


@pytest.mark.parametrize(
    ("wrong", "right"),
    [
        ("THREDS", "do you mean PLOTINDEX_THREADS?"),
        ("DATABASE", "do you mean PLOTINDEX_DATABASE_URL?"),
        ("CONFIGURATION", "do you mean PLOTINDEX_CONFIG?"),
        ("RESCAN", "do you mean PLOTINDEX_RESCAN_SHARE?"),
        ("QUALITY", "`plotindex config` lists the settings."),
    ],
)
def test_unknown_variable_gets_a_suggestion(wrong: str, right: str) -> None:
    assert report({}, {f"PLOTINDEX_{wrong}": "1", "PLOTINDEX_CONFIG": "/dev/null", "OTHER": "1"}).warnings == [
        f"PLOTINDEX_{wrong} is not a setting and has no effect: {right}"
    ]


def test_unknown_variable_is_a_warning(root: Path, indexer: StartService, plotindex: RunPlotindex) -> None:
    draw(root, "s/project_1/x.png")
    stray = {"PLOTINDEX_THREDS": "3"}
    with indexer(env=stray) as running:
        assert running.stderr.count("do you mean PLOTINDEX_THREADS?") == 1
    done = plotindex("find", "x", env=stray)
    assert (done.returncode, done.stdout) == (0, "s/project_1/x.png\n")
    assert (
        done.stderr
        == "plotindex: PLOTINDEX_THREDS is not a setting and has no effect: do you mean PLOTINDEX_THREADS?\n"
    )


@pytest.mark.parametrize(
    ("options", "text"),
    [
        ({"threads": "3"}, "no request can wait"),
        ({"poll_seconds": "60", "rescan_seconds": "59"}, "poll_seconds 60 has no effect"),
        ({"polling": "never", "poll_seconds": "60"}, "poll_seconds has no effect"),
        ({"host": "0.0.0.0", "public_url": "http://x"}, "not encrypted"),
        ({"host": "::", "public_url": "https://x", "proxies": "1"}, "bypass the proxy"),
        ({"proxies": "1"}, "set public_url"),
        ({"public_url": "https://x"}, "set proxies"),
        ({"x_accel_prefix": "/files"}, "set proxies to 1"),
        ({"url_prefix": "/plot"}, "gallery"),
        ({"database": "sqlite:///x.db"}, "another file in each folder"),
        ({"database": "sqlite:////plots/x.db"}, "the database /plots/x.db is below the root"),
        ({"state_dir": "/plots/.state"}, "is below the root"),
    ],
)
def test_likely_mistakes_are_warnings(options: dict[str, str], text: str) -> None:
    [sentence] = report(options).warnings
    assert text in sentence
    assert sentence.endswith(".")


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"thumbnails_mb": "0", "heal": "off", "max_depth": "0", "polling": "never"},
        {"x_accel_prefix": "/files", "proxies": "1", "public_url": "https://x", "host": "::1"},
        {"url_prefix": "/", "host": "localhost", "poll_seconds": "60", "polling": "always"},
    ],
)
def test_sensible_settings_have_no_warnings(options: dict[str, str]) -> None:
    found = report(options)
    assert (found.errors, found.warnings) == ([], [])


def test_file_accessible_to_others_is_a_warning(tmp_path: Path) -> None:
    file = tmp_path / "plotindex.toml"
    file.write_text(f'secret_key = "{SECRET}"\n')
    file.chmod(0o600)
    assert report({}, {}, file).warnings == []
    file.chmod(0o640)
    [readable] = report({}, {}, file).warnings
    assert f"chmod 600 {file}" in readable
    file.chmod(0o600)
    [below] = report({"root": str(tmp_path), "state_dir": "/s"}, {}, file).warnings
    assert "scripts can change these settings" in below


def test_network_root_without_polling_is_a_warning(root: Path) -> None:
    with own_mounts():
        mount("-t", "sysfs", "none", root)
        [sentence] = report({"root": str(root), "polling": "never"}).warnings
    assert "the root contains sysfs" in sentence


def test_exit_codes(plotindex: RunPlotindex, root: Path) -> None:
    right = plotindex("config")
    assert (right.returncode, right.stderr) == (0, "")
    assert tomllib.loads(right.stdout)["root"] == str(root)
    doubtful = plotindex("config", "--threads", "2")
    assert (doubtful.returncode, doubtful.stderr.count("\n")) == (1, 1)
    wrong = plotindex("config", "--json", env={"PLOTINDEX_PORT": "http"})
    assert (wrong.returncode, wrong.stderr) == (2, "")
    assert json.loads(wrong.stdout)["wrong"] == ["PLOTINDEX_PORT must be a whole number from 1 to 65535, not 'http'."]
