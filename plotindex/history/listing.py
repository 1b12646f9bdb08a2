"""What is kept, as JSON objects: the same by HTTP and on the command line."""

from typing import Any

from plotindex.storage import KeptKey, KeptVersion
from plotindex.system import rfc3339


def version_to_json(kept: KeptVersion) -> dict[str, Any]:
    """The fields of a kept version that do not depend on the caller."""
    plot = kept.plot
    return {
        "project": plot.project,
        "version": plot.version,
        "digest": kept.digest,
        "size": plot.size,
        "mtime": rfc3339(plot.mtime_ns),
        "seen": rfc3339(kept.seen),
    }


def key_to_json(key: KeptKey) -> dict[str, Any]:
    """The fields of a key of which versions are kept."""
    gone = rfc3339(key.gone) if key.gone is not None else None
    return {"filename": key.filename, "versions": key.versions, "seen": rfc3339(key.seen), "gone": gone}
