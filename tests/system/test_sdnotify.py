"""Notifications to systemd: readiness, and a watchdog that only real work resets."""

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


class NotifySocket:
    """The receiving end of NOTIFY_SOCKET."""

    def __init__(self, file: Path) -> None:
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK)
        self._socket.bind(str(file))
        self.environment = {"NOTIFY_SOCKET": str(file), "WATCHDOG_USEC": "300000000"}
        self.messages: list[str] = []

    def receive(self) -> list[str]:
        """All messages so far."""
        while True:
            try:
                self.messages.append(self._socket.recv(4096).decode())
            except BlockingIOError:
                return self.messages

    def close(self) -> None:
        self._socket.close()


@pytest.fixture
def listener(tmp_path: Path) -> Iterator[NotifySocket]:
    listener = NotifySocket(tmp_path / "notify")
    yield listener
    listener.close()


def test_an_indexer_is_ready_after_its_full_scan_and_only_its_steps_reset_the_watchdog(
    service: StartService, listener: NotifySocket, root: Path, tmp_path: Path, catalog: Catalog
) -> None:
    draw(root, "s/project_a/hist.png")
    file = tmp_path / "plotindex.toml"
    file.write_text("rescan_seconds = 3600\n")
    with service("watch", env={**listener.environment, "PLOTINDEX_CONFIG": str(file)}) as running:
        running.wait_for(lambda: "STATUS=watching 3 folders, 1 plots in 1 sessions" in listener.receive())
        assert "Full scan finished" in running.stderr
        before = listener.messages[: listener.messages.index("READY=1")]
        assert {message.partition("=")[0] for message in before} <= {"EXTEND_TIMEOUT_USEC", "STATUS"}
        running.wait_for(lambda: "WATCHDOG=1" in listener.receive())

        file.write_text("rescan_seconds = 1\npolling = 'always'\nthreads = 2\n")
        running.process.send_signal(signal.SIGHUP)
        running.wait_for(lambda: "Settings reloaded: changed rescan_seconds." in running.stderr)
        assert "polling takes effect after a restart: stop and start `plotindex watch`" in running.stderr
        assert "threads" not in running.stderr
        looked = catalog.heartbeats()[0].reconciled
        running.wait_for(lambda: catalog.heartbeats()[0].reconciled != looked)

        def silent_seconds() -> float:
            return time.time() - catalog.heartbeats()[0].heartbeat

        # The indexer waits for its turn to write.
        with WriterQueue(catalog.database.path).turn():
            draw(root, "s/project_a/other.png")
            wait_until(lambda: silent_seconds() > 5)
            listener.receive()
            listener.messages.clear()
            wait_until(lambda: silent_seconds() > 7)
            assert listener.receive() == []
        running.wait_for(lambda: "WATCHDOG=1" in listener.receive())
        assert running.stop() == 0
    assert "STOPPING=1" in listener.receive()


def test_a_server_is_ready_when_it_answers(service: StartService, listener: NotifySocket) -> None:
    port = free_port()
    with service("serve", "--port", str(port), env=listener.environment) as running:
        running.wait_for(lambda: f"STATUS=serving at http://127.0.0.1:{port}" in listener.receive())
        assert listener.messages[:2] == ["READY=1", "WATCHDOG=1"]
        running.process.send_signal(signal.SIGHUP)
        running.wait_for(lambda: listener.receive().count("READY=1") == 2)
        (reloading,) = (
            number for number, message in enumerate(listener.messages) if message.startswith("RELOADING=1\n")
        )
        assert reloading < len(listener.messages) - 1 - listener.messages[::-1].index("READY=1")
        assert running.stop() == 0
    assert listener.receive()[-1] == "STOPPING=1"


def test_a_server_whose_workers_hang_is_not_kept_alive() -> None:
    with socket.create_server(("127.0.0.1", 0)) as nobody:
        assert not is_serving("127.0.0.1", nobody.getsockname()[1], 0.1)


def test_child_processes_do_not_notify_and_nothing_is_sent_without_a_socket(
    tmp_path: Path, listener: NotifySocket
) -> None:
    environment = {**listener.environment, "WATCHDOG_PID": "1", "HOME": "/"}
    notifier = SystemdNotifier.from_environment(environment)
    assert environment == {"HOME": "/"}
    notifier.notify_ready()
    notifier.notify_ready()
    assert listener.receive() == ["READY=1"]
    for nobody in (SystemdNotifier.from_environment({}), SystemdNotifier(str(tmp_path / "gone"))):
        nobody.notify_ready()
        nobody.notify_progress()
        nobody.notify_status("nothing")
