"""What the keeper keeps of a tree: overwritten and deleted plots, once each, and nothing beyond the bound."""

import json
import os
import re
import shutil
import time
from collections.abc import Iterator

import pytest

from plotindex.config.settings import Settings
from plotindex.errors import RootLostError, UnsafePathError
from plotindex.history.contents import HistoryError
from plotindex.history.keeper import BATCH_BYTES, Limits
from plotindex.history.store import HistoryStore
from plotindex.ops.followers import HistoryStatus
from plotindex.storage.catalog import Catalog
from plotindex.storage.history.reader import HistoryReader
from plotindex.tree.session_filter import SessionFilter
from tests.conftest import NewHistory
from tests.support.history import RULE, HistorySite, history_site
from tests.support.other_users import without_privileges
from tests.support.page_cache import cached_bytes, drop_cached
from tests.support.postgres import NewDatabase, on_both_engines
from tests.support.processes import RunPlotindex, draw, wait_until


@pytest.fixture
def site(new_database: NewDatabase, engine: str, new_history: NewHistory) -> Iterator[HistorySite]:
    with new_database(engine) as database, new_history(engine, database) as history:
        catalog = Catalog(database)
        with history_site(catalog, history) as made:
            catalog.record_root(str(made.root), made.tree.layout, 1)
            yield made
            made.check()


@on_both_engines
def test_overwritten_and_deleted_plots_are_kept(site: HistorySite) -> None:
    plot = site.draw("s/project_a/x.png", "one")
    site.keep()
    site.draw("s/project_a/x.png", "two")
    site.keep()
    plot.unlink()
    site.keep()
    assert site.versions("s", "x.png") == [b"two", b"one"]
    [key] = site.history.keys("s", 10, is_limited=False).keys
    assert (key.filename, key.versions, key.gone is not None) == ("x.png", 2, True)
    site.draw("s/project_a/x.png", "three")
    site.keep()
    assert site.versions("s", "x.png") == [b"three", b"two", b"one"]
    assert site.history.keys("s", 10, is_limited=False).keys[0].gone is None


@on_both_engines
def test_each_content_is_stored_once(site: HistorySite) -> None:
    for project in ("project_a", "project_b"):
        site.draw(f"s/{project}/x.png", "same")
        site.draw(f"t/{project}/x.png", "same")
    site.keep()
    site.draw("s/project_a/x.png", "same")
    site.keep()
    assert site.versions("s", "x.png") == [b"same"] * 3
    assert len(site.rows("SELECT DISTINCT digest FROM history_content")) == 1
    assert [row[0] for row in site.rows("SELECT bytes FROM history_session ORDER BY session")] == [5120, 4608]


@on_both_engines
def test_names_that_no_database_can_store_have_no_versions(site: HistorySite) -> None:
    site.draw("s/project_a/x.png", "one")
    site.keep()
    version = site.history.versions("s", "x.png", None, 1, is_limited=True).versions[0].plot.version
    for name in ("\0", "project_a\0", "\ud800"):
        for filename, project in (("x.png", name), (name, None), (name, name)):
            assert not site.history.versions("s", filename, project, 10, is_limited=True).versions
            assert site.history.open("s", filename, version, project, is_limited=True) is None
    assert [key.filename for key in site.history.keys("s", 10, "a\0b", is_limited=True).keys] == ["x.png"]


def test_empty_and_young_files_are_not_kept(site: HistorySite) -> None:
    site.draw("s/project_a/empty.png", "")
    site.draw("s/project_a/young.png", "young")
    site.keep(seconds=0)
    assert site.rows("SELECT * FROM history_version") == []
    site.keep()
    assert site.versions("s", "young.png") == [b"young"]
    assert site.versions("s", "empty.png") == []


def test_what_was_overwritten_before_it_was_read_is_counted(site: HistorySite) -> None:
    site.draw("s/project_a/x.png", "one")
    site.keep(seconds=0)
    site.draw("s/project_a/x.png", "two")
    site.keep(seconds=0)
    site.draw("s/project_a/x.png", "three")
    # Not indexed yet: found when it is read.
    site.later_ns += 3 * 10**9
    site.keep()
    assert site.versions("s", "x.png") == [b"three"]
    assert site.history.lost("s", "x.png", "project_a", is_limited=False) == 2
    with site.store.reading() as reader:
        state = reader.state()
    assert state is not None
    assert (state.kept, state.lost) == (1, 2)
    for gone in ("s/project_a/x.png", "s"):
        # The clock was ahead.
        site.later_ns = 0
        site.draw("s/project_a/x.png", gone)
        site.keep(seconds=0)
        (site.root / gone).rename(site.root.with_name(f"removed-{len(gone)}"))
        site.keep()
    with site.store.reading() as reader:
        state = reader.state()
    assert state is not None
    assert state.lost == 4


def test_other_times_or_permissions_are_no_overwritten_version(site: HistorySite) -> None:
    plot = site.draw("s/project_a/x.png", "one")
    site.keep(seconds=0)
    # As `cp --preserve` does.
    os.utime(plot, (0, 10**9))
    site.keep(seconds=0)
    plot.chmod(0o600)
    site.keep(seconds=0)
    plot.chmod(0o644)
    site.later_ns += 3 * 10**9
    site.keep()
    assert site.versions("s", "x.png") == [b"one"]
    assert site.history.lost("s", "x.png", "project_a", is_limited=False) == 0


def test_a_killed_process_leaves_neither_bytes_nor_rows_alone(site: HistorySite) -> None:
    site.draw("s/project_a/x.png", "one")
    site.keep()
    folder = site.store.folder.path
    (folder / ("0" * 32)).write_bytes(b"no row")
    (folder / f"new-{'0' * 16}").write_bytes(b"half")
    [(digest,)] = site.rows("SELECT digest FROM history_version")
    site.draw("s/project_a/y.png", "two")
    site.keep()
    (folder / bytes(digest).hex()).unlink()
    site.start()
    site.check()
    assert site.versions("s", "x.png") == []
    assert site.versions("s", "y.png") == [b"two"]


def test_doctor_finds_orphans_both_ways_and_says_what_removes_them(
    settings: Settings, catalog: Catalog, plotindex: RunPlotindex
) -> None:
    store = HistoryStore.from_settings(settings)
    assert store is not None
    site = HistorySite(settings.root, catalog, store.database, settings.history_folder, Limits.from_settings(settings))
    site.draw("s/project_a/x.png", "one")
    site.draw("s/project_a/y.png", "two")
    site.keep()

    def findings() -> list[tuple[str, str]]:
        told = json.loads(plotindex("doctor", "--json").stdout)
        return [(each["verdict"], each["seen"]) for each in told if each["check"] == "history"]

    assert findings() == [("ok", "2 versions are kept, 8.2 KB")]
    folder = settings.history_folder
    orphan = folder / ("0" * 32)
    orphan.write_bytes(b"no row")
    assert findings() == [("ok", "2 versions are kept, 8.2 KB")], "its row may be on the way"
    os.utime(orphan, (0, time.time() - 100))
    [(digest,)] = site.rows("SELECT digest FROM history_version LIMIT 1")
    (folder / bytes(digest).hex()).unlink()
    shown = str(folder)
    assert findings() == [
        ("warn", f"1 file of {shown} is of no kept version"),
        ("bad", f"The bytes of 1 kept content are missing from {shown}"),
    ]
    site.start()
    site.check()
    assert findings() == [("ok", "1 version is kept, 4.1 KB")]
    store.database.close()


def test_a_folder_in_place_of_kept_bytes_is_named_with_its_fix(
    settings: Settings, catalog: Catalog, plotindex: RunPlotindex
) -> None:
    store = HistoryStore.from_settings(settings)
    assert store is not None
    site = HistorySite(settings.root, catalog, store.database, settings.history_folder, Limits.from_settings(settings))
    site.draw("s/project_a/x.png", "one")
    site.keep()
    [(digest,)] = site.rows("SELECT digest FROM history_version")
    content = settings.history_folder / bytes(digest).hex()
    content.unlink()
    content.mkdir()
    problem = f"{content} is not a regular file: remove it, or restore it from a backup."
    done = plotindex("history", "forget", "s", "--yes")
    assert (done.returncode, done.stderr) == (2, f"plotindex: {problem}\n")
    with pytest.raises(UnsafePathError, match=re.escape(problem)):
        site.start()
    content.rmdir()
    site.start()
    site.check()
    store.database.close()


def test_a_new_catalogue_loses_nothing_and_keeps_nothing_twice(site: HistorySite) -> None:
    kept = site.draw("s/project_a/x.png", "one")
    gone = site.draw("s/project_a/gone.png", "gone")
    site.keep()
    gone.unlink()
    with site.catalog.writing() as writer:
        writer.expire_cursors(10**17)
        for table in ("plot", "session"):
            writer.connection.driver.execute(f"DELETE FROM {table}")
    kept.write_bytes(b"two")
    site.keep()
    assert site.versions("s", "x.png") == [b"two", b"one"]
    assert site.versions("s", "gone.png") == [b"gone"]
    keys = {key.filename: key.gone is not None for key in site.history.keys("s", 10, is_limited=False).keys}
    assert keys == {"x.png": False, "gone.png": True}


def test_the_first_start_keeps_a_fifth_of_the_bound_the_newest_first(
    new_database: NewDatabase, new_history: NewHistory
) -> None:
    with new_database("sqlite") as database, new_history("sqlite", database) as history:
        catalog = Catalog(database)
        with history_site(catalog, history, size=50 * 4096) as site:
            catalog.record_root(str(site.root), site.tree.layout, 1)
            for number in range(20):
                site.draw(f"s/project_a/{number:02}.png", str(number))
            site.keep()
            kept = [key.filename for key in site.history.keys("s", 100, is_limited=False).keys]
            assert kept == [f"{number:02}.png" for number in range(10, 20)]
            # From then on each that is drawn.
            site.draw("s/project_a/00.png", "again")
            site.keep()
            assert site.versions("s", "00.png") == [b"again"]


def test_what_is_too_large_to_keep_is_not_called_overwritten(
    new_database: NewDatabase, new_history: NewHistory
) -> None:
    with new_database("sqlite") as database, new_history("sqlite", database) as history:
        catalog = Catalog(database)
        with history_site(catalog, history, size=20 * 4096) as site:
            catalog.record_root(str(site.root), site.tree.layout, 1)
            site.draw("s/project_a/x.png", b"x" * 6 * 4096)
            site.keep()
            assert site.versions("s", "x.png") == []
            assert site.history.lost("s", "x.png", "project_a", is_limited=False) == 0


def test_the_largest_session_loses_its_oldest_first(new_database: NewDatabase, new_history: NewHistory) -> None:
    with new_database("sqlite") as database, new_history("sqlite", database) as history:
        catalog = Catalog(database)
        with history_site(catalog, history, size=40 * 4096) as site:
            catalog.record_root(str(site.root), site.tree.layout, 1)
            site.keep()
            for number in range(100):
                site.draw("busy/project_a/x.png" if number % 2 else f"busy/project_a/{number}.png", str(number))
                if number % 10 == 0:
                    site.draw(f"quiet/project_a/{number}.png", str(number))
                site.keep()
                site.check()
            assert len(site.history.keys("quiet", 100, is_limited=False).keys) == 10
            assert site.versions("busy", "x.png")[0] == b"99"
            [(busy,), (quiet,)] = site.rows("SELECT bytes FROM history_session ORDER BY session")
            assert (busy, quiet) == (30 * 4096, 10 * 4096)


def test_the_bound_holds_for_versions_of_one_content_too(new_database: NewDatabase, new_history: NewHistory) -> None:
    with new_database("sqlite") as database, new_history("sqlite", database) as history:
        catalog = Catalog(database)
        with history_site(catalog, history, size=20 * 4096) as site:
            catalog.record_root(str(site.root), site.tree.layout, 1)
            site.draw("s/project_a/x.png", "one")
            site.keep()
            for _ in range(3):
                for number in range(100):
                    site.draw(f"hostile/project_a/{number}.png", "same")
                site.keep()
                site.check()
            assert 100 < len(site.rows("SELECT 1 FROM history_version")) < 200
            assert site.versions("s", "x.png") == [b"one"]


def test_of_five_sessions_none_keeps_more_than_a_quarter(new_database: NewDatabase, new_history: NewHistory) -> None:
    with new_database("sqlite") as database, new_history("sqlite", database) as history:
        catalog = Catalog(database)
        with history_site(catalog, history, size=40 * 4096) as site:
            catalog.record_root(str(site.root), site.tree.layout, 1)
            site.keep()
            for session, count in {"a": 60, "b": 12, "c": 12, "d": 12, "e": 12}.items():
                for number in range(count):
                    site.draw(f"{session}/project_a/{number}.png", f"{session}{number}")
                site.keep()
            sizes = [row[0] for row in site.rows("SELECT bytes FROM history_session")]
            assert max(sizes) <= 10 * 4096
            site.check()


def test_a_file_that_claims_to_be_huge_costs_no_other_session_its_versions(site: HistorySite) -> None:
    site.draw("s/project_a/x.png", "one")
    site.keep()
    huge = site.draw("hostile/project_a/huge.png", "huge")
    os.truncate(huge, 1 << 42)
    site.keep()
    assert site.versions("s", "x.png") == [b"one"]
    assert site.versions("hostile", "huge.png") == []


def test_large_versions_of_one_session_delay_another_by_one_batch(site: HistorySite) -> None:
    for session in ("hostile", "s"):
        site.draw(f"{session}/project_a/first.png", session)
        site.keep()
    for number in range(5):
        os.truncate(site.draw(f"hostile/project_a/{number}.png", str(number)), BATCH_BYTES)
    site.draw("s/project_a/x.png", "one")
    site.index()
    site.keep_without_indexing(seconds=3, steps=3)
    assert site.versions("s", "x.png") == [b"one"]


def test_a_batch_reads_no_more_of_files_that_have_grown_than_of_others(site: HistorySite) -> None:
    drawn = [site.draw(f"s/project_a/{number}.png", str(number)) for number in range(4)]
    site.index()
    for plot in drawn:
        os.truncate(plot, BATCH_BYTES)
    site.keep_without_indexing(seconds=3, steps=2)
    assert len(site.rows("SELECT 1 FROM history_version")) <= 1
    site.keep_without_indexing(seconds=3)
    assert len(site.rows("SELECT 1 FROM history_version")) == 4


def test_a_file_that_claims_to_be_huge_leaves_room_for_others_at_the_first_start(site: HistorySite) -> None:
    site.draw("s/project_a/x.png", "one")
    os.truncate(site.draw("t/project_a/huge.png", "huge"), 1 << 40)
    site.keep()
    assert site.versions("s", "x.png") == [b"one"]


def test_a_lower_bound_is_kept_before_the_next_version(site: HistorySite) -> None:
    for number in range(10):
        site.draw(f"s/project_a/{number}.png", str(number))
    site.keep()
    site.limits = Limits(4 * 4096, RULE)
    site.start().keep_without_indexing()
    site.check()
    assert len(site.history.keys("s", 10, is_limited=False).keys) == 4


def test_a_lost_root_loses_no_version(site: HistorySite) -> None:
    site.draw("s/project_a/x.png", "one")
    site.index()
    with site.catalog.writing() as writer:
        writer.record_identity(site.tree.identity())
    site.keep(seconds=0)
    moved = site.root.with_name("moved")
    site.root.rename(moved)
    site.root.mkdir()
    with pytest.raises(RootLostError, match="is missing: mount it again"):
        site.keep_without_indexing()
    site.root.rmdir()
    moved.rename(site.root)
    site.keep()
    assert site.versions("s", "x.png") == [b"one"]


def test_what_cannot_be_read_now_is_kept_later(site: HistorySite) -> None:
    site.draw("s/project_a/x.png", "one")
    site.draw("s/project_b/x.png", "two")
    closed = site.root / "s/project_a"
    site.index()
    with without_privileges():
        closed.chmod(0)
        site.keep_without_indexing()
        assert site.versions("s", "x.png") == [b"two"]
        closed.chmod(0o755)
        site.keep_without_indexing(60)
    assert sorted(site.versions("s", "x.png")) == [b"one", b"two"]
    assert site.history.lost("s", "x.png", "project_a", is_limited=False) == 0


def test_what_cannot_be_read_for_a_day_is_given_up(site: HistorySite) -> None:
    site.draw("s/project_a/x.png", "one").chmod(0)
    site.index()
    with without_privileges():
        for seconds in (3, 3600, 2 * 86_400):
            site.keep_without_indexing(seconds)
        assert not site.rows("SELECT * FROM history_pending")
    assert site.history.lost("s", "x.png", "project_a", is_limited=False) == 1


def test_another_folder_is_refused(site: HistorySite) -> None:
    site.draw("s/project_a/x.png", "one")
    site.keep()
    moved = site.store.folder.path.rename(site.store.folder.path.with_name("elsewhere"))
    with pytest.raises(HistoryError, match="is missing: mount it, or restore a backup"):
        site.start()
    site.store.folder.path.mkdir()
    with pytest.raises(HistoryError, match="does not belong to its database"):
        site.start()
    site.store.folder.path.rmdir()
    moved.rename(site.store.folder.path)
    site.start()
    assert site.versions("s", "x.png") == [b"one"]


def test_a_history_that_was_killed_when_it_began_begins_again(
    settings: Settings, catalog: Catalog, plotindex: RunPlotindex
) -> None:
    draw(settings.root, "s/project_a/x.png")
    store = HistoryStore.from_settings(settings)
    assert store is not None
    store.migrate()
    for is_created in (False, True):
        if is_created:
            store.folder.create("a" * 32)
        assert not store.exists()
        told = json.loads(plotindex("doctor", "--json").stdout)
        assert [each["seen"] for each in told if each["check"] == "history"] == ["No version is kept yet"]
    site = HistorySite(settings.root, catalog, store.database, settings.history_folder, Limits.from_settings(settings))
    site.keep()
    assert len(site.versions("s", "x.png")) == 1
    store.database.close()


def test_a_reused_name_shows_no_predecessor_to_a_limited_caller(site: HistorySite) -> None:
    site.draw("s/project_a/x.png", "theirs")
    site.keep()
    assert site.versions("s", "x.png", is_limited=True) == [b"theirs"]
    shutil.rmtree(site.root / "s")
    # At once, before anybody looks.
    site.draw("s/project_a/x.png", "mine")
    assert site.versions("s", "x.png", is_limited=True) == []
    site.keep()
    assert site.versions("s", "x.png", is_limited=True) == [b"mine"]
    assert site.versions("s", "x.png") == [b"mine", b"theirs"]
    shutil.rmtree(site.root / "s")
    site.keep()
    assert site.versions("s", "x.png", is_limited=True) == []
    assert site.versions("s", "x.png") == [b"mine", b"theirs"]


def test_a_folder_that_comes_back_after_its_removal_is_another_one(site: HistorySite) -> None:
    site.draw("s/project_a/x.png", "one")
    site.keep()
    (site.root / "s").rename(site.root / "t")
    site.keep()
    (site.root / "t").rename(site.root / "s")
    site.keep()
    assert site.versions("s", "x.png", is_limited=True) == [b"one"]
    assert site.versions("s", "x.png") == [b"one"] * 2
    assert site.versions("t", "x.png", is_limited=True) == []


def test_reading_leaves_the_page_cache_alone(site: HistorySite) -> None:
    size = 3_000_000
    cold, warm = site.draw("s/project_a/cold.png", b"c" * size), site.draw("s/project_a/warm.png", b"w" * size)
    for file in (cold, warm):
        # On a busy machine a written page is not dropped at once.
        wait_until(lambda: drop_cached(file) == 0)  # noqa: B023 - called at once
    warm.read_bytes()
    site.keep()
    assert (cached_bytes(cold), cached_bytes(warm) >= size) == (0, True)
    assert len(site.versions("s", "cold.png")[0]) == size


@pytest.mark.parametrize("allows", [SessionFilter.only("s"), SessionFilter(lambda name: name == "s", prefix="s")])
def test_kept_versions_of_other_sessions_cost_a_caller_nothing(
    new_database: NewDatabase, new_history: NewHistory, allows: SessionFilter
) -> None:
    with (
        new_database("sqlite") as database,
        new_history("sqlite", database) as history,
        history_site(Catalog(database), history) as site,
    ):
        site.catalog.record_root(str(site.root), site.tree.layout, 1)
        site.draw("s/project_a/x.png", "same")
        site.draw("t/project_a/x.png", "same")
        site.keep()

        def look() -> tuple[int, int]:
            """Versions with the bytes, and the steps of the database to find them."""
            [kept] = site.history.versions("s", "x.png", None, 1, is_limited=True).versions
            steps: list[int] = []
            with site.store.database.reading() as connection:
                connection.driver.set_progress_handler(lambda: steps.append(1), 1)
                try:
                    return len(HistoryReader(connection).versions_with(kept.digest, allows)), len(steps)
                finally:
                    connection.driver.set_progress_handler(None, 0)

        before = look()
        assert before[0] == 1
        for number in range(100):
            site.draw(f"other{number % 50}/project_a/{number}.png", "same")
        site.keep()
        assert look() == before


def test_a_history_whose_database_has_no_tables_yet_has_not_begun(catalog: Catalog, settings: Settings) -> None:
    """It is being created: nobody is to be told that something is wrong."""
    store = HistoryStore.from_settings(settings)
    assert store is not None
    assert store.database.file is not None
    store.database.file.touch(0o600)
    assert not store.exists()
    status = HistoryStatus.read(catalog, store)
    assert status is not None
    assert status.problem == ""
    store.prepare()
    assert store.exists()
    # Bytes without a database are another matter.
    store.database.close()
    (store.folder.path / ("0" * 32)).touch()
    for file in store.database.file.parent.glob("history.db*"):
        file.unlink()
    store.database.file.touch(0o600)
    with pytest.raises(HistoryError, match="has no tables yet"):
        store.exists()
    store.database.close()


def test_what_cannot_be_read_is_logged_once_a_minute(site: HistorySite, caplog: pytest.LogCaptureFixture) -> None:
    for number in range(200):
        site.draw(f"s/project_a/{number}.png", "closed").chmod(0)
    site.index()
    with without_privileges():
        for _ in range(3):
            site.keep_without_indexing()
    assert caplog.text.count("cannot read") == 1
    assert "History: cannot read 64 versions, the last one of s/project_a/" in caplog.text
