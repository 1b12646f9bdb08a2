"""systemd units for one root, with their settings, users and state folder, as text."""

import json
import re
import sys
from importlib.resources import files
from pathlib import Path
from string import Template
from typing import NamedTuple

from plotindex.config import Settings
from plotindex.errors import SettingsError
from plotindex.ops.config_checks import is_below
from plotindex.system import host_port, redact_url

INDEXER_USER, SERVER_USER, GROUP = "plotindex", "plotindex-web", "plotindex"
"""Users and group of the services. systemd-sysusers creates the group for the first user."""
TEMP_FOLDERS = (Path("/tmp"), Path("/var/tmp"))  # noqa: S108 - not written to


class UnitFile(NamedTuple):
    """A file to install."""

    path: Path
    content: str
    mode: int = 0o644
    is_kept: bool = False
    """Whether an existing file belongs to the operator and is never replaced."""


def program() -> list[str]:
    """The command that runs plotindex from any folder."""
    installed = Path(sys.executable).parent / "plotindex"
    return [str(installed)] if installed.exists() else [sys.executable, "-m", "plotindex"]


def unit_files(settings: Settings, name: str, state: Path, *, read_only: bool) -> list[UnitFile]:
    """The files with which systemd indexes and serves a root. `name` is the prefix of its units.

    With `read_only`, the server cannot write anything.

    Raises:
        SettingsError: a name cannot be written in a unit, or `state` is below the root.
    """
    if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9_-]{0,60}", name):
        raise SettingsError(f"{name!r} is not a valid unit name: use letters, digits, - and _.")
    if is_below(state, settings.root):
        raise SettingsError(
            f"{state} is below the root, where scripts can replace its tokens: set another --state-dir."
        )
    host = settings.host
    is_private = not any(
        path.is_relative_to(place) for path in (settings.root, state, Path(program()[0])) for place in TEMP_FOLDERS
    )
    etc = Path("/etc")
    configured, environment = etc / "plotindex" / f"{name}.toml", etc / "plotindex" / f"{name}.env"
    words = {
        "name": name,
        "program": " ".join(quoted(word, "$") for word in program()),
        "root": quoted(settings.root),
        "state": quoted(state),
        "history": f" {quoted(settings.history_dir)}" if settings.history_dir else "",
        "toml_history": f"\nhistory_dir = {_toml(settings.history_dir)}" if settings.history_dir else "",
        "state_paths": "Environment=PLOTINDEX_HEAL=off" if read_only else f"ReadWritePaths={quoted(state)}",
        "settings": str(configured),
        "environment": str(environment),
        "listen": host_port(_ip_address(host), settings.port),
        "private_tmp": "yes" if is_private else "no",
        "indexer": INDEXER_USER,
        "server": SERVER_USER,
        "group": GROUP,
        "toml_root": _toml(settings.root),
        "toml_state": _toml(state),
        "private_network": "no" if settings.is_shared else "yes",
        "families": "AF_UNIX AF_INET AF_INET6" if settings.is_shared else "AF_UNIX",
        "needs": "the network only for its database" if settings.is_shared else "no network",
        **_database(settings),
        "toml_host": json.dumps(host),
        "port": str(settings.port),
    }

    def fill(template: str) -> str:
        return Template((files(__package__) / "templates" / template).read_text()).substitute(words)

    units = etc / "systemd" / "system"
    return [
        UnitFile(units / f"{name}-watch.service", fill("watch.service")),
        UnitFile(units / f"{name}-serve.socket", fill("serve.socket")),
        UnitFile(units / f"{name}-serve.service", fill("serve.service")),
        UnitFile(configured, fill("settings.toml"), is_kept=True),
        UnitFile(environment, fill("environment.env"), 0o600, is_kept=True),
        UnitFile(etc / "sysusers.d" / f"{name}.conf", fill("sysusers.conf")),
        UnitFile(etc / "tmpfiles.d" / f"{name}.conf", fill("tmpfiles.conf")),
    ]


def _database(settings: Settings) -> dict[str, str]:
    """The URL of a shared database: with a password in the private .env file, otherwise in the settings file."""
    url = settings.database
    if not settings.is_shared:
        return {"toml_database": "", "own_database": ""}
    if redact_url(url) != url:
        elsewhere = (
            "\n# database: PLOTINDEX_DATABASE_URL in the .env file (with a password); set it for commands run by hand."
        )
        return {"toml_database": elsewhere, "own_database": f"\nPLOTINDEX_DATABASE_URL={_shell_quoted(url)}"}
    return {"toml_database": f"\ndatabase = {json.dumps(url, ensure_ascii=False)}", "own_database": ""}


def quoted(value: str | Path, special: str = "") -> str:
    """A word in the syntax of systemd.syntax(7), with `%` and the characters in `special` doubled.

    Raises:
        SettingsError: it contains characters that not every line of a unit can contain.
    """
    text = str(value)
    if not text.isprintable() or any(character in text for character in "\"'\\"):
        raise SettingsError(
            f"systemd units cannot contain {text!r}: use a path without quotes, backslashes or newlines."
        )
    for character in f"%{special}":
        text = text.replace(character, character * 2)
    return f'"{text}"' if " " in text or not text else text


def _toml(path: Path) -> str:
    return json.dumps(str(path), ensure_ascii=False)


def _shell_quoted(value: str) -> str:
    """A value for an environment file that systemd.exec(5) and a shell read alike.

    Raises:
        SettingsError: it contains characters that they read differently.
    """
    if "'" in value or not value.isprintable():
        raise SettingsError("The database URL contains a quote or an unprintable character: encode it, a quote as %27.")
    return f"'{value}'"


def _ip_address(host: str) -> str:
    if host == "localhost":
        return "127.0.0.1"
    if ":" not in host and not re.fullmatch(r"[0-9.]+", host):
        raise SettingsError(f"A socket unit needs an IP address, not the name {host!r}: set --host to an IP address.")
    return host
