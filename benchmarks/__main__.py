"""python -m benchmarks [NAME ...]: run all benchmarks, or those named, on the disk of TMPDIR."""

import signal
import sys
from collections.abc import Callable

from benchmarks.flood import flood
from benchmarks.measure import describe_machine
from benchmarks.memory import memory
from benchmarks.rebuild import rebuild
from benchmarks.serving import serving
from benchmarks.survival import survival


def _lookup() -> None:
    # Imported late: it loads SQLAlchemy, and run_measured cannot measure the peak memory of a child that is smaller
    # than this process.
    from benchmarks.lookup import lookup  # noqa: PLC0415 - see above

    lookup()


def _rows() -> None:
    from benchmarks.rows import rows  # noqa: PLC0415 - see above

    rows()


def _search() -> None:
    from benchmarks.search import search  # noqa: PLC0415 - see above

    search()


def _watching() -> None:
    from benchmarks.watching import watching  # noqa: PLC0415 - it brings watchdog along: see above

    watching()


def _rolling() -> None:
    from benchmarks.rolling import rolling  # noqa: PLC0415 - see above

    rolling()


def _proxied() -> None:
    from benchmarks.proxied import proxied  # noqa: PLC0415 - what starts nginx for the tests brings SQLAlchemy: see above

    proxied()


def _gallery() -> None:
    from benchmarks.gallery import gallery  # noqa: PLC0415 - see above

    gallery()


def _thumbnails() -> None:
    from benchmarks.thumbnails import thumbnails  # noqa: PLC0415 - see above

    thumbnails()


def _contention() -> None:
    from benchmarks.contention import contention  # noqa: PLC0415 - see above

    contention()


def _scale() -> None:
    from benchmarks.scale import scale  # noqa: PLC0415 - see above

    scale()


def _peers() -> None:
    from benchmarks.peers import peers  # noqa: PLC0415 - it brings Pillow along: see above

    peers()


BENCHMARKS: list[tuple[str, Callable[[], None]]] = [
    ("serving", serving),
    ("rebuild", rebuild),
    ("lookup", _lookup),
    ("rows", _rows),
    ("search", _search),
    ("flood", flood),
    ("contention", _contention),
    ("memory", memory),
    ("watching", _watching),
    ("rolling", _rolling),
    ("survival", survival),
    ("proxied", _proxied),
    ("gallery", _gallery),
    ("thumbnails", _thumbnails),
    ("scale", _scale),
    ("peers", _peers),
]
ON_REQUEST_ONLY = {"scale", "peers"}
"""Run only when named: these take many minutes or much disk space, or download other programs."""


def main(names: list[str]) -> int:
    known = [name for name, _ in BENCHMARKS]
    if unknown := [name for name in names if name not in known]:
        print(
            f"There is no benchmark {unknown[0]!r}: name some of {', '.join(known)}, or none for all.", file=sys.stderr
        )
        return 2
    # SIGTERM must also unwind: stop child processes, delete files.
    signal.signal(signal.SIGTERM, lambda number, _frame: sys.exit(128 + number))
    print(describe_machine(), flush=True)
    for name, benchmark in BENCHMARKS:
        if name in names or (not names and name not in ON_REQUEST_ONLY):
            benchmark()
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
