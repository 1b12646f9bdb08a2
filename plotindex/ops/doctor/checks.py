"""The list of checks, and how they are run."""

from collections.abc import Callable, Iterator

from plotindex.errors import PlotIndexError
from plotindex.ops.doctor.clocks import check_clock
from plotindex.ops.doctor.context import Context
from plotindex.ops.doctor.findings import Finding, split_remedy, warn
from plotindex.ops.doctor.history import check_history
from plotindex.ops.doctor.kernel import check_inotify, check_open_files
from plotindex.ops.doctor.root import (
    check_folders,
    check_identity,
    check_ignored,
    check_mounts,
    check_plots,
    check_root,
    check_symlinks,
)
from plotindex.ops.doctor.services import check_indexer, check_port, check_sandbox
from plotindex.ops.doctor.state_access import (
    check_database_access,
    check_state,
    check_state_place,
)
from plotindex.ops.doctor.storage import check_database, check_database_place, check_disks, check_log
from plotindex.ops.doctor.users import check_scripts, check_user
from plotindex.system import ABSENT_ERRNOS, printable

CHECKS: dict[str, Callable[[Context], Iterator[Finding]]] = {
    "root": check_root,
    "root-file-system": check_mounts,
    "root-identity": check_identity,
    "plots": check_plots,
    "root-folders": check_folders,
    "ignored": check_ignored,
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
    "thumbnails": check_sandbox,
    "history": check_history,
}
"""Each check, by the name under which its failure is reported."""
NEED_ROOT = {"plots", "root-file-system", "root-identity", "root-folders", "ignored", "symlinks", "clock", "scripts"}
"""Left out where there is no root: the check `root` says so."""


def run_checks(context: Context) -> Iterator[Finding]:
    """Run every check; a check that fails is reported, and the others continue."""
    for name, check in CHECKS.items():
        if name in NEED_ROOT and not context.has_root:
            continue
        try:
            yield from check(context)
        except OSError as error:
            place = f"{printable(str(error.filename))}: " if error.filename else ""
            when = "when it exists" if error.errno in ABSENT_ERRNOS else "as the user that runs plotindex, or as root"
            seen = f"could not be checked: {place}{error.strerror or error}"
            yield warn(name, seen, f"run `plotindex doctor` again {when}")
        except PlotIndexError as error:
            seen, remedy = split_remedy(str(error))
            yield warn(name, f"could not be checked: {seen}", remedy or "fix the database first")
