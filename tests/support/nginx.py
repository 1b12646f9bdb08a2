"""nginx from Debian's packages, with the configuration of docs/install.md."""

import os
import pwd
import re
import shutil
import subprocess
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

from tests import CHECKOUT
from tests.support.processes import free_port, is_free, wait_until

DOCUMENT = CHECKOUT / "docs/install.md"
ACCEL = "/plotindex-files"
NGINX = shutil.which("nginx", path=f"{os.environ.get('PATH', os.defpath)}:/usr/sbin:/sbin")
MAIN = """
{user}
worker_processes 1;
pid nginx.pid;
error_log error.log info;
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
"""A distribution's configuration, which includes the documented file."""


class Nginx(NamedTuple):
    """A running nginx."""

    url: str
    pid: int


@contextmanager
def nginx(folder: Path, server: str, root: Path, replacements: Mapping[str, str] | None = None) -> Iterator[Nginx]:
    """nginx in front of `server`, a URL, with the files below `root`; it runs in the new `folder`.

    `replacements` are further changes to the documented configuration.
    """
    assert NGINX is not None
    folder.mkdir()
    port = free_port()
    required = {
        "listen 80;": f"listen 127.0.0.1:{port};",
        "server 127.0.0.1:8517;": f"server {server.removeprefix('http://')};",
        "alias /srv/plots/;": f'alias "{root}/";',
    }
    (folder / "site.conf").write_text(_replace(_documented(), {**required, **(replacements or {})}))
    # Run by root, nginx would otherwise switch to nobody, who cannot read the plots.
    user = "" if os.geteuid() else f"user {pwd.getpwuid(0).pw_name};"
    (folder / "nginx.conf").write_text(MAIN.format(user=user))
    command = [NGINX, "-p", str(folder), "-c", "nginx.conf", "-e", "stderr", "-g", "daemon off;"]
    with (folder / "stderr").open("wb") as stderr:
        process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=stderr, stderr=stderr)
    try:
        wait_until(lambda: process.poll() is not None or not is_free(port))
        assert process.poll() is None, (folder / "stderr").read_text()
        yield Nginx(f"http://127.0.0.1:{port}", process.pid)
    finally:
        process.terminate()
        process.wait(10)


def _documented() -> str:
    (block,) = re.findall(r"^```nginx\n(.*?)^```$", DOCUMENT.read_text(), re.M | re.S)
    return str(block)


def _replace(text: str, replacements: Mapping[str, str]) -> str:
    for old, new in replacements.items():
        assert text.count(old) == 1, old
        text = text.replace(old, new)
    return text
