"""The commands that install plotindex as services of systemd."""

import os
import shlex
from collections.abc import Iterator
from pathlib import Path

import click

from plotindex.cli.options import Command, common_options, example, setting_options
from plotindex.config import Settings, load_settings
from plotindex.errors import SettingsError
from plotindex.ops.systemd.reachability import first_unreadable, program_files
from plotindex.ops.systemd.units import INDEXER, SERVER, File, program, unit_files
from plotindex.system import printable


@click.group()
def service() -> None:
    """Run plotindex as services of systemd."""


def unit_options(command: Command) -> Command:
    """What both commands take."""
    for option in (
        click.option("--read-only", is_flag=True, help="The server can write nothing: nobody logs in by a browser."),
        click.option(
            "--state-dir",
            metavar="FOLDER",
            type=click.Path(path_type=Path, file_okay=False),
            default="/var/lib/plotindex",
            show_default=True,
            help="Folder of the state.",
        ),
        click.option(
            "--name",
            metavar="NAME",
            default="plotindex",
            show_default=True,
            help="What the units are called; one per root.",
        ),
    ):
        command = option(command)
    return setting_options("host", "port")(common_options(command))


@service.command("show", epilog=example("service show --root /srv/plots --port 8600"))
@unit_options
def show_units(config: Path | None, name: str, state_dir: Path, read_only: bool, **options: str | None) -> None:
    """Print units for systemd and what goes with them.

    That is users, folder and settings. It is what `plotindex service install` writes.
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
    help="Write below it.",
)
@click.option("--force", is_flag=True, help="Replace units that are there and differ. Settings are always kept.")
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
    """Write units for systemd and what goes with them.

    That is users, folder and settings. Prints what to run next. Nothing is written over what somebody has changed.
    """
    settings = load_settings(options, config=config)
    files = unit_files(settings, name, state_dir, read_only=read_only)
    configured = next(file for file in files if file.path.suffix == ".toml")
    place = below(prefix, configured)
    if place.exists() and (root := load_settings({}, {}, place).root) != settings.root:
        raise SettingsError(f"{place} is for the root {root}: give this one a --name of its own.")
    others = _other_settings(place, settings, state_dir)
    differing = [place for file in files if not file.is_kept and _differs(place := below(prefix, file), file)]
    if differing and not force:
        names = ", ".join(printable(str(place)) for place in differing)
        raise SettingsError(
            f"These differ from what would be written, and nothing was: {names}; --force replaces them."
            + (f" {others}" if others else "")
        )
    for file in files:
        click.echo(f"{_write(below(prefix, file), file):<14}  {printable(str(below(prefix, file)))}")
    for warning in (others, *(_hindrances(settings.root) if prefix == Path("/") else ())):
        if warning:
            click.echo(f"plotindex: {warning}", err=True)
    environment = next(file for file in files if file.path.suffix == ".env")
    click.echo(_next_steps(settings, name, configured, environment, prefix))


def _other_settings(place: Path, settings: Settings, state: Path) -> str:
    """What is to be done where the settings file, which is kept, says another address or state than the units."""
    if not place.exists():
        return ""
    kept = load_settings({}, {}, place)
    pairs = {
        f"port = {kept.port}": (kept.port, f"port = {settings.port}", settings.port),
        f'host = "{kept.host}"': (kept.host, f'host = "{settings.host}"', settings.host),
        f'state_dir = "{kept.state_dir}"': (kept.state_dir, f'state_dir = "{state}"', state),
    }
    differing = {says: wanted for says, (one, wanted, other) in pairs.items() if one != other}
    if not differing:
        return ""
    return (
        f"{printable(str(place))} is kept, and says {printable(', '.join(differing))}: "
        f"write {printable(', '.join(differing.values()))} there, as the units have it."
    )


def _hindrances(root: Path) -> Iterator[str]:
    """What keeps the users of the services from running this program, or from seeing the root."""
    command = Path(program()[0])
    shown = printable(str(command))
    remedy = (
        "install it where all can read, such as `/usr/bin/python3 -m venv /opt/plotindex`, and run this again there."
    )
    try:
        if closed := first_unreadable(program_files(command)):
            why = f"since {printable(str(closed))} is closed to them"
            yield f"{INDEXER} and {SERVER} cannot run {shown}, {why}: {remedy}"
    except OSError as error:
        yield f"whether {INDEXER} and {SERVER} can run {shown} cannot be seen ({error.strerror}): {remedy}"
    if not root.is_dir():
        yield f"there is no folder {printable(str(root))} yet: the services try again until there is."


def _next_steps(settings: Settings, name: str, configured: File, environment: File, prefix: Path) -> str:
    root = settings.root
    units = f"{name}-watch.service {name}-serve.socket {name}-serve.service"
    command, shown = shlex.join(program()), shlex.quote(printable(str(root)))
    first = f"  runuser -u {INDEXER} -- {command} token create --config {configured.path} --name web"
    key = ""
    if settings.is_shared:
        what = "PLOTINDEX_SECRET_KEY='KEY', of `openssl rand -hex 32`: the same on every node"
        key = f"  editor {shlex.quote(printable(str(below(prefix, environment))))}   # {what}\n"
        first = f"  set -a; . {environment.path}; set +a   # so that commands by hand are told what is in it\n{first}"
    if prefix != Path("/"):
        option = f"--root={shlex.quote(printable(str(prefix)))}"
        return (
            f"\nNext, as root:\n"
            f"  systemd-sysusers {option} && systemd-tmpfiles {option} --create\n"
            f"{key}"
            f"  systemctl {option} enable {units}\n"
            f"and there, once it runs:\n{first}"
        )
    checks = "".join(
        f"  runuser -u {user} -- {command} --version\n"
        f"  runuser -u {user} -- find {shown} -maxdepth 3 ! -readable   # has to print nothing\n"
        for user in (INDEXER, SERVER)
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


def below(prefix: Path, file: File) -> Path:
    """Where a file is written."""
    return prefix / file.path.relative_to("/")


def _differs(place: Path, file: File) -> bool:
    return place.exists() and place.read_text(errors="replace") != file.content


def _write(place: Path, file: File) -> str:
    """Write a file, whole or not at all; return what became of it, in one word."""
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
