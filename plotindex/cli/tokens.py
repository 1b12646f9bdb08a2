"""The commands `plotindex token` and `plotindex key`."""

import json
import sys
import time
from pathlib import Path

import click

from plotindex.auth import MAX_PREVIOUS_KEYS, KeyFile, Tokens, signing_keys
from plotindex.cli import completion
from plotindex.cli.options import common_options, example, json_option, setting_options
from plotindex.cli.program import print_error
from plotindex.cli.startup import make_state_folder, read_settings
from plotindex.errors import SettingsError
from plotindex.system import printable


@click.group()
def token() -> None:
    """Manage access tokens."""


@token.command("create", epilog=example("token create --name reports --session abc123 --expires 30d --root /srv/plots"))
@common_options
@click.option("--name", metavar="NAME", required=True, help="Name of the token.")
@click.option(
    "--session",
    metavar="SESSION",
    shell_complete=completion.sessions,
    help="Allow this session only.  [default: every session]",
)
@click.option("--session-glob", metavar="GLOB", help="Allow sessions whose name matches.")
@click.option("--metrics", is_flag=True, help="Allow /metrics only, for Prometheus.")
@click.option("--expires", metavar="DURATION", help="Validity, such as 12h or 30d.  [default: no expiry]")
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
    """Create a token and print its secret, which is not shown again.

    Programs send it as `Authorization: Bearer SECRET`.
    """
    settings = read_settings(config, options)
    make_state_folder(settings)
    # A server without write access cannot create them.
    signing_keys(settings).load_or_create()
    secret = Tokens.from_settings(settings).create(
        name, session=session, session_glob=session_glob, expires=expires, metrics=metrics
    )
    click.echo(secret)


@token.command("list", epilog=example("token list --root /srv/plots"))
@common_options
@json_option
def list_tokens(config: Path | None, as_json: bool, **options: str | None) -> None:
    """List the tokens. Secrets are not stored and cannot be shown."""
    tokens = Tokens.from_settings(read_settings(config, options)).list()
    fields = ("session", "session_glob", "metrics", "created", "expires")
    listed = [{"name": name, **{field: getattr(token, field) for field in fields}} for name, token in tokens.items()]
    if as_json:
        click.echo(json.dumps(listed, indent=2))
        return
    for entry in listed:
        allowed = entry["session"] or entry["session_glob"] or ("/metrics" if entry["metrics"] else "every session")
        validity = f"until {_date(entry['expires'])}" if entry["expires"] else "no expiry"
        click.echo(f"{printable(entry['name'])}\t{printable(allowed)}\t{validity}")


@token.command("revoke", epilog=example("token revoke reports --root /srv/plots"))
@common_options
@click.argument("name", shell_complete=completion.tokens)
def revoke_token(config: Path | None, name: str, **options: str | None) -> None:
    """Revoke a token. Takes effect at once."""
    settings = read_settings(config, options)
    make_state_folder(settings)
    if not Tokens.from_settings(settings).revoke(name):
        print_error(f"There is no token {printable(name)}.")
        sys.exit(1)


@token.command("link", epilog=example("token link reports --root /srv/plots"))
@common_options
@setting_options("host", "port", "public_url")
@click.argument("name", shell_complete=completion.tokens)
def link_token(config: Path | None, name: str, **options: str | None) -> None:
    """Print a URL that logs a browser in with a token.

    It works once, within ten minutes. It uses --public-url, else the server started last on this machine; --host and
    --port select another one.
    """
    from plotindex.cli.urls import login_url
    from plotindex.ops.server_address import with_server_address

    settings = with_server_address(read_settings(config, options), options)
    entry = Tokens.from_settings(settings).list().get(name)
    if entry is None or entry.is_expired(time.time()):
        print_error(f"There is no token {printable(name)}.")
        sys.exit(1)
    make_state_folder(settings)
    click.echo(login_url(settings, entry))


@click.group()
def key() -> None:
    """Manage the keys that sign cookies and URLs."""


@key.command("rotate", epilog=example("key rotate --root /srv/plots"))
@common_options
@click.option("--end-all", is_flag=True, help="Reject the previous keys: ends every login and signed URL.")
def rotate_key(config: Path | None, end_all: bool, **options: str | None) -> None:
    """Sign with a new key from now on.

    The previous two keys stay valid: with at most two rotations in 30 days, nobody is logged out.
    """
    settings = read_settings(config, options)
    keys = signing_keys(settings)
    if settings.secret_key:
        raise SettingsError("The keys are set by PLOTINDEX_SECRET_KEY: put a new key in front of them there.")
    make_state_folder(settings)
    assert isinstance(keys, KeyFile)
    keys.rotate(keep=0 if end_all else MAX_PREVIOUS_KEYS)


def _date(seconds: float) -> str:
    return time.strftime("%Y-%m-%d %H:%M", time.localtime(seconds))
