"""The operating system: files, locks, mounts, processes, logs, the terminal, and text that these can hold.

May import: errors.
"""

from typing import TYPE_CHECKING

from plotindex.faces import lazy_names

if TYPE_CHECKING:
    from plotindex.system.birth import birth_ns
    from plotindex.system.closed_files import ClosedFiles, FolderLostError
    from plotindex.system.fair_slots import FairSlots
    from plotindex.system.flock import acquire_lock
    from plotindex.system.humanize import format_age, format_size, parse_duration, rfc3339
    from plotindex.system.logs import AccessLog, AccessRecord, configure_logs, request_id
    from plotindex.system.mounts import (
        LOCAL_FS_TYPES,
        NETWORK_FS_TYPES,
        RELIABLE_CTIME_FS_TYPES,
        Mount,
        MountMonitor,
        find_mount,
        mounts_below,
    )
    from plotindex.system.openat import (
        ABSENT_ERRNOS,
        FOLDER_FLAGS,
        FOLDER_PATH_FLAGS,
        closing_fd,
        open_beneath,
        open_folder_beneath,
        stat_beneath,
    )
    from plotindex.system.permissions import (
        group_name,
        permission_denied_error,
        user_name,
    )
    from plotindex.system.private_files import (
        exclusive_lock,
        explain_write_errors,
        file_signature,
        has_no_inodes,
        open_private,
        opened_files,
        read_private,
        write_error_remedy,
        write_private,
    )
    from plotindex.system.private_folder import PrivateFolder, make_private_folder, open_private_folder
    from plotindex.system.processes import (
        call_after_fork,
        die_with_parent,
        has_terminal,
        is_alive,
        minimal_environment,
        python_command,
        python_path,
    )
    from plotindex.system.sdnotify import SystemdNotifier
    from plotindex.system.stop_request import StopRequest
    from plotindex.system.text import escape, is_encodable, printable
    from plotindex.system.urls import host_port, is_postgres_url, redact_url

__all__ = [
    "ABSENT_ERRNOS",
    "FOLDER_FLAGS",
    "FOLDER_PATH_FLAGS",
    "LOCAL_FS_TYPES",
    "NETWORK_FS_TYPES",
    "RELIABLE_CTIME_FS_TYPES",
    "AccessLog",
    "AccessRecord",
    "ClosedFiles",
    "FairSlots",
    "FolderLostError",
    "Mount",
    "MountMonitor",
    "PrivateFolder",
    "StopRequest",
    "SystemdNotifier",
    "acquire_lock",
    "birth_ns",
    "call_after_fork",
    "closing_fd",
    "configure_logs",
    "die_with_parent",
    "escape",
    "exclusive_lock",
    "explain_write_errors",
    "file_signature",
    "find_mount",
    "format_age",
    "format_size",
    "group_name",
    "has_no_inodes",
    "has_terminal",
    "host_port",
    "is_alive",
    "is_encodable",
    "is_postgres_url",
    "make_private_folder",
    "minimal_environment",
    "mounts_below",
    "open_beneath",
    "open_folder_beneath",
    "open_private",
    "open_private_folder",
    "opened_files",
    "parse_duration",
    "permission_denied_error",
    "printable",
    "python_command",
    "python_path",
    "read_private",
    "redact_url",
    "request_id",
    "rfc3339",
    "stat_beneath",
    "user_name",
    "write_error_remedy",
    "write_private",
]

__getattr__ = lazy_names(
    __name__,
    {
        "birth": "birth_ns",
        "closed_files": "ClosedFiles FolderLostError",
        "fair_slots": "FairSlots",
        "flock": "acquire_lock",
        "humanize": "format_age format_size parse_duration rfc3339",
        "logs": "AccessLog AccessRecord configure_logs request_id",
        "mounts": (
            "LOCAL_FS_TYPES NETWORK_FS_TYPES RELIABLE_CTIME_FS_TYPES Mount MountMonitor find_mount mounts_below"
        ),
        "openat": (
            "ABSENT_ERRNOS FOLDER_FLAGS FOLDER_PATH_FLAGS closing_fd open_beneath open_folder_beneath stat_beneath"
        ),
        "permissions": "group_name permission_denied_error user_name",
        "private_files": (
            "exclusive_lock explain_write_errors file_signature has_no_inodes open_private opened_files "
            "read_private write_error_remedy write_private"
        ),
        "private_folder": "PrivateFolder make_private_folder open_private_folder",
        "processes": (
            "call_after_fork die_with_parent has_terminal is_alive minimal_environment python_command python_path"
        ),
        "sdnotify": "SystemdNotifier",
        "stop_request": "StopRequest",
        "text": "escape is_encodable printable",
        "urls": "host_port is_postgres_url redact_url",
    },
)
