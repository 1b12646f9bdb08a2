"""The operating system: files, locks, mounts, processes, logs, the terminal, and text that these can hold.

May import: errors.
"""

from plotindex.system.flock import lock
from plotindex.system.humanize import ago, parse_duration, rfc3339, seconds_ago, size
from plotindex.system.logs import Access, AccessLog, configure_logs, request_id
from plotindex.system.mounts import LOCAL, NETWORK, STAMPING, Mount, MountChanges, mount_of, mounts_of
from plotindex.system.openat import (
    ABSENT,
    FOLDER,
    FOLDER_PATH,
    closing_descriptor,
    folder_beneath,
    open_beneath,
    status_beneath,
)
from plotindex.system.permissions import closed_to_user, create_private, group_name, make_folder, share, user_name
from plotindex.system.private_files import (
    changing,
    explain_write_errors,
    open_private,
    read_private,
    signature_of,
    write_private,
)
from plotindex.system.processes import (
    bare_environment,
    call_in_forks,
    die_with_parent,
    has_terminal,
    import_path,
    is_alive,
    own_command,
)
from plotindex.system.sdnotify import Supervisor
from plotindex.system.text import escape, is_text, printable
from plotindex.system.urls import is_of_server, veiled

__all__ = [
    "ABSENT",
    "FOLDER",
    "FOLDER_PATH",
    "LOCAL",
    "NETWORK",
    "STAMPING",
    "Access",
    "AccessLog",
    "Mount",
    "MountChanges",
    "Supervisor",
    "ago",
    "bare_environment",
    "call_in_forks",
    "changing",
    "closed_to_user",
    "closing_descriptor",
    "configure_logs",
    "create_private",
    "die_with_parent",
    "escape",
    "explain_write_errors",
    "folder_beneath",
    "group_name",
    "has_terminal",
    "import_path",
    "is_alive",
    "is_of_server",
    "is_text",
    "lock",
    "make_folder",
    "mount_of",
    "mounts_of",
    "open_beneath",
    "open_private",
    "own_command",
    "parse_duration",
    "printable",
    "read_private",
    "request_id",
    "rfc3339",
    "seconds_ago",
    "share",
    "signature_of",
    "size",
    "status_beneath",
    "user_name",
    "veiled",
    "write_private",
]
