"""What `plotindex service install` prints: warnings, and the commands to run next."""

import shlex
from collections.abc import Iterator
from pathlib import Path

from plotindex.config import Settings, load_settings
from plotindex.ops.systemd.reachability import first_unreadable, program_files
from plotindex.ops.systemd.units import INDEXER_USER, SERVER_USER, UnitFile, program
from plotindex.system import printable


def install_path(prefix: Path, file: UnitFile) -> Path:
    """The path at which a file is installed."""
    return prefix / file.path.relative_to("/")


def conflicting_settings(target: Path, settings: Settings, state: Path) -> str:
    """A warning if the existing settings file has another address or state folder than the units."""
    if not target.exists():
        return ""
    installed = load_settings({}, {}, target)
    pairs = {
        f"port = {installed.port}": f"port = {settings.port}",
        f'host = "{installed.host}"': f'host = "{settings.host}"',
        f'state_dir = "{installed.state_dir}"': f'state_dir = "{state}"',
    }
    changes = {current: wanted for current, wanted in pairs.items() if current != wanted}
    if not changes:
        return ""
    return (
        f"{printable(str(target))} is kept, and has {printable(', '.join(changes))}: "
        f"change it to {printable(', '.join(changes.values()))}, as in the units."
    )


def access_problems(root: Path) -> Iterator[str]:
    """Warnings if the users of the services cannot run this program, or the root is missing."""
    command = Path(program()[0])
    shown = printable(str(command))
    fix = "install it where all users can read it, such as `/usr/bin/python3 -m venv /opt/plotindex`, and run it there."
    try:
        if closed := first_unreadable(program_files(command)):
            yield f"{INDEXER_USER} and {SERVER_USER} cannot run {shown} (no access to {printable(str(closed))}): {fix}"
    except OSError as error:
        yield f"Cannot check whether {INDEXER_USER} and {SERVER_USER} can run {shown} ({error.strerror}): {fix}"
    if not root.is_dir():
        yield f"The root {printable(str(root))} is missing: the services retry until it is available."


def next_steps(settings: Settings, name: str, configured: UnitFile, environment: UnitFile, prefix: Path) -> str:
    """Shell commands that enable the services and create a token."""
    units = f"{name}-watch.service {name}-serve.socket {name}-serve.service"
    create_token = (
        f"  runuser -u {INDEXER_USER} -- {shlex.join(program())} token create --config {configured.path} --name web"
    )
    set_key = ""
    if settings.is_shared:
        comment = "PLOTINDEX_SECRET_KEY='KEY', from `openssl rand -hex 32`; the same on every node"
        set_key = f"  editor {_quoted(install_path(prefix, environment))}   # {comment}\n"
        load = f"  set -a; . {environment.path}; set +a   # gives commands run by hand these settings\n"
        create_token = load + create_token
    if prefix != Path("/"):
        option = f"--root={_quoted(prefix)}"
        return (
            f"\nNext, as root:\n"
            f"  systemd-sysusers {option} && systemd-tmpfiles {option} --create\n"
            f"{set_key}"
            f"  systemctl {option} enable {units}\n"
            f"and, on the running system:\n{create_token}"
        )
    return (
        f"\nNext, as root:\n"
        f"  systemd-sysusers && systemd-tmpfiles --create\n"
        f"{_access_checks(settings.root)}"
        f"{set_key}"
        f"  systemctl daemon-reload\n"
        f"  systemctl enable --now {units}\n"
        f"{create_token}"
    )


def _access_checks(root: Path) -> str:
    return "".join(
        f"  runuser -u {user} -- {shlex.join(program())} --version\n"
        f"  runuser -u {user} -- find {_quoted(root)} -maxdepth 3 ! -readable   # must print nothing\n"
        for user in (INDEXER_USER, SERVER_USER)
    )


def _quoted(path: Path) -> str:
    return shlex.quote(printable(str(path)))
