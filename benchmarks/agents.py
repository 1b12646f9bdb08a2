"""What a plot costs an agent: characters and image tokens of each tool's answer, beside the file as base64."""

from pathlib import Path
from tempfile import TemporaryDirectory

import anyio
import numpy as np
from matplotlib.figure import Figure
from mcp.client.client import Client
from mcp_types import CallToolResult, ImageContent, TextContent

from benchmarks.measure import print_table
from plotindex.cli.mcp.list_tools import ListTools
from plotindex.cli.mcp.local import LocalSource
from plotindex.cli.mcp.picture_tools import SIDES, PictureTools
from plotindex.cli.mcp.protocol import AgentTools, make_server
from plotindex.cli.mcp.source import Reader
from plotindex.config import load_settings
from plotindex.index import make_tree, prepare_catalog, reconcile
from tests.support.processes import clean_environment

PIXELS_PER_TOKEN = 750
"""https://platform.claude.com/docs/en/build-with-claude/vision"""
POINTS = 5_000


def agents() -> None:
    with TemporaryDirectory() as folder:
        root = Path(folder) / "plots"
        names = _draw(root / "s/project_a")
        settings = load_settings({"root": str(root)}, clean_environment(Path(folder)))
        reconcile(make_tree(settings), prepare_catalog(settings), [""])
        source = LocalSource(settings)
        reader = Reader(source)
        server = make_server(AgentTools(ListTools(reader), PictureTools(reader, source.renderer)))

        async def measure() -> None:
            async with Client(server) as client:
                await _print_pictures(client, root, names)
                await _print_answers(client, names)

        try:
            anyio.run(measure)
        finally:
            source.renderer.close()


def _draw(folder: Path) -> list[str]:
    """Plots of 1600 x 1200 pixels, and one vector."""
    folder.mkdir(parents=True)
    chance = np.random.default_rng(1)
    figures = {
        name: Figure(figsize=(8, 6), dpi=200) for name in ("curves.png", "scatter.png", "map.png", "scatter.svg")
    }
    axes = {name: figure.subplots() for name, figure in figures.items()}
    x = np.linspace(0, 10, 400)
    for number in range(5):
        axes["curves.png"].plot(x, np.sin(x + number) * np.exp(-x / 8), label=f"model {number}")
    axes["curves.png"].legend()
    first, second = chance.normal(size=(2, POINTS))
    for name in ("scatter.png", "scatter.svg"):
        axes[name].scatter(first, second, c=first * second, s=6, alpha=0.5)
    axes["map.png"].imshow(chance.normal(size=(60, 80)).cumsum(0).cumsum(1))
    for name, figure in figures.items():
        axes[name].set_title(name)
        figure.savefig(folder / name)
    return list(figures)


async def _print_pictures(client: Client, root: Path, names: list[str]) -> None:
    rows = []
    for name in names:
        size = (root / "s/project_a" / name).stat().st_size
        rows.append([name, "the file as base64", f"{-(-size // 3) * 4:,}", "-"])
        for side in SIDES:
            answer = await client.call_tool("plot", {"session": "s", "filename": name, "width": side})
            rows.append(["", f"plot, width {side}", *_costs(answer)])
    print_table(
        f"What an agent receives for a plot of 1600 x 1200 pixels (scatter.svg: a vector of {POINTS:,} points).\n"
        f"  Characters: the picture as base64, with what is known of the plot. Image tokens: width x height / "
        f"{PIXELS_PER_TOKEN}.",
        ["plot", "how", "characters", "image tokens"],
        rows,
    )


async def _print_answers(client: Client, names: list[str]) -> None:
    rows = []
    questions: dict[str, dict[str, object]] = {
        "sessions": {},
        "plots": {"session": "s"},
        "search": {"q": "scatter"},
        "history": {"session": "s", "filename": names[0]},
        "wait": {"session": "s", "filename": names[0], "not_blank": False, "timeout": 10, "picture": False},
        "compare": {"session": "s", "filename": names[0], "from_filename": names[1]},
    }
    for tool, arguments in questions.items():
        rows.append([tool, *_costs(await client.call_tool(tool, arguments))])
    print_table(
        f"The other tools, with these {len(names)} plots; compare shows two of them in one picture.",
        ["tool", "characters", "image tokens"],
        rows,
    )


def _costs(answer: CallToolResult) -> list[str]:
    """The characters of an answer, and the tokens of its picture."""
    if answer.is_error or answer.structured_content is None:
        raise RuntimeError(f"A tool has failed: {answer.content}")
    characters = sum(
        len(block.text if isinstance(block, TextContent) else block.data)
        for block in answer.content
        if isinstance(block, TextContent | ImageContent)
    )
    size = answer.structured_content.get("picture")
    return [f"{characters:,}", f"{size['width'] * size['height'] / PIXELS_PER_TOKEN:,.0f}" if size else "-"]
