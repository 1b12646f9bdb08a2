"""No request is refused or lost while workers, settings and whole servers are replaced."""

import os
import select
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager
from pathlib import Path

import psutil
import pytest
import requests

from plotindex.auth.tokens import Tokens
from plotindex.config.settings import Settings
from plotindex.web.server.sockets import listen
from tests.support.processes import Index, Service, StartService, answers, draw, free_port, wait_until

LARGE = b"\x89PNG" + bytes(30_000_000)


class LoadClients:
    """Clients that send requests without pause, each on a new connection, and their failures."""

    def __init__(self, address: tuple[str, int]) -> None:
        self._address = address
        self._is_stopped = threading.Event()
        self.answered = 0
        self.failures: list[str] = []

    def send_requests(self) -> None:
        # Leave the server some CPU.
        while not self._is_stopped.wait(0.003):
            try:
                with closing(socket.create_connection(self._address, timeout=20)) as client:
                    client.sendall(b"GET /healthz HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
                    answer = b"".join(iter(lambda: client.recv(65536), b""))
            except OSError as error:
                self.failures.append(repr(error))
                continue
            if answer.startswith(b"HTTP/1.1 200 ") and answer.endswith(b"ok\n"):
                self.answered += 1
            else:
                self.failures.append(repr(answer))

    def wait_for_more(self) -> None:
        """Wait until some more requests have been answered."""
        enough = self.answered + 20
        wait_until(lambda: self.answered >= enough or self.failures)

    @classmethod
    @contextmanager
    def of(cls, port: int) -> "Iterator[LoadClients]":
        clients = cls(("127.0.0.1", port))
        with ThreadPoolExecutor(4) as pool:
            try:
                done = [pool.submit(clients.send_requests) for _ in range(4)]
                clients.wait_for_more()
                yield clients
                clients.wait_for_more()
            finally:
                clients._is_stopped.set()
        assert not [each.exception() for each in done if each.exception()]
        assert clients.failures == []


def workers(running: Service) -> set[int]:
    return {child.pid for child in psutil.Process(running.pid).children()}


def port_of(running: Service) -> int:
    return int(running.url.rpartition(":")[2])


@pytest.fixture
def token(settings: Settings) -> str:
    return Tokens(settings.make_state_folder() / "tokens.json").create("caller")


def test_workers_are_replaced_with_new_settings_and_no_request_fails(server: StartService, tmp_path: Path) -> None:
    file = tmp_path / "plotindex.toml"
    file.write_text("threads = 3\n")
    with server("--workers", "2", env={"PLOTINDEX_CONFIG": str(file)}) as running:
        before = workers(running)

        def by_name() -> int:
            return requests.get(running.url, headers={"Host": "plots.example.org"}, allow_redirects=False).status_code

        assert by_name() == 421
        with LoadClients.of(port_of(running)):
            file.write_text('threads = 4\nworkers = 3\nport = 1\npublic_url = "https://plots.example.org"\n')
            running.process.send_signal(signal.SIGHUP)
            wait_until(lambda: len(workers(running)) == 2 and not before & workers(running))
        assert by_name() == 303
        assert "Settings reloaded: changed threads, public_url." in running.stderr
        held = psutil.Process(running.pid).num_fds()
        # Port and workers are options, which override the file.
        assert "takes effect after a restart" not in running.stderr
        file.write_text("threads = 0\n")
        running.process.send_signal(signal.SIGHUP)
        wait_until(lambda: "the settings stay as they were: threads in" in running.stderr)
        assert by_name() == 303
        second = workers(running)
        file.write_text("threads = 4\n")
        running.process.send_signal(signal.SIGHUP)
        wait_until(lambda: len(workers(running)) == 2 and not second & workers(running))
        # Descriptors of replaced workers are closed.
        wait_until(lambda: psutil.Process(running.pid).num_fds() <= held)


def test_accepted_connections_have_nagle_disabled() -> None:
    with (
        listen(Settings(root=Path("/"), port=0)) as listener,
        closing(socket.create_connection(listener.getsockname())),
    ):
        wait_until(lambda: select.select([listener], [], [], 0)[0])
        with listener.accept()[0] as accepted:
            assert accepted.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)


def test_requests_in_flight_are_answered_when_the_server_stops(
    server: StartService, root: Path, index: Index, token: str
) -> None:
    draw(root, "s/project_a/large.png", LARGE)
    index()
    with server() as running, ThreadPoolExecutor() as pool:
        idle = socket.create_connection(("127.0.0.1", port_of(running)))
        headers = {"Authorization": f"Bearer {token}"}
        api = f"{running.url}/api/smartstat"
        clock = requests.get(f"{api}/plots", headers=headers).json()["clock"]
        slow = requests.get(f"{api}/plots/s/large.png", headers=headers, stream=True)
        waiting = pool.submit(requests.get, f"{api}/changes?since={clock}&wait=20", headers=headers, timeout=30)
        wait_until(lambda: len(psutil.Process(min(workers(running))).net_connections("tcp")) >= 4)
        began = time.monotonic()
        running.process.terminate()
        assert waiting.result().json()["clock"] == clock
        assert b"".join(slow.iter_content(1 << 20)) == LARGE
        assert running.process.wait(10) == 0
        # Neither the waiting request nor the idle connection delays it until their timeouts.
        assert time.monotonic() - began < 8
        idle.close()
        assert "Traceback" not in running.stderr


def test_a_socket_activated_server_is_replaced_and_no_request_fails(
    root: Path, environment: dict[str, str], tmp_path: Path
) -> None:
    with socket.create_server(("127.0.0.1", free_port()), backlog=1024) as listener:
        port = listener.getsockname()[1]

        def start(number: int) -> "subprocess.Popen[bytes]":
            # As systemd passes it: descriptor 3, and a variable with the pid of the process (sd_listen_fds(3)).
            script = 'LISTEN_FDS=1 LISTEN_PID=$$ exec "$@"'
            words = ["sh", "-c", script, "sh", sys.executable, "-m", "plotindex", "serve", "--root", str(root)]
            with (tmp_path / f"{number}.log").open("wb") as log:
                return subprocess.Popen(
                    words,
                    env=environment,
                    cwd=tmp_path,
                    stderr=log,
                    preexec_fn=lambda: os.dup2(listener.fileno(), 3),  # noqa: PLW1509 - takes no lock
                    pass_fds=[3],
                    start_new_session=True,
                )

        running = start(1)
        try:
            wait_until(lambda: answers(f"http://127.0.0.1:{port}"))
            with LoadClients.of(port):
                running.terminate()
                assert running.wait(15) == 0
                running = start(2)
        finally:
            running.terminate()
            assert running.wait(15) == 0
        assert f"http://127.0.0.1:{port}" in (tmp_path / "2.log").read_text()


def test_run_forwards_sighup_so_that_both_reload_their_settings(service: StartService, tmp_path: Path) -> None:
    file = tmp_path / "plotindex.toml"
    file.write_text("rescan_seconds = 3600\n")
    port = str(free_port())
    with service("run", "--port", port, env={"PLOTINDEX_CONFIG": str(file)}) as running:
        running.wait_for(lambda: "Open this" in running.stdout and "Full scan finished" in running.stderr)
        file.write_text("rescan_seconds = 60\nthreads = 3\n")
        running.process.send_signal(signal.SIGHUP)
        running.wait_for(lambda: "Settings reloaded: changed rescan_seconds." in running.stderr)
        running.wait_for(lambda: "Settings reloaded: changed threads." in running.stderr)
        assert answers(f"http://127.0.0.1:{port}")
        assert running.stop() == 0


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_to_the_process_group_stops_a_server_like_one_to_itself(
    server: StartService, number: signal.Signals
) -> None:
    for _ in range(3):
        with server("--workers", "2") as running:
            os.killpg(running.pid, number)
            assert running.process.wait(8) == 0
            assert "refused" not in running.stdout + running.stderr
