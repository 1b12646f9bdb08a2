"""The command `plotindex doctor`."""

import json
import os
import shlex
import sys
from functools import partial
from pathlib import Path

import click

from plotindex.cli.options import as_words, common_options, example, json_option, read_settings, setting_options
from plotindex.cli.progress import Progress
from plotindex.config import PARSERS, SECRETS, config_file, variable_name
from plotindex.ops.systemd.units import program
from plotindex.system import escape

COLOURS = {"ok": "green", "warn": "yellow", "bad": "red"}


@click.command(epilog=example("doctor --root /srv/plots"))
@common_options
@setting_options("host", "port", "poll_seconds", "polling", "max_watches", "max_depth")
@json_option
def doctor(config: Path | None, as_json: bool, **options: str | None) -> None:
    """Say what on this machine would hurt, and what mends it.

    Exits with 1 when it loses or exposes data, or does not work. Each line: ok, warn (it will hurt later, or costs
    time) or bad; what was looked at; what was seen, and what to do.
    Nothing is changed.
    """
    from plotindex.ops.doctor.checks import run_checks
    from plotindex.ops.doctor.context import open_context
    from plotindex.ops.doctor.findings import BAD

    settings = read_settings(config, options)
    findings = []
    with open_context(settings, _again(config, options), partial(Progress, "sessions")) as context:
        for finding in run_checks(context):
            findings.append(finding)
            if not as_json:
                verdict = click.style(f"{finding.verdict:4}", fg=COLOURS[finding.verdict])
                click.echo(f"{verdict}  {finding.check:20}  {finding.text}")
    if as_json:
        click.echo(json.dumps([finding._asdict() for finding in findings], indent=2))
    if any(finding.verdict == BAD for finding in findings):
        sys.exit(1)


def _again(config: Path | None, options: dict[str, str | None]) -> str:
    """This command for a shell, with what sudo(8) does not hand on; secrets are nobody's on a command line."""
    file, _ = config_file(os.environ, config)
    told = {variable_name(name) for name in PARSERS if name not in SECRETS}
    given = [f"{name}={value}" for name, value in os.environ.items() if name in told and value]
    words = as_words(file.absolute() if file.exists() else None, options, options)
    return escape(shlex.join([*(["env", *sorted(given)] if given else []), *program(), "doctor", *words]))
