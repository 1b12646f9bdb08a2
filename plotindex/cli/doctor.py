"""The command `plotindex doctor`."""

import json
import os
import shlex
import sys
from functools import partial
from pathlib import Path

import click

from plotindex.cli.options import (
    FILENAME_LIMITS,
    common_options,
    example,
    json_option,
    option_arguments,
    setting_options,
)
from plotindex.cli.progress import Progress
from plotindex.cli.startup import read_settings
from plotindex.config import PARSERS, SECRETS, config_file, variable_name
from plotindex.ops.systemd.units import program
from plotindex.system import escape

COLOURS = {"ok": "green", "warn": "yellow", "bad": "red"}


@click.command(epilog=example("doctor --root /srv/plots"))
@common_options
@setting_options("host", "port", "poll_seconds", "polling", "max_watches", *FILENAME_LIMITS)
@json_option
def doctor(config: Path | None, as_json: bool, **options: str | None) -> None:
    """Check this machine for problems and print fixes.

    Changes nothing. Each line has a verdict, the name of the check, the finding and the fix. Verdicts: ok; warn (costs
    time, or may fail later); bad (loses or exposes data, or does not work). Exits 1 if any is bad.
    """
    from plotindex.ops.doctor.checks import run_checks
    from plotindex.ops.doctor.context import open_context
    from plotindex.ops.doctor.findings import BAD
    from plotindex.ops.server_address import with_server_address

    settings = with_server_address(read_settings(config, options), options)
    findings = []
    with open_context(settings, _rerun_command(config, options), partial(Progress, "sessions")) as context:
        for finding in run_checks(context):
            findings.append(finding)
            if not as_json:
                verdict = click.style(f"{finding.verdict:4}", fg=COLOURS[finding.verdict])
                click.echo(f"{verdict}  {finding.check:20}  {finding.text}")
    if as_json:
        click.echo(json.dumps([finding._asdict() for finding in findings], indent=2))
    if any(finding.verdict == BAD for finding in findings):
        sys.exit(1)


def _rerun_command(config: Path | None, options: dict[str, str | None]) -> str:
    """A shell command that runs this again with sudo(8), which drops the environment. Secrets are left out."""
    file, _ = config_file(os.environ, config)
    public = {variable_name(name) for name in PARSERS if name not in SECRETS}
    variables = [f"{name}={value}" for name, value in os.environ.items() if name in public and value]
    arguments = option_arguments(file.absolute() if file.exists() else None, options, options)
    return escape(shlex.join([*(["env", *sorted(variables)] if variables else []), *program(), "doctor", *arguments]))
