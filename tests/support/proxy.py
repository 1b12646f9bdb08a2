"""plotindex served directly and behind nginx."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

import pytest

from tests.support.hostile_tree import draw_hostile_tree
from tests.support.nginx import ACCEL, NGINX, nginx
from tests.support.site import ServedSite, Site, served, serving

AS_DOCUMENTED = {"PLOTINDEX_X_ACCEL_PREFIX": ACCEL, "PLOTINDEX_PROXIES": "1"}


class ProxiedSite(NamedTuple):
    """The hostile tree, served by plotindex alone, and through nginx, which sends the files (X-Accel-Redirect)."""

    alone: Site
    through: Site
    behind: str
    """The URL of the plotindex server behind nginx."""
    shared: ServedSite


@contextmanager
def serve_behind_nginx(folder: Path) -> Iterator[ProxiedSite]:
    """Draw the hostile tree below `folder` and serve it both ways; nginx reaches its root through a symlink.

    Skips the test if nginx is not installed.
    """
    if NGINX is None:
        pytest.skip("There is no nginx here: sh tests/tools/install.sh installs it.")
    draw_hostile_tree(folder)
    (folder / "way").symlink_to("plots")
    with (
        served(folder) as shared,
        serving(folder, {**shared.environment, **AS_DOCUMENTED}, "behind") as behind,
        nginx(folder / "nginx", behind.url, folder / "way") as front,
    ):
        yield ProxiedSite(shared.site, replace(shared.site, url=front.url), behind.url, shared)
