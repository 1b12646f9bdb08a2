"""Plain hits before Flask: each request gets the same status, headers and body from both ways."""

import time
from collections.abc import Callable, Iterator
from urllib.parse import urlsplit

import pytest

from plotindex.config import load_settings
from plotindex.index.factory import make_tree, prepare_catalog
from plotindex.index.reconcile import reconcile
from tests.support.hostile_requests import HOSTILE_REQUESTS, encode
from tests.support.hostile_tree import (
    NOT_PLOTS,
    UNUSUAL_NAMES,
    UNUSUAL_PROJECT,
    UNUSUAL_SESSION,
    draw_hostile_tree,
    insert_rows,
)
from tests.support.images import encoded, halves
from tests.support.processes import PNG, SVG, clean_environment, draw, wait_until
from tests.support.two_ways import Headers, Response, TwoWays, plot_path
from tests.web.test_conditions import MODIFIED, RANGES, ROWS, SIZE, TAG, WEAK

LARGE = 600_000
METHODS = ["GET", "HEAD", "OPTIONS", "POST", "PUT", "DELETE", "PATCH", "TRACE", "PROPFIND"]


@pytest.fixture(scope="module", params=["alone", "behind nginx"])
def site(tmp_path_factory: pytest.TempPathFactory, request: pytest.FixtureRequest) -> Iterator[TwoWays]:
    folder = tmp_path_factory.mktemp("direct")
    root = folder / "plots"
    draw_hostile_tree(folder)
    settled_mtime = MODIFIED * 10**9
    draw(root, "s/project_a/thousand.png", bytes(range(250)) * (SIZE // 250), mtime_ns=settled_mtime)
    draw(root, "s/project_b/thousand.png", b"of b", mtime_ns=settled_mtime - 10**9)
    draw(root, "s/project_a/large.jpg", b"large" * (LARGE // 5), mtime_ns=settled_mtime)
    draw(root, "s/project_a/empty.gif", b"")
    for name in ("halves.png", "caf\xe9/halves.png"):
        draw(root, f"s/project_a/{name}", encoded(halves()))
    draw(root, "s/project_a/damaged.png", b"damaged")
    draw(root, "other/project_a/x.png")
    last = draw(root, "s/project_a/drawn.svg", SVG)
    given = {"root": str(root)}
    if request.param == "behind nginx":
        given |= {"x_accel_prefix": "/internal", "proxies": "1"}
    settings = load_settings(given, clean_environment(folder))
    tree = make_tree(settings)
    catalog = prepare_catalog(settings)
    reconcile(tree, catalog, [""])
    (plot,) = [plot for plot in catalog.plots("s") if plot.filename == last.name]
    # Whether a plot is settled must not change between the two ways.
    wait_until(lambda: plot.is_settled(time.time_ns()))
    yield TwoWays(folder, settings)
    catalog.database.close()


@pytest.fixture
def agree(site: TwoWays) -> Callable[..., Response]:
    """Ask both ways, which must agree; `direct` tells whether there must be a direct answer."""

    def check(target: bytes, method: str = "GET", headers: Headers = (), *, direct: bool) -> Response:
        first, flask = site.ask(target, method, headers)
        assert (first is not None) is direct, (target, method, headers, flask)
        assert first in (None, flask), (target, method, headers)
        return flask

    return check


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize(
    "name", ["x.png", "thousand.png", "large.jpg", "empty.gif", "sub/x.svg", "caf\xe9/halves.png", "gone.png"]
)
def test_each_method_gets_the_same_answer_both_ways(
    site: TwoWays, agree: Callable[..., Response], method: str, name: str
) -> None:
    direct = method in ("GET", "HEAD") and name != "gone.png"
    agree(plot_path("s", name), method, site.bearer(), direct=direct)


@pytest.mark.parametrize("name", ["thousand.png", "large.jpg", "empty.gif"])
def test_preconditions_and_ranges_get_the_same_answer_both_ways(
    site: TwoWays, agree: Callable[..., Response], name: str
) -> None:
    target = plot_path("s", name)
    tag = dict(site.flask(target, "GET", site.bearer()).headers)["ETag"]
    statuses = set()
    for given, _ in (*ROWS, *RANGES):
        headers = [
            (field.replace("_", "-"), value.replace(WEAK, f"W/{tag}").replace(TAG, tag))
            for field, value in given.items()
        ]
        for method in ("GET", "HEAD"):
            statuses.add(agree(target, method, [*site.bearer(), *headers], direct=True).status)
    assert statuses >= {200, 304, 412, 416}


@pytest.mark.parametrize(
    ("query", "direct"),
    [
        (b"", True),
        (b"?", True),
        (b"?v=VERSION", True),
        (b"?v=0000", True),
        (b"?v=", True),
        (b"?v=VERSION&v=0000", True),
        (b"?v=0000&v=VERSION", True),
        (b"?project=project_a", True),
        (b"?project=project_b", True),
        (b"?project=project_b&v=VERSION", True),
        (b"?project=project%5fb", True),
        (b"?project=project_c", False),
        (b"?project=elsewhere", False),
        (b"?project=", False),
        (b"?project=project_a&project=elsewhere", True),
        (b"?project=elsewhere&project=project_a", False),
        (b"?width=", False),
        (b"?width=161", False),
        (b"?format=png", True),
        (b"?format=png&project=project_b&v=VERSION", True),
        (b"?format=PNG", False),
        (b"?format=pdf", False),
        (b"?format=", False),
        (b"?download=1", False),
        (b"?download=0", False),
        (b"?unknown=1", False),
        (b"?v", True),
        (b"?=", False),
        (b"?&", True),
        (b"?v=%ff", False),
        (b"?v=\xff", False),
        (b"?v=%", True),
        (b"?v=+", True),
        (b"?sig=", True),
        (b"?v=" + b"0" * 3000, False),
    ],
)
def test_each_query_gets_the_same_answer_both_ways(
    site: TwoWays, agree: Callable[..., Response], query: bytes, direct: bool
) -> None:
    target = plot_path("s", "thousand.png")
    version = dict(site.flask(target, "GET", site.bearer()).headers)["ETag"].strip('"').encode()
    for method in ("GET", "HEAD"):
        agree(target + query.replace(b"VERSION", version), method, site.bearer(), direct=direct)


def test_each_caller_gets_the_same_answer_both_ways(site: TwoWays, agree: Callable[..., Response]) -> None:
    name = site.cookie.partition("=")[0]
    cookie = [("Cookie", f"x=1; {site.cookie}")]
    target = plot_path("s", "x.png")
    for headers, direct in [
        ([], False),
        (site.bearer(), True),
        (site.bearer("s"), True),
        (site.bearer("other"), False),
        ([("Authorization", site.bearer()[0][1].replace("Bearer", "bEARER "))], True),
        ([("Authorization", "Bearer wrong")], False),
        ([("Authorization", "Bearer")], False),
        ([("Authorization", "Basic eDp5")], False),
        ([("Authorization", "")], False),
        (cookie, True),
        ([*cookie, ("Authorization", "")], True),
        ([*cookie, ("Authorization", "Bearer wrong")], False),
        ([("Cookie", f"{site.cookie}x")], False),
        ([("Cookie", f"{name}=")], False),
        ([("Cookie", "=; ; \xff")], False),
        ([*cookie, *cookie], True),
    ]:
        for method in ("GET", "HEAD"):
            agree(target, method, headers, direct=direct)
    agree(plot_path("other", "x.png"), "GET", cookie, direct=False)


def test_each_signature_gets_the_same_answer_both_ways(site: TwoWays, agree: Callable[..., Response]) -> None:
    version = dict(site.flask(plot_path("s", "x.png"), "GET", site.bearer()).headers)["ETag"].strip('"')
    good = site.signed("s", "x.png", {"v": version})
    assert urlsplit(good).query
    for target, headers, direct in [
        (good, (), True),
        (good, [("Authorization", "Bearer wrong")], True),
        (good + b"&v=0000", (), False),
        (good + b"&unknown=1", (), False),
        (good.replace(b"x.png", b"thousand.png"), (), False),
        (good.replace(b"x.png", b"thousand.png"), site.bearer(), True),
        (good[:-1], (), False),
        (good[:-1], site.bearer("other"), False),
        (good[:-1], site.bearer(), True),
        (site.signed("s", "x.png", {}), (), True),
        (site.signed("s", "x.png", {"project": "project_a"}), (), True),
        (site.signed("s", "x.png", {"download": "1"}), (), False),
        (site.signed("s", "gone.png", {}), (), False),
        (site.signed("s", "x.png", {}, seconds=-7200), (), False),
        (site.signed("other", "x.png", {}), (), False),
        (site.signed("s", "sub/x.svg", {}), (), True),
    ]:
        for method in ("GET", "HEAD"):
            agree(target, method, headers, direct=direct)


def test_thumbnails_get_the_same_answer_both_ways_once_they_are_cached(
    site: TwoWays, agree: Callable[..., Response]
) -> None:
    for name in ("halves.png", "caf\xe9/halves.png", "sub/x.svg"):
        target = plot_path("s", name) + b"?width=160"
        assert agree(target, "GET", site.bearer(), direct=False).status == 200
        answer = agree(target, "GET", site.bearer(), direct=True)
        headers = dict(answer.headers)
        assert headers["Content-Type"] == "image/webp"
        version = headers["ETag"].strip('"').removesuffix("-160").encode()
        for method in ("GET", "HEAD"):
            for query in (b"&v=" + version, b"&v=0", b"&project=project_a"):
                agree(target + query, method, site.bearer(), direct=True)
            for given in (
                [("If-None-Match", headers["ETag"])],
                [("If-None-Match", "*")],
                [("If-Match", '"another"')],
                [("If-Modified-Since", headers["Last-Modified"])],
                [("Range", "bytes=0-9")],
                [("Range", "bytes=999999-")],
            ):
                agree(target, method, [*site.bearer(), *given], direct=True)
    # It has no picture, and is sent itself.
    damaged = plot_path("s", "damaged.png") + b"?width=160"
    agree(damaged, "GET", site.bearer(), direct=False)
    assert dict(agree(damaged, "GET", site.bearer(), direct=True).headers)["Content-Type"] == "image/png"
    agree(plot_path("s", "x.png") + b"?width=0", "GET", site.bearer(), direct=False)


def test_unusual_but_legal_names_get_the_same_answer_both_ways(site: TwoWays, agree: Callable[..., Response]) -> None:
    for name in UNUSUAL_NAMES:
        target = plot_path(UNUSUAL_SESSION, name)
        answer = agree(target, "GET", site.bearer(), direct=True)
        assert answer.status == 200
        if not site.is_behind_nginx:
            assert answer.body == name.encode()
        agree(target + b"?project=" + encode(UNUSUAL_PROJECT.encode()), "HEAD", site.bearer(), direct=True)
        signed = site.signed(UNUSUAL_SESSION, name, {})
        # The token of the signature is only for another session.
        agree(signed, "GET", (), direct=False)
        agree(signed, "GET", site.bearer(), direct=True)


def test_hostile_requests_get_the_same_answer_both_ways(site: TwoWays) -> None:
    insert_rows(site.folder, NOT_PLOTS)
    answered = 0
    targets = {one.target(site.folder) for one in HOSTILE_REQUESTS}
    for session, project, filename in NOT_PLOTS:
        targets |= {
            plot_path(session, filename),
            plot_path(session, filename) + b"?project=" + encode(project.encode()),
        }
    for target in targets:
        direct, flask = site.ask(target, "GET", site.bearer())
        assert direct in (None, flask), target
        assert direct is None or direct.status == 200, target
        answered += direct is not None
    # Those that a browser would also send: `..;.png` is a name.
    assert answered < len(targets) / 10


def test_the_least_png_is_answered_directly(site: TwoWays, agree: Callable[..., Response]) -> None:
    answer = agree(plot_path("s", "x.png"), "GET", site.bearer(), direct=True)
    assert answer.status == 200
    assert answer.body == (b"" if site.is_behind_nginx else PNG)
