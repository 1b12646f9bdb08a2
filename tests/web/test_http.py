"""The endpoint over real sockets: types, headers, conditions."""

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest
import requests

from plotindex.auth.tokens import Tokens
from plotindex.config.settings import Settings
from plotindex.ops.request_counts import read_counts
from tests.support.processes import PNG, SVG, Index, RunPlotindex, StartService, draw, wait_until
from tests.support.site import PREFIX, Site


@pytest.fixture
def site(root: Path, server: StartService, settings: Settings, index: Index) -> Iterator[Site]:
    draw(root, "s/project_a/x.png")
    draw(root, "s/project_a/sub/h.SVG", SVG)
    draw(root, "s/project_b/photo.JPG", b"jpeg", mtime_ns=0)
    draw(root, "other/project_a/x.png")
    token = Tokens(settings.make_state_folder() / "tokens.json").create("all")
    index()
    with server() as running:
        yield Site(running.url, running.pid, token, root)


def test_headers_of_each_type(site: Site) -> None:
    for path, kind, content in [
        ("/s/x.png", "image/png", PNG),
        ("/s/sub/h.SVG", "image/svg+xml", SVG),
        ("/s/photo.JPG", "image/jpeg", b"jpeg"),
    ]:
        answer = site.get(path)
        assert (answer.status_code, answer.content) == (200, content)
        assert answer.headers["Content-Type"] == kind
        assert answer.headers["Content-Length"] == str(len(content))
        assert answer.headers["X-Content-Type-Options"] == "nosniff"
        assert answer.headers["Cache-Control"] == "private, no-cache"
        assert answer.headers["Accept-Ranges"] == "bytes"
        assert answer.headers["Cache-Status"] == "plotindex; hit; detail=unwatched"
        policy = answer.headers.get("Content-Security-Policy", "")
        assert policy.startswith("sandbox; default-src 'none'") == (kind == "image/svg+xml")
    assert site.get("/s/photo.JPG").headers["Last-Modified"] == "Thu, 01 Jan 1970 00:00:00 GMT"


def test_cache_status(site: Site, indexer: StartService) -> None:
    with indexer():
        draw(site.root, "s/project_a/new.png")
        seen = {site.get("/s/new.png").headers["Cache-Status"] for _ in range(2)}
        assert seen <= {"plotindex; fwd=miss", "plotindex; hit", "plotindex; hit; detail=unwatched"}
    (site.root / "s/project_a/x.png").unlink()
    gone = site.get("/s/x.png")
    assert (gone.status_code, gone.headers["Cache-Status"]) == (404, "plotindex; fwd=stale")
    gone = site.get("/s/never.png")
    assert (gone.status_code, gone.headers["Cache-Status"]) == (404, "plotindex; fwd=miss")
    assert gone.json() == {"error": "Plot not found"}


def test_project_parameter(site: Site) -> None:
    draw(site.root, "s/project_b/x.png", b"of b")
    assert site.get("/s/x.png?project=project_b").content == b"of b"
    assert site.get("/s/x.png?project=project_a").content == PNG
    for project in ("project_c", "", ".", "..", "project_a/../project_b", "project_a%00", "project_a/sub", "%ff"):
        assert site.get(f"/s/x.png?project={project}").status_code == 404


def test_unauthorized(site: Site) -> None:
    for headers in (
        {},
        {"Authorization": "Basic eDp5"},
        {"Authorization": "Bearer wrong"},
        {"Authorization": "Bearer"},
    ):
        for path in ("/s/x.png", "/s/gone.png", "/nowhere/x.png"):
            answer = requests.get(site.url + PREFIX + path, headers=headers, timeout=20)
            assert (answer.status_code, answer.headers["WWW-Authenticate"]) == (401, "Bearer")
            assert list(answer.json()) == ["error"]


def test_other_sessions_look_like_missing_ones(site: Site, plotindex: RunPlotindex) -> None:
    narrow = plotindex("token", "create", "--name", "narrow", "--session", "other").stdout.strip()
    assert site.get("/other/x.png", token=narrow).status_code == 200

    def told(path: str) -> tuple[int, bytes, dict[str, str]]:
        answer = site.get(path, token=narrow)
        return answer.status_code, answer.content, {k: v for k, v in answer.headers.items() if k.lower() != "date"}

    assert told("/s/x.png") == told("/nowhere/x.png") == told("/other/gone.png")
    assert plotindex("token", "revoke", "narrow").returncode == 0
    assert site.get("/other/x.png", token=narrow).status_code == 401


def test_conditions_and_ranges(site: Site) -> None:
    first = site.get("/s/x.png")
    tag = first.headers["ETag"]
    for condition in (tag, f'"zzz", {tag}', f"W/{tag}", "*"):
        answer = site.get("/s/x.png", If_None_Match=condition)
        assert (answer.status_code, answer.content, answer.headers["ETag"]) == (304, b"", tag)
    assert site.get("/s/x.png", If_None_Match='"zzz"').status_code == 200
    assert site.get("/s/x.png", If_Modified_Since=first.headers["Last-Modified"]).status_code == 304
    for wanted, expected in [("bytes=0-9", PNG[:10]), ("bytes=60-", PNG[60:]), ("bytes=-5", PNG[-5:])]:
        answer = site.get("/s/x.png", Range=wanted)
        assert (answer.status_code, answer.content) == (206, expected)
        assert answer.headers["Content-Length"] == str(len(expected))
    assert site.get("/s/x.png", Range="bytes=0-9", If_Range='"zzz"').content == PNG
    assert site.get("/s/x.png", Range="bytes=0-9", If_Range=tag).content == PNG[:10]
    assert site.get("/s/x.png", Range="bytes=0-9", If_None_Match=tag).status_code == 304
    assert site.get("/s/x.png", Range="bytes=0-9", If_None_Match='"zzz"').content == PNG[:10]
    assert site.get("/s/x.png", If_None_Match='"zzz"', If_Modified_Since=first.headers["Last-Modified"]).ok
    assert site.get("/s/x.png", Range="bytes=0-9,20-29").content == PNG
    refused = site.get("/s/x.png", Range="bytes=9999-")
    assert (refused.status_code, refused.headers["Content-Range"]) == (416, f"bytes */{len(PNG)}")
    assert list(refused.json()) == ["error"]


def test_invalid_conditions_are_ignored(site: Site) -> None:
    never = "Mon, 01 Jan 99999999999999 00:00:00 GMT"
    for header in ("If_Modified_Since", "If_Unmodified_Since", "If_None_Match", "If_Match"):
        given = {header: never if "Since" in header else '"'}
        assert site.get("/s/x.png", **given).status_code in ((200, 412) if header == "If_Match" else (200,)), given
    assert site.get("/s/x.png", Range="bytes=0-1", If_Range=never).content == PNG
    for unknown in ("items=0-1", "bytes=abc", "bytes=5-2", "bytes=", "bytes=-", "bytes=1-2-3", f"bytes={'9' * 40}-"):
        assert site.get("/s/x.png", Range=unknown).content == PNG, unknown
    assert site.get("/s/x.png", Range="bytes=-0").status_code == 416
    refused = site.get("/s/x.png", If_Match='"another"')
    assert (refused.status_code, list(refused.json())) == (412, ["error"])
    assert site.get("/s/x.png", If_Match="*").content == PNG


def test_head(site: Site) -> None:
    for path in ("/s/x.png", "/s/sub/h.SVG", "/s/gone.png"):
        got, head = site.get(path), site.get(path, "HEAD")
        assert (head.status_code, head.content) == (got.status_code, b"")
        assert {k: v for k, v in head.headers.items() if k.lower() != "date"} == {
            k: v for k, v in got.headers.items() if k.lower() != "date"
        }


def test_scans_run_in_a_process_of_their_own_which_may_die(site: Site) -> None:
    def scanning() -> list[psutil.Process]:
        children = psutil.Process(site.pid).children(recursive=True)
        return [one for one in children if "plotindex.tree.walk_worker" in one.cmdline()]

    assert not scanning()
    assert site.get("/s/never.png").status_code == 404
    (first,) = scanning()
    draw(site.root, "s/project_a/new.png")
    assert site.get("/s/new.png").content == PNG
    first.kill()
    draw(site.root, "s/project_a/newer.png")
    assert site.get("/s/newer.png").content == PNG


def test_no_descriptor_leaks(site: Site, settings: Settings) -> None:
    def descriptors() -> int:
        workers = [int(pid) for pid in Path(f"/proc/{site.pid}/task/{site.pid}/children").read_text().split()]
        links = (link for pid in workers for link in Path(f"/proc/{pid}/fd").iterdir())
        # Each thread has its own connection to the catalogue; under load another thread starts.
        # Each thread has its own connection to the catalogue; under load another thread starts. One draws ahead.
        return sum(not link.resolve().name.startswith(("catalog.db", "prerender.lock")) for link in links)

    kinds: list[dict[str, Any]] = [
        {},
        {"method": "HEAD"},
        {"Range": "bytes=0-3"},
        {"Range": "bytes=9999-"},
        {"Range": "bytes=x"},
        {"If_None_Match": "*"},
        {"If_Modified_Since": "Mon, 01 Jan 99999999999999 00:00:00 GMT"},
        {"If_Match": '"another"'},
    ]
    draw(site.root, "s/project_a/large.png", os.urandom(600_000))
    for kind in kinds:
        site.get("/s/large.png", **kind)
    # The server opens its files of counts when it records what it has answered, a moment later.
    wait_until(lambda: read_counts(settings.request_counts_folder))
    before = descriptors()
    for _ in range(10):
        for kind in kinds:
            site.get("/s/large.png", **kind)
    assert descriptors() <= before + 2


def test_only_the_current_version_is_immutable(site: Site) -> None:
    os.utime(site.root / "s/project_a/x.png", ns=(1, 1))
    young = site.get("/s/x.png")
    version = young.headers["ETag"].strip('"')
    assert site.get(f"/s/x.png?v={version}").headers["Cache-Control"] == "private, no-cache"
    assert site.get("/s/x.png?v=0000").headers["Cache-Control"] == "private, no-cache"
    settled = "private, max-age=31536000, immutable"
    wait_until(lambda: site.get(f"/s/x.png?v={version}").headers["Cache-Control"] == settled)
    draw(site.root, "s/project_a/x.png", PNG[::-1])
    replaced = site.get(f"/s/x.png?v={version}")
    assert (replaced.content, replaced.headers["Cache-Control"]) == (PNG[::-1], "private, no-cache")


def test_rewrite_within_one_tick_is_never_served_stale(site: Site) -> None:
    plot = site.root / "s/project_a/x.png"
    seen = set()
    tag = ""
    for number in range(200):
        content = b"%64d" % number
        with plot.open("r+b") as file:
            file.write(content)
            file.truncate()
        os.utime(plot, ns=(1, 1))
        answer = site.get("/s/x.png", If_None_Match=tag)
        tag = answer.headers["ETag"]
        assert (answer.status_code, answer.content) == (200, content)
        assert site.get(f"/s/x.png?v={tag.strip(chr(34))}").headers["Cache-Control"] == "private, no-cache"
        seen.add(tag)
    assert len(seen) == 200


def test_download_filename(site: Site) -> None:
    draw(site.root, 's/project_a/sub/caf\u00e9 "1".png')
    answer = site.get("/s/sub/caf%C3%A9%20%221%22.png?download=1")
    assert answer.headers["Content-Disposition"] == "attachment; filename*=UTF-8''caf%C3%A9%20%221%22.png"


def test_errors_are_json(site: Site) -> None:
    assert site.get("/s/x.png", "DELETE").status_code == 405
    assert "error" in site.get("/s/x.png", "POST").json()
    for path in ("/", "/s/", "//s"):
        assert site.get(path).status_code == 404
        assert "error" in site.get(path).json()
        assert site.get(path).headers["Cache-Status"] == "plotindex; fwd=miss"
