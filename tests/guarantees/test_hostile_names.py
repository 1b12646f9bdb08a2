"""Hostile names in requests and in the tree, over real sockets: none gets a byte, a header line or a log line."""

import json
import os
import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from itertools import product
from pathlib import Path
from urllib.parse import unquote

import pytest

from plotindex.system.text import printable
from tests.support.hostile_requests import HOSTILE_REQUESTS, PREFIX, UNSAFE, HostileRequest, encode
from tests.support.hostile_tree import (
    NOT_PLOTS,
    SECRET,
    UNUSUAL_NAMES,
    UNUSUAL_PROJECT,
    UNUSUAL_SESSION,
    draw_hostile_tree,
    insert_rows,
    swapping_symlinks,
)
from tests.support.processes import PNG, RunPlotindex, StartService, at_once, draw, wait_until
from tests.support.site import RawResponse, ServedSite, Site, served

LEAKS = [SECRET, b"root:", b"sha256", b"SQLite", b"Traceback", b"injected", b"evil"]
"""Of secrets, of the program, of requests."""
HEADERS = {
    b"accept-ranges",
    b"cache-control",
    b"cache-status",
    b"connection",
    b"content-disposition",
    b"content-length",
    b"content-security-policy",
    b"content-type",
    b"cross-origin-opener-policy",
    b"cross-origin-resource-policy",
    b"date",
    b"etag",
    b"last-modified",
    b"referrer-policy",
    b"server",
    b"x-content-type-options",
}
"""The only headers allowed in responses to hostile requests, each once."""


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServedSite]:
    """A served hostile tree."""
    folder = tmp_path_factory.mktemp("hostile")
    draw_hostile_tree(folder)
    with served(folder) as shared:
        yield shared


@pytest.fixture
def site(shared: ServedSite) -> Iterator[Site]:
    """The site; checks after the test that the log stays clean."""
    yield shared.site
    assert not UNSAFE.search(shared.service.stdout + shared.service.stderr)
    assert "Traceback" not in shared.service.stderr
    assert SECRET.decode() not in shared.service.stderr


def problem(one: HostileRequest, answer: RawResponse, folder: Path) -> str | None:
    """The error in a response to a hostile request, or None."""
    whole = answer.head + b"\r\n\r\n" + answer.body
    if found := [text for text in (*LEAKS, str(folder).encode()) if text in whole]:
        return f"has {found}"
    if not answer.head.isascii() or not answer.headers.keys() <= HEADERS:
        return f"has other header lines: {answer.head!r}"
    if one.where == "v" and answer.status == 200:
        return (
            None if answer.body == PNG and answer.headers[b"cache-control"] == b"private, no-cache" else "is not x.png"
        )
    if answer.status == 400 and answer.body == b"":
        # The server itself refuses invalid HTTP.
        return None
    told = answer.status, list(json.loads(answer.body))
    return None if told == (404, ["error"]) else f"is {told}"


def test_no_request_of_the_table_gets_a_byte_that_is_not_its_own(shared: ServedSite, site: Site) -> None:
    assert site.send(PREFIX + b"/s/x.png").body == PNG
    problems: list[object] = []
    statuses: Counter[tuple[str, int]] = Counter()
    for one in HOSTILE_REQUESTS:
        answer = site.send(one.target(shared.folder))
        statuses[one.where, answer.status] += 1
        if wrong := problem(one, answer, shared.folder):
            problems.append((answer.status, wrong, one))
    assert not problems, problems[:20]
    # Most requests reach the application, for each place.
    for where in ("session", "filename", "project", "target"):
        assert statuses[where, 404] > 4 * statuses[where, 400], statuses


def test_a_redirect_names_no_host(site: Site) -> None:
    for target in (b"/", b"//", b"/?x=//evil.example"):
        answer = replace(site, token="of nobody").send(target)
        assert (answer.status, answer.headers[b"location"]) == (303, b"/login"), target
    for target in (b"http://evil.example/", b"http://evil.example/login"):
        answer = replace(site, token="of nobody").send(target)
        assert b"evil" not in answer.head + answer.body, target


def test_unusual_but_legal_names_work_and_are_downloaded_under_their_own_name(site: Site) -> None:
    for name in UNUSUAL_NAMES:
        session, project, filename = (encode(part.encode()) for part in (UNUSUAL_SESSION, UNUSUAL_PROJECT, name))
        address = PREFIX + b"/" + session + b"/" + filename
        for query in (b"?download=1", b"?download=1&project=" + project):
            answer = site.send(address + query)
            assert (answer.status, answer.body) == (200, name.encode()), name
            assert answer.head.isascii(), name
            assert answer.headers.keys() <= HEADERS, name
            kind, _, quoted = answer.headers[b"content-disposition"].decode().partition("; filename*=UTF-8''")
            assert (kind, unquote(quoted)) == ("attachment", name.rpartition("/")[2])
            assert re.fullmatch(r"([\w.~-]|%[0-9A-F]{2})+", quoted, re.ASCII), quoted


@pytest.mark.parametrize("named", [False, True], ids=["current", "named"])
def test_a_row_of_a_file_that_is_no_plot_is_not_served(shared: ServedSite, site: Site, named: bool) -> None:
    insert_rows(shared.folder, NOT_PLOTS)
    for session, project, filename in NOT_PLOTS:
        target = PREFIX + b"/" + encode(session.encode()) + b"/" + encode(filename.encode())
        answer = site.send(target + (b"?project=" + encode(project.encode()) if named else b""))
        assert answer.status == 404, (session, project, filename)
        assert answer.body == b'{"error":"Plot not found"}\n', (session, project, filename)


def test_a_symlink_swapped_in_never_opens_the_secret(shared: ServedSite, site: Site) -> None:
    answers = {(200, b"public"), (404, b'{"error":"Plot not found"}\n')}
    seen: Counter[tuple[int, bytes]] = Counter()

    def ask_of_each() -> bool:
        """Ask for each plot; return whether both answers were seen."""
        for plot, query in product(plots, (b"", b"?project=project_a")):
            answer = site.send(PREFIX + b"/swap/" + plot.encode() + query)
            seen[answer.status, answer.body] += 1
        return set(seen) >= answers

    with swapping_symlinks(site.root, shared.folder / "outside") as plots:
        for _ in range(200):
            ask_of_each()
        wait_until(ask_of_each)
    assert set(seen) == answers, seen


def test_commands_and_logs_escape_hostile_names(
    plotindex: RunPlotindex, indexer: StartService, root: Path, tmp_path: Path
) -> None:
    for name in UNUSUAL_NAMES:
        draw(root, f"{UNUSUAL_SESSION}/{UNUSUAL_PROJECT}/{name}")
    for odd in (b"\xff\x1b[2J.png", b"\xff\x1b[2J/x.png", "\u202e\x9b".encode() + b"\xff.png"):
        draw(root, f"{UNUSUAL_SESSION}/{UNUSUAL_PROJECT}/{os.fsdecode(odd)}")
    draw(root, f"{UNUSUAL_SESSION}/{UNUSUAL_PROJECT}/" + "d\x1b\u202e/" * 40 + "deep.png")
    said = [rebuilt := plotindex("rebuild", "--max-plots-per-session", "5")]
    assert rebuilt.returncode == 0
    for log_format in ("text", "json"):
        with indexer("--log-format", log_format, "--max-plots-per-session", "5") as running:
            status = plotindex("status")
            assert printable(UNUSUAL_SESSION) in status.stdout
            assert r"\x1b[2J" in running.stderr.replace(r"\\x1b", r"\x1b").replace(r"\u001b", r"\x1b")
            assert not UNSAFE.search(status.stdout + status.stderr + running.stdout + running.stderr)
    insert_rows(tmp_path, [(f"\x1b{name}", f"project_\r{name}", f"\u2067{name}") for name in UNUSUAL_NAMES])
    said += at_once(plotindex, ["find", "*"], ["find", "*", "--session", "\x1b\u202e"], ["verify"], ["status"])
    said += at_once(
        plotindex, ["find", "*", "--json"], ["verify", "--json"], ["status", "--json"], ["rebuild", "--json"]
    )
    for done in said:
        assert "Traceback" not in done.stderr
        assert not UNSAFE.search(done.stdout + done.stderr), done
