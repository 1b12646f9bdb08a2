"""The addresses that `plotindex run` prints: where to open the gallery, and a `curl` line."""

import re
import shlex
from urllib.parse import quote

from plotindex.auth import Logins, Token
from plotindex.config import Settings
from plotindex.ops.probe import connect_host
from plotindex.tree import Plot


def curl_command(settings: Settings, plot: Plot, secret: str) -> str:
    """A command for a shell that downloads the plot."""
    path = quote(f"{plot.session}/{plot.filename}")
    # Whatever a script called it, the name to save it under is harmless.
    name = re.sub(r"[^\w.-]", "_", plot.filename.rpartition("/")[2], flags=re.ASCII).lstrip(".-") or "plot"
    words = ["curl", "-f", "-H", f"Authorization: Bearer {secret}", "-o", name]
    return shlex.join([*words, f"{base_url(settings)}{settings.url_prefix}/plots/{path}"])


def login_address(settings: Settings, token: Token) -> str:
    """An address that logs a browser in, once and within ten minutes, as the holder of that token.

    Raises:
        SettingsError: this user cannot write the state folder.
    """
    code = Logins.from_settings(settings).create_code(token)
    return f"{settings.public_url or base_url(settings)}/login?code={code}"


def base_url(settings: Settings) -> str:
    """Where this machine reaches the server."""
    host = connect_host(settings.host)
    return f"http://{f'[{host}]' if ':' in host and not host.startswith('[') else host}:{settings.port}"
