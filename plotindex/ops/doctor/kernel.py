"""Kernel limits for the indexer: inotify watches, instances and queue; open files."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from plotindex.config import Polling
from plotindex.ops.doctor.context import Context
from plotindex.ops.doctor.findings import Finding, bad, ok, proc_missing, quantity, warn

PROC = Path("/proc")
SYSCTL_FILE = "/etc/sysctl.d/60-plotindex.conf"
RECOMMENDED = {"watches": 524_288, "instances": 512, "queue": 65_536}
"""The lowest limits that a remedy sets."""
DEFAULT_QUEUE = 16_384
SPARE_INSTANCES = 8
MIN_FILES, RECOMMENDED_FILES = 64, 1024


class Usage(NamedTuple):
    """The inotify(7) usage of one user: process -> count."""

    watches: dict[int, int]
    instances: dict[int, int]
    unreadable: int = 0
    """Processes whose descriptors could not be read."""


class Limit(NamedTuple):
    """A kernel limit and its sysctl(8) name."""

    name: str
    value: int

    def remedy(self, minimum: int) -> str:
        """The commands that raise the limit to at least `minimum`, now and at boot."""
        number = 1 << max(0, minimum - 1).bit_length()
        line = f"{self.name}={number}"
        return f"`sysctl -w {line}`, and to keep it `echo {line} >> {SYSCTL_FILE}`"


def read_usage(user: int) -> Usage:
    """Count the inotify instances and watches of a user's processes."""
    usage = Usage({}, {})
    unreadable = 0
    for folder in PROC.glob("[0-9]*"):
        try:
            owner = re.search(r"^Uid:\t\d+\t(\d+)", (folder / "status").read_text(errors="replace"), re.MULTILINE)
            if owner is None or int(owner[1]) != user:
                continue
            counts = [count for fd in (folder / "fd").iterdir() if (count := _count_watches(fd)) is not None]
        except (FileNotFoundError, ProcessLookupError):
            continue
        except PermissionError:
            unreadable += 1
            continue
        if counts:
            usage.instances[int(folder.name)] = len(counts)
            usage.watches[int(folder.name)] = sum(counts)
    return usage._replace(unreadable=unreadable)


def _count_watches(fd: Path) -> int | None:
    """The watches of a descriptor (proc_pid_fdinfo(5)), or None if it is not an inotify instance."""
    try:
        if str(fd.readlink()) != "anon_inode:inotify":
            return None
        info = (fd.parent.with_name("fdinfo") / fd.name).read_text(errors="replace")
    except (FileNotFoundError, ProcessLookupError):
        return None
    return len(re.findall(r"^inotify wd:", info, re.MULTILINE))


def read_limit(*names: str) -> Limit | None:
    """The lowest of these limits; a container may have its own (namespaces(7)). None if none exists."""
    files = {name: PROC / "sys" / name.replace(".", "/") for name in names}
    limits = [Limit(name, int(file.read_text())) for name, file in files.items() if file.exists()]
    return min(limits, key=lambda limit: limit.value, default=None)


def check_inotify(context: Context) -> Iterator[Finding]:
    """Check that all folders can be watched, also at twice their number."""
    if Polling(context.settings.polling) is Polling.ALWAYS:
        yield ok("inotify-watches", "Nothing is watched, since polling is always")
        return
    usage = read_usage(context.user)
    pid = context.indexer_pid
    watches = read_limit("fs.inotify.max_user_watches", "user.max_inotify_watches")
    instances = read_limit("fs.inotify.max_user_instances", "user.max_inotify_instances")
    queue = read_limit("fs.inotify.max_queued_events")
    if watches is None or instances is None or queue is None:
        yield proc_missing("inotify-watches", "/proc/sys/fs/inotify")
        return
    yield instances_finding(usage, pid, instances)
    yield queue_finding(context.indexer.overflows if context.indexer else 0, queue)
    if context.has_root:
        # `plotindex sync` has a folder of its own, which is watched, too.
        yield watches_finding(usage, pid, context.survey.folders + 1, watches, context.settings.max_watches)


def watches_finding(
    usage: Usage, indexer: int | None, needed: int, limit: Limit, max_watches: int | None = None
) -> Finding:
    """Check for `needed` watches, and twice as many, besides those of other programs of the user.

    `max_watches` is the setting: folders beyond it are polled and need no watch.
    """
    others = _held_by_others(usage.watches, indexer)
    wanted = needed if max_watches is None else min(needed, max_watches + 1)
    seen = (
        f"This tree needs {needed} watches, and {2 * needed} at twice its size; {_describe_use(limit, others, usage)}"
    )
    if wanted < needed:
        seen = f"{seen}; max_watches leaves {quantity(needed - wanted, 'folder')} to the rolling rescan"
    # Once half of all watches are in use, the indexer limits each session to its share: so twice as many again.
    remedy = limit.remedy(max(RECOMMENDED["watches"], others + 4 * wanted))
    if others + wanted > limit.value:
        missing = quantity(others + wanted - limit.value, "folder")
        return warn("inotify-watches", f"{seen}: {missing} cannot be watched, only polled", remedy)
    if wanted == needed and others + 2 * needed > limit.value:
        missing = quantity(others + 2 * needed - limit.value, "folder")
        return warn("inotify-watches", f"{seen}: then {missing} cannot be watched", remedy)
    return ok("inotify-watches", seen)


def instances_finding(usage: Usage, indexer: int | None, limit: Limit) -> Finding:
    """Check for the one inotify instance that the indexer needs."""
    others = _held_by_others(usage.instances, indexer)
    seen = f"plotindex needs 1 inotify instance a process; {_describe_use(limit, others, usage)}"
    remedy = limit.remedy(max(RECOMMENDED["instances"], 2 * others))
    if others + 1 > limit.value:
        return bad("inotify-instances", f"{seen}: the indexer gets none and cannot watch", remedy)
    if others + SPARE_INSTANCES > limit.value:
        return warn("inotify-instances", seen, remedy)
    return ok("inotify-instances", seen)


def queue_finding(overflows: int, limit: Limit) -> Finding:
    """Check the length of the inotify event queue. An overflow loses no plot."""
    seen = f"{limit.name} is {limit.value}; queue overflows since the indexer started: {overflows}"
    remedy = limit.remedy(max(RECOMMENDED["queue"], 4 * limit.value if overflows else 0))
    if overflows or limit.value < DEFAULT_QUEUE:
        remedy = f"{remedy}; takes effect when the indexer restarts"
        return warn("inotify-queue", f"{seen}; each overflow causes a full scan", remedy)
    return ok("inotify-queue", seen)


def _held_by_others(counts: dict[int, int], indexer: int | None) -> int:
    return sum(count for pid, count in counts.items() if pid != indexer)


def _describe_use(limit: Limit, others: int, usage: Usage) -> str:
    unknown = f" ({usage.unreadable} of them could not be read)" if usage.unreadable else ""
    return f"{limit.name} is {limit.value}, of which other programs of this user have {others}{unknown}"


def check_open_files(context: Context) -> Iterator[Finding]:
    """Check the limit of open files of the indexer or, if it does not run, of this process."""
    pid = context.indexer_pid
    owner = "The indexer" if pid else "A process started from here"
    yield open_files_finding((PROC / (str(pid) if pid else "self") / "limits").read_text(), owner)


def open_files_finding(limits: str, owner: str) -> Finding:
    """The finding for the text of /proc/pid/limits of the process `owner`."""
    found = re.search(r"^Max open files +(\w+) +(\w+)", limits, re.MULTILINE)
    if found is None:
        return warn("open-files", "could not be checked: /proc does not show the limit", "run `ulimit -n`")
    soft, hard = found[1], found[2]
    seen = f"{owner} may have {soft} files open (hard limit: {hard})"
    remedy = f"`ulimit -n {RECOMMENDED_FILES}` before the start, or LimitNOFILE={RECOMMENDED_FILES} in its systemd unit"
    number = float("inf") if soft == "unlimited" else int(soft)
    if number < MIN_FILES:
        return bad("open-files", f"{seen}: too few to start", remedy)
    if number < RECOMMENDED_FILES:
        return warn("open-files", f"{seen}: each client of the server takes one", remedy)
    return ok("open-files", seen)
