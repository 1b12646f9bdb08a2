"""The commands `plotindex service show` and `install`: plotindex as systemd services."""

import os
import shlex
from collections.abc import Iterator
from pathlib import Path

import click

from plotindex.cli.options import Command, common_options, example, setting_options
from plotindex.cli.program import print_error
from plotindex.config import Settings, load_settings
from plotindex.errors import SettingsError
from plotindex.ops.systemd.reachability import first_unreadable, program_files
from plotindex.ops.systemd.units import INDEXER_USER, SERVER_USER, UnitFile, program, unit_files
from plotindex.system import printable


@click.group()
def service() -> None:
    """Run plotindex as systemd services."""


def unit_options(command: Command) -> Command:
    """The options of both commands."""
    for option in (
        click.option("--read-only", is_flag=True, help="Give the server no write access: browsers cannot log in."),
        click.option(
            "--state-dir",
            metavar="FOLDER",
            type=click.Path(path_type=Path, file_okay=False),
            default="/var/lib/plotindex",
            show_default=True,
            help="Folder for the state.",
        ),
        click.option(
            "--name",
            metavar="NAME",
            default="plotindex",
            show_default=True,
            help="Name of the units; one per root.",
        ),
    ):
        command = option(command)
    return setting_options("host", "port")(common_options(command))


@service.command("show", epilog=example("service show --root /srv/plots --port 8600"))
@unit_options
def show_units(config: Path | None, name: str, state_dir: Path, read_only: bool, **options: str | None) -> None:
    """Print the files that `plotindex service install` writes.

    These are systemd units, users, folders and settings.
    """
    for file in unit_files(load_settings(options, config=config), name, state_dir, read_only=read_only):
        click.echo(f"# {printable(str(file.path))}\n{file.content}")


@service.command("install", epilog=example("service install --root /srv/plots --prefix image"))
@unit_options
@click.option(
    "--prefix",
    metavar="FOLDER",
    type=click.Path(path_type=Path),
    default="/",
    show_default=True,
    help="Write below this folder.",
)
@click.option("--force", is_flag=True, help="Replace existing units that differ. Settings are always kept.")
def install_units(
    config: Path | None,
    *,
    name: str,
    state_dir: Path,
    read_only: bool,
    prefix: Path,
    force: bool,
    **options: str | None,
) -> None:
    """Write systemd units, and files for users, folders and settings.

    Prints the commands to run next. Never overwrites changed files, except units with --force.
    """
    settings = load_settings(options, config=config)
    files = unit_files(settings, name, state_dir, read_only=read_only)
    configured = next(file for file in files if file.path.suffix == ".toml")
    place = below(prefix, configured)
    if place.exists() and (root := load_settings({}, {}, place).root) != settings.root:
        raise SettingsError(f"{place} is for the root {root}: choose another --name for this root.")
    conflict = _conflicting_settings(place, settings, state_dir)
    differing = [place for file in files if not file.is_kept and _differs(place := below(prefix, file), file)]
    if differing and not force:
        names = ", ".join(printable(str(place)) for place in differing)
        raise SettingsError(
            f"These files exist and differ: {names}. Nothing was written; --force replaces them."
            + (f" {conflict}" if conflict else "")
        )
    for file in files:
        click.echo(f"{_write(below(prefix, file), file):<14}  {printable(str(below(prefix, file)))}")
    for warning in (conflict, *(_access_problems(settings.root) if prefix == Path("/") else ())):
        if warning:
            print_error(warning)
    environment = next(file for file in files if file.path.suffix == ".env")
    click.echo(_next_steps(settings, name, configured, environment, prefix))


def _conflicting_settings(place: Path, settings: Settings, state: Path) -> str:
    """A warning if the existing settings file has another address or state folder than the units."""
    if not place.exists():
        return ""
    kept = load_settings({}, {}, place)
    pairs = {
        f"port = {kept.port}": (kept.port, f"port = {settings.port}", settings.port),
        f'host = "{kept.host}"': (kept.host, f'host = "{settings.host}"', settings.host),
        f'state_dir = "{kept.state_dir}"': (kept.state_dir, f'state_dir = "{state}"', state),
    }
    differing = {current: wanted for current, (one, wanted, other) in pairs.items() if one != other}
    if not differing:
        return ""
    return (
        f"{printable(str(place))} is kept, and has {printable(', '.join(differing))}: "
        f"change it to {printable(', '.join(differing.values()))}, as in the units."
    )


def _access_problems(root: Path) -> Iterator[str]:
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
        yield f"The root {printable(str(root))} does not exist yet: the services retry until it does."


def _next_steps(settings: Settings, name: str, configured: UnitFile, environment: UnitFile, prefix: Path) -> str:
    root = settings.root
    units = f"{name}-watch.service {name}-serve.socket {name}-serve.service"
    command, shown = shlex.join(program()), shlex.quote(printable(str(root)))
    first = f"  runuser -u {INDEXER_USER} -- {command} token create --config {configured.path} --name web"
    key = ""
    if settings.is_shared:
        what = "PLOTINDEX_SECRET_KEY='KEY', from `openssl rand -hex 32`; the same on every node"
        key = f"  editor {shlex.quote(printable(str(below(prefix, environment))))}   # {what}\n"
        first = f"  set -a; . {environment.path}; set +a   # gives commands run by hand these settings\n{first}"
    if prefix != Path("/"):
        option = f"--root={shlex.quote(printable(str(prefix)))}"
        return (
            f"\nNext, as root:\n"
            f"  systemd-sysusers {option} && systemd-tmpfiles {option} --create\n"
            f"{key}"
            f"  systemctl {option} enable {units}\n"
            f"and, on the running system:\n{first}"
        )
    checks = "".join(
        f"  runuser -u {user} -- {command} --version\n"
        f"  runuser -u {user} -- find {shown} -maxdepth 3 ! -readable   # must print nothing\n"
        for user in (INDEXER_USER, SERVER_USER)
    )
    return (
        f"\nNext, as root:\n"
        f"  systemd-sysusers && systemd-tmpfiles --create\n"
        f"{checks}"
        f"{key}"
        f"  systemctl daemon-reload\n"
        f"  systemctl enable --now {units}\n"
        f"{first}"
    )


def below(prefix: Path, file: UnitFile) -> Path:
    """The path at which a file is written."""
    return prefix / file.path.relative_to("/")


def _differs(place: Path, file: UnitFile) -> bool:
    return place.exists() and place.read_text(errors="replace") != file.content


def _write(place: Path, file: UnitFile) -> str:
    """Write a file atomically; return the result: written, same, or 'yours, differs'."""
    if place.exists() and (file.is_kept or not _differs(place, file)):
        return "yours, differs" if _differs(place, file) else "same"
    try:
        place.parent.mkdir(parents=True, exist_ok=True)
        new = place.with_name(place.name + ".new")
        new.unlink(missing_ok=True)
        fd = os.open(new, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
        with os.fdopen(fd, "w") as opened:
            opened.write(file.content)
            os.fchmod(fd, file.mode)
        new.rename(place)
    except OSError as error:
        raise SettingsError(
            f"{place} cannot be written ({error.strerror}): run this as root, or name another --prefix."
        ) from None
    return "written"
