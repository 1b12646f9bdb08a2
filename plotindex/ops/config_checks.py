"""What settings say together that can hardly be meant. What cannot be meant at all is refused by settings.py."""

import os
import re
import tomllib
from collections.abc import Iterator, Mapping
from ipaddress import ip_address
from pathlib import Path
from urllib.parse import urlsplit

from plotindex.config import RawSetting, Settings, config_file, variable_name
from plotindex.system import LOCAL_FS_TYPES, mounts_below, printable, redact_url

FEWEST_WAITING = 4
"""Threads of which one may wait for changes: a quarter of them."""
SERVICES = Path("/etc/plotindex")
"""Where `plotindex service install` writes the settings of services."""
PAGES = ("session", "plot", "compare", "static", "login", "logout")


def state_location_problem(settings: Settings) -> str | None:
    """What is wrong with a state folder that scripts can write to, if it is one."""
    if not is_below(settings.state_folder, settings.root):
        return None
    return (
        f"the state folder {printable(str(settings.state_folder))} lies below the root, where scripts can "
        "replace its tokens: set PLOTINDEX_STATE_DIR to a folder outside."
    )


def service_state_hint(
    settings: Settings, environment: Mapping[str, str], config: Path | None, folder: Path = SERVICES
) -> str | None:
    """What is said where nobody has named a state, and services of this root have another one than this user's."""
    file, named = config_file(environment, config)
    if named or file.exists() or settings.database or environment.get(variable_name("state_dir")):
        return None
    for service in sorted(folder.glob("*.toml")):
        try:
            told = tomllib.loads(service.read_text())
            is_other = Path(told["root"]) == settings.root and Path(told["state_dir"]) != settings.state_dir
        except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError, KeyError, TypeError):
            continue
        if is_other:
            return (
                f"this is the state in {printable(str(settings.state_dir))}, not that of the services of this root: "
                f"`--config {printable(str(service))}` means theirs."
            )
    return None


def config_warnings(settings: Settings, given: Mapping[str, RawSetting]) -> Iterator[str]:
    """Sentences, each with its remedy. `given` is where settings that are no defaults came from."""
    yield from _files(settings, given)
    yield from _network(settings)
    yield from _looking(settings, given)
    if settings.threads < FEWEST_WAITING:
        yield (
            f"with threads = {settings.threads} no request waits for changes, and pages ask twice a second instead: "
            f"set threads to {FEWEST_WAITING} or more."
        )


def _files(settings: Settings, given: Mapping[str, RawSetting]) -> Iterator[str]:
    if below := state_location_problem(settings):
        yield below
    if settings.database and (file := _file_of(settings.database)):
        if not file.is_absolute():
            yield (
                f"database {redact_url(settings.database)} is another file in each folder that a command is run in: "
                "write sqlite:////absolute/path/catalog.db."
            )
        if is_below(file, settings.root):
            yield f"the database {printable(str(file))} lies below the root, where scripts can replace it: move it."
    files = {one.location.rpartition(":")[0] for one in given.values() if one.source == "file"}
    for file in map(Path, files):
        if is_below(file, settings.root):
            yield f"{printable(str(file))} lies below the root, where scripts can change these settings: move it."
        mode = file.stat().st_mode
        if "secret_key" in given and given["secret_key"].location.startswith(f"{file}:") and mode & 0o044:
            name = printable(str(file))
            yield f"secret_key stands in {name}, which others can read: run `chmod 600 {name}`, and use a new key."


def _network(settings: Settings) -> Iterator[str]:
    public = settings.public_url
    is_open = not _is_loopback(settings.host)
    if is_open and urlsplit(public or "").scheme != "https":
        yield (
            f"host {settings.host} is reached from other machines, and what they send is not encrypted: put a proxy "
            "with HTTPS in front, and set public_url to its address."
        )
    if is_open and settings.proxies:
        yield (
            f"host {settings.host} with proxies = {settings.proxies} believes whoever comes past the proxy, too: "
            "let it listen where the proxy alone can reach it, such as host = 127.0.0.1."
        )
    if public is None and (is_open or settings.proxies):
        yield "browsers that come by a name are not logged in: set public_url to the address they use."
    if (public or "").startswith("https:") and not settings.proxies:
        yield (
            "public_url is https, which a proxy in front must speak, but proxies = 0 takes all who come through it for "
            "one: set proxies to how many there are."
        )
    if settings.x_accel_prefix and not settings.proxies:
        yield (
            "x_accel_prefix leaves the sending of files to nginx, but proxies = 0 takes all who come through it for "
            "one: set proxies to 1."
        )
    page = settings.url_prefix.split("/")[1] if settings.url_prefix else None
    if page in PAGES:
        yield f"url_prefix {settings.url_prefix} lies where the gallery has its pages: choose one such as /api."


def _looking(settings: Settings, given: Mapping[str, RawSetting]) -> Iterator[str]:
    foreign = sorted({mount.fs_type for mount in mounts_below(settings.root).values()} - LOCAL_FS_TYPES)
    if settings.polling == "never":
        if foreign:
            yield (
                f"polling is never, but there is {printable(', '.join(foreign))} in the root: what other hosts draw "
                "there is only found by the look at everything. Set polling to auto."
            )
        elif "poll_seconds" in given:
            yield "poll_seconds does nothing while polling is never: leave out one of them."
    elif settings.poll_seconds > settings.rescan_seconds:
        yield (
            f"poll_seconds {settings.poll_seconds} does nothing, since everything is looked at every rescan_seconds "
            f"{settings.rescan_seconds}: make it less."
        )


def _file_of(url: str) -> Path | None:
    found = re.match(r"[\w+]+:///([^?]+)", url)
    return Path(found[1]) if found else None


def is_below(path: Path, root: Path) -> bool:
    return Path(os.path.realpath(path)).is_relative_to(os.path.realpath(root))


def _is_loopback(host: str) -> bool:
    try:
        return ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return host == "localhost"
