"""The commands that say who may see what: tokens, and the keys that sign."""

import json
import sys
import time
from pathlib import Path

import click

from plotindex.auth import MAX_PREVIOUS_KEYS, KeyFile, Tokens, signing_keys
from plotindex.cli import completion
from plotindex.cli.options import common_options, example, json_option, read_settings, setting_options
from plotindex.errors import SettingsError
from plotindex.system import printable


@click.group()
def token() -> None:
    """Say who may see which plots."""


@token.command("create", epilog=example("token create --name reports --session abc123 --expires 30d --root /srv/plots"))
@common_options
@click.option("--name", metavar="NAME", required=True, help="What to call it.")
@click.option(
    "--session",
    metavar="SESSION",
    shell_complete=completion.sessions,
    help="Only this session.  [default: every session]",
)
@click.option("--session-glob", metavar="GLOB", help="Only sessions whose name matches.")
@click.option("--metrics", is_flag=True, help="Only /metrics, for Prometheus, and no session.")
@click.option("--expires", metavar="DURATION", help="How long it is good for, such as 12h or 30d.  [default: for ever]")
def create_token(
    config: Path | None,
    name: str,
    *,
    session: str | None,
    session_glob: str | None,
    metrics: bool,
    expires: str | None,
    **options: str | None,
) -> None:
    """Make a token, and print its secret, once.

    A program sends it as `Authorization: Bearer SECRET`.
    """
    settings = read_settings(config, options)
    settings.make_state_folder()
    # For a server that cannot write: it signs, too.
    signing_keys(settings).load_or_create()
    made = Tokens.from_settings(settings).create(
        name, session=session, session_glob=session_glob, expires=expires, metrics=metrics
    )
    click.echo(made)


@token.command("list", epilog=example("token list --root /srv/plots"))
@common_options
@json_option
def list_tokens(config: Path | None, as_json: bool, **options: str | None) -> None:
    """List tokens by name; secrets are kept nowhere."""
    tokens = Tokens.from_settings(read_settings(config, options)).list()
    fields = ("session", "session_glob", "metrics", "created", "expires")
    listed = [{"name": name, **{field: getattr(token, field) for field in fields}} for name, token in tokens.items()]
    if as_json:
        click.echo(json.dumps(listed, indent=2))
        return
    for entry in listed:
        sees = entry["session"] or entry["session_glob"] or ("/metrics" if entry["metrics"] else "every session")
        ends = f"until {_date(entry['expires'])}" if entry["expires"] else "for ever"
        click.echo(f"{printable(entry['name'])}\t{printable(sees)}\t{ends}")


@token.command("revoke", epilog=example("token revoke reports --root /srv/plots"))
@common_options
@click.argument("name", shell_complete=completion.tokens)
def revoke_token(config: Path | None, name: str, **options: str | None) -> None:
    """End a token at once."""
    settings = read_settings(config, options)
    settings.make_state_folder()
    if not Tokens.from_settings(settings).revoke(name):
        click.echo(f"plotindex: there is no token {printable(name)}.", err=True)
        sys.exit(1)


@token.command("link", epilog=example("token link reports --root /srv/plots"))
@common_options
@setting_options("host", "port", "public_url")
@click.argument("name", shell_complete=completion.tokens)
def link_token(config: Path | None, name: str, **options: str | None) -> None:
    """Print an address that logs a browser in, once.

    It is good for ten minutes, and the browser sees what the token does. --host, --port and --public-url as of the
    server.
    """
    from plotindex.cli.addresses import login_address

    settings = read_settings(config, options)
    known = Tokens.from_settings(settings).list().get(name)
    if known is None or known.is_expired(time.time()):
        click.echo(f"plotindex: there is no token {printable(name)}.", err=True)
        sys.exit(1)
    click.echo(login_address(settings, known))


@click.group()
def key() -> None:
    """Change the key that signs cookies and addresses."""


@key.command("rotate", epilog=example("key rotate --root /srv/plots"))
@common_options
@click.option("--end-all", is_flag=True, help="Believe no key before it: every login and signed address ends.")
def rotate_key(config: Path | None, end_all: bool, **options: str | None) -> None:
    """Sign with a new key from now on.

    Those before it are believed still, so that nobody is logged out.
    """
    settings = read_settings(config, options)
    keys = signing_keys(settings)
    if settings.secret_key:
        raise SettingsError("The keys are those of PLOTINDEX_SECRET_KEY: put a new one in front of them there.")
    settings.make_state_folder()
    assert isinstance(keys, KeyFile)
    keys.rotate(keep=0 if end_all else MAX_PREVIOUS_KEYS)


def _date(seconds: float) -> str:
    return time.strftime("%Y-%m-%d %H:%M", time.localtime(seconds))
