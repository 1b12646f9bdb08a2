"""A caller's responses depend only on the sessions that the caller may see."""

import io
import re
import shutil
import zipfile
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import urlencode

import pytest
from flask import Flask
from flask.testing import FlaskClient
from hypothesis import HealthCheck, Phase, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from plotindex.auth.logins import Logins
from plotindex.auth.tokens import Tokens
from plotindex.config.settings import Settings
from plotindex.history.keeper import Limits
from plotindex.history.store import HistoryStore
from plotindex.index.reconcile import reconcile
from plotindex.rendering.renderer_client import RendererClient
from plotindex.storage.catalog import Catalog
from plotindex.storage.listing import Listing
from plotindex.storage.name_filter import NameFilter
from plotindex.storage.tables import trim
from plotindex.tree.globs import glob_matcher
from plotindex.tree.session_filter import ALL_SESSIONS, SessionFilter
from plotindex.tree.tree import Tree
from plotindex.web import PlotIndex, create_app
from tests.support.history import HistorySite
from tests.support.inspection import InspectionSite
from tests.support.postgres import on_both_engines
from tests.support.processes import Index, StartService, draw, wait_until
from tests.web.test_lists import Reader

API = "/api/smartstat"
SESSIONS = ("mine", "mine2", "min", "minf", "a", "theirs", "z\U0010ffff")
GLOBS = ("mine", "mine*", "*e", "theirs?*")
"""What each caller may see."""
START = 1_700_000_000_000_000_000
VARYING_HEADERS = {"Date", "X-Request-ID", "Request-Id"}

paths = st.tuples(st.sampled_from(SESSIONS), st.sampled_from(["project_1", "project_2"]), st.sampled_from("xyz")).map(
    lambda parts: "/".join(parts) + ".png"
)
Response = tuple[object, ...] | None
"""Status, headers and body."""

steps = st.one_of(
    st.tuples(st.just("draw"), paths),
    st.tuples(st.just("remove"), paths),
    st.tuples(st.just("drop"), st.sampled_from(SESSIONS)),
    st.tuples(st.just("trim"), st.just("")),
    st.tuples(st.just("request"), paths),
)


class Caller(NamedTuple):
    """A caller who may see the sessions that match a glob."""

    glob: str
    api: FlaskClient
    headers: dict[str, str]
    gallery: FlaskClient
    gallery_prefix: str

    def sees(self, path: str) -> bool:
        return bool(glob_matcher(self.glob)(path.partition("/")[0]))

    def get(self, path: str, **query: object) -> Any:
        answer = self.api.get(f"{API}{path}?{urlencode(query)}", headers=self.headers)
        assert answer.status_code == 200, answer.text
        return answer.json

    def responses(self, *clocks: str) -> dict[str, Response]:
        """The response of every route, for all sessions and since some clocks."""
        api = [*["/plots", "/plots?limit=1", "/plots?q=m", "/plots?q=th*", "/plots?after=mine", "/plots?limit=0"]]
        api += ["/plots?q=M+in"]
        api += [f"/changes?since={since}" for since in ("0", "1795400000000123", "x", *clocks)]
        api += ["/openapi.json"]
        pages = ["/", "/?page=2", "/?q=x", "/?q=m*", "/nowhere", "/compare?session=mine&name=x.png"]
        pages += ["/?q=x+PROJECT_1", "/?q=x&since=hour&from=0", "/?since=hour&from=999999999", "/?since=visit&from=9"]
        pages += [f"/compare?plot={one}/project_1/x.png&plot=mine/project_1/x.png" for one in ("theirs", "mine2")]
        for name in (*SESSIONS, "nowhere"):
            api += [f"/plots/{name}", f"/plots/{name}?limit=1&q=x", f"/plots/{name}/nowhere.png"]
            api += [f"/plots/{name}/x.png", f"/plots/{name}/x.png?project=project_2", f"/plots/{name}/x.png?v=1"]
            api += [f"/changes?session={name}&since={since}" for since in ("0", *clocks)]
            api += [f"/history/{name}", f"/history/{name}?gone=1&limit=1", f"/history/{name}/x.png"]
            api += [f"/plots/{name}/x.png?version={'0' * 16}"]
            api += [f"/facts/{name}/x.png", f"/facts/{name}/x.png?project=project_2", f"/export/{name}.zip"]
            api += [f"/plots/{name}?flag={flag}" for flag in ("duplicate", "stale")] + [f"/plots/{name}?text=x"]
            pages += [
                f"/session/{name}/facts",
                f"/session/{name}/facts?text=x",
                f"/plot/{name}/x.png?project=project_2",
            ]
            pages += [f"/session/{name}", f"/plot/{name}/x.png"]
        found: dict[str, Response] = {path: _content(self.api.get(API + path, headers=self.headers)) for path in api}
        for size in range(1, 4):
            sent = self.api.post(f"{API}/like", headers=self.headers, data=b"x" * size)
            found[f"like {size}"] = _content(sent)
        for sides in ("from=mine&to=mine2", "from=mine/project_1&to=theirs", "from=theirs&to=mine2@2h"):
            found[f"diff {sides}"] = wait_until(partial(self._compared, sides), 30)
        prefix = self.gallery_prefix
        return found | {f"page {path}": _content(self.gallery.get(prefix + path)) for path in pages}

    def _compared(self, sides: str) -> Response:
        """The response of the changes between two sides, once nothing is pending."""
        answer = self.api.get(f"{API}/diff?{sides}", headers=self.headers)
        found: Any = answer.json
        return None if answer.status_code == 200 and found["pending"] else _content(answer)


def _content(answer: Any) -> Response:
    headers = sorted((name, value) for name, value in answer.headers if name not in VARYING_HEADERS)
    with answer:
        content = answer.data
    if answer.mimetype == "application/zip":
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            content = b"".join(name.encode() + archive.read(name) for name in archive.namelist())
    # The times at which a page was served and an archive was made: dates are exempt.
    return answer.status_code, headers, re.sub(rb'data-time="[^"]*"|"created": "[^"]*"', b"", content)


@pytest.fixture
def tokens(settings: Settings) -> Tokens:
    return Tokens.from_settings(settings)


def application(settings: Settings) -> Flask:
    app = create_app(settings)
    app.testing = True
    return app


def with_token(settings: Settings, tokens: Tokens, glob: str) -> Caller:
    limits = {"session_glob": glob} if any(c in glob for c in "*?") else {"session": glob}
    secret = tokens.create(glob, **limits)  # type: ignore[arg-type]  # all are str
    token = tokens.check(secret)
    assert token is not None
    app = application(settings)
    gallery = app.test_client()
    code = Logins.from_settings(settings).create_code(token)
    assert gallery.post("/login", data={"code": code}).status_code == 303
    return Caller(glob, app.test_client(), {"Authorization": f"Bearer {secret}"}, gallery, "")


def with_host(settings: Settings, glob: str) -> Caller:
    app = Flask("host")
    PlotIndex(
        app,
        root=settings.root,
        database=settings.database,
        state_dir=str(settings.state_dir),
        may_see=lambda session: bool(glob_matcher(glob)(session)),
        gallery=True,
    )
    return Caller(glob, app.test_client(), {}, app.test_client(), f"{API}/gallery")


@pytest.fixture
def callers(settings: Settings, tokens: Tokens, index: Index, monkeypatch: pytest.MonkeyPatch) -> list[Caller]:
    index()
    # Where a page ends under a time budget is exempt.
    monkeypatch.setattr(NameFilter, "is_late", False)
    monkeypatch.setattr("plotindex.storage.search.text_search.LATEST_SECONDS", 60)
    return [*(with_token(settings, tokens, glob) for glob in GLOBS), with_host(settings, "mine*")]


@pytest.fixture
def history(settings: Settings, catalog: Catalog, index: Index) -> Iterator[HistorySite | None]:
    """The history, where it is on."""
    store = HistoryStore.from_settings(settings)
    if store is None:
        yield None
        return
    index()
    limits = Limits.from_settings(settings)
    yield HistorySite(settings.root, catalog, store.database, settings.history_folder, limits)
    store.database.close()


@pytest.fixture
def inspection(settings: Settings, catalog: Catalog, index: Index) -> Iterator[InspectionSite]:
    """What inspects the plots."""
    index()
    renderer = RendererClient()
    yield InspectionSite(settings.root, catalog, renderer)
    renderer.close()


def change(tree: Tree, catalog: Catalog, callers: list[Caller], step: str, path: str) -> None:
    place = tree.root / path
    if step == "draw":
        size = place.stat().st_size + 1 if place.exists() else 1
        # Pages show how long ago a plot was drawn.
        draw(tree.root, path, b"x" * size, mtime_ns=START + size)
    elif step == "remove":
        place.unlink(missing_ok=True)
    elif step == "drop":
        shutil.rmtree(place, ignore_errors=True)
    elif step == "trim":
        with catalog.writing() as writer:
            writer.trim_removals(keep=1)
    elif step == "request":
        for caller in callers:
            with caller.api.get(f"{API}/plots/{path}", headers=caller.headers):
                pass
    if path and step != "request":
        reconcile(tree, catalog, [path])


@on_both_engines
@hypothesis_settings(
    # A failure depends on the examples before: it cannot be shrunk.
    max_examples=16,
    phases=[Phase.generate],
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(who=st.integers(0, len(GLOBS)), story=st.lists(steps, min_size=1, max_size=8))
def test_changes_in_other_sessions_leave_every_response_byte_identical(
    root: Path,
    tree: Tree,
    catalog: Catalog,
    callers: list[Caller],
    history: HistorySite | None,
    inspection: InspectionSite,
    who: int,
    story: list[tuple[str, str]],
) -> None:
    def keep() -> None:
        if history is not None:
            history.keep_without_indexing()
        inspection.inspect()

    caller = callers[who]
    # A change of the caller's own, to follow from both sides.
    since = caller.get("/plots")["clock"]
    own = f"{next(name for name in ('mine', 'theirs2') if caller.sees(name))}/project_1/x.png"
    change(tree, catalog, callers, "draw", own)
    keep()
    now = caller.get("/plots")["clock"]
    assert now != since
    assert [entry["filename"] for entry in caller.get("/changes", since=since)["changed"]] == ["x.png"]
    before = caller.responses(since, now)
    for step, path in story:
        if step == "trim" or not caller.sees(path):
            change(tree, catalog, callers, step, path)
            keep()
    after = caller.responses(since, now)
    assert list(after) == list(before)
    facts = caller.api.get(f"{API}/facts/{own.replace('/project_1', '')}", headers=caller.headers).json
    assert facts is not None
    assert facts["inspected"]
    for path, response in before.items():
        assert after[path] == response, (caller.glob, path)
    for step, path in story:
        change(tree, catalog, callers, step, path)


@on_both_engines
def test_a_clock_is_opaque_text_for_one_caller(root: Path, settings: Settings, tokens: Tokens, index: Index) -> None:
    draw(root, "mine/project_1/x.png")
    index()
    first, second = (with_token(settings, tokens, glob) for glob in ("mine", "mine*"))
    clock = first.get("/plots")["clock"]
    assert clock == first.get("/plots/mine")["clock"] == first.get("/changes", since=clock)["clock"]
    assert f'data-clock="{clock}"' in first.gallery.get("/").text
    assert not first.get("/changes", since=clock)["fresh"]
    altered = clock[:-1] + ("A" if clock[-1] != "A" else "B")
    for reader, since in ((first, "0"), (first, "1795400000000123"), (first, altered), (second, clock)):
        page = reader.get("/changes", since=since)
        assert (page["fresh"], page["changed"], page["removed"]) == (True, [], [])
        assert page["clock"] == reader.get("/plots")["clock"]


@on_both_engines
def test_a_clock_within_a_commit_continues_there_for_one_caller(
    root: Path, settings: Settings, tokens: Tokens, index: Index, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("plotindex.storage.listing.MAX_COPIES", 1)
    mine, other = (with_token(settings, tokens, glob) for glob in ("mine", "mine*"))
    draw(root, "mine/project_1/0.png")
    index()
    since = mine.get("/plots")["clock"]
    for name in ("x", "y", "z"):
        draw(root, f"mine/project_1/{name}.png")
        draw(root, f"theirs/project_1/{name}.png")
    index()
    pages = [mine.get("/changes", since=since)]
    while pages[-1]["more"]:
        pages.append(mine.get("/changes", since=pages[-1]["clock"]))
    assert [len(page["changed"]) for page in pages] == [1, 1, 1]
    assert {page["changed"][0]["filename"] for page in pages} == {"x.png", "y.png", "z.png"}
    clocks = [page["clock"] for page in pages]
    assert clocks[-1] == mine.get("/plots")["clock"] not in clocks[:-1]
    assert other.get("/changes", since=clocks[0])["fresh"]
    assert mine.get("/changes", since=clocks[0][:-1] + ("A" if clocks[0][-1] != "A" else "B"))["fresh"]


@on_both_engines
def test_only_removals_trimmed_in_own_sessions_make_a_clock_fresh(
    root: Path, settings: Settings, tokens: Tokens, tree: Tree, catalog: Catalog, index: Index
) -> None:
    for path in ("mine/project_1/x.png", "mine/project_1/y.png", "theirs/project_1/x.png", "theirs/project_1/y.png"):
        draw(root, path)
    index()
    mine, theirs = (with_token(settings, tokens, glob) for glob in ("mine", "theirs"))
    clocks = [caller.get("/plots")["clock"] for caller in (mine, theirs)]
    for name in ("x.png", "y.png"):
        change(tree, catalog, [], "remove", f"theirs/project_1/{name}")
    change(tree, catalog, [], "trim", "")
    pages = [caller.get("/changes", since=clock) for caller, clock in zip((mine, theirs), clocks, strict=True)]
    assert [page["fresh"] for page in pages] == [False, True]
    assert not theirs.get("/changes", since=pages[1]["clock"])["fresh"]


@on_both_engines
def test_removed_sessions_leave_few_rows_and_an_older_clock_is_fresh(
    root: Path, tree: Tree, catalog: Catalog, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("plotindex.storage.writer.KEPT_TRIMS", 2)
    listing, first, last = Listing(catalog.database), SessionFilter.only("s0"), SessionFilter.only("s5")
    for number in range(6):
        draw(root, f"s{number}/project_a/x.png")
    reconcile(tree, catalog, [""])
    before = listing.clock()
    for number in range(6):
        change(tree, catalog, [], "drop", f"s{number}")
        change(tree, catalog, [], "trim", "")
    after = listing.clock()
    with catalog.database.reading() as connection:
        assert len(connection.execute(trim.select()).all()) == 3
    # The name is in use again.
    draw(root, "s0/project_a/x.png")
    reconcile(tree, catalog, [""])
    assert listing.changes(before, first).fresh
    assert listing.changes(before, last).fresh
    page = listing.changes(after, ALL_SESSIONS)
    assert (page.fresh, [entry.key.session for entry in page.changed]) == (False, ["s0"])
    assert listing.sessions(SessionFilter.only("s1"), 10).clock < before


@on_both_engines
def test_waiting_ends_only_with_a_change_in_own_sessions(
    root: Path, server: StartService, tokens: Tokens, index: Index
) -> None:
    draw(root, "mine/project_1/x.png")
    index()
    with server("--threads", "8") as running, ThreadPoolExecutor(2) as pool:
        limited = Reader(running.url, tokens.create("limited", session="mine"))
        unlimited = Reader(running.url, tokens.create("all"))
        waiting = pool.submit(limited.read, "/changes", since=limited.read("/plots")["clock"], wait=20)
        for number in range(3):
            clock = unlimited.read("/plots")["clock"]
            other = pool.submit(unlimited.read, "/changes", since=clock, wait=20)
            draw(root, f"theirs/project_1/{number}.png")
            index()
            # The server has noticed the commit.
            assert len(other.result(20)["changed"]) == 1
            assert not waiting.done()
        draw(root, "mine/project_1/new.png")
        index()
        assert [entry["filename"] for entry in waiting.result(20)["changed"]] == ["new.png"]
