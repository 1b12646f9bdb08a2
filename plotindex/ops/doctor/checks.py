"""Every check, one after the other; one that cannot look says so, and the others go on."""

from collections.abc import Callable, Iterator

from plotindex.errors import PlotIndexError
from plotindex.ops.doctor.context import Subject
from plotindex.ops.doctor.findings import Finding, split, warn
from plotindex.ops.doctor.kernel import check_inotify, check_open_files
from plotindex.ops.doctor.root import (
    check_clock,
    check_folders,
    check_identity,
    check_mounts,
    check_root,
    check_symlinks,
)
from plotindex.ops.doctor.services import check_drawing, check_indexer, check_port
from plotindex.ops.doctor.state_access import (
    check_database_access,
    check_scripts,
    check_state,
    check_state_place,
    check_user,
)
from plotindex.ops.doctor.storage import check_database, check_database_place, check_disks, check_log
from plotindex.system import ABSENT_ERRNOS, printable

CHECKS: dict[str, Callable[[Subject], Iterator[Finding]]] = {
    "root": check_root,
    "root-file-system": check_mounts,
    "root-identity": check_identity,
    "root-folders": check_folders,
    "symlinks": check_symlinks,
    "clock": check_clock,
    "inotify-watches": check_inotify,
    "open-files": check_open_files,
    "database": check_database,
    "database-file-system": check_database_place,
    "database-log": check_log,
    "disk-space": check_disks,
    "user": check_user,
    "state-place": check_state_place,
    "state-folder": check_state,
    "database-access": check_database_access,
    "scripts": check_scripts,
    "indexer": check_indexer,
    "port": check_port,
    "thumbnails": check_drawing,
}
"""By the name under which a check says that it could not look."""


def examine(subject: Subject) -> Iterator[Finding]:
    """Everything that was looked at, the good as well."""
    for name, check in CHECKS.items():
        yield from _tried(name, check, subject)


def _tried(name: str, check: Callable[[Subject], Iterator[Finding]], subject: Subject) -> Iterator[Finding]:
    try:
        yield from check(subject)
    except OSError as error:
        place = f"{printable(str(error.filename))}: " if error.filename else ""
        is_absent = error.errno in ABSENT_ERRNOS
        remedy = "ask again when it is there" if is_absent else "ask again as the user that runs plotindex, or as root"
        yield warn(name, f"could not be seen: {place}{error.strerror or error}", remedy)
    except PlotIndexError as error:
        seen, remedy = split(str(error))
        yield warn(name, f"could not be seen: {seen}", remedy or "mend first what is said of the database")
