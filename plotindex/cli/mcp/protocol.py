"""The tools by the official SDK of the Model Context Protocol, on stdio."""

import json
from base64 import b64encode
from collections.abc import Callable, Iterator
from typing import Annotated, Any, Literal

import anyio
import anyio.to_thread
from mcp.server.mcpserver import MCPServer
from mcp.server.mcpserver.exceptions import ResourceError
from mcp.server.mcpserver.resources.templates import ResourceSecurity
from mcp_types import CallToolResult, ContentBlock, ImageContent, ResourceLink, TextContent, ToolAnnotations
from pydantic import Field

from plotindex import __version__
from plotindex.cli.mcp.list_tools import ListTools
from plotindex.cli.mcp.picture_tools import MAX_WAIT_SECONDS, SIDES, PictureTools, Subject, ToolAnswer
from plotindex.cli.mcp.untrusted_text import NOTE
from plotindex.errors import PlotIndexError

POLL_SECONDS = 0.2
PNG = "image/png"
RESOURCE = "plot://{session}/{+filename}{?project,version}"
INSTRUCTIONS = (
    "Plots that scripts have drawn, by session and filename. After a script ran: `wait` for its plot, and look at it; "
    "`compare` shows what changed since the version before. Answers say how many more there are: pass `next` as `skip` "
    f"(in `history` as `after`). Names with a backslash are escaped: pass them as they are shown. {NOTE}"
)
READ_ONLY = ToolAnnotations(read_only_hint=True, destructive_hint=False, idempotent_hint=True, open_world_hint=False)

Session = Annotated[str, Field(description="A session; may be left out if this server was started for one.")]
Filename = Annotated[str, Field(description="A plot, with its folders below the project: sub/hist.png.")]
Project = Annotated[str, Field(description="The copy in this project; without it the latest one.")]
Version = Annotated[str, Field(description="Exactly this version.")]
Width = Annotated[Literal[768, 1024, 1568], Field(description="Length of the picture's longer side, at most.")]
Skip = Annotated[int, Field(ge=0, description="`next` of the page before.")]


class AgentTools:
    """The tools, as the SDK calls them. Their docstrings are for the model."""

    def __init__(self, lists: ListTools, pictures: PictureTools) -> None:
        self._lists = lists
        self._pictures = pictures

    def sessions(
        self, q: Annotated[str, Field(description="A part of the name.")] = "", skip: Skip = 0
    ) -> CallToolResult:
        """List the sessions, the latest first."""
        return _answer(lambda: self._lists.sessions(q, skip))

    def plots(
        self,
        session: Session = "",
        q: Annotated[str, Field(description="A part of the filename.")] = "",
        flag: Annotated[
            Literal["", "blank", "broken", "duplicate", "stale", "tiny"], Field(description="Only plots with it.")
        ] = "",
        project: Project = "",
        skip: Skip = 0,
    ) -> CallToolResult:
        """List the plots of a session, the latest first: names, titles, sizes and flags."""
        return _answer(lambda: self._lists.plots(session, q, flag, project, skip))

    def search(
        self,
        q: Annotated[str, Field(description="A part of a filename, or words of a title, label or legend.")],
        session: Annotated[str, Field(description="Only in this session.")] = "",
        skip: Skip = 0,
    ) -> CallToolResult:
        """Find plots by their names and by what they show, the latest first."""
        return _answer(lambda: self._lists.search(q, session, skip))

    def history(
        self,
        session: Session = "",
        filename: Annotated[str, Field(description="A plot; without it, all plots that have versions.")] = "",
        project: Project = "",
        after: Annotated[str, Field(description="`next` of the page before.")] = "",
    ) -> CallToolResult:
        """List the versions of a plot, the latest first, also of a removed one."""
        return _answer(lambda: self._lists.history(session, filename, project, after))

    def plot(
        self,
        *,
        filename: Filename,
        session: Session = "",
        project: Project = "",
        version: Version = "",
        width: Width = 768,
    ) -> CallToolResult:
        """Look at a plot: a picture, title, size, texts, flags and versions."""
        return _answer(lambda: self._pictures.plot(self._pictures.subject(session, filename, project, version), width))

    async def wait(
        self,
        *,
        filename: Filename,
        session: Session = "",
        project: Project = "",
        timeout: Annotated[float, Field(ge=0, le=MAX_WAIT_SECONDS, description="Seconds.")] = 30,
        not_blank: Annotated[bool, Field(description="Also wait until it is known to show something.")] = True,
        not_version: Annotated[str, Field(description="Wait for another version than this one.")] = "",
        picture: Annotated[bool, Field(description="With its picture.")] = True,
        width: Width = 768,
    ) -> CallToolResult:
        """Wait until a plot is drawn and no longer changes, and look at it."""

        def begin() -> Iterator[ToolAnswer | None]:
            subject = self._pictures.subject(session, filename, project)
            return self._pictures.wait(
                subject, timeout, width, not_blank=not_blank, not_version=not_version, with_picture=picture
            )

        return await _answer_when_ready(begin)

    def compare(
        self,
        *,
        filename: Filename,
        session: Session = "",
        project: Project = "",
        version: Version = "",
        from_session: Annotated[str, Field(description="Of the other plot; by default the same session.")] = "",
        from_filename: Annotated[str, Field(description="The other plot; by default the same filename.")] = "",
        from_project: Annotated[str, Field(description="The other copy.")] = "",
        from_version: Annotated[str, Field(description="The other version.")] = "",
        width: Width = 1024,
    ) -> CallToolResult:
        """Compare a plot (right) with another plot, copy or version (left): both in one picture, and what differs.

        Without any `from_…` with the version before.
        """

        def compare() -> ToolAnswer:
            after = self._pictures.subject(session, filename, project, version)
            before = None
            if from_session or from_filename or from_project or from_version:
                before = self._pictures.subject(
                    from_session or session, from_filename or filename, from_project, from_version
                )
            return self._pictures.compare(before, after, width)

        return _answer(compare)

    def read(self, session: str, filename: str, project: str = "", version: str = "") -> bytes:
        """The picture of a plot as PNG."""
        try:
            view, _ = self._pictures.picture(Subject(session, filename, project or None, version or None), SIDES[0])
        except PlotIndexError as error:
            raise ResourceError(str(error)) from None
        return view.content


def make_server(tools: AgentTools) -> "MCPServer[Any]":
    """A server with these tools."""
    server: MCPServer[Any] = MCPServer(
        "plotindex", version=__version__, instructions=INSTRUCTIONS, log_level="WARNING", subscriptions=False
    )
    for tool in (tools.sessions, tools.plots, tools.search, tools.plot, tools.wait, tools.compare, tools.history):
        server.add_tool(tool, annotations=READ_ONLY, structured_output=False)
    # The names are checked as those of an HTTP request.
    unchecked = ResourceSecurity(exempt_params={"session", "filename", "project", "version"})
    server.resource(RESOURCE, name="plot", mime_type=PNG, security=unchecked)(tools.read)
    return server


def _answer(work: Callable[[], ToolAnswer | dict[str, Any]]) -> CallToolResult:
    try:
        found = work()
    except PlotIndexError as error:
        return CallToolResult(content=[TextContent(text=str(error))], is_error=True)
    return _result(found if isinstance(found, ToolAnswer) else ToolAnswer(found))


async def _answer_when_ready(begin: Callable[[], Iterator[ToolAnswer | None]]) -> CallToolResult:
    try:
        steps = begin()
        while (found := await anyio.to_thread.run_sync(next, steps)) is None:
            # Here a client that no longer waits, or that is gone, ends it.
            await anyio.sleep(POLL_SECONDS)
    except PlotIndexError as error:
        return CallToolResult(content=[TextContent(text=str(error))], is_error=True)
    return _result(found)


def _result(found: ToolAnswer) -> CallToolResult:
    text = json.dumps(found.told, ensure_ascii=False, separators=(",", ":"))
    content: list[ContentBlock] = [TextContent(text=text)]
    if found.picture is not None:
        content.append(ImageContent(data=b64encode(found.picture.content).decode(), mime_type=PNG))
    if found.uri:
        content.append(ResourceLink(uri=found.uri, name=found.told["filename"], mime_type=PNG))
    return CallToolResult(content=content, structured_content=found.told)
