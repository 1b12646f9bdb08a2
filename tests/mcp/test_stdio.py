"""`plotindex mcp` as an MCP client starts it: on this machine and with --url, its ends, and what it needs."""

import json
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import anyio
import pytest
from mcp.client.client import Client

from tests.mcp.conftest import BARS, OTHER_BARS
from tests.support.agents import call, on_stdio
from tests.support.gallery_pages import Gallery, run_gallery
from tests.support.processes import clean_environment, draw, run_plotindex
from tests.support.site import ServedSite

COMMAND = [sys.executable, "-m", "plotindex", "mcp"]
NAMES = ["sessions", "plots", "search", "plot", "wait", "compare", "history"]
WITHOUT_SDK = """
import sys
sys.modules[sys.argv.pop()] = None
sys.argv.append("mcp")
from plotindex.cli.main import main
main(prog_name="plotindex")
"""
LOOK = """
import os, sys
from plotindex.cli.mcp.list_tools import ListTools
from plotindex.cli.mcp.local import LocalSource
from plotindex.cli.mcp.picture_tools import PictureTools
from plotindex.cli.mcp.protocol import AgentTools
from plotindex.cli.mcp.source import Reader
from plotindex.config import load_settings

source = LocalSource(load_settings({}, os.environ))
reader = Reader(source)
tools = AgentTools(ListTools(reader), PictureTools(reader, source.renderer))
assert not tools.plot(session="s", filename="bars.png").is_error
assert not tools.compare(session="s", filename="bars.png").is_error
source.renderer.close()
print({"PIL", "resvg", "pypdfium2"} & {name.partition(".")[0] for name in sys.modules})
"""
HELLO = {
    "jsonrpc": "2.0",
    "id": 1,
    "method": "initialize",
    "params": {"protocolVersion": "2025-06-18", "capabilities": {}, "clientInfo": {"name": "t", "version": "1"}},
}


@pytest.fixture(scope="module")
def live(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Gallery, dict[str, str]]]:
    """A root that is indexed, inspected and kept by `plotindex run`."""
    folder = tmp_path_factory.mktemp("live")
    with run_gallery(folder) as served:
        environment = {**clean_environment(folder), "PLOTINDEX_ROOT": str(served.root)}
        token = run_plotindex(["token", "create", "--name", "agent"], environment, folder).stdout.strip()
        yield served, {**environment, "PLOTINDEX_TOKEN": token}


@pytest.mark.parametrize("mode", ["auto", "legacy"])
def test_every_tool_is_listed_as_reading_only(agent_site: ServedSite, mode: str) -> None:
    async def listed(client: Client) -> list[Any]:
        return (await client.list_tools()).tools

    tools = on_stdio(listed, environment=agent_site.environment, mode=mode)
    assert [tool.name for tool in tools] == NAMES
    assert all(tool.annotations.read_only_hint and not tool.annotations.destructive_hint for tool in tools)
    assert sum(len(tool.model_dump_json(exclude_none=True)) for tool in tools) < 8_000
    arguments = {name for tool in tools for name in tool.input_schema["properties"]}
    assert {"session", "filename", "project", "version", "width", "q", "flag", "after"} <= arguments


@pytest.mark.parametrize("is_remote", [False, True], ids=["local", "url"])
def test_what_a_script_draws_is_awaited_seen_and_compared(
    live: tuple[Gallery, dict[str, str]], is_remote: bool
) -> None:
    served, environment = live
    session = "url" if is_remote else "local"
    options = ["--url", served.url] if is_remote else []
    if is_remote:
        environment = {name: value for name, value in environment.items() if name != "PLOTINDEX_ROOT"}

    async def work(client: Client) -> None:
        names = {"session": session, "filename": "bars.png"}
        draw(served.root, f"{session}/project_a/bars.png", BARS)
        first = await call(client, "wait", **names)
        assert first.told["inspected"] is True
        assert first.picture.size == (400, 240)
        draw(served.root, f"{session}/project_a/bars.png", OTHER_BARS)
        again = await call(client, "wait", **names, not_version=first.told["version"], picture=False)
        assert again.told["version"] != first.told["version"]
        compared = await call(client, "compare", **names)
        assert compared.told["left"]["version"] == first.told["version"]
        assert (compared.told["kind"], compared.told["words"]) == ("changed", ["differs in 1 place"])
        kept = await call(client, "plot", **names, version=first.told["version"])
        assert kept.picture.convert("RGB").tobytes() == first.picture.convert("RGB").tobytes()

    on_stdio(work, *options, environment=environment)


def test_it_ends_with_its_input(agent_site: ServedSite) -> None:
    done = subprocess.run(
        COMMAND,
        input=json.dumps(HELLO) + "\n",
        text=True,
        capture_output=True,
        env=agent_site.environment,
        timeout=30,
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, "")
    [line] = done.stdout.splitlines()
    assert json.loads(line)["result"]["serverInfo"]["name"] == "plotindex"


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_it_ends_at_a_signal_also_while_a_tool_waits(agent_site: ServedSite, number: signal.Signals) -> None:
    arguments = {"session": "s", "filename": "none.png", "timeout": 300}
    messages = [
        HELLO,
        {"jsonrpc": "2.0", "method": "notifications/initialized"},
        {"jsonrpc": "2.0", "id": 2, "method": "tools/call", "params": {"name": "wait", "arguments": arguments}},
        {"jsonrpc": "2.0", "id": 3, "method": "ping"},
    ]
    with subprocess.Popen(
        COMMAND,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=agent_site.environment,
    ) as process:
        assert process.stdin
        assert process.stdout
        assert process.stderr
        for message in messages:
            process.stdin.write(json.dumps(message) + "\n")
            process.stdin.flush()
        assert json.loads(process.stdout.readline())["id"] == 1
        assert json.loads(process.stdout.readline())["id"] == 3
        process.send_signal(number)
        assert process.wait(10) == 0
        assert process.stderr.read() == ""


def test_it_ends_with_its_input_also_while_a_tool_waits(agent_site: ServedSite) -> None:
    async def work(client: Client) -> None:
        with pytest.raises(TimeoutError):
            with anyio.fail_after(1):
                await client.call_tool("wait", {"session": "s", "filename": "none.png", "timeout": 300})

    on_stdio(work, environment=agent_site.environment)


@pytest.mark.parametrize("lacks", ["mcp", "mcp.server.mcpserver", "mcp_types", "anyio"])
def test_without_the_sdk_or_with_an_old_one_it_names_the_remedy(agent_site: ServedSite, lacks: str) -> None:
    done = subprocess.run(
        [sys.executable, "-c", WITHOUT_SDK, lacks],
        text=True,
        capture_output=True,
        env=agent_site.environment,
        stdin=subprocess.DEVNULL,
        timeout=30,
        check=False,
    )
    assert (done.returncode, done.stdout) == (2, "")
    assert re.fullmatch(
        r"plotindex: `plotindex mcp` needs the MCP SDK \(.+\): pip install 'plotindex\[mcp\]'.\n", done.stderr
    )


def test_wrong_use_is_one_sentence(agent_site: ServedSite, tmp_path: Path) -> None:
    environment = {name: value for name, value in agent_site.environment.items() if name != "PLOTINDEX_ROOT"}
    for arguments, message in {
        (): "root",
        ("--url", "http://localhost:1"): "--url needs a token: set PLOTINDEX_TOKEN",
        ("--url", "localhost"): "--url is not the address of a server",
        ("--url", "http://localhost:1", "--root", "/x"): "without --root",
        ("--root", str(tmp_path / "none")): "none",
    }.items():
        done = run_plotindex(["mcp", *arguments], environment, tmp_path)
        assert (done.returncode, done.stdout) == (2, ""), done.stderr
        assert message in done.stderr
        assert done.stderr.count("\n") == 1


def test_the_token_of_a_client_is_no_unknown_setting(agent_site: ServedSite) -> None:
    environment = {**agent_site.environment, "PLOTINDEX_TOKEN": "x"}
    done = run_plotindex(["find", "bars"], environment, agent_site.folder)
    assert (done.returncode, done.stderr) == (0, "")


def test_what_talks_to_the_model_loads_no_decoder(agent_site: ServedSite) -> None:
    done = subprocess.run(
        [sys.executable, "-c", LOOK],
        text=True,
        capture_output=True,
        env=agent_site.environment,
        timeout=60,
        check=False,
    )
    assert (done.stdout, done.stderr) == ("set()\n", "")


def test_an_agent_writes_nothing(agent_site: ServedSite) -> None:
    def state() -> dict[str, int]:
        files = (file for file in (agent_site.folder / "state").rglob("*") if file.is_file())
        return {
            str(file): file.stat().st_mtime_ns for file in files if not re.search(r"-(wal|shm)$|requests", str(file))
        }

    before = state()

    async def work(client: Client) -> None:
        for name in ("plot", "compare", "wait", "history"):
            assert not (await call(client, name, session="s", filename="bars.png")).is_error

    on_stdio(work, environment=agent_site.environment)
    assert state() == before
