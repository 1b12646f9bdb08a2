"""What no event tells of: trees on file systems that other hosts change too. It is looked at again and again."""

import logging

from plotindex.config import Polling
from plotindex.system import LOCAL_FS_TYPES, Mount, MountMonitor, escape, mounts_below, printable
from plotindex.tree import Tree, is_within

log = logging.getLogger(__name__)


class PolledScopes:
    """Which scopes are polled, and why. Follows what is mounted and unmounted below the root."""

    def __init__(self, tree: Tree, polling: Polling) -> None:
        self._tree = tree
        self._polling = polling
        self._monitor = MountMonitor()
        self._mounts = mounts_below(tree.root)
        self.blind: str | None = None
        """Why there are no events at all."""
        self.scopes: dict[str, str] = {}
        """Scope -> why it is polled."""
        self.judge()

    def look(self) -> list[str]:
        """The scopes at which something was mounted or unmounted since the last call: no event tells of that."""
        if not self._monitor.has_changed():
            return []
        before, self._mounts = self._mounts, mounts_below(self._tree.root)
        self.judge(self.blind)
        paths = before.keys() | self._mounts.keys()
        return sorted(path for path in paths if before.get(path) != self._mounts.get(path))

    def close(self) -> None:
        self._monitor.close()

    @property
    def everything(self) -> bool:
        return "" in self.scopes

    def covers(self, path: str) -> bool:
        """Whether no event may tell of what happens there."""
        return bool(self.scopes) and is_within(path, self.scopes)

    def described(self) -> str | None:
        """One line for `status`, or None where nothing is polled."""
        named = [f"{printable(path) or 'the root'} ({why})" for path, why in sorted(self.scopes.items())]
        more = f" and {len(named) - 3} more" if len(named) > 3 else ""
        return ", ".join(named[:3]) + more if named else None

    def judge(self, blind: str | None = None) -> None:
        """Decide what is polled: everything, while there are no events for the reason given."""
        before, self.blind = self.scopes, blind
        if self._polling is Polling.ALWAYS:
            self.blind = "polling is always"
        if self.blind is not None:
            self.scopes = {"": self.blind}
        elif self._polling is Polling.NEVER:
            self.scopes = {}
        else:
            self.scopes = {path: why for path, mount in self._mounts.items() if (why := self._why(path, mount))}
        if self.scopes != before and self.scopes:
            log.warning("Polling instead of watching: %s.", self.described())

    def _why(self, path: str, mount: Mount) -> str | None:
        if mount.fs_type in LOCAL_FS_TYPES or (path and self._tree.layout.parse_scope(path) is None):
            return None
        return f"file system {escape(mount.fs_type)}"
