"""What docs/agents.md shows: its recipe, and the settings of clients."""

import asyncio
import json
import re
import sys
from pathlib import Path
from typing import Any

import pytest
from mcp.client.client import Client
from mcp.client.stdio import StdioServerParameters

from plotindex.cli.mcp.command import mcp
from tests import CHECKOUT
from tests.support.agents import call, on_stdio
from tests.support.gallery_pages import run_gallery
from tests.support.images import encoded, halves
from tests.support.processes import clean_environment
from tests.support.site import ServedSite
from tests.support.threads import without_event_loop

DOCUMENT = (CHECKOUT / "docs/agents.md").read_text()
SCRIPT = """
import pathlib, sys
file = pathlib.Path({root!r}, "abc123/project_fit/hist.png")
file.parent.mkdir(parents=True, exist_ok=True)
file.write_bytes(bytes.fromhex({content!r}))
"""


def test_the_recipe_shows_what_the_script_has_drawn_beside_the_version_before(tmp_path: Path) -> None:
    [code] = re.findall(r"<!-- executed by tests/mcp/test_recipe.py -->\n```python\n(.*?)```", DOCUMENT, re.S)
    recipe: dict[str, Any] = {}
    exec(code, recipe)
    with run_gallery(tmp_path) as served:
        environment = {**clean_environment(tmp_path), "PLOTINDEX_ROOT": str(served.root)}
        recipe["PLOTS"] = StdioServerParameters(
            command=sys.executable, args=["-m", "plotindex", "mcp"], env=environment
        )

        def kinds_after(content: bytes) -> list[str]:
            script = tmp_path / "script.py"
            script.write_text(SCRIPT.format(root=str(served.root), content=content.hex()))
            blocks = without_event_loop(asyncio.run)(recipe["run_and_look"](script, "abc123", "hist.png"))
            return [block.type for block in blocks]

        one = ["text", "image", "resource_link"]
        assert kinds_after(encoded(halves())) == one
        assert kinds_after(encoded(halves("red", "green"))) == [*one, "text", "image"]


@pytest.mark.parametrize("block", re.findall(r"```json\n(.*?)```", DOCUMENT, re.S))
def test_the_settings_of_a_client_start_the_command(block: str) -> None:
    settings = json.loads(block)["mcpServers"]["plots"]
    command, *options = settings["args"]
    assert Path(settings["command"]).name == "plotindex"
    assert command == "mcp"
    parsed = mcp.make_context("mcp", options).params
    assert parsed["url"] == "https://plots.example.org" or parsed["session"] == "abc123"
    assert set(settings["env"]) <= {"PLOTINDEX_STATE_DIR", "PLOTINDEX_TOKEN"}


def test_the_tools_and_arguments_are_those_that_the_page_lists(agent_site: ServedSite) -> None:
    async def listed(client: Client) -> dict[str, set[str]]:
        assert not (await call(client, "sessions")).is_error
        tools = (await client.list_tools()).tools
        return {tool.name: set(tool.input_schema["properties"]) for tool in tools}

    tools = on_stdio(listed, environment=agent_site.environment)
    rows = dict(re.findall(r"^\| `(\w+)` \| (.*?) \|", DOCUMENT.partition("| tool |")[2].partition("\n\n")[0], re.M))
    plot = tools["plot"]
    for name, arguments in tools.items():
        shown = set(re.findall(r"`(\w+)`", rows[name]))
        assert shown == (arguments - plot if rows[name].startswith("and ") else arguments), name
