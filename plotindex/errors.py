"""The errors of plotindex. Each message says what is wrong and how to fix it."""

import errno


class PlotIndexError(Exception):
    """Base class; the caller or operator can fix the cause."""


class SettingsError(PlotIndexError):
    """Wrong usage or configuration; the command line exits with 2."""


class CatalogError(PlotIndexError):
    """The catalogue cannot be read or written at the moment; requests are answered by scan."""


class UnusableDatabaseError(CatalogError, SettingsError):
    """The database needs an operator: it is newer than this version, or not plotindex's."""


class DamagedDatabaseError(UnusableDatabaseError):
    """The database is corrupt. If it is certainly plotindex's, an indexer, rebuild or healing server quarantines it.

    The indexer or a rebuild creates a new one.
    """


class UnsafePathError(PermissionError):
    """A state file, or a symlink to it, may be another user's trap. The message names it, with the fix."""

    def __init__(self, message: str) -> None:
        super().__init__(errno.EPERM, message)

    def __str__(self) -> str:
        return str(self.strerror)


class LockTimeoutError(CatalogError):
    """Another writer held the catalogue's lock until the deadline."""


class ConflictError(CatalogError):
    """The transaction was rolled back because of a concurrent one; it can be retried."""


class StateLostError(PlotIndexError):
    """The state folder of a running indexer was deleted or replaced; only a restart creates it again."""


class RootLostError(PlotIndexError):
    """The root is missing, or is another file system that shares no session with the catalogue."""


WRITE_ERROR_REMEDIES = {
    errno.ENOSPC: "make room on that disk",
    errno.EDQUOT: "raise this user's disk quota, or make room there",
    errno.ENOENT: "create that folder, or start `plotindex watch`, which creates it",
    errno.EISDIR: "remove that folder",
    errno.EROFS: "mount that disk writable, or set PLOTINDEX_STATE_DIR",
}
"""Fixes for write errors other than missing permission, by errno."""
