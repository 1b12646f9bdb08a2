"""Warnings about combinations of valid settings that look like mistakes."""

import os
import re
import tomllib
from collections.abc import Iterator, Mapping
from ipaddress import ip_address
from pathlib import Path
from urllib.parse import urlsplit

from plotindex.config import RawSetting, Settings, config_file, variable_name
from plotindex.system import LOCAL_FS_TYPES, mounts_below, printable, redact_url

MIN_POLLING_THREADS = 4
"""A quarter of the threads may wait for changes (long polling)."""
SERVICES_FOLDER = Path("/etc/plotindex")
"""Where `plotindex service install` writes the settings of services."""
GALLERY_PAGES = ("session", "plot", "compare", "static", "login", "logout")


def is_below(path: Path, root: Path) -> bool:
    """Whether `path` is `root` or below it, with symlinks resolved."""
    return Path(os.path.realpath(path)).is_relative_to(os.path.realpath(root))


def state_location_problem(settings: Settings) -> str | None:
    """What is wrong if scripts can write to the state folder."""
    if not is_below(settings.state_folder, settings.root):
        return None
    return (
        f"the state folder {printable(str(settings.state_folder))} is below the root, where scripts can "
        "replace its tokens: set PLOTINDEX_STATE_DIR to a folder outside the root."
    )


def service_state_hint(settings: Settings, environment: Mapping[str, str], config: Path | None) -> str | None:
    """How to use the state of this root's services, if the default state is another one."""
    file, is_named = config_file(environment, config)
    if is_named or file.exists() or settings.database or environment.get(variable_name("state_dir")):
        return None
    for service in sorted(SERVICES_FOLDER.glob("*.toml")):
        try:
            given = tomllib.loads(service.read_text())
            is_other = Path(given["root"]) == settings.root and Path(given["state_dir"]) != settings.state_dir
        except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError, KeyError, TypeError):
            continue
        if is_other:
            return (
                f"this command uses the state in {printable(str(settings.state_dir))}, the services of this root use "
                f"another: add `--config {printable(str(service))}` to use theirs."
            )
    return None


def config_warnings(settings: Settings, given: Mapping[str, RawSetting]) -> Iterator[str]:
    """Each warning, with its fix. `given` are the settings that are not defaults."""
    yield from _file_warnings(settings, given)
    yield from _network_warnings(settings)
    yield from _polling_warnings(settings, given)
    if settings.threads < MIN_POLLING_THREADS:
        yield (
            f"with threads = {settings.threads} no request can wait for changes, so pages poll twice a second: "
            f"set threads to {MIN_POLLING_THREADS} or more."
        )


def _file_warnings(settings: Settings, given: Mapping[str, RawSetting]) -> Iterator[str]:
    if problem := state_location_problem(settings):
        yield problem
    if settings.database and (file := _database_file(settings.database)):
        if not file.is_absolute():
            yield (
                f"database {redact_url(settings.database)} is relative, so it is another file in each folder: "
                "use sqlite:////absolute/path/catalog.db."
            )
        if is_below(file, settings.root):
            yield f"the database {printable(str(file))} is below the root, where scripts can replace it: move it."
    files = {one.location.rpartition(":")[0] for one in given.values() if one.source == "file"}
    for file in map(Path, files):
        name = printable(str(file))
        if is_below(file, settings.root):
            yield f"{name} is below the root, where scripts can change these settings: move it."
        is_readable = file.stat().st_mode & 0o044
        if "secret_key" in given and given["secret_key"].location.startswith(f"{file}:") and is_readable:
            yield f"secret_key is in {name}, which other users can read: run `chmod 600 {name}`, and set a new key."


def _network_warnings(settings: Settings) -> Iterator[str]:
    public = settings.public_url
    is_open = not _is_loopback(settings.host)
    if is_open and urlsplit(public or "").scheme != "https":
        yield (
            f"host {settings.host} accepts connections from other machines, which are not encrypted: put a proxy "
            "with HTTPS in front, and set public_url to its URL."
        )
    if is_open and settings.proxies:
        yield (
            f"host {settings.host} with proxies = {settings.proxies} also trusts clients that bypass the proxy: "
            "listen where only the proxy can connect, such as host = 127.0.0.1."
        )
    if public is None and (is_open or settings.proxies):
        yield "browsers that use a host name cannot log in: set public_url to the URL that they use."
    if not settings.proxies:
        one_client = "but with proxies = 0 all clients of the proxy count as one: set proxies to"
        if (public or "").startswith("https:"):
            yield f"public_url is https, which needs a proxy, {one_client} the number of proxies."
        if settings.x_accel_prefix:
            yield f"x_accel_prefix needs nginx as a proxy, {one_client} 1."
    page = settings.url_prefix.split("/")[1] if settings.url_prefix else None
    if page in GALLERY_PAGES:
        yield f"url_prefix {settings.url_prefix} is the path of a gallery page: set another, such as /api."


def _polling_warnings(settings: Settings, given: Mapping[str, RawSetting]) -> Iterator[str]:
    foreign = sorted({mount.fs_type for mount in mounts_below(settings.root).values()} - LOCAL_FS_TYPES)
    if settings.polling == "never":
        if foreign:
            yield (
                f"polling is never, but the root contains {printable(', '.join(foreign))}: changes made there by "
                "other hosts are found only by a full scan. Set polling to auto."
            )
        elif "poll_seconds" in given:
            yield "poll_seconds has no effect while polling is never: remove one of them."
    elif settings.poll_seconds > settings.rescan_seconds:
        yield (
            f"poll_seconds {settings.poll_seconds} has no effect, since rescan_seconds {settings.rescan_seconds} is "
            "shorter: lower poll_seconds."
        )


def _database_file(url: str) -> Path | None:
    found = re.match(r"[\w+]+:///([^?]+)", url)
    return Path(found[1]) if found else None


def _is_loopback(host: str) -> bool:
    try:
        return ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return host == "localhost"
