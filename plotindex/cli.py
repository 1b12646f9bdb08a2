"""The command line: parse, call, print.

Results go to stdout, everything else to stderr. Exit 0: yes; 1: the answer is no; 2: wrong use or configuration.
"""

import json
import sys
from pathlib import Path

import click

from plotindex import __version__
from plotindex.access_commands import key, token
from plotindex.catalog_commands import migrate, rebuild, verify
from plotindex.find_command import find
from plotindex.options import Program, common_options, example, json_option, read_settings, tree_of
from plotindex.question_commands import status, sync, wait
from plotindex.running_commands import run, serve, watch
from plotindex.settings_commands import completion, config


@click.group(
    cls=Program, context_settings={"help_option_names": ["-h", "--help"]}, epilog=example("run --root /srv/plots")
)
@click.version_option(__version__, prog_name="plotindex")
def main() -> None:
    """An indexed catalogue of plots: every image below ROOT/<session>/project_*/.

    Results go to stdout, everything else to stderr. Exit 0: yes; 1: the answer is no; 2: wrong use or configuration,
    in one sentence. Each setting is an option, or PLOTINDEX_ + upper case in the environment, or a line of
    plotindex.toml: the first of these counts.
    """


@main.command(epilog=example("doctor --root /srv/plots"))
@common_options
@json_option
def doctor(config: Path | None, as_json: bool, **options: str | None) -> None:
    """Say what on this machine would hurt, and what mends it.

    Exits with 1 when something would.
    """
    from plotindex.doctor import examine  # noqa: PLC0415 - the start

    settings = read_settings(config, options)
    settings.check_root()
    findings = examine(tree_of(settings))
    if as_json:
        click.echo(json.dumps([finding._asdict() for finding in findings], indent=2))
    else:
        for finding in findings:
            click.echo(finding.as_text())
    if any(finding.verdict == "bad" for finding in findings):
        sys.exit(1)


for command in (run, watch, serve, rebuild, verify, migrate, sync, wait, find, status, config, completion):
    main.add_command(command)
main.add_command(token)
main.add_command(key)
