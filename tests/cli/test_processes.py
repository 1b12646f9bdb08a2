"""Processes: they stop on request, together, and leave no orphans."""

import os
import re
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path

import psutil
import pytest

from plotindex.auth.tokens import Tokens
from plotindex.config.settings import Settings
from plotindex.ops.status import read_status
from plotindex.storage.catalog import Catalog
from plotindex.tree.tree import Tree
from tests.support.processes import (
    PNG,
    REFUSAL_SECONDS,
    SVG,
    RunPlotindex,
    Service,
    StartService,
    draw,
    free_port,
    is_free,
    wait_until,
)

RunBoth = Callable[..., AbstractContextManager[Service]]
ENDS = pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT], ids=lambda number: number.name)

DOWNLOAD = """
import requests
r = requests.get(f"http://localhost:8517/api/smartstat/plots/{session_id}/correlation_plot.png",
                 headers={"Authorization": f"Bearer {token}"})
if r.status_code == 200: open("downloaded_plot.png", "wb").write(r.content); print("Plot downloaded successfully")
else: print(f"Error: {r.json()}")
"""
"""The client program that plotindex was first made for."""


@pytest.fixture
def both(service: StartService, root: Path) -> RunBoth:
    """`with both() as running:` is `plotindex run` with one plot, serving at `running.url`, with all output printed."""

    @contextmanager
    def start(*args: str, name: str = "s/project_1/x.png") -> Iterator[Service]:
        draw(root, name)
        port = free_port()
        with service("run", "--port", str(port), *args) as running:
            running.url = f"http://127.0.0.1:{port}"
            running.wait_for(lambda: "curl" in running.stdout)
            yield running

    return start


def family(running: Service) -> list[psutil.Process]:
    return psutil.Process(running.pid).children(recursive=True)


def child(running: Service, name: str) -> psutil.Process:
    [found] = [child for child in psutil.Process(running.pid).children() if name in child.cmdline()]
    return found


def port_of(running: Service) -> int:
    return int(running.url.rpartition(":")[2])


def all_gone(processes: list[psutil.Process]) -> bool:
    return not any(process.is_running() and process.status() != psutil.STATUS_ZOMBIE for process in processes)


def curl_line(running: Service) -> str:
    return next(line.strip() for line in running.stdout.splitlines() if line.startswith("  curl"))


@pytest.fixture
def tokens(settings: Settings) -> Tokens:
    """The tokens of the root."""
    return Tokens(settings.make_state_folder() / "tokens.json")


def ends_with_its_children(running: Service, end: Callable[[], None]) -> None:
    children = family(running)
    assert len(children) >= 2
    end()
    assert running.process.wait(10) == 0, running.stderr
    assert all_gone(children)
    assert is_free(port_of(running))
    assert "Traceback" not in running.stderr


def test_run_stops_both_children_on_one_interrupt(both: RunBoth) -> None:
    with both() as running:
        ends_with_its_children(running, lambda: os.kill(running.pid, signal.SIGINT))


@pytest.mark.parametrize(("victim", "name"), [("watch", "indexer"), ("serve", "server")])
def test_run_fails_when_either_child_is_killed(both: RunBoth, victim: str, name: str) -> None:
    with both() as running:
        children = family(running)
        child(running, victim).kill()
        assert running.process.wait(15) == 1
        assert f"The {name} was killed (SIGKILL); stopping. Run `plotindex run` again." in running.stderr
        wait_until(lambda: all_gone(children), 5)
        assert is_free(port_of(running))


def test_a_killed_run_leaves_no_orphans(both: RunBoth) -> None:
    with both() as running:
        children = family(running)
        running.process.kill()
        running.process.wait(10)
        wait_until(lambda: all_gone(children), 10)
        assert is_free(port_of(running))


def test_a_process_ends_if_its_parent_died_before_prctl() -> None:
    words = (
        "import os, signal; from plotindex.system.processes import die_with_parent; die_with_parent(signal.SIGKILL, "
        "os.getppid()); print('lives', flush=True); die_with_parent(signal.SIGKILL, os.getpid())"
    )
    done = subprocess.run(
        [sys.executable, "-c", words], capture_output=True, text=True, timeout=REFUSAL_SECONDS, check=False
    )
    assert (done.stdout, done.returncode) == ("lives\n", -signal.SIGKILL), done.stderr


def test_the_printed_command_works_and_only_its_token_is_revoked_at_the_end(
    both: RunBoth, tmp_path: Path, tokens: Tokens
) -> None:
    others = tokens.create("run")
    with both(name="it's 100% & more/project_1/sub/a b#?'\"$(id)\x1b]0;\u202e.png") as running:
        assert not re.search("[\x00-\x09\x0b-\x1f\x7f\u202e]", running.stdout), ascii(running.stdout)
        line = curl_line(running)
        done = subprocess.run(["sh", "-c", line], cwd=tmp_path, capture_output=True, timeout=30, check=False)
        assert done.returncode == 0, done.stderr
        assert PNG in [file.read_bytes() for file in tmp_path.iterdir() if file.is_file()]
        secret = re.findall(r"Bearer (plotindex_[\w-]+)", line)[0]
        assert tokens.check(secret)
        assert tokens.check(others)
        assert running.stop() == 0
    assert tokens.check(secret) is None
    assert tokens.check(others)


def test_run_works_with_another_database_and_stops_on_ctrl_c_to_the_group(
    both: RunBoth, settings: Settings, tmp_path: Path
) -> None:
    assert not settings.state_folder.exists()
    with both("--database", f"sqlite:///{tmp_path}/elsewhere.db") as running:
        ends_with_its_children(running, lambda: os.killpg(running.pid, signal.SIGINT))


def test_a_second_run_names_the_first_and_does_not_disturb_it(
    both: RunBoth, plotindex: RunPlotindex, tmp_path: Path
) -> None:
    with both() as first:
        second = plotindex("run", "--port", str(free_port()), seconds=REFUSAL_SECONDS)
        assert second.returncode == 2, second.stderr
        assert f"An indexer already watches this root: process {child(first, 'watch').pid} on " in second.stderr
        command = ["sh", "-c", curl_line(first)]
        assert subprocess.run(command, cwd=tmp_path, capture_output=True, timeout=30, check=False).returncode == 0


def test_a_second_indexer_names_the_first_and_exits_2(indexer: StartService, plotindex: RunPlotindex) -> None:
    with indexer() as first:
        second = plotindex("watch", seconds=REFUSAL_SECONDS)
        assert (second.returncode, second.stdout) == (2, "")
        holder = f"process {first.pid} on {socket.gethostname()}"
        assert second.stderr == f"plotindex: An indexer already watches this root: {holder}. Stop it first.\n"
        assert first.process.poll() is None
        first.process.kill()
        first.process.wait()
        with indexer() as third:
            assert third.stop() == 0


@ENDS
def test_watch_stops_within_two_seconds_and_status_reports_it(
    indexer: StartService, root: Path, tree: Tree, catalog: Catalog, number: signal.Signals
) -> None:
    for plot in range(50):
        draw(root, f"s/project_1/{plot}.png")
    with indexer() as running:
        draw(root, "s/project_2/late.png")
        began = time.monotonic()
        assert running.stop(number) == 0
        assert time.monotonic() - began < 2
        assert "Traceback" not in running.stderr
    assert catalog.heartbeats()[0].state == "stopped"
    trouble = read_status(catalog, tree.layout).trouble
    assert trouble == "No indexer is running: start `plotindex watch`."


@ENDS
def test_serve_stops_with_exit_0_and_frees_its_port(
    server: StartService, catalog: Catalog, number: signal.Signals
) -> None:
    with server() as running:
        children = family(running)
        assert running.stop(number) == 0
        assert all_gone(children)
        assert is_free(port_of(running))
        assert "Traceback" not in running.stderr


def test_the_example_client_downloads_its_plots(
    root: Path, tmp_path: Path, server: StartService, tokens: Tokens
) -> None:
    contents = {"correlation_plot.png": PNG, "subfolder/histogram.svg": SVG}
    for name, content in contents.items():
        draw(root, f"abc123/project_20240101/{name}", content)
    secret = tokens.create("program")
    with server() as running:

        def download(name: str) -> str:
            program = DOWNLOAD.replace("localhost:8517", f"localhost:{port_of(running)}")
            program = f"session_id, token = 'abc123', '{secret}'\n{program.replace('correlation_plot.png', name)}"
            command = [sys.executable, "-c", program]
            done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=30, check=False)
            return done.stdout + done.stderr

        for name, content in contents.items():
            assert download(name) == "Plot downloaded successfully\n"
            assert (tmp_path / "downloaded_plot.png").read_bytes() == content
        assert download("another.png") == "Error: {'error': 'Plot not found'}\n"
