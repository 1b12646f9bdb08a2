"""The program `plotindex`: all commands.

Results go to stdout, everything else to stderr. Exit 0: success; 1: no, or failed; 2: wrong use or settings.
"""

import click

from plotindex import __version__
from plotindex.cli.backup import backup, restore_backup
from plotindex.cli.catalog import migrate, rebuild, verify
from plotindex.cli.config import completion, config
from plotindex.cli.doctor import doctor
from plotindex.cli.find import find
from plotindex.cli.options import example
from plotindex.cli.program import Program
from plotindex.cli.services import run, serve, watch
from plotindex.cli.status import status, sync, wait
from plotindex.cli.support_bundle import support_bundle
from plotindex.cli.systemd import service
from plotindex.cli.tokens import key, token


@click.group(
    cls=Program, context_settings={"help_option_names": ["-h", "--help"]}, epilog=example("run --root /srv/plots")
)
@click.version_option(__version__, prog_name="plotindex")
def main() -> None:
    """An indexed catalogue of plots: every image below ROOT/<session>/project_*/.

    Results go to stdout, everything else to stderr. Exit 0: success; 1: no, or failed; 2: wrong use or settings.
    Each setting is an option, an environment variable (PLOTINDEX_ + upper case) or a line of plotindex.toml, in this
    order of precedence.
    """


for command in (
    run,
    watch,
    serve,
    rebuild,
    verify,
    migrate,
    sync,
    wait,
    find,
    status,
    doctor,
    support_bundle,
    config,
    completion,
):
    main.add_command(command)
main.add_command(token)
main.add_command(key)
main.add_command(backup)
main.add_command(restore_backup)
main.add_command(service)
