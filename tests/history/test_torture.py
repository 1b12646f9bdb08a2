"""Random changes, faults, forgetting and clock steps: rows and bytes agree at any time, and what stood is kept."""

import errno
import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import Any
from unittest.mock import patch

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from plotindex.errors import PlotIndexError
from plotindex.history.contents import HistoryError
from plotindex.history.forget import forget
from plotindex.history.retention import KeptVersions
from plotindex.storage.catalog import Catalog
from tests.conftest import NewHistory
from tests.support.history import HistorySite, history_site
from tests.support.postgres import NewDatabase, on_both_engines

SESSIONS, PROJECTS, NAMES = ("s", "t", "u"), ("project_a", "project_b"), ("x.png", "y.png")
places = st.tuples(st.sampled_from(SESSIONS), st.sampled_from(PROJECTS), st.sampled_from(NAMES))
EXAMPLES = int(os.environ.get("EXAMPLES", "20"))
"""Of each test; `make torture` runs many."""
faults = st.tuples(
    st.sampled_from(["write", "fsync", "rename"]), st.integers(1, 4), st.sampled_from([errno.ENOSPC, errno.EDQUOT])
)
steps = st.lists(
    st.one_of(
        st.tuples(st.just("draw"), places, st.integers(0, 4)),
        st.tuples(st.just("delete"), places),
        st.tuples(st.just("move"), places, places),
        st.tuples(st.just("remove session"), st.sampled_from(SESSIONS)),
        st.tuples(st.just("rename session"), st.sampled_from(SESSIONS), st.sampled_from(SESSIONS)),
        st.tuples(st.just("keep"), st.sampled_from([0, 3, 3, 3, 4000, 90_000])),
        st.tuples(st.just("fail"), faults),
        st.tuples(st.just("forget"), st.sampled_from(SESSIONS), st.sampled_from([None, *NAMES])),
        st.tuples(st.just("set the clock back"), st.integers(1, 10_000)),
        st.tuples(st.just("restart")),
        st.tuples(st.just("trim")),
    ),
    max_size=25,
)


@on_both_engines
@settings(max_examples=EXAMPLES, deadline=None)
@given(steps=steps)
@example(steps=[("draw", ("s", "project_a", "x.png"), 1), ("keep", 3), ("fail", ("rename", 1, errno.ENOSPC))])
@example(
    steps=[
        *(("draw", ("s", "project_a", name), 1) for name in NAMES),
        *(("fail", (call, number, errno.ENOSPC)) for call in ("rename", "fsync", "write") for number in (1, 2, 3)),
    ]
)
@example(steps=[("draw", ("s", "project_a", "x.png"), 1), ("keep", 3), ("set the clock back", 9000)])
@example(steps=[("set the clock back", 175), ("draw", ("s", "project_a", "x.png"), 2), ("trim",)])
def test_rows_and_bytes_agree_and_what_stood_for_three_seconds_is_kept(
    new_database: NewDatabase, new_history: NewHistory, engine: str, steps: list[Any]
) -> None:
    with opened(new_database, new_history, engine, size=1 << 30) as site:
        forgotten: set[tuple[str, str, str]] = set()
        for step in steps:
            apply(site, step, forgotten)
            site.check()
        site.keep()
        # After the clock was set back, a change may lie in the future: it waits from when it is first seen.
        site.keep()
        site.check()
        for path in site.root.glob("*/project_*/*.png"):
            session, project, name = path.relative_to(site.root).parts
            if path.stat().st_size and (session, project, name) not in forgotten:
                assert path.read_bytes() in site.versions(session, name, is_limited=True)


@on_both_engines
@settings(max_examples=EXAMPLES, deadline=None)
@given(steps=steps)
def test_nothing_is_kept_beyond_a_small_bound(
    new_database: NewDatabase, new_history: NewHistory, engine: str, steps: list[Any]
) -> None:
    with opened(new_database, new_history, engine, size=5 * 4096, rule=KeptVersions(2, 1)) as site:
        for step in steps:
            apply(site, step, set())
            site.check()


@contextmanager
def opened(
    new_database: NewDatabase, new_history: NewHistory, engine: str, size: int, rule: KeptVersions | None = None
) -> Iterator[HistorySite]:
    with (
        new_database(engine) as database,
        new_history(engine, database) as history,
        history_site(Catalog(database), history, size=size, rule=rule or KeptVersions(50, 90)) as site,
    ):
        site.catalog.record_root(str(site.root), site.tree.layout, 1)
        yield site


def apply(site: HistorySite, step: tuple[Any, ...], forgotten: set[tuple[str, str, str]]) -> None:
    """Make one change. `forgotten` are the plots that are not kept until they change."""
    kind, *given = step
    if kind == "draw":
        site.draw("/".join(given[0]), b"x" * given[1] + "/".join(given[0]).encode() * bool(given[1]))
        forgotten.discard(given[0])
    elif kind == "delete":
        (site.root / "/".join(given[0])).unlink(missing_ok=True)
    elif kind == "move":
        with suppress(OSError):
            (site.root / "/".join(given[0])).rename(site.root / "/".join(given[1]))
            forgotten.discard(given[1])
    elif kind == "remove session":
        shutil.rmtree(site.root / given[0], ignore_errors=True)
    elif kind == "rename session":
        with suppress(OSError):
            (site.root / given[0]).rename(site.root / given[1])
            forgotten -= {place for place in forgotten if place[0] == given[1]}
    elif kind == "keep":
        site.keep(given[0])
    elif kind == "fail":
        fail(site, *given[0])
    elif kind == "forget":
        forget(site.store, site.tree, site.root.with_name("thumbnails"), *given)
        for path in site.root.glob(f"{given[0]}/project_*/*.png"):
            if given[1] in (None, path.name):
                forgotten.add((given[0], path.parent.name, path.name))
    elif kind == "set the clock back":
        site.later_ns -= given[0] * 10**9
    elif kind == "restart":
        site.start()
    else:
        with site.catalog.writing() as writer:
            writer.trim_removals(keep=0)


def fail(site: HistorySite, call: str, number: int, code: int) -> None:
    """Keep, while the file system refuses one call."""
    left = [number]
    original: Callable[..., Any] = getattr(os, call)

    def refuse(*args: Any, **options: Any) -> Any:
        left[0] -= 1
        if left[0] == 0:
            raise OSError(code, os.strerror(code))
        return original(*args, **options)

    site.index()
    with patch(f"plotindex.history.contents.os.{call}", refuse), suppress(OSError, PlotIndexError):
        site.keep_without_indexing()


def test_a_plot_that_cannot_be_read_to_its_end_delays_no_other(
    new_database: NewDatabase, new_history: NewHistory
) -> None:
    with opened(new_database, new_history, "sqlite", size=1 << 30) as site:
        damaged = site.draw("s/project_a/damaged.png", "one").stat().st_ino
        site.draw("s/project_a/x.png", "two")
        original = os.pread

        def refuse(fd: int, *args: Any) -> bytes:
            if os.fstat(fd).st_ino == damaged:
                raise OSError(errno.EIO, os.strerror(errno.EIO))
            return original(fd, *args)

        with patch("plotindex.history.contents.os.pread", refuse):
            site.keep()
        site.check()
        assert (site.versions("s", "damaged.png"), site.versions("s", "x.png")) == ([], [b"two"])
        site.keep(60)
        assert site.versions("s", "damaged.png") == [b"one"]


def test_a_fault_is_named_and_the_next_try_succeeds(new_database: NewDatabase, new_history: NewHistory) -> None:
    with opened(new_database, new_history, "sqlite", size=1 << 30) as site:
        site.draw("s/project_a/x.png", "one")
        site.index()
        with (
            patch("plotindex.history.contents.os.fsync", side_effect=OSError(errno.ENOSPC, "No space left")),
            pytest.raises(OSError, match="No space left"),
        ):
            site.keep_without_indexing()
        site.check()
        site.keep()
        assert site.versions("s", "x.png") == [b"one"]


def test_what_a_full_disk_let_skip_is_kept_by_the_next_process(
    new_database: NewDatabase, new_history: NewHistory
) -> None:
    with opened(new_database, new_history, "sqlite", size=1 << 30) as site:
        site.keep()
        site.draw("s/project_a/x.png", "one")
        site.index()
        with (
            patch.object(type(site.store.database), "space_problem", return_value="The disk is full."),
            pytest.raises(HistoryError, match="full"),
        ):
            site.keep_without_indexing()
        site.keeper.report("The disk is full.")
        site.start().keep()
        assert site.versions("s", "x.png") == [b"one"]
