"""A catalogue on PostgreSQL: order of names, several indexers, and an unavailable server."""

import os
import shutil
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

import pytest
from sqlalchemy import text
from sqlalchemy.engine import make_url

from plotindex.auth.tokens import Tokens
from plotindex.config.settings import Settings
from plotindex.errors import CatalogError, SettingsError, UnusableDatabaseError
from plotindex.index.lookup import CacheStatus, Lookup
from plotindex.index.reconcile import reconcile
from plotindex.index.verify import differences
from plotindex.storage.catalog import Catalog
from plotindex.storage.factory import open_database
from plotindex.storage.listing import Listing
from plotindex.storage.overview import Overview
from plotindex.storage.stats import IndexerStats
from plotindex.tree.grammar import Layout
from plotindex.tree.plots import PlotKey
from plotindex.tree.tree import Tree
from plotindex.web.app import create_app
from tests import CHECKOUT
from tests.project.test_documents import POSTGRESQL, Shell
from tests.storage.test_listing import Reader, everything
from tests.support.postgres import PostgresServer, connected, on_postgresql, query_value, run_postgres
from tests.support.processes import (
    Index,
    Refused,
    RunPlotindex,
    Service,
    StartService,
    all_plots,
    answers,
    draw,
    wait_until,
)

pytestmark = on_postgresql
ODD = ["Z.png", "a.png", "B.png", "ä.png", "_.png", "a/b.png", "a b.png", "A.png", "\U0001f600.png", "￿.png"]


@pytest.fixture
def url(environment: dict[str, str]) -> str:
    return environment["PLOTINDEX_DATABASE_URL"]


@contextmanager
def opened(url: str) -> Iterator[Catalog]:
    """The catalogue, opened as by another process."""
    database = open_database(url)
    try:
        yield Catalog(database)
    finally:
        database.close()


def all_true(_session: str) -> bool:
    return True


def test_names_are_in_byte_order(url: str, root: Path, tree: Tree, catalog: Catalog) -> None:
    for name in ODD:
        draw(root, f"{name.replace('/', '-')}/project_1/x.png")
        draw(root, f"s/project_1/{name}")
    assert reconcile(tree, catalog, [""]).added == 2 * len(ODD)
    in_order = sorted(ODD, key=str.encode)
    listing = Listing(catalog.database)
    pages: list[str] = []
    after: str | None = ""
    while after is not None:
        page = listing.plots("s", 3, after)
        pages += [entry.key.filename for entry in page.entries]
        after = page.next
    assert pages == in_order
    assert catalog.sessions() == sorted(["s", *(name.replace("/", "-") for name in ODD)], key=str.encode)
    assert list(differences(tree, catalog)) == []
    assert reconcile(tree, catalog, [""]).differences == 0
    # Also where the database is of a language: this server knows none.
    others = (
        "SELECT count(*) FROM information_schema.columns WHERE table_schema = current_schema() AND data_type = 'text' "
        "AND column_name IN ('session', 'filename', 'project', 'cut') AND collation_name IS DISTINCT FROM 'C'"
    )
    assert query_value(url, others) == 0


def test_nul_in_requests_is_compared_as_with_sqlite(root: Path, catalog: Catalog, index: Index) -> None:
    for name in ODD:
        draw(root, f"s/project_1/{name}")
    index()
    listing = Listing(catalog.database)
    behind = [entry.key.filename for entry in listing.plots("s", 100, "a\0b").entries]
    assert behind == [name for name in sorted(ODD, key=str.encode) if name.encode() > b"a\0b"]
    assert [row.session for row in listing.sessions(all_true, 10, "a\0").sessions] == ["s"]
    assert Overview(catalog).search(all_true, "a\0", 10)[:2] == ([], True)


def test_following_changes_misses_no_concurrent_write(url: str, catalog: Catalog, tree: Tree, root: Path) -> None:
    stop = threading.Event()
    reader = Reader(Listing(catalog.database), all_true)

    def follow() -> None:
        while not stop.is_set():
            reader.follow(3)

    def write(number: int) -> None:
        with opened(url) as own:
            for turn in range(12):
                path = f"s{number}/project_{turn % 3}/{turn}.png"
                draw(root, path)
                draw(root, f"all/project_{number}/{turn}.png")
                reconcile(tree, own, [path, "all"])
                if turn % 4 == 3:
                    (root / path).unlink()
                    reconcile(tree, own, [path])

    with ThreadPoolExecutor(5) as pool:
        following = pool.submit(follow)
        list(pool.map(write, range(4)))
        stop.set()
        following.result()
    reader.follow(3)
    assert reader.known == everything(reader.listing, all_true)
    assert catalog.counts() == (5, 4 * 9 + 4 * 12)
    assert list(differences(tree, catalog)) == []


def test_deadlocked_transaction_is_retried(url: str, catalog: Catalog, tree: Tree, root: Path, index: Index) -> None:
    draw(root, "s/project_1/x.png")
    index()
    draw(root, "s/project_1/new.png")

    def waits(kind: str) -> bool:
        return bool(query_value(url, "SELECT count(*) FROM pg_locks WHERE NOT granted AND locktype = %s", kind))

    with connected(url) as other, ThreadPoolExecutor(1) as pool:
        other.execute("BEGIN")
        other.execute("SELECT * FROM catalogue FOR UPDATE")
        writing = pool.submit(reconcile, tree, catalog, ["s"])
        # It holds the session and waits for the clock: locking the session now is a deadlock.
        wait_until(lambda: waits("transactionid"))
        other.execute("SELECT pg_advisory_xact_lock(hashtextextended('s', 'catalogue'::regclass::oid::bigint))")
        other.execute("COMMIT")
        assert writing.result().added == 1
    assert list(differences(tree, catalog)) == []


def test_waiters_are_woken_by_commits_also_after_a_broken_connection(
    url: str, catalog: Catalog, tree: Tree, root: Path
) -> None:
    database = catalog.database

    def wakes(path: str) -> bool:
        draw(root, path)
        told = database.notifications
        with ThreadPoolExecutor(1) as pool:
            waiting = pool.submit(database.wait_for_commit, told, 60.0)
            reconcile(tree, catalog, [path])
            waiting.result(timeout=20)
        return database.notifications != told

    # The first one makes the connection.
    database.wait_for_commit(database.notifications, 10.0)
    listening = "SELECT count(*) FROM pg_stat_activity WHERE query LIKE 'LISTEN%%' AND datname = current_database()"
    wait_until(lambda: query_value(url, listening))
    assert wakes("s/project_1/x.png")
    ended = "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity WHERE query LIKE 'LISTEN%%'"
    assert query_value(url, ended)
    wait_until(lambda: query_value(url, listening) == 0)
    # Until it listens again waiters poll.
    database.wait_for_commit(database.notifications, 60.0)
    wait_until(lambda: query_value(url, listening))
    assert wakes("s/project_1/y.png")


def test_second_indexer_takes_over_from_a_silent_or_dead_leader(
    url: str, service: StartService, catalog: Catalog, root: Path, tmp_path: Path, plotindex: RunPlotindex, tree: Tree
) -> None:
    draw(root, "s/project_1/x.png")

    def watch(name: str) -> Service:
        running = stack.enter_context(service("watch", env={"PLOTINDEX_STATE_DIR": str(tmp_path / name)}))
        running.wait_for(lambda: "Full scan finished" in running.stderr)
        return running

    def elected() -> list[int]:
        beats = [beat for beat in catalog.heartbeats() if beat.state == "watching"]
        return [beat.pid for beat in beats if IndexerStats.load(beat.measured).elected]

    with ExitStack() as stack:
        one = watch("one")
        wait_until(lambda: elected() == [one.pid])
        two = watch("two")
        wait_until(lambda: {beat.pid for beat in catalog.heartbeats()} == {one.pid, two.pid})
        assert elected() == [one.pid]
        os.kill(one.pid, signal.SIGSTOP)
        two.wait_for(lambda: "Leadership acquired" in two.stderr)
        # Its own events come to each of them: nobody waits for the one that is stopped.
        draw(root, "s/project_1/y.png")
        wait_until(lambda: len(all_plots(catalog)) == 2)
        os.kill(one.pid, signal.SIGCONT)
        one.wait_for(lambda: "Leadership lost" in one.stderr)
        wait_until(lambda: elected() == [two.pid])
        os.kill(two.pid, signal.SIGKILL)
        one.wait_for(lambda: "Leadership acquired" in one.stderr)
        # What the dead one alone may have seen nobody knows, until it is forgotten.
        lookup = Lookup(tree, catalog)
        make_older = "UPDATE indexer SET heartbeat = heartbeat - %s WHERE pid = %s"
        with connected(url) as connection:
            connection.execute(make_older, (20, two.pid))
        assert lookup.open("s", "x.png").cache_status is CacheStatus.UNWATCHED
        told = plotindex("status").stdout
        assert f"watching, process {one.pid} on" in told and f"other      silent, process {two.pid} on" in told, told
        with connected(url) as connection:
            connection.execute(make_older, (60, two.pid))
        catalog.delete_dead_indexers("another host")
        wait_until(lambda: lookup.open("s", "x.png").cache_status is CacheStatus.HIT)
        assert watch("three").stop() == 0
        told = plotindex("status", env={"PLOTINDEX_STATE_DIR": str(tmp_path / "three")}).stdout
        assert f"watching, process {one.pid} on" in told, told


def test_nothing_is_lost_while_the_server_is_away(
    root: Path, tmp_path: Path, environment: dict[str, str], service: StartService
) -> None:
    draw(root, "s/project_1/x.png")
    with run_postgres() as server, server.database() as url, ExitStack() as stack:
        env = {"PLOTINDEX_DATABASE_URL": url}
        running = stack.enter_context(service("watch", env=env))
        running.wait_for(lambda: "Full scan finished" in running.stderr)
        settings = Settings(
            root=root, database=url, state_dir=tmp_path / "state", secret_key=("one-key-of-all-the-nodes",)
        )
        token = Tokens(settings.make_state_folder() / "tokens.json").create("a")
        client = create_app(settings).test_client()

        def ask(name: str) -> tuple[int, str]:
            address = f"/api/smartstat/plots/s/{name}"
            with client.get(address, headers={"Authorization": f"Bearer {token}"}, buffered=True) as answer:
                return answer.status_code, answer.headers["Cache-Status"]

        wait_until(lambda: ask("x.png") == (200, "plotindex; hit"))
        with opened(url) as catalog:
            # As far as somebody may have come who followed another server's commits, which this one never had.
            cursor = Listing(catalog.database).clock() + 10
        server.stop()
        draw(root, "s/project_1/new.png")
        assert ask("x.png") == (200, "plotindex; fwd=miss")
        assert ask("new.png") == (200, "plotindex; fwd=miss")
        running.wait_for(lambda: "cannot be reached" in running.stderr)
        server.start()
        wait_until(lambda: ask("new.png") == (200, "plotindex; hit"))
        assert ask("x.png") == (200, "plotindex; hit")
        with opened(url) as catalog:
            assert Listing(catalog.database).clock() > cursor
            assert Listing(catalog.database).changes(cursor, all_true).fresh
        # A connection that a firewall has cut, say.
        query_value(url, "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity WHERE pid <> pg_backend_pid()")
        assert ask("x.png")[0] == 200
        draw(root, "s/project_1/newest.png")
        wait_until(lambda: ask("newest.png") == (200, "plotindex; hit"))
        assert running.process.poll() is None


def test_only_one_client_at_a_time_waits_for_a_silent_server(engine: str) -> None:
    def ask(catalog: Catalog) -> None:
        with pytest.raises(CatalogError, match="cannot be reached"):
            catalog.header()

    with socket.create_server(("127.0.0.1", 0)) as silent:
        silent.setblocking(False)
        port = silent.getsockname()[1]
        with opened(f"postgresql+psycopg://a@127.0.0.1:{port}/x?connect_timeout=2") as catalog:
            ask(catalog)
            with ThreadPoolExecutor(20) as pool:
                list(pool.map(ask, [catalog] * 100))
        came = 0
        with suppress(BlockingIOError):
            while True:
                silent.accept()[0].close()
                came += 1
    assert came <= 2


def test_shared_catalogue_requires_a_secret_key(refused: Refused, tmp_path: Path, url: str) -> None:
    commands = ["serve", "run", "token create --name a", "key rotate"]
    refused(commands, "PLOTINDEX_SECRET_KEY", "each of them", PLOTINDEX_SECRET_KEY="")
    assert not list(tmp_path.glob("state/*/secret.key"))


def test_every_command_works_on_postgresql(
    plotindex: RunPlotindex, root: Path, catalog: Catalog, indexer: StartService
) -> None:
    draw(root, "s/project_1/x.png")
    commands = {
        "migrate": "schema",
        "rebuild --from-scratch": "1 plots",
        "verify": "",
        "find x.png": "s/project_1/x.png",
        "wait s x.png": "s/project_1/x.png",
        "sync": "",
        "status": "healthy    yes",
        "token create --name a": "",
        "token link a": "/login?code=",
        "config": "postgresql+psycopg://",
        "doctor": "opens: schema",
        "support-bundle bundle.tar.gz": "",
        "backup backup.json": "",
        "token list": "every session",
        "token revoke a": "",
        "restore backup.json --force": "",
    }
    with indexer():
        for command, says in commands.items():
            done = plotindex(*command.split())
            assert says in done.stdout and "Traceback" not in done.stderr, (command, done)
            assert done.returncode == 0 or command == "doctor", (command, done)
        assert "bad" not in [line.split()[0] for line in plotindex("doctor").stdout.splitlines() if "database" in line]


def test_concurrent_migrations_create_the_schema_once(postgres: PostgresServer, environment: dict[str, str]) -> None:
    def migrate(url: str) -> None:
        with opened(url) as catalog:
            catalog.database.migrate()
            catalog.database.require_schema()

    with postgres.database(None) as url:
        with opened(url) as catalog, pytest.raises(CatalogError, match="has no tables yet"):
            catalog.require_root("/plots")
        with ThreadPoolExecutor(4) as pool:
            list(pool.map(migrate, [url] * 4))
        command = [sys.executable, "-m", "alembic", "-x", f"database={url}"]
        for words, says in (
            (["check"], "No new upgrade operations"),
            (["downgrade", "base"], ""),
            (["upgrade", "head"], ""),
        ):
            done = subprocess.run(
                [*command, *words],
                cwd=CHECKOUT,
                env=environment,
                capture_output=True,
                text=True,
                timeout=60,
                check=False,
            )
            assert done.returncode == 0 and says in done.stdout, done
        migrate(url)
        with connected(url) as connection:
            connection.execute("UPDATE alembic_version SET version_num = '9999'")
        with pytest.raises(UnusableDatabaseError, match=r"by a newer plotindex .* drop its tables"):
            migrate(url)
        with connected(url) as connection:
            connection.execute("DELETE FROM alembic_version")
        with pytest.raises(UnusableDatabaseError, match="tables of another program"):
            migrate(url)


def test_documented_postgresql_commands_work(engine: str, postgres: PostgresServer, tmp_path: Path) -> None:
    draw(tmp_path / "plots", "abc123/project_fit/hist.png")
    shell = Shell(tmp_path)
    try:
        for line in POSTGRESQL:
            if line.startswith("create"):
                postgres.run(*line.split())
                continue
            # A socket in place of a name on the network.
            here = line.replace("@db.example.org/plotindex", f"@/plotindex?host={postgres.folder}")
            code, said = shell.take(here)
            assert code == 0, (line, said)
        wait_until(lambda: answers(f"http://127.0.0.1:{shell.port}"))
        assert "healthy    yes" in said
    finally:
        for running in shell.running.values():
            running.clean_up()


@pytest.mark.parametrize(
    ("url", "says"),
    [
        ("postgresql+psycopg://role:hunter2@127.0.0.1:1/plots", "role:***@127.0.0.1:1/plots cannot be reached"),
        ("postgresql+psycopg://role:hunter2@127.0.0.1:1", "names no database"),
        ("postgresql+asyncpg://role:hunter2@127.0.0.1/plots", "cannot be kept in postgresql.asyncpg"),
    ],
)
def test_errors_hide_the_password(url: str, says: str, engine: str) -> None:
    with (
        pytest.raises((CatalogError, SettingsError), match=says.replace("***", r"\*\*\*")) as raised,
        opened(url) as it,
    ):
        it.header()
    assert "hunter2" not in str(raised.value)


def test_an_unknown_role_is_created_by_createuser_and_an_unknown_database_by_createdb(
    engine: str, url: str, settings: Settings
) -> None:
    parsed = make_url(url)
    for changed, command, other in (
        (parsed.set(username="nobody_at_all"), "createuser", "createdb"),
        (parsed.set(database="nothing_at_all"), "createdb", "createuser"),
    ):
        with pytest.raises(CatalogError) as raised, opened(changed.render_as_string(hide_password=False)) as catalog:
            catalog.header()
        assert command in str(raised.value)
        assert other not in str(raised.value)


def test_names_are_counted_in_bytes_on_postgresql(root: Path, catalog: Catalog) -> None:
    tree = Tree(root, Layout(max_names_bytes=30))
    for name in ("é", "f", "g\\", "ü"):
        draw(root, f"s/project_1/{name}.png")
    reconcile(tree, catalog, [""])
    assert (catalog.names_bytes("s"), catalog.cutoff("s")) == (23, None)
    draw(root, "s/project_1/a.png")
    reconcile(tree, catalog, ["s/project_1/a.png"])
    assert (catalog.names_bytes("s"), catalog.cutoff("s")) == (28, None)
    draw(root, "s/project_1/b.png")
    reconcile(tree, catalog, ["s/project_1/b.png"])
    assert (catalog.names_bytes("s"), catalog.cutoff("s")) == (27, "ü.png")


def test_limits_and_inodes_work_on_postgresql(root: Path, settings: Settings, catalog: Catalog) -> None:
    tree = Tree(root, Layout(max_depth=1, max_plots=3))
    for number in range(5):
        draw(root, f"s/project_1/{number}.png")
    draw(root, "s/project_1/a/b/deep.png")
    reconcile(tree, catalog, [""])
    assert catalog.truncations(10) == [("s", "3.png", 2, 1)]
    assert (catalog.cutoff("s"), catalog.counts()) == ("3.png", (1, 3))
    draw(root, "s/project_1/00.png")
    reconcile(tree, catalog, ["s/project_1/00.png"])
    assert (catalog.cutoff("s"), catalog.counts()) == ("2.png", (1, 3))
    shutil.rmtree(root / "s/project_1/a")
    (root / "s/project_1/4.png").unlink()
    (root / "s/project_1/3.png").unlink()
    (root / "s/project_1/2.png").unlink()
    reconcile(tree, catalog, ["s"])
    assert (catalog.truncations(10), catalog.cutoff("s")) == ([], None)
    known = {plot.filename: plot for plot in catalog.plots("s")}
    assert catalog.plots_by_inode([known["0.png"].inode, 1]) == [known["0.png"]]
    assert catalog.copy(PlotKey("s", "0.png"), "project_1") == known["0.png"]
    assert catalog.newest_plot() == known["00.png"]


def test_statements_time_out_and_readers_are_read_only(catalog: Catalog) -> None:
    with catalog.database.reading() as connection:
        assert connection.execute(text("SHOW statement_timeout")).scalar() == "10s"
        assert connection.execute(text("SHOW transaction_isolation")).scalar() == "repeatable read"
    with catalog.writing() as writer:
        assert writer.connection.execute(text("SHOW statement_timeout")).scalar() == "1min"
        assert writer.connection.execute(text("SHOW transaction_isolation")).scalar() == "read committed"
    with pytest.raises(CatalogError, match="read-only"), catalog.database.reading() as connection:
        connection.execute(text("DELETE FROM plot"))
