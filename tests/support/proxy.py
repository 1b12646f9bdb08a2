"""plotindex behind nginx, beside plotindex alone."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

import pytest

from tests.support.hostile_tree import draw_hostile_tree
from tests.support.nginx import ACCEL, NGINX, nginx
from tests.support.site import Shared, Site, served, serving

AS_DOCUMENTED = {"PLOTINDEX_X_ACCEL_PREFIX": ACCEL, "PLOTINDEX_PROXIES": "1"}


class Fronted(NamedTuple):
    """The hostile tree, served twice: by plotindex alone, and through nginx, to which plotindex leaves the files."""

    alone: Site
    through: Site
    behind: str
    """The address of the latter."""
    shared: Shared


@contextmanager
def fronted(folder: Path) -> Iterator[Fronted]:
    """Draw the hostile tree below `folder` and serve it both ways; nginx knows its root by a symlink.

    Without nginx the test is skipped.
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
        yield Fronted(shared.site, replace(shared.site, url=front.url), behind.url, shared)
