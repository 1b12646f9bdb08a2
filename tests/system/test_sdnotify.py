"""What systemd is told: the service is ready when it is, and kept alive by nothing but its work."""

import signal
import socket
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from plotindex.ops.probe import is_serving
from plotindex.storage.catalog import Catalog
from plotindex.storage.sqlite.writer_queue import WriterQueue
from plotindex.system.sdnotify import SystemdNotifier
from tests.support.processes import StartService, draw, free_port, wait_until


class Listener:
    """The other end of NOTIFY_SOCKET."""

    def __init__(self, file: Path) -> None:
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK)
        self._socket.bind(str(file))
        self.environment = {"NOTIFY_SOCKET": str(file), "WATCHDOG_USEC": "300000000"}
        self.heard: list[str] = []

    def hear(self) -> list[str]:
        """All that was told so far."""
        while True:
            try:
                self.heard.append(self._socket.recv(4096).decode())
            except BlockingIOError:
                return self.heard

    def close(self) -> None:
        self._socket.close()


@pytest.fixture
def listener(tmp_path: Path) -> Iterator[Listener]:
    listener = Listener(tmp_path / "notify")
    yield listener
    listener.close()


def test_an_indexer_is_ready_when_all_was_looked_at_and_lives_by_its_steps_alone(
    service: StartService, listener: Listener, root: Path, tmp_path: Path, catalog: Catalog
) -> None:
    draw(root, "s/project_a/hist.png")
    file = tmp_path / "plotindex.toml"
    file.write_text("rescan_seconds = 3600\n")
    with service("watch", env={**listener.environment, "PLOTINDEX_CONFIG": str(file)}) as running:
        running.wait_for(lambda: "STATUS=watching 3 folders, 1 plots in 1 sessions" in listener.hear())
        assert "Full scan finished" in running.stderr
        before = listener.heard[: listener.heard.index("READY=1")]
        assert {message.partition("=")[0] for message in before} <= {"EXTEND_TIMEOUT_USEC", "STATUS"}
        running.wait_for(lambda: "WATCHDOG=1" in listener.hear())

        file.write_text("rescan_seconds = 1\npolling = 'always'\nthreads = 2\n")
        running.process.send_signal(signal.SIGHUP)
        running.wait_for(lambda: "Settings reloaded: changed rescan_seconds." in running.stderr)
        assert "polling takes effect after a restart: stop and start `plotindex watch`" in running.stderr
        assert "threads" not in running.stderr
        looked = catalog.heartbeats()[0].reconciled
        running.wait_for(lambda: catalog.heartbeats()[0].reconciled != looked)

        def silent_seconds() -> float:
            return time.time() - catalog.heartbeats()[0].heartbeat

        # It waits for its turn to write, and for nothing else.
        with WriterQueue(catalog.database.path).turn():
            draw(root, "s/project_a/other.png")
            wait_until(lambda: silent_seconds() > 5)
            listener.hear()
            listener.heard.clear()
            wait_until(lambda: silent_seconds() > 7)
            assert listener.hear() == []
        running.wait_for(lambda: "WATCHDOG=1" in listener.hear())
        assert running.stop() == 0
    assert "STOPPING=1" in listener.hear()


def test_a_server_is_ready_when_it_answers(service: StartService, listener: Listener) -> None:
    port = free_port()
    with service("serve", "--port", str(port), env=listener.environment) as running:
        running.wait_for(lambda: f"STATUS=serving at http://127.0.0.1:{port}" in listener.hear())
        assert listener.heard[:2] == ["READY=1", "WATCHDOG=1"]
        running.process.send_signal(signal.SIGHUP)
        running.wait_for(lambda: listener.hear().count("READY=1") == 2)
        (reloading,) = (number for number, told in enumerate(listener.heard) if told.startswith("RELOADING=1\n"))
        assert reloading < len(listener.heard) - 1 - listener.heard[::-1].index("READY=1")
        assert running.stop() == 0
    assert listener.hear()[-1] == "STOPPING=1"


def test_a_server_whose_workers_hang_is_not_kept_alive() -> None:
    with socket.create_server(("127.0.0.1", 0)) as nobody:
        assert not is_serving("127.0.0.1", nobody.getsockname()[1], 0.1)


def test_no_child_speaks_for_a_service_and_nothing_is_told_where_nobody_listens(
    tmp_path: Path, listener: Listener
) -> None:
    environment = {**listener.environment, "WATCHDOG_PID": "1", "HOME": "/"}
    notifier = SystemdNotifier.from_environment(environment)
    assert environment == {"HOME": "/"}
    notifier.notify_ready()
    notifier.notify_ready()
    assert listener.hear() == ["READY=1"]
    for nobody in (SystemdNotifier.from_environment({}), SystemdNotifier(str(tmp_path / "gone"))):
        nobody.notify_ready()
        nobody.notify_progress()
        nobody.notify_status("nothing")
