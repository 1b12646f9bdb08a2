"""An agent: the client of the MCP SDK, with the tools in this process, or as a command on stdio."""

import io
import json
import sys
from base64 import b64decode
from collections.abc import Awaitable, Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any, TypeVar

import anyio
from mcp.client.client import Client
from mcp.client.stdio import StdioServerParameters, stdio_client
from mcp.shared.exceptions import MCPError
from mcp_types import BlobResourceContents, CallToolResult, ImageContent, ResourceLink, TextContent
from PIL import Image

from plotindex.cli.mcp.list_tools import ListTools
from plotindex.cli.mcp.local import LocalSource
from plotindex.cli.mcp.picture_tools import PictureTools
from plotindex.cli.mcp.protocol import AgentTools, make_server
from plotindex.cli.mcp.remote import RemoteSource
from plotindex.cli.mcp.source import PlotSource, Reader
from plotindex.config.settings import Settings
from plotindex.rendering.renderer_client import RendererClient
from tests.support.threads import without_event_loop

T = TypeVar("T")
MAX_TEXT_CHARS = 40_000
"""No answer has more."""


class Answer:
    """What a tool has answered; checked to be bounded and printable."""

    def __init__(self, result: CallToolResult) -> None:
        self.is_error = bool(result.is_error)
        [self.text] = [block.text for block in result.content if isinstance(block, TextContent)]
        self.pictures = [
            Image.open(io.BytesIO(b64decode(block.data))) for block in result.content if isinstance(block, ImageContent)
        ]
        self.links = [block for block in result.content if isinstance(block, ResourceLink)]
        self.told: dict[str, Any] = result.structured_content or {}
        assert len(self.text) <= MAX_TEXT_CHARS
        # The SDK itself refuses wrong arguments, in several lines.
        assert self.text.isprintable() or "validation error" in self.text, self.text
        assert self.is_error or json.loads(self.text) == self.told
        assert all(link.name.isprintable() and link.uri.isascii() for link in self.links)

    @property
    def picture(self) -> Image.Image:
        [picture] = self.pictures
        assert picture.format == "PNG"
        assert self.told["picture"] == {"width": picture.width, "height": picture.height}
        return picture


class Agent:
    """Calls the tools in this process, each in a connection of its own."""

    def __init__(self, source: PlotSource, renderer: RendererClient, only: str | None = None) -> None:
        reader = Reader(source, only)
        self._server = make_server(AgentTools(ListTools(reader), PictureTools(reader, renderer)))

    def call(self, name: str, **arguments: Any) -> Answer:
        return self._talk(lambda client: call(client, name, **arguments))

    def told(self, name: str, **arguments: Any) -> dict[str, Any]:
        """What a tool tells; fails if it is an error."""
        answer = self.call(name, **arguments)
        assert not answer.is_error, answer.text
        return answer.told

    def error(self, name: str, **arguments: Any) -> str:
        """The error of a tool; fails if there is none."""
        answer = self.call(name, **arguments)
        assert answer.is_error, answer.text
        return answer.text

    def read(self, uri: str) -> Image.Image | str:
        """The picture of a resource, or the error."""

        async def read(client: Client) -> Image.Image | str:
            try:
                [content] = (await client.read_resource(uri)).contents
            except MCPError as error:
                return str(error)
            assert isinstance(content, BlobResourceContents)
            return Image.open(io.BytesIO(b64decode(content.blob)))

        return self._talk(read)

    def _talk(self, work: Callable[[Client], Awaitable[T]]) -> T:
        async def connect() -> T:
            async with Client(self._server) as client:
                return await work(client)

        return without_event_loop(anyio.run)(connect)


@contextmanager
def local_agent(settings: Settings, only: str | None = None) -> Iterator[Agent]:
    source = LocalSource(settings, only)
    try:
        yield Agent(source, source.renderer, only)
    finally:
        source.renderer.close()


@contextmanager
def remote_agent(url: str, token: str, only: str | None = None) -> Iterator[Agent]:
    source, renderer = RemoteSource(url, token, "/api/smartstat"), RendererClient()
    try:
        yield Agent(source, renderer, only)
    finally:
        source.close()
        renderer.close()


async def call(client: Client, name: str, **arguments: Any) -> Answer:
    return Answer(await client.call_tool(name, arguments))


def on_stdio(
    work: Callable[[Client], Awaitable[T]], *options: str, environment: Mapping[str, str], mode: str = "auto"
) -> T:
    """Start `plotindex mcp` as an MCP client does, and work with it."""
    server = StdioServerParameters(
        command=sys.executable, args=["-m", "plotindex", "mcp", *options], env=dict(environment)
    )

    async def connect() -> T:
        async with Client(stdio_client(server), mode=mode) as client:
            return await work(client)

    return without_event_loop(anyio.run)(connect)
