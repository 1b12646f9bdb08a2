"""The list routes: content, pagination, access."""

import shutil
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, quote, urljoin, urlsplit

import pytest
import requests

from plotindex.auth.tokens import Tokens
from plotindex.config.settings import Settings
from plotindex.web.views.lists import CHECK_SECONDS
from tests.support.postgres import on_both_engines
from tests.support.processes import PNG, Index, Service, StartService, draw, wait_until

PREFIX = "/api/smartstat"
ODD = [
    "100%.png",
    "a#b.png",
    "a;b.png",
    "a b.png",
    "a\nb.png",
    'a"b\\c.png',
    "e\u0301.png",
    "\u00e9.png",
    "sub/+&=?.png",
    "\U0001f600.svg",
]


class Reader:
    """A client with a token."""

    def __init__(self, url: str, token: str) -> None:
        self.url = url
        self.token = token

    def ask(self, path: str, **parameters: object) -> requests.Response:
        given = {name: str(value) for name, value in parameters.items()}
        headers = {"Authorization": f"Bearer {self.token}"}
        return requests.get(f"{self.url}{PREFIX}{path}", params=given, headers=headers, timeout=30)

    def read(self, path: str, **parameters: object) -> Any:
        answer = self.ask(path, **parameters)
        assert answer.status_code == 200, answer.text
        return answer.json()

    def pages(self, path: str, name: str, **parameters: object) -> Iterator[Any]:
        after: str | None = ""
        while after is not None:
            page = self.read(path, after=after, **parameters)
            yield page[name]
            after = page["next"]


@pytest.fixture
def tokens(settings: Settings) -> Tokens:
    return Tokens(settings.make_state_folder() / "tokens.json")


@pytest.fixture
def served(root: Path, server: StartService, index: Index) -> Iterator[Service]:
    for number in range(7):
        draw(root, f"s/project_a/p{number}.png", mtime_ns=1_700_000_000_000_000_000 + number)
    draw(root, "s/project_b/p3.png", b"newer", mtime_ns=1_800_000_000_123_456_789)
    draw(root, "s/project_b/sub/P3.svg", b"<svg/>", mtime_ns=-1)
    for name in ODD:
        draw(root, f"odd \u00e9#/project_%/{name}", name.encode())
    draw(root, "other/project_a/x.png")
    (root / "empty").mkdir()
    index()
    with server("--threads", "8") as running:
        yield running


@pytest.fixture
def reader(served: Service, tokens: Tokens) -> Reader:
    return Reader(served.url, tokens.create("all"))


def test_entry_lists_its_copies_newest_first(reader: Reader) -> None:
    listed = reader.read("/plots/s")
    assert (listed["session"], listed["next"], type(listed["clock"])) == ("s", None, str)
    entry = next(entry for entry in listed["plots"] if entry["filename"] == "p3.png")
    assert [copy["project"] for copy in entry["copies"]] == ["project_b", "project_a"]
    assert set(entry) == {"session", "filename", "url", "project", "size", "mtime", "version", "copies", "siblings"}
    assert all(set(copy) == {"project", "size", "mtime", "version", "url"} for copy in entry["copies"])
    current = entry["copies"][0]
    assert {name: entry[name] for name in ("project", "size", "mtime", "version")} == {
        name: current[name] for name in ("project", "size", "mtime", "version")
    }
    assert (entry["mtime"], entry["size"]) == ("2027-01-15T08:00:00.123456789Z", 5)
    old = next(entry for entry in listed["plots"] if entry["filename"] == "sub/P3.svg")
    assert old["mtime"] == "1969-12-31T23:59:59.999999999Z"


def test_signed_urls_in_lists_open_their_copies(reader: Reader) -> None:
    entries = [*reader.read("/plots/s")["plots"], *reader.read(f"/plots/{quote('odd é#')}")["plots"]]
    assert {entry["filename"] for entry in entries} >= set(ODD)
    for entry in entries:
        for told in (entry, *entry["copies"]):
            answer = requests.get(reader.url + told["url"], timeout=10)
            assert (answer.status_code, len(answer.content)) == (200, told["size"]), told
            assert answer.headers["ETag"] == f'"{told["version"]}"'
            assert reader.token not in told["url"]


@on_both_engines
def test_pagination_is_complete(reader: Reader) -> None:
    for limit in (1, 2, 3, 7, 8, 1000):
        pages = list(reader.pages("/plots/s", "plots", limit=limit))
        names = [entry["filename"] for page in pages for entry in page]
        assert names == [*(f"p{number}.png" for number in range(7)), "sub/P3.svg"]
        assert all(len(page) == limit for page in pages[:-1])
        sessions = [row["session"] for page in reader.pages("/plots", "sessions", limit=limit) for row in page]
        assert sessions == ["odd \u00e9#", "other", "s"]


def test_a_header_names_the_next_page(reader: Reader, served: Service) -> None:
    for path, query in (("/plots/s", {"limit": "2", "q": "P"}), ("/plots/odd%20%C3%A9%23", {"limit": "3"})):
        answer = reader.ask(path, **query)
        while following := answer.json()["next"]:
            address = urljoin(answer.url, answer.links["next"]["url"])
            assert dict(parse_qsl(urlsplit(address).query)) == {**query, "after": following}
            expected = reader.read(path, **query, after=following)
            answer = requests.get(address, headers={"Authorization": f"Bearer {reader.token}"}, timeout=20)
            assert answer.json() == expected
        assert answer.links == {}


def test_a_long_name_of_the_next_page_is_in_no_header(
    root: Path, server: StartService, index: Index, tokens: Tokens
) -> None:
    folders = "/".join(["\u00e9" * 100] * 4)
    for number in range(2):
        draw(root, f"s/project_a/{folders}{number}.png")
    index()
    with server() as running:
        answer = Reader(running.url, tokens.create("all")).ask("/plots/s", limit=1)
        assert (answer.json()["next"][-5:], answer.links) == ("0.png", {})


def test_search_by_part_or_glob(reader: Reader) -> None:
    def names(query: str) -> list[str]:
        return [entry["filename"] for page in reader.pages("/plots/s", "plots", q=query, limit=1) for entry in page]

    assert names("P3") == ["p3.png", "sub/P3.svg"]
    assert names("p[12].png") == ["p1.png", "p2.png"]
    assert names("*.svg") == ["sub/P3.svg"]
    assert names("%") == names("p_1") == names("nowhere") == []
    assert names("PNG a p3") == names("*_A p3 png") == ["p3.png"]
    assert [row["session"] for row in reader.read("/plots", q="OTH")["sessions"]] == ["other"]


@on_both_engines
def test_list_of_a_project_is_as_if_the_session_had_no_other(reader: Reader) -> None:
    def listed(project: str, **query: object) -> list[tuple[str, str, int]]:
        entries = [entry for page in reader.pages("/plots/s", "plots", project=project, **query) for entry in page]
        return [(entry["filename"], entry["project"], len(entry["copies"])) for entry in entries]

    for limit in (1, 2, 1000):
        of_a = [(f"p{number}.png", "project_a", 1) for number in range(7)]
        assert listed("project_a", limit=limit) == of_a
        assert listed("project_b", limit=limit) == [("p3.png", "project_b", 1), ("sub/P3.svg", "project_b", 1)]
    assert listed("project_b", q="png") == [("p3.png", "project_b", 1)]
    assert listed("project_a", q="project_b") == []
    for project in ("project_none", "", ".", "nowhere", "project_a\0", "PROJECT_A"):
        assert listed(project) == []
    [entry] = reader.read("/plots/s", project="project_a", q="p3")["plots"]
    answer = requests.get(reader.url + entry["url"], timeout=10)
    assert (answer.headers["ETag"], len(answer.content)) == (f'"{entry["version"]}"', entry["size"])


def test_lists_respect_the_token(served: Service, tokens: Tokens) -> None:
    for number, (limits, seen) in enumerate(
        [({"session": "s"}, ["s"]), ({"session_glob": "o*"}, ["odd \u00e9#", "other"]), ({"session": "gone"}, [])]
    ):
        secret = tokens.create(f"limited {number}", **limits)  # type: ignore[arg-type]  # all are str
        reader = Reader(served.url, secret)
        assert [row["session"] for row in reader.read("/plots")["sessions"]] == seen
        changed = reader.read("/changes", since=0)
        assert changed["fresh"]
        for session in ("s", "other", "nowhere"):
            answers = [reader.ask(f"/plots/{session}"), reader.ask("/changes", session=session, since=changed["clock"])]
            told = [(answer.status_code, answer.json()) for answer in answers]
            if session not in seen:
                assert told == [(404, {"error": "Session not found"})] * 2
            else:
                assert [status for status, _ in told] == [200, 200]


def test_empty_and_missing_sessions(reader: Reader) -> None:
    assert reader.read("/plots/empty")["plots"] == []
    assert reader.ask("/plots/nowhere").status_code == 404
    assert reader.ask("/plots/%2e%2e").status_code == 404
    assert reader.ask("/plots/a%00").status_code == 404


BAD: list[tuple[str, dict[str, str]]] = [
    ("/plots/s", {"limit": "0"}),
    ("/plots/s", {"limit": "1001"}),
    ("/plots/s", {"limit": "-1"}),
    ("/plots/s", {"limit": " 1"}),
    ("/plots/s", {"limit": "\u0663"}),
    ("/plots/s", {"limit": ""}),
    ("/plots", {"limit": "9" * 5000}),
    ("/plots", {"q": "x" * 501}),
    ("/plots/s", {"project": "x" * 501}),
    ("/changes", {"since": "-1"}),
    ("/changes", {"since": "x"}),
    ("/changes", {"since": "1.5"}),
    ("/changes", {"since": "0", "wait": "21"}),
    ("/changes", {"since": "0", "wait": "nan"}),
    ("/changes", {"since": "0", "wait": "-1"}),
    ("/changes", {"since": "0", "wait": ""}),
    ("/changes", {"since": "0", "wait": "0.2_0"}),
    ("/changes", {"since": "0", "wait": "\u0661"}),
]


def test_invalid_parameters(reader: Reader) -> None:
    for path, parameters in BAD:
        answer = reader.ask(path, **parameters)
        assert (answer.status_code, list(answer.json())) == (400, ["error"]), (path, parameters)
        assert " must be " in answer.json()["error"]


def test_lists_require_a_token(served: Service) -> None:
    for path in ("/plots", "/plots/s", "/changes?since=0"):
        answer = requests.get(f"{served.url}{PREFIX}{path}", timeout=10)
        assert (answer.status_code, answer.headers["WWW-Authenticate"]) == (401, "Bearer")


def test_list_by_scan_without_a_catalogue(root: Path, server: StartService, tokens: Tokens) -> None:
    draw(root, "s/project_a/x.png")
    draw(root, "s/project_b/x.png")
    with server() as running:
        reader = Reader(running.url, tokens.create("all"))
        answer = reader.ask("/plots/s")
        assert answer.headers["Cache-Status"] == "plotindex; fwd=miss"
        listed = answer.json()
        assert [(entry["filename"], len(entry["copies"])) for entry in listed["plots"]] == [("x.png", 2)]
        [entry] = reader.read("/plots/s", project="project_a")["plots"]
        assert (entry["project"], len(entry["copies"])) == ("project_a", 1)
        for path in ("/plots", "/changes"):
            refused = reader.ask(path, since=listed["clock"])
            assert (refused.status_code, "Retry-After" in refused.headers) == (503, True)


def test_waiting_for_changes_uses_a_quarter_of_the_threads(
    served: Service, root: Path, reader: Reader, indexer: StartService
) -> None:
    with indexer(), ThreadPoolExecutor(5) as pool:
        clock = wait_until(lambda: reader.read("/changes")["clock"])
        asked = [pool.submit(reader.read, "/changes", since=clock, wait=20) for _ in range(5)]
        wait_until(lambda: sum(one.done() for one in asked) == 3)
        at_once = [one.result() for one in asked if one.done()]
        held = [one for one in asked if not one.done()]
        draw(root, "s/project_new/new.png", PNG)
        told = [one.result(20) for one in held]
    assert [one["changed"] for one in at_once] == [[]] * 3
    assert [[entry["filename"] for entry in one["changed"]] for one in told] == [["new.png"]] * 2


def test_waits_in_several_workers_end_with_the_commit(
    root: Path, server: StartService, index: Index, tokens: Tokens
) -> None:
    draw(root, "s/project_a/x.png")
    index()
    with server("--workers", "2", "--threads", "32") as running, ThreadPoolExecutor(4) as pool:
        reader = Reader(running.url, tokens.create("all"))
        for number in range(3):
            clock = reader.read("/changes")["clock"]
            held = [pool.submit(reader.read, "/changes", since=clock, wait=20) for _ in range(4)]
            # Waiters that came later have returned.
            assert reader.read("/changes", since=clock, wait=0.2)["changed"] == []
            draw(root, f"s/project_a/{number}.png")
            index()
            committed = time.monotonic()
            told = [one.result(20)["changed"] for one in held]
            assert [[entry["filename"] for entry in changed] for changed in told] == [[f"{number}.png"]] * 4
            assert time.monotonic() - committed < CHECK_SECONDS / 2


def test_removal_of_a_session_is_reported(served: Service, root: Path, reader: Reader, index: Index) -> None:
    clock = reader.read("/plots/other")["clock"]
    shutil.rmtree(root / "other")
    index()
    told = reader.read("/changes", since=clock, session="other")
    assert (told["changed"], told["removed"]) == ([], [{"session": "other", "filename": "x.png"}])
    assert reader.ask("/changes", since=told["clock"], session="other").status_code == 404


def test_revoked_token_ends_a_wait(served: Service, root: Path, reader: Reader, tokens: Tokens, index: Index) -> None:
    clock = reader.read("/changes")["clock"]
    with ThreadPoolExecutor(1) as pool:
        held = pool.submit(reader.ask, "/changes", since=clock, wait=20)
        # The second waiter has returned: the first has certainly started.
        assert reader.ask("/changes", since=clock, wait=0.2).status_code == 200
        assert tokens.revoke("all")
        draw(root, "s/project_new/new.png")
        index()
        assert held.result(30).status_code == 401
