"""The address of a running server, as other commands find it."""

import json
import os
import re
import signal
import socket
from pathlib import Path

import pytest

from plotindex.config.settings import Settings
from plotindex.ops.server_address import recorded, with_server_address
from tests.support.processes import Index, RunPlotindex, StartService, draw, free_port, wait_until


def address_in(settings: Settings) -> tuple[str, int]:
    found = with_server_address(settings, {})
    return found.host, found.port


def test_commands_name_the_address_of_the_server_that_run_has_started(
    root: Path, service: StartService, plotindex: RunPlotindex
) -> None:
    draw(root, "s/project_a/x.png")
    port = free_port()
    with service("run", "--port", str(port)) as running:
        running.wait_for(lambda: "Open this URL" in running.stdout)
        assert plotindex("token", "create", "--name", "a").returncode == 0
        address = f"127.0.0.1:{port}"
        assert plotindex("token", "link", "a").stdout.startswith(f"http://{address}/login?code=")
        status = json.loads(plotindex("status", "--json").stdout)
        assert status["server"] == {"address": address, "answers": True}
        findings = json.loads(plotindex("doctor", "--json").stdout)
        assert f"A plotindex server answers at 127.0.0.1 port {port}" in [found["seen"] for found in findings]
        # An option says otherwise, also if it is the default.
        assert plotindex("token", "link", "a", "--port", "8517").stdout.startswith("http://127.0.0.1:8517/")
        assert plotindex("token", "link", "a", "--public-url", "https://p.example").stdout.startswith("https://p.ex")
    link = plotindex("token", "link", "a", env={"PLOTINDEX_PORT": "9000"}).stdout
    assert link.startswith("http://127.0.0.1:9000/")


def test_of_several_servers_the_latest_that_lives_is_named(
    root: Path, server: StartService, settings: Settings, index: Index
) -> None:
    draw(root, "s/project_a/x.png")
    index()

    def ports() -> int:
        return address_in(settings)[1]

    with server() as first:
        first_port = int(first.url.rpartition(":")[2])
        wait_until(lambda: ports() == first_port)
        with server() as second:
            second_port = int(second.url.rpartition(":")[2])
            wait_until(lambda: ports() == second_port)
            second.process.send_signal(signal.SIGKILL)
            second.process.wait()
            wait_until(lambda: ports() == first_port)
        assert len(list(settings.servers_folder.iterdir())) == 2
    assert ports() == settings.port
    with server():
        # A new server removes the records of dead ones.
        wait_until(lambda: len(list(settings.servers_folder.iterdir())) == 1)


def test_a_server_that_stops_removes_its_record(settings: Settings) -> None:
    with recorded(settings, "127.0.0.2", 8601):
        assert address_in(settings) == ("127.0.0.2", 8601)
        with recorded(settings, "::1", 8602):
            assert address_in(settings) == ("::1", 8602)
        assert address_in(settings) == ("127.0.0.2", 8601)
        assert with_server_address(settings, {"port": "1"}) == settings
        assert with_server_address(settings, {"host": "x"}) == settings
    assert list(settings.servers_folder.iterdir()) == []
    assert address_in(settings) == (settings.host, settings.port)


VALID = {"started": 1.0, "node": socket.gethostname(), "host": "127.0.0.3", "port": 8602}


@pytest.mark.parametrize(
    "content",
    [
        *("", "{", "[]", '{"started": "x"}', '{"started": 1, "node": "", "host": ""}', "[" * 1024),
        *(json.dumps({**VALID, "host": host}) for host in ("", "x", "\x1b[31m", "::1%\u202e", "::1%\n")),
        *(json.dumps({**VALID, "port": port}) for port in (0, -5, 65_536, 10**300, float("inf"), "8")),
        *(json.dumps({**VALID, "started": started}) for started in (10**400, None)),
    ],
    ids=lambda content: content[:80],
)
def test_damaged_records_are_ignored(settings: Settings, content: str) -> None:
    with recorded(settings, "127.0.0.2", 8601):
        (file,) = settings.servers_folder.iterdir()
        assert re.fullmatch(r"\d+-[0-9a-f]{8}", file.name)
        file.write_text(content)
        assert address_in(settings) == (settings.host, settings.port)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give links to other users")
def test_records_behind_another_users_link_are_neither_read_nor_removed(settings: Settings, tmp_path: Path) -> None:
    with recorded(settings, "127.0.0.2", 8601):
        outside = settings.servers_folder.rename(tmp_path / "outside")
        (outside / "1-01234567").touch()
        settings.servers_folder.symlink_to(outside)
        os.lchown(settings.servers_folder, 51_201, 51_201)
        assert address_in(settings) == (settings.host, settings.port)
    assert len(list(outside.iterdir())) == 2


def test_a_server_without_a_writable_state_folder_still_serves(settings: Settings) -> None:
    settings.state_folder.parent.mkdir(parents=True)
    settings.state_folder.write_text("a file")
    with recorded(settings, "127.0.0.2", 8601):
        assert address_in(settings) == (settings.host, settings.port)
