"""Scopes that are polled: file systems that other hosts change without an event on this one."""

import logging

from plotindex.config import Polling
from plotindex.system import LOCAL_FS_TYPES, Mount, MountMonitor, escape, mounts_below, printable
from plotindex.tree import Tree, is_within

LINKED = "more hard links than are tracked"

log = logging.getLogger(__name__)


class PolledScopes:
    """The polled scopes with their reasons, kept up to date as file systems are mounted below the root."""

    def __init__(self, tree: Tree, polling: Polling) -> None:
        self._tree = tree
        self._polling = polling
        self._monitor = MountMonitor()
        self._mounts = mounts_below(tree.root)
        self.no_events: str | None = None
        """Why there are no events at all."""
        self.scopes: dict[str, str] = {}
        """Scope -> why it is polled."""
        self.linked: set[str] = set()
        """Sessions with too many hard links: events report one name of a changed file."""
        self.update()

    def take_mount_changes(self) -> list[str]:
        """The mount points mounted or unmounted since the last call."""
        if not self._monitor.has_changed():
            return []
        before, self._mounts = self._mounts, mounts_below(self._tree.root)
        self.update(self.no_events)
        paths = before.keys() | self._mounts.keys()
        return sorted(path for path in paths if before.get(path) != self._mounts.get(path))

    def close(self) -> None:
        self._monitor.close()

    @property
    def everything(self) -> bool:
        return "" in self.scopes

    def covers(self, path: str) -> bool:
        """Whether a path is polled."""
        return (bool(self.scopes) and is_within(path, self.scopes)) or (
            bool(self.linked) and path.partition("/")[0] in self.linked
        )

    def describe(self) -> str | None:
        """One line for `status`, or None if nothing is polled."""
        reasons = {**dict.fromkeys(self.linked, LINKED), **self.scopes}
        named = [f"{printable(path) or 'the root'} ({reason})" for path, reason in sorted(reasons.items())]
        more = f" and {len(named) - 3} more" if len(named) > 3 else ""
        return ", ".join(named[:3]) + more if named else None

    def update(self, no_events: str | None = None) -> None:
        """Decide what is polled; everything if a reason is given why there are no events."""
        before, self.no_events = self.scopes, no_events
        if self._polling is Polling.ALWAYS:
            self.no_events = "polling is always"
        if self.no_events is not None:
            self.scopes = {"": self.no_events}
        elif self._polling is Polling.NEVER:
            self.scopes = {}
        else:
            self.scopes = {
                path: reason for path, mount in self._mounts.items() if (reason := self._reason(path, mount))
            }
        if self.scopes != before and self.scopes:
            log.warning("Polling instead of watching: %s.", self.describe())

    def _reason(self, path: str, mount: Mount) -> str | None:
        if mount.fs_type in LOCAL_FS_TYPES or (path and self._tree.layout.parse_scope(path) is None):
            return None
        return f"file system {escape(mount.fs_type)}"
