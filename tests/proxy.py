"""nginx from Debian's packages, with the configuration that docs/operations.md shows."""

import os
import pwd
import re
import shutil
import subprocess
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

import pytest

from tests.helpers import free_port, is_free, wait_until
from tests.hostile_tree import draw_hostile_tree
from tests.site import Shared, Site, served, serving

DOCUMENT = Path(__file__).parent.parent / "docs/operations.md"
ACCEL = "/plotindex-files"
AS_DOCUMENTED = {"PLOTINDEX_X_ACCEL_PREFIX": ACCEL, "PLOTINDEX_PROXIES": "1"}
NGINX = shutil.which("nginx", path=f"{os.environ.get('PATH', os.defpath)}:/usr/sbin:/sbin")
MAIN = """
{user}
worker_processes 1;
pid nginx.pid;
error_log {log} info;
events {{}}
http {{
    access_log off;
    client_body_temp_path body;
    proxy_temp_path proxy;
    fastcgi_temp_path fastcgi;
    uwsgi_temp_path uwsgi;
    scgi_temp_path scgi;
    include site.conf;
}}
"""
"""What a distribution has around the documented file."""


def documented() -> str:
    """The configuration in docs/operations.md."""
    (block,) = re.findall(r"^```nginx\n(.*?)^```$", DOCUMENT.read_text(), re.M | re.S)
    return str(block)


def replaced(text: str, places: Mapping[str, str]) -> str:
    """The text with each of these places changed; each must be there once."""
    for place, value in places.items():
        assert text.count(place) == 1, place
        text = text.replace(place, value)
    return text


@contextmanager
def proxied(folder: Path, server: str, root: Path, places: Mapping[str, str] | None = None) -> Iterator[str]:
    """nginx in front of `server`, a URL, with the files below `root`: its own URL. It works in `folder`.

    `places` are further changes to the documented configuration.
    """
    if NGINX is None:
        pytest.skip("There is no nginx here: sh tests/install.sh installs it.")
    folder.mkdir()
    port = free_port()
    own = {
        "listen 80;": f"listen 127.0.0.1:{port};",
        "server 127.0.0.1:8517;": f"server {server.removeprefix('http://')};",
        "alias /srv/plots/;": f'alias "{root}/";',
    }
    (folder / "site.conf").write_text(replaced(documented(), {**own, **(places or {})}))
    # Started by root it would otherwise become nobody, who may not read what a test draws.
    user = "" if os.geteuid() else f"user {pwd.getpwuid(0).pw_name};"
    (folder / "nginx.conf").write_text(MAIN.format(user=user, log=folder / "error.log"))
    command = [NGINX, "-p", str(folder), "-c", "nginx.conf", "-e", "stderr", "-g", "daemon off;"]
    with (folder / "stderr").open("wb") as stderr:
        process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=stderr, stderr=stderr)
    try:
        wait_until(lambda: process.poll() is not None or not is_free(port))
        assert process.poll() is None, (folder / "stderr").read_text()
        yield f"http://127.0.0.1:{port}"
    finally:
        process.terminate()
        process.wait(10)


class Fronted(NamedTuple):
    """The hostile tree, served twice: by plotindex alone, and through nginx, to which plotindex leaves the files."""

    alone: Site
    through: Site
    behind: str
    """The address of the latter."""
    shared: Shared


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
