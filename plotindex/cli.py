"""The command line: parse, call, print.

Results go to stdout, everything else to stderr. Exit 0: yes; 1: the answer is no; 2: wrong use or configuration.
"""

import click

from plotindex import __version__
from plotindex.commands.access import key, token
from plotindex.commands.backup import back_up, put_back
from plotindex.commands.catalogue import migrate, rebuild, verify
from plotindex.commands.doctor import doctor
from plotindex.commands.find import find
from plotindex.commands.options import Program, example
from plotindex.commands.questions import status, sync, wait
from plotindex.commands.running import run, serve, watch
from plotindex.commands.services import service
from plotindex.commands.settings import completion, config
from plotindex.commands.support import support_bundle


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
main.add_command(back_up)
main.add_command(put_back)
main.add_command(service)
