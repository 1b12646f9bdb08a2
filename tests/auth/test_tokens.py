"""Tokens: their sessions, their validity, and the privacy of the file."""

import json
import os
import re
import shutil
import stat
import subprocess
import sys
from pathlib import Path

import pytest
import requests
from flask.testing import FlaskClient

from plotindex.auth.tokens import Token, Tokens
from plotindex.config.settings import Settings
from plotindex.errors import PlotIndexError, SettingsError
from plotindex.system.humanize import parse_duration
from plotindex.web import create_app
from tests.support.processes import PNG, RunPlotindex, StartService, draw, wait_until


@pytest.fixture
def tokens(settings: Settings) -> Tokens:
    """The tokens of the root."""
    return Tokens(settings.make_state_folder() / "tokens.json")


@pytest.fixture
def client(settings: Settings, root: Path) -> FlaskClient:
    """A test client of the application with sessions abc, abcd and Abc, without a catalogue."""
    for session in ("abc", "abcd", "Abc"):
        draw(root, f"{session}/project_1/a.png")
    return create_app(settings).test_client()


def ask(client: FlaskClient, session: str, secret: str, scheme: str = "Bearer") -> tuple[int, bytes]:
    response = client.get(
        f"/api/smartstat/plots/{session}/a.png", headers={"Authorization": f"{scheme} {secret}"}, buffered=True
    )
    with response:
        return response.status_code, response.data


def test_a_secret_is_printed_alone_and_once(plotindex: RunPlotindex, settings: Settings) -> None:
    created = plotindex("token", "create", "--name", "web", "--session-glob", "team-*", "--expires", "30d")
    assert (created.returncode, created.stderr) == (0, "")
    assert re.fullmatch(r"plotindex_[\w-]{43}\n", created.stdout)
    secret = created.stdout.strip()
    listed = plotindex("token", "list")
    as_json = plotindex("token", "list", "--json")
    assert listed.stdout.startswith("web\tteam-*\tuntil ")
    [entry] = json.loads(as_json.stdout)
    assert (entry["name"], entry["session"], entry["session_glob"]) == ("web", None, "team-*")
    assert entry["expires"] - entry["created"] == pytest.approx(30 * 86400)
    kept = [file.read_text(errors="replace") for file in settings.state_folder.iterdir()]
    for text in (listed.stdout, as_json.stdout, *kept):
        assert secret not in text
        assert secret.removeprefix("plotindex_") not in text


def test_a_name_is_used_once_and_revoked_once(plotindex: RunPlotindex, tokens: Tokens) -> None:
    secret = tokens.create("web")
    taken = plotindex("token", "create", "--name", "web")
    assert (taken.returncode, taken.stdout) == (2, "")
    assert "revoke it first" in taken.stderr
    assert tokens.check(secret)
    revoked = plotindex("token", "revoke", "web")
    assert (revoked.returncode, revoked.stderr) == (0, "")
    assert tokens.check(secret) is None
    assert tokens.list() == {}
    again = plotindex("token", "revoke", "we\x1bb")
    assert (again.returncode, again.stdout, again.stderr) == (1, "", "plotindex: There is no token we\\x1bb.\n")


def test_every_session_is_the_default(client: FlaskClient, tokens: Tokens) -> None:
    secret = tokens.create("all")
    assert [ask(client, session, secret) for session in ("abc", "abcd", "Abc")] == [(200, PNG)] * 3


def test_a_session_is_exact_and_any_other_is_as_if_it_did_not_exist(client: FlaskClient, tokens: Tokens) -> None:
    secret = tokens.create("one", session="abc")
    assert ask(client, "abc", secret) == (200, PNG)
    missing = ask(client, "nowhere", secret)
    assert missing == (404, b'{"error":"Plot not found"}\n')
    assert ask(client, "abcd", secret) == missing
    assert ask(client, "Abc", secret) == missing
    literal = tokens.create("literal", session="ab*")
    assert ask(client, "abc", literal)[0] == 404


def test_a_glob_matches_whole_names(client: FlaskClient, tokens: Tokens) -> None:
    secret = tokens.create("some", session_glob="abc?")
    answers = {session: ask(client, session, secret)[0] for session in ("abc", "abcd", "Abc")}
    assert answers == {"abc": 404, "abcd": 200, "Abc": 404}
    assert Token("", 0, session_glob="team-*").allows("team-1\nx")
    assert not Token("", 0, session_glob="team-*").allows("a/team-1")


def test_requests_without_a_valid_secret_are_refused(client: FlaskClient, tokens: Tokens) -> None:
    secret = tokens.create("web")
    for given in ("", "x", secret[:-1], secret + "x", secret.upper(), tokens.list()["web"].sha256):
        assert ask(client, "abc", given)[0] == 401, given
    assert ask(client, "abc", secret, "Basic")[0] == 401
    assert ask(client, "abc", secret, "bearer")[0] == 200
    plain = client.get("/api/smartstat/plots/abc/a.png", query_string={"token": secret})
    assert plain.status_code == 401
    assert plain.headers["WWW-Authenticate"] == "Bearer"
    assert plain.json == {"error": "Bearer token required"}


@pytest.mark.parametrize(
    ("text", "seconds"), [("90s", 90), ("15m", 900), ("12h", 43200), ("30d", 2592000), ("8w", 4838400)]
)
def test_a_duration_is_a_number_and_a_unit(text: str, seconds: int) -> None:
    assert parse_duration(text) == seconds


@pytest.mark.parametrize("text", ["", "30", "d", "0d", "-1d", "1.5h", "30 d", "1y", "9999999d", "३d", "30d\n"])
def test_an_invalid_duration_is_refused(tokens: Tokens, text: str) -> None:
    with pytest.raises(SettingsError, match="such as 12h"):
        tokens.create("web", expires=text)
    assert tokens.list() == {}


@pytest.mark.parametrize("name", ["", "a\nb", "\x1b[31m", "\u202e", "\udcff"])
def test_a_token_needs_a_printable_name(tokens: Tokens, name: str) -> None:
    with pytest.raises(SettingsError, match="printable"):
        tokens.create(name)
    with pytest.raises(SettingsError, match="not both"):
        tokens.create("both", session="a", session_glob="a*")
    with pytest.raises(SettingsError, match="a single directory name"):
        tokens.create("two", session="a/b")
    assert tokens.list() == {}


def test_a_running_server_applies_changes_at_once(
    root: Path, tokens: Tokens, settings: Settings, plotindex: RunPlotindex, server: StartService
) -> None:
    draw(root, "abc/project_1/a.png")
    revoked, replaced, removed = tokens.create("revoked"), tokens.create("replaced"), tokens.create("removed")
    with server() as running:

        def status(secret: str) -> int:
            url = f"{running.url}/api/smartstat/plots/abc/a.png"
            return requests.get(url, headers={"Authorization": f"Bearer {secret}"}, timeout=10).status_code

        assert {status(secret) for secret in (revoked, replaced, removed)} == {200}
        assert plotindex("token", "revoke", "revoked").returncode == 0
        assert status(revoked) == 401
        tokens.revoke("replaced")
        successor = tokens.create("replaced")
        assert (status(replaced), status(successor)) == (401, 200)
        short = tokens.create("short", expires="1s")
        assert status(short) == 200
        wait_until(lambda: status(short) == 401, 5)
        file = settings.state_folder / "tokens.json"
        whole = file.read_text()
        file.write_text(whole[: len(whole) // 2])
        answer = requests.get(
            f"{running.url}/api/smartstat/plots/abc/a.png", headers={"Authorization": f"Bearer {removed}"}, timeout=10
        )
        assert answer.status_code == 500
        assert str(file.parent) not in answer.text
        wait_until(lambda: "is damaged" in running.stderr)
        file.write_text(whole)
        assert status(removed) == 200
        file.unlink()
        assert status(removed) == 401


@pytest.mark.parametrize(
    "content",
    [
        *(b"", b"{", b"[]", b"null", b'{"web": 5}', b'{"web": {"sha": "x"}}', b"\xff\xfe", b'{"web": null}'),
        *(b'{"web": {"sha256": "x", "created": 1, "expires": %s}}' % time for time in (b"1e400", b"NaN", b"1e18")),
    ],
    ids=repr,
)
def test_a_damaged_token_file_refuses_everybody_and_is_not_overwritten(
    tokens: Tokens, settings: Settings, content: bytes
) -> None:
    secret = tokens.create("web")
    assert tokens.check(secret)
    file = settings.state_folder / "tokens.json"
    file.write_bytes(content)
    for use in (lambda: tokens.check(secret), lambda: tokens.create("other"), lambda: tokens.revoke("web")):
        with pytest.raises(PlotIndexError, match="restore the file"):
            use()
    assert file.read_bytes() == content


def test_processes_that_create_tokens_at_once_lose_none(tokens: Tokens, settings: Settings) -> None:
    script = (
        "import sys; from pathlib import Path; from plotindex.auth.tokens import Tokens\n"
        "tokens = Tokens(Path(sys.argv[1]))\n"
        "sys.stdin.read(1)\n"
        "for number in range(20): tokens.create(f'{sys.argv[2]}-{number}')\n"
        "for number in range(10): tokens.revoke(f'{sys.argv[2]}-{number}')\n"
    )
    file = str(settings.state_folder / "tokens.json")
    running = [
        subprocess.Popen([sys.executable, "-c", script, file, str(number)], stdin=subprocess.PIPE)
        for number in range(3)
    ]
    for process in running:
        assert process.stdin
        process.stdin.close()
    assert [process.wait(30) for process in running] == [0, 0, 0]
    assert set(tokens.list()) == {f"{process}-{number}" for process in range(3) for number in range(10, 20)}


def test_the_state_is_private_to_its_owner(
    root: Path, settings: Settings, plotindex: RunPlotindex, indexer: StartService
) -> None:
    draw(root, "abc/project_1/a.png")
    former = os.umask(0)
    try:
        with indexer():
            assert plotindex("token", "create", "--name", "web").returncode == 0
            modes = {file.name: stat.S_IMODE(file.stat().st_mode) for file in settings.state_folder.iterdir()}
    finally:
        os.umask(former)
    assert {"catalog.db", "tokens.json", "indexer.lock"} <= modes.keys()
    assert modes.pop("sync") == 0o700
    assert set(modes.values()) == {0o600}, modes
    assert stat.S_IMODE(settings.state_folder.stat().st_mode) == 0o700


def test_a_restored_token_file_takes_effect(tokens: Tokens, settings: Settings, tmp_path: Path) -> None:
    secret = tokens.create("web")
    file = settings.state_folder / "tokens.json"
    shutil.copy2(file, tmp_path / "backup")
    tokens.revoke("web")
    assert tokens.check(secret) is None
    shutil.copy2(tmp_path / "backup", file)
    assert tokens.check(secret) is not None
