"""systemd's units for one root, with the settings, users and folder that go with them, as text."""

import json
import re
import sys
from importlib.resources import files
from pathlib import Path
from string import Template
from typing import NamedTuple

from plotindex.config import Settings
from plotindex.errors import SettingsError
from plotindex.system import redact_url

INDEXER, SERVER, GROUP = "plotindex", "plotindex-web", "plotindex"
"""Users of the services, and the group of both. It is the one that systemd-sysusers gives the first of them."""
TEMPORARY = (Path("/tmp"), Path("/var/tmp"))  # noqa: S108 - nothing is made there


class File(NamedTuple):
    """A file that is installed."""

    path: Path
    content: str
    mode: int = 0o644
    is_kept: bool = False
    """Whether it is the operator's once it is there: a later version never replaces it."""


def program() -> list[str]:
    """The command that starts this program, wherever somebody stands."""
    installed = Path(sys.executable).parent / "plotindex"
    return [str(installed)] if installed.exists() else [sys.executable, "-m", "plotindex"]


def unit_files(settings: Settings, name: str, state: Path, *, read_only: bool) -> list[File]:
    """All that a root needs to be indexed and served by systemd. `name` begins the names of its units.

    Where `read_only`, the server can write nothing at all.

    Raises:
        SettingsError: systemd has no way to write one of the names.
    """
    if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9_-]{0,60}", name):
        raise SettingsError(f"{name!r} can be no name of a unit: take letters, digits, - and _.")
    if state.resolve().is_relative_to(settings.root.resolve()):
        raise SettingsError(
            f"{state} lies below the root, where scripts can replace its tokens: name another --state-dir."
        )
    host = settings.host
    is_private = not any(
        path.is_relative_to(place) for path in (settings.root, state, Path(program()[0])) for place in TEMPORARY
    )
    etc = Path("/etc")
    configured, environment = etc / "plotindex" / f"{name}.toml", etc / "plotindex" / f"{name}.env"
    words = {
        "name": name,
        "program": " ".join(quoted(word, "$") for word in program()),
        "root": quoted(settings.root),
        "state": quoted(state),
        "state_paths": "Environment=PLOTINDEX_HEAL=off" if read_only else f"ReadWritePaths={quoted(state)}",
        "settings": str(configured),
        "environment": str(environment),
        "listen": f"[{host}]:{settings.port}" if ":" in host else f"{_numeric(host)}:{settings.port}",
        "private_tmp": "yes" if is_private else "no",
        "indexer": INDEXER,
        "server": SERVER,
        "group": GROUP,
        "toml_root": json.dumps(str(settings.root), ensure_ascii=False),
        "toml_state": json.dumps(str(state), ensure_ascii=False),
        "private_network": "no" if settings.is_shared else "yes",
        "families": "AF_UNIX AF_INET AF_INET6" if settings.is_shared else "AF_UNIX",
        "needs": "the network for its database alone" if settings.is_shared else "no network",
        **_database(settings),
        "toml_host": json.dumps(host),
        "port": str(settings.port),
    }

    def filled(template: str) -> str:
        return Template((files(__package__) / "templates" / template).read_text()).substitute(words)

    units = etc / "systemd" / "system"
    return [
        File(units / f"{name}-watch.service", filled("watch.service")),
        File(units / f"{name}-serve.socket", filled("serve.socket")),
        File(units / f"{name}-serve.service", filled("serve.service")),
        File(configured, filled("settings.toml"), is_kept=True),
        File(environment, filled("environment.env"), 0o600, is_kept=True),
        File(etc / "sysusers.d" / f"{name}.conf", filled("sysusers.conf")),
        File(etc / "tmpfiles.d" / f"{name}.conf", filled("tmpfiles.conf")),
    ]


def _database(settings: Settings) -> dict[str, str]:
    """Where the address of a server's database stands: with a password in it, where others cannot read it."""
    url = settings.database
    if not settings.is_shared:
        return {"toml_database": "", "own_database": ""}
    if redact_url(url) != url:
        elsewhere = "\n# database: PLOTINDEX_DATABASE_URL in the .env file, for its password; tell it commands by hand."
        return {"toml_database": elsewhere, "own_database": f"\nPLOTINDEX_DATABASE_URL={_for_shells(url)}"}
    return {"toml_database": f"\ndatabase = {json.dumps(url, ensure_ascii=False)}", "own_database": ""}


def quoted(value: str | Path, special: str = "") -> str:
    """A word as a unit has it (systemd.syntax(7)): `%` stands for itself, and so does each of `special` in commands.

    Raises:
        SettingsError: it holds what not every line of a unit can hold.
    """
    text = str(value)
    if not text.isprintable() or any(character in text for character in "\"'\\"):
        raise SettingsError(
            f"systemd's units cannot name {text!r}: give a path without quotes, backslashes or newlines."
        )
    for character in f"%{special}":
        text = text.replace(character, character * 2)
    return f'"{text}"' if " " in text or not text else text


def _for_shells(value: str) -> str:
    """A value as systemd.exec(5) and a shell read it alike from a file of variables.

    Raises:
        SettingsError: it holds what they read differently.
    """
    if "'" in value or not value.isprintable():
        raise SettingsError("The database's URL holds a quote or what cannot be printed: write it as %27 and the like.")
    return f"'{value}'"


def _numeric(host: str) -> str:
    if host == "localhost":
        return "127.0.0.1"
    if not re.fullmatch(r"[0-9.]+", host):
        raise SettingsError(f"A socket unit needs an address, not the name {host!r}: give --host an address.")
    return host
