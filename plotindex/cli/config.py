"""The commands about the command line itself: its settings, and what a shell completes of it."""

import json
import os
import sys
from pathlib import Path

import click
from click.shell_completion import get_completion_class

from plotindex.cli.options import SETTINGS, common_options, example, json_option, setting_options
from plotindex.system import escape


@click.command(epilog=example("config --root /srv/plots --port 8600"))
@common_options
@setting_options(*SETTINGS)
@json_option
def config(config: Path | None, as_json: bool, **options: str | None) -> None:
    """Say what each setting is, and where it came from.

    An option goes before the environment, that before plotindex.toml, that before the default. What is printed can be
    used as a plotindex.toml; secrets
    are not in it. Exits with 1 when something can hardly be meant, and with 2 when something is wrong.
    """
    from plotindex.ops.config_report import configuration

    found = configuration(options, os.environ, config)
    click.echo(json.dumps(found.as_json(), indent=2) if as_json else found.as_text())
    if not as_json:
        for sentence in (*found.wrong, *found.doubtful):
            click.echo(f"plotindex: {escape(sentence)}", err=True)
    sys.exit(2 if found.wrong else 1 if found.doubtful else 0)


@click.command(epilog=example("completion bash"))
@click.argument("shell", type=click.Choice(["bash", "zsh", "fish"]))
@click.pass_context
def completion(context: click.Context, shell: str) -> None:
    """Print the script with which a shell completes the rest.

    That is commands and options, and the names of sessions, plots, projects and tokens.

    \b
    bash  plotindex completion bash > ~/.local/share/bash-completion/completions/plotindex
    zsh   plotindex completion zsh > "${fpath[1]}/_plotindex"
    fish  plotindex completion fish > ~/.config/fish/completions/plotindex.fish

    Names from the catalogue are those of --root, PLOTINDEX_ROOT or plotindex.toml; such as a shell might take for
    something else are left out.
    """
    script = get_completion_class(shell)
    assert script is not None
    click.echo(script(context.find_root().command, {}, "plotindex", "_PLOTINDEX_COMPLETE").source())
