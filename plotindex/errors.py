"""What plotindex raises on purpose. Every message is one sentence that says the remedy."""

import errno


class PlotIndexError(Exception):
    """Something the caller or the operator can mend; the message says how."""


class SettingsError(PlotIndexError):
    """Wrong use or configuration: the command line exits with 2."""


class CatalogError(PlotIndexError):
    """The catalogue cannot be read or written now; the tree still answers by scan."""


class UnusableDatabaseError(CatalogError, SettingsError):
    """The database will stay unusable until somebody acts: newer, or of another program."""


class DamagedDatabaseError(UnusableDatabaseError):
    """The database cannot be believed; an indexer sets it aside and makes it anew when it is surely plotindex's."""


class LockTimeoutError(CatalogError):
    """Another writer held the catalogue for longer than the caller would wait."""


class ConflictError(CatalogError):
    """Two writers were in each other's way, and this one's transaction was taken back: it can be tried again."""


class RootLostError(PlotIndexError):
    """The root is gone, or is another file system that shares no session with the catalogue."""


REMEDIES = {
    errno.ENOSPC: "make room on that disk",
    errno.EDQUOT: "make room there for this user",
    errno.EROFS: "mount that disk writable, or set PLOTINDEX_STATE_DIR",
}
"""What mends it that a file cannot be written, where that is no matter of permissions."""
