"""The program `plotindex`: all commands.

Results go to stdout, everything else to stderr. Exit 0: success; 1: no, or failed; 2: wrong use or settings.
"""

import click

from plotindex import __version__
from plotindex.cli.program import Listed, Program

COMMANDS = (
    Listed("run", "services", "Index and serve in one command."),
    Listed("watch", "services", "Run the indexer: keep the catalogue up to date."),
    Listed("serve", "services", "Serve plots, lists and the gallery over HTTP."),
    Listed("rebuild", "catalog", "Update the catalogue to match the whole tree (full scan)."),
    Listed("verify", "catalog", "Compare catalogue and tree without changing anything."),
    Listed("migrate", "catalog", "Migrate the databases to the schema of this version."),
    Listed("sync", "status", "Wait until the catalogue has all plots drawn so far."),
    Listed("wait", "status", "Wait until a session has a plot with that filename."),
    Listed("find", "find", "Find plots by path, project, age, or what they show."),
    Listed("status", "status", "Show what is indexed, how fresh it is, and any problem."),
    Listed("doctor", "doctor", "Check this machine for problems and print fixes."),
    Listed("support-bundle", "support_bundle", "Collect information for a bug report in one archive."),
    Listed("config", "config", "Print each setting and its source."),
    Listed("completion", "config", "Print a shell's completion script."),
    Listed("token", "tokens", "Manage access tokens."),
    Listed("key", "tokens", "Manage the keys that sign cookies and URLs."),
    Listed("backup", "backup", "Write tokens and keys to a private file."),
    Listed("restore", "backup", "Restore a file written by `plotindex backup`."),
    Listed("service", "systemd", "Run plotindex as systemd services."),
    Listed("export", "export", "Take plots along: in one archive, or in a folder of pages."),
    Listed("history", "history", "Show, copy or forget earlier versions of plots."),
    Listed("inspect", "inspect", "Show what a plot shows, or inspect all plots."),
    Listed("mcp", "mcp.command", "Serve the catalogue to an agent, by MCP on stdio."),
    Listed("diff", "diff", "Show what changed between two sessions, worst first."),
)


@click.group(
    cls=Program,
    listed=COMMANDS,
    context_settings={"help_option_names": ["-h", "--help"]},
    epilog="\b\nExample: plotindex run --root /srv/plots",
)
@click.version_option(__version__, prog_name="plotindex")
def main() -> None:
    """An indexed catalogue of plots: every image below ROOT/<session>/project_*/.

    Results go to stdout, everything else to stderr. Exit 0: success; 1: no, or failed; 2: wrong use or settings.
    Each setting is an option, an environment variable (PLOTINDEX_ + upper case) or a line of plotindex.toml, in this
    order of precedence.
    """
