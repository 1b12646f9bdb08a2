"""Names in an export: those of the tree, as long as no system could unpack them elsewhere."""

import re
from hashlib import blake2b

from plotindex.tree import Plot

MANIFEST = "manifest.json"
RISKY = re.compile(r"[\x00-\x1f\x7f\\:]|[. ]+$")
"""Separators and drives of other systems, what some programs drop, and what Windows drops at the end of a name."""
MAX_BYTES = 255
DIGEST_BYTES = 4


def exported_path(plot: Plot) -> str:
    """SESSION/PROJECT/FILENAME, as below the root; a part that is risky elsewhere is replaced by a unique one."""
    first, *parts = plot.path.split("/")
    # Beside the sessions there is the manifest.
    first = _unique(first) if first.lower() == MANIFEST else _portable(first)
    return "/".join([first, *map(_portable, parts)])


def _portable(part: str) -> str:
    return _unique(part) if RISKY.search(part) else part


def _unique(part: str) -> str:
    """The part without what is risky, behind a digest of it; no longer than a name may be."""
    prefix = f"{blake2b(part.encode(), digest_size=DIGEST_BYTES).hexdigest()}~"
    kept = RISKY.sub("_", part).encode()[-(MAX_BYTES - len(prefix)) :]
    return prefix + kept.decode(errors="ignore")
