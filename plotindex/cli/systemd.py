"""The commands `plotindex service show` and `install`: plotindex as systemd services."""

import os
from collections.abc import Mapping
from pathlib import Path

import click

from plotindex.cli.options import Command, common_options, example, setting_options
from plotindex.cli.program import print_error
from plotindex.cli.systemd_report import access_problems, conflicting_settings, install_path, next_steps
from plotindex.config import Settings, load_settings
from plotindex.errors import SettingsError
from plotindex.ops.systemd.units import UnitFile, unit_files
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
    targets = {install_path(prefix, file): file for file in files}
    by_suffix = {file.path.suffix: file for file in files}
    settings_file = install_path(prefix, by_suffix[".toml"])
    _check_root(settings_file, settings)
    conflict = conflicting_settings(settings_file, settings, state_dir)
    if not force:
        _check_unchanged(targets, conflict)
    for target, file in targets.items():
        click.echo(f"{_write(target, file):<14}  {printable(str(target))}")
    for warning in (conflict, *(access_problems(settings.root) if prefix == Path("/") else ())):
        if warning:
            print_error(warning)
    click.echo(next_steps(settings, name, by_suffix[".toml"], by_suffix[".env"], prefix))


def _check_root(settings_file: Path, settings: Settings) -> None:
    if settings_file.exists() and (root := load_settings({}, {}, settings_file).root) != settings.root:
        raise SettingsError(f"{settings_file} is for the root {root}: choose another --name for this root.")


def _check_unchanged(targets: Mapping[Path, UnitFile], conflict: str) -> None:
    differing = [target for target, file in targets.items() if not file.is_kept and _differs(target, file)]
    if differing:
        names = ", ".join(printable(str(target)) for target in differing)
        hint = f" {conflict}" if conflict else ""
        raise SettingsError(f"These files exist and differ: {names}. Nothing was written; --force replaces them.{hint}")


def _differs(target: Path, file: UnitFile) -> bool:
    return target.exists() and target.read_text(errors="replace") != file.content


def _write(target: Path, file: UnitFile) -> str:
    """Write a file atomically; return the result: written, same, or 'yours, differs'."""
    if target.exists() and (file.is_kept or not _differs(target, file)):
        return "yours, differs" if _differs(target, file) else "same"
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        new = target.with_name(target.name + ".new")
        new.unlink(missing_ok=True)
        fd = os.open(new, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
        with os.fdopen(fd, "w") as opened:
            opened.write(file.content)
            os.fchmod(fd, file.mode)
        new.rename(target)
    except OSError as error:
        raise SettingsError(
            f"{target} cannot be written ({error.strerror}): run this as root, or name another --prefix."
        ) from None
    return "written"
