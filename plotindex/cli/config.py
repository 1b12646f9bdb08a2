"""The commands `plotindex config` and `plotindex completion`."""

import json
import os
import sys
from pathlib import Path

import click
from click.shell_completion import get_completion_class

from plotindex.cli.options import SETTINGS, common_options, example, json_option, setting_options
from plotindex.cli.program import print_error


@click.command(epilog=example("config --root /srv/plots --port 8600"))
@common_options
@setting_options(*SETTINGS)
@json_option
def config(config: Path | None, as_json: bool, **options: str | None) -> None:
    """Print each setting and its source.

    Precedence: option, environment, plotindex.toml, default. The output is a valid plotindex.toml, without secrets.
    Exits 1 if a setting looks like a mistake, and 2 if one is invalid.
    """
    from plotindex.ops.config_report import report_config

    found = report_config(options, os.environ, config)
    click.echo(json.dumps(found.as_json(), indent=2) if as_json else found.as_text())
    if not as_json:
        for sentence in (*found.errors, *found.warnings):
            print_error(sentence)
    sys.exit(2 if found.errors else 1 if found.warnings else 0)


@click.command(epilog=example("completion bash"))
@click.argument("shell", type=click.Choice(["bash", "zsh", "fish"]))
@click.pass_context
def completion(context: click.Context, shell: str) -> None:
    """Print a shell's completion script.

    It completes commands, options, and the names of sessions, plots, projects and tokens.

    \b
    bash  plotindex completion bash > ~/.local/share/bash-completion/completions/plotindex
    zsh   plotindex completion zsh > "${fpath[1]}/_plotindex"
    fish  plotindex completion fish > ~/.config/fish/completions/plotindex.fish

    Names are completed from the catalogue of --root, PLOTINDEX_ROOT or plotindex.toml. Names with characters that are
    special in a shell are left out.
    """
    script = get_completion_class(shell)
    assert script is not None
    click.echo(script(context.find_root().command, {}, "plotindex", "_PLOTINDEX_COMPLETE").source())
