"""What processes of one service owe each other."""

import ctypes
import signal
import sys

PR_SET_PDEATHSIG = 1


def die_with_parent(number: signal.Signals = signal.SIGTERM) -> None:
    """Be sent a signal when the parent dies, however it dies (prctl(2)): nobody is left on its port. Linux only."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, number)
