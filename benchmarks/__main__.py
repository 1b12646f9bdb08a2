"""python -m benchmarks [NAME ...]: run all benchmarks, or those named, on the disk of TMPDIR."""

import signal
import sys
from importlib import import_module

from benchmarks.measure import describe_machine

BENCHMARKS = (
    "serving",
    "starts",
    "rebuild",
    "first-scan",
    "lookup",
    "rows",
    "search",
    "flood",
    "contention",
    "memory",
    "watching",
    "rolling",
    "survival",
    "proxied",
    "lists",
    "gallery",
    "pages",
    "thumbnails",
    "pictures",
    "history",
    "inspection",
    "facts",
    "changes",
    "agents",
    "scale",
    "peers",
)
"""Each is a function in the module of its name."""
ON_REQUEST_ONLY = {"changes", "scale", "peers"}
"""Run only when named: these take many minutes or much disk space, need matplotlib, or download other programs."""


def main(names: list[str]) -> int:
    if unknown := [name for name in names if name not in BENCHMARKS]:
        print(
            f"There is no benchmark {unknown[0]!r}: name some of {', '.join(BENCHMARKS)}, or none for all.",
            file=sys.stderr,
        )
        return 2
    # SIGTERM must also unwind: stop child processes, delete files.
    signal.signal(signal.SIGTERM, lambda number, _frame: sys.exit(128 + number))
    print(describe_machine(), flush=True)
    for name in BENCHMARKS:
        if name in names or (not names and name not in ON_REQUEST_ONLY):
            _run(name.replace("-", "_"))
    return 0


def _run(name: str) -> None:
    # Imported late: run_measured cannot measure the peak memory of a child that is smaller than this process.
    getattr(import_module(f"benchmarks.{name}"), name)()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
