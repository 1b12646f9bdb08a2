"""The login URL and the curl command that `plotindex run` prints."""

import re
import shlex
from urllib.parse import quote

from plotindex.auth import Logins, Token
from plotindex.config import Settings
from plotindex.ops.probe import connect_host
from plotindex.system import host_port
from plotindex.tree import Plot


def curl_command(settings: Settings, plot: Plot, secret: str) -> str:
    """A shell command that downloads the plot."""
    path = quote(f"{plot.session}/{plot.filename}")
    # Scripts choose names of plots: the output file must not be an option, a hidden file or another path.
    name = re.sub(r"[^\w.-]", "_", plot.filename.rpartition("/")[2], flags=re.ASCII).lstrip(".-") or "plot"
    words = ["curl", "-f", "-H", f"Authorization: Bearer {secret}", "-o", name]
    return shlex.join([*words, f"{base_url(settings)}{settings.url_prefix}/plots/{path}"])


def login_url(settings: Settings, token: Token) -> str:
    """A URL that logs a browser in with this token, valid once and for ten minutes.

    Raises:
        SettingsError: the state folder cannot be written.
    """
    code = Logins.from_settings(settings).create_code(token)
    return f"{settings.public_url or base_url(settings)}/login?code={code}"


def base_url(settings: Settings) -> str:
    """The URL of the server on this machine."""
    return f"http://{host_port(connect_host(settings.host), settings.port)}"
