"""Workers that are killed: the server replaces those that have served, and ends if none ever serves."""

import signal

import psutil
import pytest

from tests.support.processes import Service, StartService, answers, free_port, wait_until

pytestmark = pytest.mark.slow


def kill_workers(running: Service, number: signal.Signals = signal.SIGKILL) -> int:
    """Kill the server's workers; return how many there were."""
    workers = psutil.Process(running.pid).children()
    for worker in workers:
        worker.send_signal(number)
    psutil.wait_procs(workers, 10)
    return len(workers)


def test_a_worker_that_is_killed_again_and_again_is_replaced_each_time(server: StartService) -> None:
    with server("--workers", "1") as running:
        # SIGBUS: as when a file that is mapped was truncated.
        for number in (signal.SIGKILL, signal.SIGBUS) * 3:
            running.wait_for(lambda: answers(running.url))
            assert kill_workers(running, number) == 1
        running.wait_for(lambda: answers(running.url))
        assert running.stop() == 0


def test_a_server_whose_workers_exit_before_they_serve_ends_with_the_reason(service: StartService) -> None:
    with service("serve", "--port", str(free_port()), "--workers", "1") as running:
        # Killed as soon as they are seen, while they load the application.
        wait_until(lambda: kill_workers(running) == 0 and running.process.poll() is not None)
        assert running.process.returncode == 1
        assert "A worker exited 4 times before it could serve (exit code -9); stopping." in running.stderr
        assert "Traceback" not in running.stderr
