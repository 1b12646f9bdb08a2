"""What the kernel grants the indexer: inotify's watches, instances and queue; open files.

What is read from /proc is told apart from what it means, so that the latter can be asked of any numbers.
"""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from plotindex.config import Polling
from plotindex.ops.doctor.context import Subject
from plotindex.ops.doctor.findings import Finding, bad, counted, ok, warn

PROC = Path("/proc")
KEPT_IN = "/etc/sysctl.d/60-plotindex.conf"
LEAST = {"watches": 524_288, "instances": 512, "queue": 65_536}
"""What the remedies raise a limit to, at least."""
DEFAULT_QUEUE = 16_384
SPARE_INSTANCES = 8
FEW_FILES, ENOUGH_FILES = 64, 1024


class Usage(NamedTuple):
    """What one user's processes have of inotify(7): process -> how many."""

    watches: dict[int, int]
    instances: dict[int, int]
    closed: int = 0
    """Processes of that user whose descriptors could not be read."""


class Limit(NamedTuple):
    """A limit of the kernel's, under the name by which sysctl(8) raises it."""

    name: str
    value: int

    def raised(self, least: int) -> str:
        """The remedy: how to raise it so far, now and for good."""
        number = 1 << max(0, least - 1).bit_length()
        line = f"{self.name}={number}"
        return f"`sysctl -w {line}`, and to keep it `echo {line} >> {KEPT_IN}`"


def read_usage(user: int, proc: Path = PROC) -> Usage:
    """Count what the processes of a user hold, as far as this process may see."""
    usage = Usage({}, {})
    closed = 0
    for folder in proc.glob("[0-9]*"):
        try:
            owner = re.search(r"^Uid:\t\d+\t(\d+)", (folder / "status").read_text(errors="replace"), re.MULTILINE)
            if owner is None or int(owner[1]) != user:
                continue
            found = [_count(fd) for fd in (folder / "fd").iterdir()]
        except (FileNotFoundError, ProcessLookupError):
            continue
        except PermissionError:
            closed += 1
            continue
        counts = [count for count in found if count is not None]
        if counts:
            usage.instances[int(folder.name)] = len(counts)
            usage.watches[int(folder.name)] = sum(counts)
    return usage._replace(closed=closed)


def _count(fd: Path) -> int | None:
    """The watches of a descriptor (proc_pid_fdinfo(5)), or None when it is no inotify instance."""
    try:
        if str(fd.readlink()) != "anon_inode:inotify":
            return None
        info = (fd.parent.with_name("fdinfo") / fd.name).read_text(errors="replace")
    except (FileNotFoundError, ProcessLookupError):
        return None
    return len(re.findall(r"^inotify wd:", info, re.MULTILINE))


def read_limit(*names: str, proc: Path = PROC) -> Limit | None:
    """The lowest of these limits that there are: a container may have one of its own (namespaces(7))."""
    found = []
    for name in names:
        file = proc / "sys" / name.replace(".", "/")
        if file.exists():
            found.append(Limit(name, int(file.read_text())))
    return min(found, key=lambda limit: limit.value, default=None)


def check_inotify(subject: Subject) -> Iterator[Finding]:
    """Whether all folders can be watched, also when there are twice as many."""
    if Polling(subject.settings.polling) is Polling.ALWAYS:
        yield ok("inotify-watches", "Nothing is watched, since polling is always")
        return
    usage = read_usage(subject.user)
    pid = subject.indexer_pid
    watches = read_limit("fs.inotify.max_user_watches", "user.max_inotify_watches")
    instances = read_limit("fs.inotify.max_user_instances", "user.max_inotify_instances")
    queue = read_limit("fs.inotify.max_queued_events")
    if watches is None or instances is None or queue is None:
        yield warn(
            "inotify-watches", "could not be seen: this system has no limits of inotify in /proc/sys", "mount /proc"
        )
        return
    yield judge_instances(usage, pid, instances)
    yield judge_queue(subject.indexer.overflows if subject.indexer else 0, queue)
    # The folder of `plotindex sync` is watched, too.
    yield judge_watches(usage, pid, subject.survey.folders + 1, watches, subject.settings.max_watches)


def judge_watches(usage: Usage, indexer: int | None, need: int, limit: Limit, most: int | None = None) -> Finding:
    """Whether `need` watches can be had, and twice as many, beside what others of that user have.

    `most` is how many folders may be watched by setting: the others are looked at round and round, and miss no watch.
    """
    others = sum(count for pid, count in usage.watches.items() if pid != indexer)
    wanted = need if most is None else min(need, most + 1)
    seen = (
        f"This tree needs {need} watches, and {2 * need} at twice its size; {limit.name} is {limit.value}, of which "
        f"other programs of this user have {others}{_as_far_as(usage)}"
    )
    if wanted < need:
        seen = f"{seen}; max_watches leaves {counted(need - wanted, 'folder')} to the rolling rescan"
    # The indexer gives a session its share alone once half of all are in use: so twice as many again.
    remedy = limit.raised(max(LEAST["watches"], others + 4 * wanted))
    if others + wanted > limit.value:
        missing = counted(others + wanted - limit.value, "folder")
        return warn("inotify-watches", f"{seen}: {missing} cannot be watched, only looked at round and round", remedy)
    if wanted == need and others + 2 * need > limit.value:
        missing = counted(others + 2 * need - limit.value, "folder")
        return warn("inotify-watches", f"{seen}: then {missing} cannot be watched", remedy)
    return ok("inotify-watches", seen)


def judge_instances(usage: Usage, indexer: int | None, limit: Limit) -> Finding:
    """Whether the indexer can have the one inotify instance that it needs."""
    others = sum(count for pid, count in usage.instances.items() if pid != indexer)
    seen = (
        f"plotindex needs 1 inotify instance; {limit.name} is {limit.value}, of which other programs of this user have "
        f"{others}{_as_far_as(usage)}"
    )
    remedy = limit.raised(max(LEAST["instances"], 2 * others))
    if others + 1 > limit.value:
        return bad("inotify-instances", f"{seen}: the indexer has none, and watches nothing", remedy)
    if others + SPARE_INSTANCES > limit.value:
        return warn("inotify-instances", seen, remedy)
    return ok("inotify-instances", seen)


def judge_queue(overflows: int, limit: Limit) -> Finding:
    """Whether the kernel's queue of events is long enough, as far as overflows tell. None loses anything."""
    seen = f"{limit.name} is {limit.value}; the queue has overflowed {overflows} times since the indexer began"
    remedy = limit.raised(max(LEAST["queue"], 4 * limit.value if overflows else 0))
    if overflows or limit.value < DEFAULT_QUEUE:
        seen = f"{seen}; each time everything is looked at again"
        return warn("inotify-queue", seen, f"{remedy}; it counts from the indexer's next start")
    return ok("inotify-queue", seen)


def _as_far_as(usage: Usage) -> str:
    return f" ({usage.closed} of them could not be looked at)" if usage.closed else ""


def check_open_files(subject: Subject) -> Iterator[Finding]:
    """How many descriptors the indexer may have, or whatever is started from here."""
    pid = subject.indexer_pid
    whose = "the indexer" if pid else "what is started from here"
    yield judge_open_files((PROC / (str(pid) if pid else "self") / "limits").read_text(), whose)


def judge_open_files(limits: str, whose: str) -> Finding:
    """What the text of /proc/pid/limits says of that process."""
    found = re.search(r"^Max open files +(\w+) +(\w+)", limits, re.MULTILINE)
    if found is None:
        return warn("open-files", "could not be seen: /proc does not say", "`ulimit -n` says it")
    soft, hard = found[1], found[2]
    seen = f"{whose[0].upper()}{whose[1:]} may have {soft} files open (hard limit: {hard})"
    remedy = f"`ulimit -n {ENOUGH_FILES}` before the start, or LimitNOFILE={ENOUGH_FILES} in its systemd unit"
    number = float("inf") if soft == "unlimited" else int(soft)
    if number < FEW_FILES:
        return bad("open-files", f"{seen}: too few to start", remedy)
    if number < ENOUGH_FILES:
        return warn("open-files", f"{seen}: each client of the server takes one", remedy)
    return ok("open-files", seen)
