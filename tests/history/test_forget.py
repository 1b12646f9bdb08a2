"""Forget what was kept: rows, bytes, pictures and names, for good."""

import os
import tarfile
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import pytest
from PIL import Image

from plotindex.comparison.compare import PairComparer
from plotindex.comparison.difference import Kind, Pair
from plotindex.comparison.sides import SideFile, SidePlot
from plotindex.config.settings import Settings
from plotindex.history.archive import read_archive, write_archive
from plotindex.history.forget import forget
from plotindex.history.keeper import Limits
from plotindex.history.store import HistoryStore
from plotindex.rendering.cache import FileCache, cache_key
from plotindex.rendering.comparison import Comparison
from plotindex.rendering.protocol import Outcome
from plotindex.rendering.renderer_client import RendererClient
from plotindex.rendering.thumbnails import Thumbnails
from plotindex.storage.catalog import Catalog
from plotindex.system import closing_fd
from tests.conftest import NewHistory
from tests.support.history import HistorySite, history_site
from tests.support.images import encoded, halves
from tests.support.postgres import NewDatabase, on_both_engines

PICTURE, OTHER_PICTURE = encoded(Image.effect_noise((640, 480), 80)), encoded(halves(size=(640, 480)))


@pytest.fixture
def site(new_database: NewDatabase, engine: str, new_history: NewHistory) -> Iterator[HistorySite]:
    with (
        new_database(engine) as database,
        new_history(engine, database) as history,
        history_site(Catalog(database), history) as made,
    ):
        made.catalog.record_root(str(made.root), made.tree.layout, 1)
        yield made
        made.check()


def forget_all(site: HistorySite, session: str, filename: str | None = None) -> tuple[int, int, int]:
    return forget(site.store, site.tree, site.root.with_name("thumbnails"), session, filename)


def draw_two(site: HistorySite) -> None:
    for content in ("one", "two"):
        site.draw("secret/project_a/x.png", content)
        site.draw("secret/project_a/y.png", f"y{content}")
        site.draw("t/project_a/x.png", content)
        site.keep()


@on_both_engines
def test_forgotten_versions_are_gone_and_not_kept_again_unless_the_plot_changes(site: HistorySite) -> None:
    draw_two(site)
    [now, before] = site.history.versions("secret", "x.png", None, 10, is_limited=False).versions
    cache = FileCache(site.root.with_name("thumbnails"), 1 << 20, lambda: None)
    cache.put(cache_key(before.plot, "160"), b"picture")
    assert forget_all(site, "secret", "x.png") == (2, 0, 1)
    assert site.versions("secret", "x.png") == []
    assert len(site.versions("secret", "y.png")) == len(site.versions("t", "x.png")) == 2
    assert cache.get(cache_key(before.plot, "160")) is None
    # A new catalogue names the plot again.
    with site.catalog.writing() as writer:
        writer.trim_removals(keep=0)
    site.keep()
    assert site.versions("secret", "x.png") == []
    site.draw("secret/project_a/x.png", "three")
    site.keep()
    assert site.versions("secret", "x.png") == [b"three"]
    assert site.history.open("secret", "x.png", now.plot.version, is_limited=False) is None
    assert forget_all(site, "secret") == (3, 3, 0)
    assert forget_all(site, "never") == (0, 0, 0)
    assert len(site.versions("t", "x.png")) == 2


def test_a_picture_that_is_drawn_meanwhile_is_not_left(
    site: HistorySite, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    thumbnails = Thumbnails(settings, 1)
    folder, drawing = settings.thumbnails_folder, thumbnails.renderer.run
    for content in (PICTURE, b"later"):
        site.draw("s/project_a/x.png", content)
        site.keep()
    [_, old] = site.history.versions("s", "x.png", None, 10, is_limited=False).versions

    def draw(is_forgotten: bool) -> list[str]:
        def run(job: str, fd: int) -> tuple[Outcome, bytes]:
            drawn = drawing(job, fd)
            if is_forgotten:
                forget(site.store, site.tree, folder, "s", "x.png")
            return drawn

        monkeypatch.setattr(thumbnails.renderer, "run", run)
        opened = site.history.open("s", "x.png", old.plot.version, is_limited=False)
        assert opened is not None
        with closing_fd(opened.fd):
            width = "160" if is_forgotten else "320"
            assert thumbnails.render(opened, width, partial(site.history.keeps, old.plot)).outcome is Outcome.RENDERED
        return os.listdir(folder)

    try:
        assert draw(is_forgotten=False) == [cache_key(old.plot, "320")]
        assert draw(is_forgotten=True) == []
    finally:
        thumbnails.renderer.close()


def test_what_is_no_folder_of_pictures_is_in_nobodys_way(site: HistorySite) -> None:
    draw_two(site)
    site.root.with_name("thumbnails").write_text("no folder")
    assert forget_all(site, "secret", "x.png") == (2, 0, 0)
    assert site.versions("secret", "x.png") == []


def test_a_comparison_that_is_made_meanwhile_is_not_left(site: HistorySite, tmp_path: Path) -> None:
    for content in (PICTURE, OTHER_PICTURE):
        site.draw("s/project_a/x.png", content)
        site.keep()
    renderer, folder = RendererClient(), tmp_path / "cache"
    comparer = PairComparer(site.tree, site.catalog.database, site.history, FileCache(folder, 1 << 20, lambda: None))
    versions = site.history.versions("s", "x.png", None, 10, is_limited=False).versions
    files = [SideFile(kept.plot, kept.digest, True) for kept in versions]
    pair = Pair(*(SidePlot(file, (file,), (file.plot,)) for file in files))

    class Forgetting(RendererClient):
        """Forgets while it compares."""

        def compare(self, before: tuple[int, str], after: tuple[int, str]) -> Comparison | Outcome:
            found = renderer.compare(before, after)
            forget(site.store, site.tree, folder, "s", "x.png")
            return found

    try:
        assert comparer.compare(pair, renderer).kind is Kind.CHANGED
        assert [name.endswith("-pair") for name in os.listdir(folder)] == [True]
        (folder / os.listdir(folder)[0]).unlink()
        assert comparer.compare(pair, Forgetting()).kind is Kind.CHANGED
        assert os.listdir(folder) == []
    finally:
        renderer.close()


def test_no_file_of_the_database_holds_a_forgotten_name(site: HistorySite) -> None:
    draw_two(site)
    file = site.store.database.path
    assert b"secret" in file.read_bytes() + file.with_name(f"{file.name}-wal").read_bytes()
    forget_all(site, "secret")
    for each in file.parent.glob(f"{file.name}*"):
        assert b"secret" not in each.read_bytes()


@on_both_engines
def test_a_backup_restores_what_was_lost_but_nothing_that_was_forgotten(site: HistorySite, tmp_path: Path) -> None:
    draw_two(site)
    file = tmp_path / "backup.tar"
    with tarfile.open(file, "w") as archive:
        done = write_archive(site.store, archive)
    assert (done.versions, done.contents) == (6, 4)
    forget_all(site, "secret", "x.png")
    for statement in ("version", "content", "copy", "session"):
        with site.store.database.writing() as connection:
            connection.driver.execute(f"DELETE FROM history_{statement}")
    site.start()
    assert site.versions("t", "x.png") == []
    with tarfile.open(file) as archive:
        assert read_archive(site.store, archive).versions == 4
    assert site.versions("t", "x.png") == [b"two", b"one"]
    assert site.versions("secret", "y.png") == [b"ytwo", b"yone"]
    assert site.versions("secret", "x.png") == []
    site.check()
    with tarfile.open(file) as archive:
        assert read_archive(site.store, archive).versions == 0
    site.keep()
    assert site.versions("t", "x.png", is_limited=True) == [b"two", b"one"]


def test_a_damaged_backup_restores_what_is_whole(site: HistorySite, tmp_path: Path) -> None:
    draw_two(site)
    file = tmp_path / "backup.tar"
    with tarfile.open(file, "w") as archive:
        write_archive(site.store, archive)
    forget_all(site, "secret")
    for statement in ("version", "content", "copy", "session", "forgotten"):
        with site.store.database.writing() as connection:
            connection.driver.execute(f"DELETE FROM history_{statement}")
    site.start()
    content = file.read_bytes()
    at = content.index(b"yone")
    file.write_bytes(content[:at] + b"YONE" + content[at + 4 :])
    with tarfile.open(file) as archive:
        assert read_archive(site.store, archive).versions == 5
    assert site.versions("secret", "y.png") == [b"ytwo"]
    site.check()


def test_limits_come_from_the_settings(settings: Settings) -> None:
    limits = Limits.from_settings(settings)
    assert (limits.bytes, limits.rule) == (1 << 30, (50, 90))
    assert HistoryStore.from_settings(settings) is not None
