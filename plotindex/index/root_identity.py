"""Check that the root is the directory the catalogue was built from, not an empty mount point."""

from plotindex.errors import RootLostError
from plotindex.index.report import Options
from plotindex.storage import Catalog, Writer
from plotindex.system import ABSENT_ERRNOS, printable
from plotindex.tree import Tree


def is_root_lost(tree: Tree, catalog: Catalog) -> bool:
    """Whether the root is missing, or another directory without any session of the catalogue.

    Raises:
        CatalogError: the catalogue cannot be read.
    """
    recorded = catalog.header().identity
    try:
        if recorded in (None, tree.identity()):
            return not tree.exists()
        return not any(map(tree.has_session, catalog.sessions()))
    except OSError as error:
        return error.errno in ABSENT_ERRNOS


def require_same_root(tree: Tree, catalog: Catalog) -> None:
    """Check that the root is the one that was indexed: below another one, a missing plot is not gone.

    Raises:
        RootLostError: the root is another one, or missing.
        CatalogError: the catalogue cannot be read.
    """
    try:
        identity = tree.identity()
    except OSError:
        identity = None
    if catalog.header().identity not in (None, identity):
        raise RootLostError(f"The root {printable(str(tree.root))} is missing: mount it again.")


def check_root(tree: Tree, writer: Writer, options: Options) -> None:
    """Record the root's identity, or refuse to write what was scanned below another directory.

    A mount point without its file system looks empty, as if every plot was deleted. The root is trusted if it has the
    recorded identity or a session of the catalogue. Call this after the scans, before what they found is written.

    Raises:
        RootLostError: the root is missing, or is another directory.
    """
    try:
        identity = tree.identity()
    except OSError as error:
        raise RootLostError(root_lost_message(tree, f"cannot be read ({error.strerror})")) from error
    header = writer.header()
    if header is not None and identity == header.identity:
        return
    sessions = writer.sessions()
    if sessions and not options.allow_empty and not any(map(tree.has_session, sessions)):
        raise RootLostError(root_lost_message(tree, "shares no session with the catalogue"))
    writer.record_identity(identity)


def root_lost_message(tree: Tree, problem: str) -> str:
    return (
        f"The root {printable(str(tree.root))} {problem}, so nothing was written: mount it again or, "
        "if its plots are really gone, run `plotindex rebuild --allow-empty`."
    )
