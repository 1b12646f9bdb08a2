"""A served root for agents: plots, copies, texts, flags, and two sessions."""

import os
import time
from collections.abc import Iterator

import pytest

from plotindex.config import load_settings
from plotindex.config.settings import Settings
from tests.rendering.test_comparison import plot
from tests.support.agents import Agent, local_agent, remote_agent
from tests.support.images import PDF, encoded, halves
from tests.support.processes import draw, run_plotindex
from tests.support.site import ServedSite, served

SVG = (
    b"<svg xmlns='http://www.w3.org/2000/svg' width='90' height='60'><title>Residuals</title>"
    b"<rect width='45' height='60' fill='#f00'/><text x='50' y='30'>Counts</text></svg>"
)
BARS, OTHER_BARS = encoded(plot(50, 80)), encoded(plot(50, 130))
MANY = 60
HOUR_NS = 3_600_000_000_000


@pytest.fixture(scope="package")
def agent_site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServedSite]:
    folder = tmp_path_factory.mktemp("agents")
    root, now = folder / "plots", time.time_ns()
    draw(root, "s/project_a/bars.png", BARS, mtime_ns=now - 2 * HOUR_NS)
    draw(root, "s/project_b/bars.png", OTHER_BARS, mtime_ns=now - HOUR_NS)
    draw(root, "s/project_a/sub/v.svg", SVG, mtime_ns=now - 3 * HOUR_NS)
    draw(root, "s/project_a/page.pdf", PDF, mtime_ns=now - 4 * HOUR_NS)
    draw(root, "s/project_a/wide.png", encoded(halves(size=(3000, 1500))), mtime_ns=now - 5 * HOUR_NS)
    draw(root, "s/project_a/tall.png", encoded(halves(size=(300, 3000))), mtime_ns=now - 6 * HOUR_NS)
    draw(root, "s/project_a/small.png", encoded(halves(size=(30, 20))), mtime_ns=now - 7 * HOUR_NS)
    draw(root, "s/project_a/blank.png", encoded(halves("white", "white")), mtime_ns=now - 8 * HOUR_NS)
    draw(root, "s/project_a/broken.png", b"no picture", mtime_ns=now - 9 * HOUR_NS)
    draw(root, "other/project_a/y.png", BARS, mtime_ns=now - 24 * HOUR_NS)
    for number in range(MANY):
        draw(root, f"many/project_a/p{number:02}.png", mtime_ns=now - 48 * HOUR_NS + number)
    os.utime(root / "many")
    with served(folder) as site:
        done = run_plotindex(["inspect", "--all"], site.environment, folder)
        assert done.returncode == 0, done.stderr
        yield site


@pytest.fixture(scope="package")
def agent_settings(agent_site: ServedSite) -> Settings:
    return load_settings({"root": str(agent_site.site.root)}, agent_site.environment)


@pytest.fixture(scope="package", params=["local", "remote"])
def agent(request: pytest.FixtureRequest, agent_site: ServedSite, agent_settings: Settings) -> Iterator[Agent]:
    """An agent with all rights: on this machine, and with --url."""
    if request.param == "local":
        with local_agent(agent_settings) as local:
            yield local
    else:
        with remote_agent(agent_site.site.url, agent_site.site.token) as remote:
            yield remote


@pytest.fixture(scope="package", params=["local", "remote", "token"])
def narrowed(request: pytest.FixtureRequest, agent_site: ServedSite, agent_settings: Settings) -> Iterator[Agent]:
    """An agent for the session `other` alone: by --session on this machine and with --url, and by its token."""
    site = agent_site.site
    if request.param == "local":
        with local_agent(agent_settings, "other") as local:
            yield local
    elif request.param == "remote":
        with remote_agent(site.url, site.token, "other") as remote:
            yield remote
    else:
        create = ["token", "create", "--name", "other", "--session", "other"]
        token = run_plotindex(create, agent_site.environment, agent_site.folder).stdout.strip()
        with remote_agent(site.url, token) as limited:
            yield limited
