"""The commands that install plotindex as services of systemd."""

import os
import shlex
from pathlib import Path

import click

from plotindex.commands.options import Command, common_options, example, setting_options
from plotindex.errors import SettingsError
from plotindex.layout import printable
from plotindex.settings import load_settings
from plotindex.units import GROUP, INDEXER, SERVER, File, program, unit_files


@click.group()
def service() -> None:
    """Run plotindex as services of systemd: their units, users and settings."""


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
    """Print units for systemd, and the users, folder and settings that go with them.

    It is what `plotindex service install` writes.
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
    """Write units for systemd, and the users, folder and settings that go with them.

    Prints what to run next. Nothing is written over what somebody has changed.
    """
    settings = load_settings(options, config=config)
    files = unit_files(settings, name, state_dir, read_only=read_only)
    configured = next(file for file in files if file.path.suffix == ".toml")
    place = below(prefix, configured)
    if place.exists() and (root := load_settings({}, {}, place).root) != settings.root:
        raise SettingsError(f"{place} is for the root {root}: give this one a --name of its own.")
    differing = [place for file in files if not file.is_kept and _differs(place := below(prefix, file), file)]
    if differing and not force:
        names = ", ".join(printable(str(place)) for place in differing)
        raise SettingsError(
            f"These differ from what would be written, and nothing was: {names}; --force replaces them."
        )
    for file in files:
        click.echo(f"{_write(below(prefix, file), file)}  {printable(str(below(prefix, file)))}")
    click.echo(
        f"\nNext, as root:\n"
        f"  systemd-sysusers && systemd-tmpfiles --create\n"
        f"  sudo -u {SERVER} ls {shlex.quote(printable(str(settings.root)))}   # both users must be able to\n"
        f"  systemctl daemon-reload\n"
        f"  systemctl enable --now {name}-watch.service {name}-serve.socket {name}-serve.service\n"
        f"  sudo -u {INDEXER} -g {GROUP} {shlex.join(program())} token create --config {configured.path} --name web"
    )


def below(prefix: Path, file: File) -> Path:
    """Where a file is written."""
    return prefix / file.path.relative_to("/")


def _differs(place: Path, file: File) -> bool:
    return place.exists() and place.read_text(errors="replace") != file.content


def _write(place: Path, file: File) -> str:
    """Write a file, whole or not at all; return what became of it, in one word."""
    if place.exists() and (file.is_kept or not _differs(place, file)):
        return "kept   "
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
