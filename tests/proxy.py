"""plotindex behind nginx, beside plotindex alone."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

import pytest

from tests.hostile_tree import draw_hostile_tree
from tests.nginx import ACCEL, NGINX, nginx
from tests.site import Shared, Site, served, serving

AS_DOCUMENTED = {"PLOTINDEX_X_ACCEL_PREFIX": ACCEL, "PLOTINDEX_PROXIES": "1"}


class Fronted(NamedTuple):
    """The hostile tree, served twice: by plotindex alone, and through nginx, to which plotindex leaves the files."""

    alone: Site
    through: Site
    behind: str
    """The address of the latter."""
    shared: Shared


@contextmanager
def proxied(folder: Path, server: str, root: Path, places: Mapping[str, str] | None = None) -> Iterator[str]:
    """The address of an nginx as `nginx` starts it; without nginx the test is skipped."""
    if NGINX is None:
        pytest.skip("There is no nginx here: sh tests/install.sh installs it.")
    with nginx(folder, server, root, places) as running:
        yield running.url


@contextmanager
def fronted(folder: Path) -> Iterator[Fronted]:
    """Draw the hostile tree below `folder` and serve it both ways; nginx knows its root by a symlink."""
    draw_hostile_tree(folder)
    (folder / "way").symlink_to("plots")
    with (
        served(folder) as shared,
        serving(folder, {**shared.environment, **AS_DOCUMENTED}, "behind") as behind,
        proxied(folder / "nginx", behind.url, folder / "way") as url,
    ):
        yield Fronted(shared.site, replace(shared.site, url=url), behind.url, shared)
