"""The command `plotindex mcp`."""

import os
import signal
from pathlib import Path
from types import FrameType

import click

from plotindex.cli import completion
from plotindex.cli.options import common_options, example
from plotindex.cli.program import print_error
from plotindex.cli.startup import check_root_unless_indexed, read_settings
from plotindex.config import TOKEN_VARIABLE, default_text
from plotindex.errors import SettingsError
from plotindex.system import configure_logs

SDK = ("mcp", "mcp_types", "pydantic", "typing_extensions", "anyio")


@click.command(epilog=example("mcp --root /srv/plots --session abc123"))
@common_options
@click.option("--session", metavar="SESSION", shell_complete=completion.sessions, help="Only this session.")
@click.option(
    "--url",
    metavar="URL",
    help="Read from this server instead, with the token in PLOTINDEX_TOKEN; its path, if any, replaces /api/smartstat.",
)
def mcp(config: Path | None, session: str | None, url: str | None, **options: str | None) -> None:
    """Serve the catalogue to an agent, by MCP on stdio.

    A client of the Model Context Protocol starts this command. Its tools list, find, await, show and compare plots, and
    change nothing. Reads the catalogue of --root with the rights of this user, or a server with --url. Needs the extra
    mcp.
    """
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, _end)
    try:
        from plotindex.cli.mcp.protocol import AgentTools, make_server
    except ImportError as error:
        if (error.name or "").partition(".")[0] not in SDK:
            raise
        raise SettingsError(f"`plotindex mcp` needs the MCP SDK ({error}): pip install 'plotindex[mcp]'.") from None
    from plotindex.cli.mcp.list_tools import ListTools
    from plotindex.cli.mcp.picture_tools import PictureTools
    from plotindex.cli.mcp.source import PlotSource, Reader
    from plotindex.rendering.renderer_client import RendererClient

    source: PlotSource
    if url is not None:
        from plotindex.cli.mcp.remote import RemoteSource

        if config or any(options.values()):
            raise SettingsError("--url reads from a server: give it without --root, --database and the like.")
        configure_logs("text")
        source = remote = RemoteSource(url, os.environ.get(TOKEN_VARIABLE, ""), default_text("url_prefix"))
        if remote.is_exposed:
            print_error("--url is not https: others in the network can read the token.")
        renderer = RendererClient()
    else:
        from plotindex.cli.mcp.local import LocalSource

        settings = read_settings(config, options)
        check_root_unless_indexed(settings)
        settings.check_state_access()
        source = local = LocalSource(settings, session)
        renderer = local.renderer
    reader = Reader(source, session)
    try:
        make_server(AgentTools(ListTools(reader), PictureTools(reader, renderer))).run("stdio")
    finally:
        renderer.close()


def _end(_number: int, _frame: FrameType | None) -> None:
    # At once: a thread waits for stdin, others perhaps for a server. The renderer ends with its socket.
    os._exit(0)
