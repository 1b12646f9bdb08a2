"""Whether a process is to end: told by signals, which may interrupt its waiting anywhere."""

import signal
import subprocess
import sys
import time

import pytest

from plotindex.system.stop_request import StopRequest

SIGNALS = 3_000
PROGRAM = f"""
import os, signal
from plotindex.system.stop_request import StopRequest

stop, received = StopRequest(), 0

def receive(number, frame):
    global received
    received += 1
    stop.set()
    # Wait again: the next one comes at another moment.
    stop._is_set = False
    os.write(1, b"." if received < {SIGNALS} else b"!")

signal.signal(signal.SIGTERM, receive)
os.write(1, b".")
while received < {SIGNALS}:
    stop.wait(0.0001)
"""


@pytest.mark.timeout(60)
def test_a_signal_at_any_moment_of_the_waiting_ends_it() -> None:
    with subprocess.Popen([sys.executable, "-c", PROGRAM], stdout=subprocess.PIPE, bufsize=0) as process:
        try:
            assert process.stdout is not None
            while process.stdout.read(1) == b".":
                process.terminate()
            assert process.wait(20) == 0
        finally:
            process.kill()


def test_it_waits_no_longer_than_asked() -> None:
    stop = StopRequest()
    assert not stop.wait(0.01)
    assert not stop.is_set()
    signal.signal(signal.SIGALRM, lambda _number, _frame: stop.set())
    signal.setitimer(signal.ITIMER_REAL, 0.05)
    began = time.monotonic()
    assert stop.wait(60)
    assert time.monotonic() - began < 30
    assert stop.is_set()
